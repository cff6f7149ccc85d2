"""The charset of a text whose octets came without a name of their charset, or with a wrong one.

The gateway does not name the charset of what it forwards (§6). Most texts are UTF-8; gateways of
this kind also forward Windows-1252, and the octets of the message as they came from the network:
UTF-16, or the septets of the GSM alphabet.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from infobip_async.text import gsm7
from infobip_async.text.data_coding import Alphabet

WINDOWS_1252: Final = "windows-1252"
UTF_16_BE: Final = "utf-16-be"
UTF_16_LE: Final = "utf-16-le"
GSM_7: Final = "gsm-7"

REPLACEMENT: Final = "\ufffd"
"""Stands for what could not be decoded."""

_UTF_8: Final = "utf-8"
_MARKS: Final = {b"\xfe\xff": UTF_16_BE, b"\xff\xfe": UTF_16_LE, b"\xef\xbb\xbf": _UTF_8}
# Five octets have no character in Windows-1252. They are the control characters of Latin-1.
_WINDOWS_1252_TABLE: Final = "".join(
    bytes([octet]).decode("cp1252", "ignore") or chr(octet) for octet in range(256)
)
_ONE_OCTET: Final = {
    Alphabet.ISO_8859_5: "iso8859-5",
    Alphabet.ISO_8859_8: "iso8859-8",
}
_LOST: Final = re.compile("[\udc80-\udcff](?:.*[\udc80-\udcff])?", re.DOTALL)
_LONGEST_CHARACTER: Final = 4  # of UTF-8, in octets
_LOW: Final = bytes(range(0x20))
_ASCII: Final = bytes(range(0x80))
_CONTINUATIONS: Final = frozenset(bytes([octet]) for octet in range(0x80, 0xC0))
_LATIN_BLOCKS: Final = (0x00, 0x20)  # with spaces, line ends and digits; dashes and quotes
_FEWEST: Final = 4
_LETTERS: Final = b" ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Control characters that nobody types, other than tabs and line ends.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# The commercial at, and the extension table: no text has these octets.
_SEPTETS: Final = re.compile(rb"\x00|\x1b[\n\x14()/<=>@e]")
# UTF-8 has no surrogates, but Java and Oracle write them: two for a character beyond U+FFFF.
_PAIR: Final = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_LONG: Final = re.compile(  # a character of UTF-8 beyond ASCII, or half of one
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_PIECE: Final = 8 * 1024  # mending takes up to thirty octets of memory for one


@attrs.define  # not frozen: each push makes one, which would take thrice the time
class Reading:
    """A text, and how it was read.

    Attributes:
        text: the text.
        damaged: U+FFFD stands in it for octets that could not be decoded.
        charset: the charset that was found out; None where it is UTF-8.
    """

    text: str
    damaged: bool = False
    charset: str | None = None


def pieces(octets: bytes, codec: str, errors: str = "replace") -> Iterator[str]:
    """Decode piece by piece: with little memory, and with turns for other threads."""
    decoder = codecs.getincrementaldecoder(codec)(errors)
    for start in range(0, len(octets), _PIECE):
        yield decoder.decode(octets[start : start + _PIECE])
    yield decoder.decode(b"", final=True)


def joined(several: Iterable[str]) -> str:
    """Join pieces of a text that are made one by one, with the memory of the text alone.

    `str.join` holds all of them beside it, and `bytes.decode` takes up to five times its octets.
    """
    text = ""
    for one in several:
        text += one  # CPython does that in place
    return text


def texts(octets: bytes) -> Iterator[str]:
    """Decode a text without an alphabet, piece by piece; it never raises.

    Octets with a byte order mark are what the mark says. A text with at least one sequence of
    several octets is UTF-8, with U+FFFD for the rest; one without any is Windows-1252.
    """
    for mark, charset in _MARKS.items():
        if octets.startswith(mark):
            return pieces(octets[len(mark) :], charset)
    if octets.isascii():
        return iter((octets.decode(),))
    if _LONG.search(octets):
        return (reading.text for reading in _mended(octets))
    return (_western(octets[at : at + _PIECE]) for at in range(0, len(octets), _PIECE))


def _western(octets: bytes) -> str:
    return codecs.charmap_decode(octets, "strict", _WINDOWS_1252_TABLE)[0]


def decode(octets: bytes, alphabet: Alphabet) -> Reading:
    """Decode a text; it never raises.

    Octets with a byte order mark are what the mark says. Others are UTF-16 or septets of the GSM
    alphabet where they hold several control characters that such texts have, and text has not: one
    alone may be damage. A text with at least one sequence of several octets is UTF-8, with U+FFFD
    for the rest; one without any is Windows-1252.

    Args:
        octets: the text.
        alphabet: of the message; the octets may be in it or not.
    """
    if octets.isascii() and (plain := octets.decode()).isprintable():
        return Reading(plain)  # as most are
    for mark, charset in _MARKS.items():
        if octets.startswith(mark):
            return _replacing(octets[len(mark) :], charset)
    text = octets.rstrip(b"\0")  # a C program's end of the text
    if wide := _wide(octets, text, alphabet):
        return _replacing(octets, wide)
    septets = len(_CONTROL.findall(text)) > 1 and _SEPTETS.search(text)
    if septets and alphabet is Alphabet.GSM_7 and text.isascii():
        return Reading(*gsm7.decode(text), GSM_7)
    return _without_nul(_narrow(text, alphabet), alphabet)


def guess(octets: bytes) -> str | None:
    """Guess the charset of a message whose data coding is not known; None where it is no text."""
    if octets.isascii() and not is_wide(octets):
        return GSM_7
    wide = len(octets) % 2 == 0 and not _replacing(octets, UTF_16_BE).damaged
    return UTF_16_BE if wide else None


def is_wide(octets: bytes) -> bool:
    """Whether octets are UTF-16 beyond doubt: most of its characters begin with a low octet."""
    even = octets[::2]
    return len(octets) % 2 == 0 and _count(even, _LOW) * 2 > len(even)


def is_script(octets: bytes) -> bool:
    """Whether octets that may be any text are UTF-16 in one script beyond doubt.

    Four characters or more are, if most of them are of one block of low characters, and the others
    Latin or punctuation: a text with the same control character in every other place makes no sense
    in UTF-8, in Windows-1252 and in the GSM alphabet.
    """
    if not is_wide(octets):
        return False
    firsts = octets[::2]
    blocks = set(firsts).difference(_LATIN_BLOCKS)
    if len(firsts) < _FEWEST or len(blocks) != 1 or firsts.count(min(blocks)) * 2 <= len(firsts):
        return False
    return "".join(octets.decode(UTF_16_BE).split()).isprintable()


def _replacing(octets: bytes, charset: str) -> Reading:
    name = None if charset == _UTF_8 else charset
    try:
        return Reading(octets.decode(charset), charset=name)
    except UnicodeDecodeError:
        return Reading(octets.decode(charset, "replace"), damaged=True, charset=name)


def _count(octets: bytes, among: bytes) -> int:
    return len(octets) - len(octets.translate(None, among))


def _wide(octets: bytes, text: bytes, alphabet: Alphabet) -> str | None:
    """Tell UTF-16 by the first octets of its characters, which are low outside East Asia."""
    even, odd = octets[::2], octets[1::2]
    if alphabet is Alphabet.UCS_2:
        whole = len(octets) % 2 == 0
        return _wide_by_low(even, odd, len(_CONTROL.findall(text))) or (
            UTF_16_BE if whole and not _is_narrow(text) else None
        )
    if b"\0" in text and len(even) == len(odd):
        for zeros, order in ((even.count(0), UTF_16_BE), (odd.count(0), UTF_16_LE)):
            if zeros * 2 > len(even):
                return order
    return None


def _wide_by_low(even: bytes, odd: bytes, controls: int) -> str | None:
    low_even, low_odd = _count(even, _LOW), _count(odd, _LOW)
    big, little = low_even * 2 > len(even), low_odd * 2 > len(odd)
    if controls > 1:  # one alone may be damage
        return UTF_16_BE if low_even >= low_odd else UTF_16_LE
    # Tabs and line ends are the first octets of Indian scripts.
    return UTF_16_BE if big and not little and low_even > 1 + controls else None


def _is_narrow(text: bytes) -> bool:
    """Whether a text without control characters is UTF-8, or Western, or damaged in one place."""
    if _is_utf_8(text) or _count(text, _LETTERS) * 3 >= len(text) * 2:
        return True
    characters = text.decode(errors="surrogateescape")
    lost = _LOST.search(characters)
    struck = lost[0] if lost else ""
    alone = all("\udc80" <= one <= "\udcff" for one in struck)
    return len(struck) <= _LONGEST_CHARACTER and (alone or len(characters) > _LONGEST_CHARACTER)


def _is_utf_8(octets: bytes) -> bool:
    """Whether most of the octets above 0x7F make up characters."""
    if octets.isascii():
        return True
    plain = _count(octets, _ASCII)
    sound = len(_HALF.sub(b"", octets).decode("utf-8", "ignore").encode()) - plain
    sound += 3 * len(_HALF.findall(octets))
    return sound * 2 > len(octets) - plain


def _narrow(octets: bytes, alphabet: Alphabet) -> Reading:
    codec = _ONE_OCTET.get(alphabet)
    if octets.isascii() or (_is_utf_8(octets) if codec else _LONG.search(octets)):
        readings = list(_mended(octets))
        text = "".join(reading.text for reading in readings)
        return Reading(text, any(reading.damaged for reading in readings))
    return _replacing(octets, codec) if codec else Reading(_western(octets), charset=WINDOWS_1252)


def _mended(octets: bytes) -> Iterator[Reading]:
    """Decode UTF-8, piece by piece, with characters that were written as surrogates."""
    for piece in _whole_characters(octets):
        try:
            yield Reading(piece.decode())
        except UnicodeDecodeError:
            paired = _PAIR.sub(_joined, piece)
            mended = _HALF.sub(REPLACEMENT.encode(), paired)
            reading = _replacing(mended, _UTF_8)
            yield attrs.evolve(reading, damaged=reading.damaged or mended != paired)


def _whole_characters(octets: bytes) -> Iterator[bytes]:
    """Cut UTF-8 into pieces, but no character, and no pair of surrogates."""
    start = 0
    while start < len(octets):
        end = start + _PIECE
        for _ in range(_LONGEST_CHARACTER - 1):
            if octets[end : end + 1] in _CONTINUATIONS:
                end -= 1
        if _PAIR.match(octets, end - 3):
            end -= 3
        yield octets[start:end]
        start = end


def _joined(pair: re.Match[bytes]) -> bytes:
    surrogates = pair[0].decode("utf-8", "surrogatepass")
    return surrogates.encode("utf-16", "surrogatepass").decode("utf-16").encode()


def _without_nul(reading: Reading, alphabet: Alphabet) -> Reading:
    """Replace each NUL: databases refuse it. In the GSM alphabet it is the commercial at."""
    if "\0" not in reading.text:
        return reading
    if alphabet is Alphabet.GSM_7:
        return attrs.evolve(reading, text=reading.text.replace("\0", "@"), charset=GSM_7)
    return attrs.evolve(reading, text=reading.text.replace("\0", REPLACEMENT), damaged=True)
