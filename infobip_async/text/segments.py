"""From a message to the contents of its requests: alphabet, parts and octets (§2/1.2, §2/2).

`compose` is behind both the preview and the sending, so that they agree. A text in GSM-7 goes out
as ``<text>``, with the type ``longSMS`` where it takes more than one part, and the gateway cuts
it. Any other text goes out as ``<binary>`` UTF-16BE with data coding 8, cut here, or as
``<text>`` with data coding 8.
"""

import unicodedata
from collections.abc import Callable
from enum import Enum
from functools import partial

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.models.messages import (
    BinaryMessage,
    Message,
    Submission,
    SubmissionType,
    TextMessage,
    WapBookmark,
)
from infobip_async.text import gsm7, udh
from infobip_async.text.data_coding import Alphabet
from infobip_async.text.look_alikes import look_alike, simplify
from infobip_async.text.udh import MAX_OCTETS, MAX_PARTS

__all__ = [
    "Alphabet",
    "Composition",
    "Offender",
    "Preview",
    "Ucs2Form",
    "compose",
    "preview",
    "simplify",
]

_UCS_2 = 8
_UCS_2_FLASH = 24  # 3GPP TS 23.038 clause 4: class 0, UCS-2
_UDHI = 0x40  # the bit of esm_class for octets that start with a header


class Ucs2Form(Enum):
    """How a text outside GSM-7 goes on the wire; both forms carry data coding 8."""

    BINARY = "binary"
    """As ``<binary>``, UTF-16BE in hexadecimal, in parts with headers of our own."""
    TEXT = "text"
    """As ``<text>``, in parts that the gateway makes."""


@attrs.frozen
class Offender:
    """A character that forces UCS-2.

    Attributes:
        position: its place in the text, from 0, in code points.
        character: the character.
        name: its Unicode name, or ``U+0009`` and the like where it has none.
        look_alike: the text that `simplify` puts in its place, which can be empty; None where it
            stays, or becomes one character with the letter before it.
    """

    position: int
    character: str
    name: str
    look_alike: str | None


@attrs.frozen
class Preview:
    """The alphabet and the parts that a message takes.

    Attributes:
        alphabet: ``GSM-7`` or ``UCS-2`` for a text, 8-bit data for other messages.
        parts: the units of each part: septets for GSM-7 and UTF-16 code units for UCS-2, without
            headers; octets for a binary message, with the header; for a bookmark the octets of
            title and address in UTF-8, of which the gateway makes its message.
        remaining: the units that are left in the last part; 0 for a bookmark.
        text: the text previewed; empty for other messages.
    """

    alphabet: Alphabet
    parts: tuple[int, ...]
    remaining: int
    text: str = attrs.field(default="", repr=False)

    @property
    def units(self) -> int:
        """The units of all parts together."""
        return sum(self.parts)

    @property
    def offenders(self) -> tuple[Offender, ...]:
        """The characters that force UCS-2, in order."""
        return tuple(
            Offender(
                found.start(),
                found[0],
                unicodedata.name(found[0], f"U+{ord(found[0]):04X}"),
                look_alike(found[0]),
            )
            for found in gsm7.OUTSIDE.finditer(self.text)
        )


@attrs.frozen
class Composition:
    """A message as it is sent.

    Attributes:
        preview: its alphabet and its parts.
        submissions: the contents of its requests, in the order of sending.
    """

    preview: Preview
    submissions: tuple[Submission, ...]


@attrs.frozen
class _Layout:
    """How an alphabet fills parts: bits per unit on the air, octets per unit before the cut."""

    alphabet: Alphabet
    bits: int
    octets: int
    leads: bytes  # first octets of units that must not be separated from the next unit

    def room(self, header: bytes = b"") -> int:
        """The units that fit into a part beside a header."""
        return (MAX_OCTETS - len(header)) * 8 // self.bits


_SEPTETS = _Layout(Alphabet.GSM_7, bits=7, octets=1, leads=b"\x1b")
_UTF_16 = _Layout(Alphabet.UCS_2, bits=16, octets=2, leads=b"\xd8\xd9\xda\xdb")

_Draft = Callable[..., Submission]


def compose(
    message: Message,
    *,
    ucs2: Ucs2Form = Ucs2Form.BINARY,
    reference: int = 0,
    reference_width: int = 8,
) -> Composition:
    """Make the contents of the requests for a message.

    The sender, and whether XML can carry the text, are checked when the requests are written.

    Args:
        message: what to send.
        ucs2: how a text outside GSM-7 goes on the wire.
        reference: the number that the parts of such a text have in common.
        reference_width: its width, 8 or 16 bits. A header with 16 bits takes one octet more, so
            that a part has room for 66 units instead of 67 (152 septets instead of 153).

    Raises:
        LocalProtocolError: the message, or one of its texts, is of a wrong type; a text is empty,
            holds U+001B or a lone surrogate, or takes more than 255 parts (§2/1.2); there are no
            octets, or more than 140 with the header; a length in the header is wrong; a number
            is out of its range.
    """
    _check_types(message)
    header = partial(udh.concatenation, reference, width=reference_width)
    draft = partial(
        Submission,
        sender=message.sender,
        source_addr_ton=message.source_addr_ton,
        source_addr_npi=message.source_addr_npi,
        dest_addr_ton=message.dest_addr_ton,
        dest_addr_npi=message.dest_addr_npi,
    )
    if isinstance(message, TextMessage):
        return _text(message, draft, ucs2, header)
    if isinstance(message, BinaryMessage):
        return _binary(message, draft)
    return _bookmark(message, draft)


