"""The GSM 7-bit default alphabet, one septet per octet (3GPP TS 23.038 clause 6.2.1).

The gateway takes and gives septets unpacked: ``1B65`` in hexadecimal is the euro sign.
"""

import codecs
import re

from infobip_async.errors import LocalProtocolError
from infobip_async.text.tables import DEFAULT, ESCAPE, EXTENSION, LOCKING, SINGLE, UNASSIGNED

_BASIC = DEFAULT.replace(chr(ESCAPE), "")
_EXTENDED = "".join(EXTENSION.values())

OUTSIDE = re.compile(f"[^{re.escape(_BASIC + _EXTENDED)}]")
"""Matches a character outside the alphabet. U+001B is outside, since it is the escape itself."""

# One match decides: without a match, the text is not GSM-7; with a match but without its group,
# every character takes one septet.
_countable = re.compile(
    f"[{re.escape(_BASIC)}]*+(?:([{re.escape(_EXTENDED)}])[{re.escape(_BASIC + _EXTENDED)}]*+)?"
).fullmatch
_EXTENDED_ASCII = _EXTENDED.encode("ascii", "ignore")
_EXTENDED_OTHER = "".join(character for character in _EXTENDED if not character.isascii())

_SEPTETS = {
    ord(character): bytes([septet]) for septet, character in enumerate(DEFAULT) if septet != ESCAPE
} | {ord(character): bytes([ESCAPE, septet]) for septet, character in EXTENSION.items()}

_ESCAPED = re.compile(b"\x1b(.?)", re.DOTALL)


def septet_count(text: str) -> int | None:
    """Count the septets of a text: two for the characters of the extension table.

    Returns:
        The number of septets, or None where a character is not in the alphabet.
    """
    match = _countable(text)
    if match is None:
        return None
    if match.lastindex is None:
        return len(text)
    octets = text.encode()  # deleting octets is several times faster than finding characters
    extended = len(octets) - len(octets.translate(None, _EXTENDED_ASCII))
    return len(text) + extended + text.count(_EXTENDED_OTHER)


def encode(text: str) -> bytes:
    """Encode a text, strictly.

    Returns:
        One septet per octet; a character of the extension table is 0x1B and its septet.

    Raises:
        LocalProtocolError: a character is not in the alphabet.
    """
    try:
        return codecs.charmap_encode(text, "strict", _SEPTETS)[0]
    except UnicodeEncodeError as error:
        raise LocalProtocolError(
            f"U+{ord(text[error.start]):04X} at position {error.start}"
            " is not in the GSM 7-bit alphabet",
            field="text",
            section="2/1.2",
        ) from None


def decode(septets: bytes, *, locking: int = 0, single: int = 0) -> tuple[str, bool]:
    """Decode septets, one per octet, as the standard says; it never raises.

    An escape before a septet without an entry in the extension table is left out. Two escapes, and
    an escape at the end, become a space each (3GPP TS 23.038 clause 6.2.1.1).

    Args:
        septets: one septet per octet.
        locking: the national language whose table replaces the default one; 0 for none.
            A language without such a table counts as 0.
        single: the national language whose table replaces the default extension table.

    Returns:
        The text, and whether it is damaged: U+FFFD stands for octets above 0x7F and for cells
        of a national table that have no character.
    """
    table = LOCKING.get(locking, DEFAULT)
    shifted = SINGLE.get(single, EXTENSION)

    def plain(run: bytes) -> str:
        return codecs.charmap_decode(run, "replace", table)[0]

    def escaped(run: bytes) -> str:
        if run in (b"", b"\x1b"):
            return " "
        return shifted.get(run[0]) or plain(run)

    runs = _ESCAPED.split(septets)  # the septets behind an escape stand at odd places
    text = "".join(escaped(run) if at % 2 else plain(run) for at, run in enumerate(runs))
    return text, UNASSIGNED in text
