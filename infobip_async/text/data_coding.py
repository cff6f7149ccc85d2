"""What the octets of a message mean, by its data coding.

Values up to 15 are those of SMPP 3.4 (5.2.19); above, the octet is a GSM data coding scheme
(3GPP TS 23.038 clause 4).
"""

from enum import StrEnum

import attrs

from infobip_async.models.events import UserDataHeader
from infobip_async.text import gsm7
from infobip_async.text.udh import LOCKING_SHIFT, SINGLE_SHIFT


class Alphabet(StrEnum):
    """The meaning of the octets of a message."""

    GSM_7 = "GSM-7"
    """The default alphabet of GSM, with its extensions (3GPP TS 23.038): up to 160 characters."""
    ASCII = "ASCII"
    """IA5, data coding 1."""
    LATIN_1 = "ISO-8859-1"
    """Western European letters, data coding 3."""
    ISO_8859_5 = "ISO-8859-5"
    """Cyrillic letters, data coding 6."""
    ISO_8859_8 = "ISO-8859-8"
    """Hebrew letters, data coding 7."""
    UCS_2 = "UCS-2"
    """UTF-16 in big-endian order, data coding 8: up to 70 characters."""
    BINARY = "8-bit data"
    """No text: octets for an application."""
    UNSUPPORTED = "unsupported"
    """One of SMPP's Japanese and Korean codings, which are not decoded."""
    RESERVED = "reserved"
    """No meaning is assigned."""


@attrs.frozen
class Coding:
    """The meaning of a data coding.

    Attributes:
        alphabet: the meaning of the octets.
        message_class: 0 (show at once) to 3; None where there is none.
        compressed: the octets are compressed (3GPP TS 23.042).
    """

    alphabet: Alphabet
    message_class: int | None = None
    compressed: bool = False

    @property
    def flash(self) -> bool:
        """Whether the message is shown at once and not stored (class 0)."""
        return self.message_class == 0


_RESERVED = Coding(Alphabet.RESERVED)

_SMPP = (
    Alphabet.GSM_7,
    Alphabet.ASCII,
    Alphabet.BINARY,
    Alphabet.LATIN_1,
    Alphabet.BINARY,
    Alphabet.UNSUPPORTED,  # JIS
    Alphabet.ISO_8859_5,
    Alphabet.ISO_8859_8,
    Alphabet.UCS_2,
    Alphabet.UNSUPPORTED,  # pictograms
    Alphabet.UNSUPPORTED,  # ISO-2022-JP
    Alphabet.RESERVED,
    Alphabet.RESERVED,
    Alphabet.UNSUPPORTED,  # extended Kanji JIS
    Alphabet.UNSUPPORTED,  # KS C 5601
    Alphabet.RESERVED,
)

# Bits 3 and 2 of the general groups.
_GENERAL = (Alphabet.GSM_7, Alphabet.BINARY, Alphabet.UCS_2, Alphabet.RESERVED)

# Bits 7 to 4 of the message waiting groups that carry a text.
_WAITING = {0b1100: Alphabet.GSM_7, 0b1101: Alphabet.GSM_7, 0b1110: Alphabet.UCS_2}

_CODECS = {
    Alphabet.ASCII: "ascii",
    Alphabet.LATIN_1: "iso8859-1",
    Alphabet.ISO_8859_5: "iso8859-5",
    Alphabet.ISO_8859_8: "iso8859-8",
    Alphabet.UCS_2: "utf-16-be",
}

_MARKS = {b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le"}


def _coding(value: int) -> Coding:
    """Read one octet. A reserved bit that is set does not change the meaning of its group."""
    if value < len(_SMPP):
        return Coding(_SMPP[value])
    message_class = value & 0b11
    match value >> 6:
        case 0b00 | 0b01:  # general; 01 asks to delete the message once it was read
            classed, compressed = value & 0b0001_0000, value & 0b0010_0000
            alphabet = _GENERAL[value >> 2 & 0b11]
            return Coding(alphabet, message_class if classed else None, bool(compressed))
        case 0b10:
            return _RESERVED
    if waiting := _WAITING.get(value >> 4):
        return Coding(waiting)
    return Coding(Alphabet.BINARY if value & 0b0100 else Alphabet.GSM_7, message_class)


_CODINGS = tuple(map(_coding, range(0x100)))


def classify(data_coding: int) -> Coding:
    """Read a data coding; a number outside 0 to 255 counts as reserved."""
    return _CODINGS[data_coding] if 0 <= data_coding < len(_CODINGS) else _RESERVED


def shifts(header: UserDataHeader | None) -> tuple[int, int]:
    """Read the national languages in a header: of the locking and of the single shift table."""
    named = {element.identifier: element.data for element in header.elements} if header else {}
    locking, single = (named.get(identifier, b"") for identifier in (LOCKING_SHIFT, SINGLE_SHIFT))
    return int.from_bytes(locking), int.from_bytes(single)


def decode(
    data: bytes, data_coding: int, header: UserDataHeader | None = None
) -> tuple[str | None, bool]:
    """Decode the octets of a received message; it never raises.

    Args:
        data: the octets without their header; GSM-7 as one septet per octet.
        data_coding: the data coding of the message.
        header: the message's header, which may name national tables for GSM-7.

    Returns:
        The text, and whether it is damaged: U+FFFD stands for octets that could not be decoded.
        The text is None where the octets are binary, compressed, or of a coding that is reserved
        or not supported.
    """
    coding = classify(data_coding)
    if coding.compressed:
        return None, False
    if coding.alphabet is Alphabet.GSM_7:
        locking, single = shifts(header)
        return gsm7.decode(data, locking=locking, single=single)
    codec = _CODECS.get(coding.alphabet)
    if codec is None:
        return None, False
    if coding.alphabet is Alphabet.UCS_2 and (mark := mark_of(data)):
        codec, data = _MARKS[mark], data[len(mark) :]
    try:
        return data.decode(codec), False
    except UnicodeDecodeError:
        return data.decode(codec, "replace"), True


def mark_of(data: bytes) -> bytes:
    """Give the byte order mark in front of UCS-2, which is no character; empty where none is."""
    return data[:2] if data[:2] in _MARKS else b""