def _check_types(message: object) -> None:
    """Refuse values of a wrong type, which programs without type checks give by mistake."""
    if not isinstance(message, Message):
        raise _error(f"a {type(message).__name__} is no message, such as TextMessage", "message")
    for name in ("sender", "text", "url"):
        if not isinstance(getattr(message, name, ""), str):
            raise _error("is not a string", name)


def preview(
    message: Message | str,
    *,
    ucs2: Ucs2Form = Ucs2Form.BINARY,
    reference: int = 0,
    reference_width: int = 8,
) -> Preview:
    """Show the alphabet and the parts of a message or a text, and what forces UCS-2.

    Args:
        message: the message, or its text.
        ucs2: as for `compose`.
        reference: as for `compose`.
        reference_width: as for `compose`.

    Raises:
        LocalProtocolError: as `compose` does.
    """
    if isinstance(message, str):
        message = TextMessage(message, sender="")
    return compose(message, ucs2=ucs2, reference=reference, reference_width=reference_width).preview


def _text(
    message: TextMessage, draft: _Draft, ucs2: Ucs2Form, header: Callable[[int, int], bytes]
) -> Composition:
    layout, octets = _encoded(message.text, "text")
    room, room_beside_header = layout.room(), layout.room(header(1, 1))
    parts = [octets]
    if len(octets) > room * layout.octets:
        room = room_beside_header
        parts = _cut(octets, room, layout)
    units = tuple(len(part) // layout.octets for part in parts)
    seen = Preview(layout.alphabet, units, room - units[-1], message.text)
    if layout is _UTF_16 and ucs2 is Ucs2Form.BINARY:
        return Composition(seen, _ucs2_submissions(parts, message, draft, header))
    submission = draft(
        text=message.text,
        flash=message.flash,
        type=SubmissionType.LONG if len(parts) > 1 else None,
        data_coding=_UCS_2 if layout is _UTF_16 else 0,
    )
    return Composition(seen, (submission,))


def _encoded(text: str, field: str) -> tuple[_Layout, bytes]:
    if not text:
        raise _error("is empty", field)
    if gsm7.septet_count(text) is not None:
        return _SEPTETS, gsm7.encode(text)
    escape = text.find("\x1b")
    if escape >= 0:
        raise _error(f"U+001B at position {escape} cannot be sent", field)
    try:
        return _UTF_16, text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise _error(
            f"lone surrogate U+{ord(text[error.start]):04X} at position {error.start}", field
        ) from None


def _cut(octets: bytes, room: int, layout: _Layout) -> list[bytes]:
    """Cut octets so that each part is as full as possible, and no pair of units is separated."""
    size = room * layout.octets
    parts = []
    start = 0
    while len(octets) - start > size:
        end = start + size
        if octets[end - layout.octets] in layout.leads:
            end -= layout.octets
        parts.append(octets[start:end])
        start = end
    parts.append(octets[start:])
    if len(parts) > MAX_PARTS:
        raise _error(f"takes {len(parts)} parts, above {MAX_PARTS}", "text")
    return parts


def _ucs2_submissions(
    parts: list[bytes], message: TextMessage, draft: _Draft, header: Callable[[int, int], bytes]
) -> tuple[Submission, ...]:
    draft = partial(draft, data_coding=_UCS_2_FLASH if message.flash else _UCS_2)
    if len(parts) == 1:
        return (draft(binary=parts[0]),)
    return tuple(
        draft(binary=header(len(parts), number) + part, esm_class=_UDHI)
        for number, part in enumerate(parts, 1)
    )


def _binary(message: BinaryMessage, draft: _Draft) -> Composition:
    if message.udh:
        udh.check(message.udh)
    octets = message.udh + message.data
    if not 1 <= len(octets) <= MAX_OCTETS:
        raise _error(f"{len(octets)} octets with the header, not 1 to {MAX_OCTETS}", "data")
    submission = draft(
        binary=octets,
        data_coding=_octet(message.data_coding, "data_coding"),
        esm_class=_octet(message.esm_class, "esm_class") | (_UDHI if message.udh else 0),
    )
    room = MAX_OCTETS - len(octets)
    return Composition(Preview(Alphabet.BINARY, (len(octets),), room), (submission,))


def _bookmark(message: WapBookmark, draft: _Draft) -> Composition:
    _encoded(message.text, "text")
    _encoded(message.url, "url")
    octets = len(message.text.encode()) + len(message.url.encode())
    submission = draft(text=message.text, url=message.url, type=SubmissionType.BOOKMARK)
    return Composition(Preview(Alphabet.BINARY, (octets,), 0), (submission,))


def _octet(value: int, field: str) -> int:
    if not 0 <= value <= 0xFF:  # noqa: PLR2004 - an octet is an octet
        raise _error(f"{value} is not within 0 to 255", field)
    return value


def _error(message: str, field: str) -> LocalProtocolError:
    return LocalProtocolError(message, field=field, section="2/1.2")
