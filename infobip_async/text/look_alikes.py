"""GSM-7 characters that look like others: for texts that need UCS-2 because of an apostrophe."""

import re
import unicodedata

from infobip_async.text import gsm7
from infobip_async.text.tables import DEFAULT

_LOOK_ALIKES = (
    {
        character: look_alike
        for look_alike, characters in {
            "'": "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02c8\u2039\u203a`\u00b4",
            '"': "\u201c\u201d\u201e\u201f\u2033\u2036\u02ba\u00ab\u00bb",
            "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043",
            "*": "\u2022\u2023\u25cf\u25e6\u2217",
            ".": "\u00b7\u2219",
            "/": "\u2044\u2215",
            "|": "\u00a6",
            "~": "\u02dc\u223c",
            "x": "\u00d7",
            "(c)": "\u00a9",
            "(r)": "\u00ae",
            "TM": "\u2122",
            " ": "\t",
            "\n": "\u0085\u2028\u2029",
        }.items()
        for character in characters
    }
    | dict.fromkeys(
        # soft hyphen, byte order mark, Arabic mark, and what selects emoji or text
        "\u00ad\ufeff\u061c\ufe0e\ufe0f"
        # what is without width, what joins, and marks of direction
        + "".join(
            map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A)))
        ),
        "",
    )
    | dict(
        # The default alphabet leaves out the Greek capitals that look like Latin ones.
        zip(
            "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
            "ABEZHIKMNOPTYX",
            strict=True,
        )
    )
)

# Kinds of compatibility characters that differ from their equivalents in size, font or line
# breaking only. Superscripts and fractions are not among them: 10² is not 102.
_HARMLESS = ("<noBreak>", "<compat>", "<wide>", "<narrow>", "<small>", "<font>")

_DECOMPOSED = re.compile(
    "|".join(
        decomposed
        for decomposed in (unicodedata.normalize("NFD", character) for character in DEFAULT)
        if len(decomposed) > 1
    )
)


def look_alike(character: str) -> str | None:
    """Find GSM-7 characters that look like a character outside GSM-7.

    Quotes, dashes, spaces, bullets and the like have a look-alike, and so have characters that
    differ from GSM-7 only in size or font. The look-alike of an invisible character is the empty
    text. A letter with an accent has none: without the accent it is another letter.

    Returns:
        One GSM-7 character, several (``...``) or none (``""``); None without a look-alike.
    """
    known = _LOOK_ALIKES.get(character)
    if known is not None:
        return known
    decomposition = unicodedata.decomposition(character)
    if decomposition.startswith("<") and not decomposition.startswith(_HARMLESS):
        return None
    equivalent = unicodedata.normalize("NFKC", character)
    return equivalent if gsm7.septet_count(equivalent) is not None else None


# Joiners and selectors change the shape of the character in front of them, if that one stays.
_OUTSIDE = re.compile(f"(?P<character>{gsm7.OUTSIDE.pattern})[\u200c\u200d\ufe0e\ufe0f]*")


def simplify(text: str) -> str:
    """Replace characters that are not in GSM-7 by their look-alikes.

    GSM-7 characters stay as they are, and so do characters without a look-alike, with the joiners
    and selectors behind them that one sees in their shape. A letter and a combining accent become
    one character where GSM-7 has it. Other invisible characters are left out.
    """
    composed = _DECOMPOSED.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)
    return _OUTSIDE.sub(_replacement, composed)


def _replacement(found: re.Match[str]) -> str:
    replacement = look_alike(found["character"])
    return found[0] if replacement is None else replacement
