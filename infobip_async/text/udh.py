"""The user data header of a message (3GPP TS 23.040 clause 9.2.3.24).

``050003CC0201`` in hexadecimal: 5 octets follow; element 00 (concatenation) of 3 octets;
reference CC, 2 parts, this is part 1.
"""

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import UdhElement, UserDataHeader

MAX_OCTETS = 140
"""The octets that one message carries, its header included."""

MAX_PARTS = 255
"""The most parts of a message: their number is one octet of the header."""

SINGLE_SHIFT = 0x24
"""Identifier of the element that names a national single shift table."""

LOCKING_SHIFT = 0x25
"""Identifier of the element that names a national locking shift table."""

_CONCATENATION = {8: 0x00, 16: 0x08}

# The elements whose length the standard fixes, among those that phones and gateways send.
_LENGTHS = {
    0x00: 3,  # concatenation
    0x01: 2,  # message waiting
    0x04: 2,  # application ports
    0x05: 4,  # application ports
    0x06: 1,  # SMSC control parameters
    0x07: 1,  # source of the header
    0x08: 4,  # concatenation
    0x20: 1,  # e-mail header
    SINGLE_SHIFT: 1,
    LOCKING_SHIFT: 1,
}

# Elements that may stand once. If they stand more often, the last one counts; those with the same
# number here exclude each other.
_ONCE = {
    0x00: 0x00,
    0x04: 0x04,
    0x05: 0x04,
    0x06: 0x06,
    0x08: 0x00,
    0x20: 0x20,
    0x22: 0x22,
    SINGLE_SHIFT: SINGLE_SHIFT,
    LOCKING_SHIFT: LOCKING_SHIFT,
}


@attrs.frozen
class Concatenation:
    """The place of a part in a longer message.

    Attributes:
        reference: the number that the parts have in common.
        width: the bits of the reference, 8 or 16.
        total: the number of parts, 1 to 255.
        number: which part this is, 1 to `total`.
    """

    reference: int
    width: int
    total: int
    number: int


def parse(data: bytes) -> tuple[UserDataHeader, bytes]:
    """Take the header off the octets of a received message; it never raises.

    Elements that the standard says to ignore are left out, and mark the header as malformed: all
    of them where the last one does not end with the header; an element of a wrong length; a
    concatenation whose part is 0 or above the total; all but the last of elements that may stand
    once.

    Returns:
        The header, and the octets behind it.
    """
    end = data[0] + 1 if data else 0
    raw, rest = data[:end], data[end:]
    found = _elements(raw)
    if found is None:
        return UserDataHeader(raw, malformed=True), rest
    kept = _usable(found)
    return UserDataHeader(raw, kept, malformed=len(kept) != len(found)), rest


def _elements(raw: bytes) -> list[UdhElement] | None:
    """The elements of a header, or None where they do not fill it exactly."""
    if not raw or len(raw) != raw[0] + 1:
        return None
    elements = []
    at = 1
    while at < len(raw):
        data = at + 2
        end = data + raw[at + 1] if data <= len(raw) else data
        if end > len(raw):
            return None
        elements.append(UdhElement(raw[at], raw[data:end]))
        at = end
    return elements


def _usable(found: list[UdhElement]) -> tuple[UdhElement, ...]:
    sound = [element for element in found if _has_its_length(element) and _is_a_part(element)]
    last = {_ONCE.get(element.identifier): element for element in sound}
    last.pop(None, None)
    return tuple(
        element for element in sound if last.get(_ONCE.get(element.identifier), element) is element
    )


def _has_its_length(element: UdhElement) -> bool:
    return len(element.data) == _LENGTHS.get(element.identifier, len(element.data))


def _is_a_part(element: UdhElement) -> bool:
    """Whether an element is a concatenation of a possible part, or none at all."""
    if element.identifier not in _CONCATENATION.values():
        return True
    *_, total, number = element.data
    return 1 <= number <= total


def concatenation_of(header: UserDataHeader) -> Concatenation | None:
    """Read which part of a message a header belongs to; None where the message is whole."""
    for width, identifier in _CONCATENATION.items():
        for element in header.elements:
            if element.identifier == identifier:
                *reference, total, number = element.data
                return Concatenation(int.from_bytes(reference), width, total, number)
    return None


def without_concatenation(header: UserDataHeader) -> UserDataHeader | None:
    """Make the header of the message that a part belongs to; None where nothing is left of it."""
    others = tuple(
        element for element in header.elements if element.identifier not in _CONCATENATION.values()
    )
    return UserDataHeader(_header(*others), others) if others else None


def concatenation(reference: int, total: int, number: int, *, width: int = 8) -> bytes:
    """Build the header of one part of a message.

    Args:
        reference: the number that the parts have in common, of `width` bits.
        total: the number of parts, 1 to 255.
        number: which part this is, 1 to `total`.
        width: 8 or 16.

    Returns:
        The whole header, its length octet included: 6 or 7 octets.

    Raises:
        LocalProtocolError: a number is out of its range.
    """
    if width not in _CONCATENATION:
        raise _error(f"a width is 8 or 16 bits, not {width}", "width")
    if not 0 <= reference < 1 << width:
        raise _error(f"{reference} does not fit into {width} bits", "reference")
    if not 1 <= number <= total <= MAX_PARTS:
        raise _error(f"{number} of {total} is no part of at most {MAX_PARTS}", "number")
    data = reference.to_bytes(width // 8) + bytes([total, number])
    return _header(UdhElement(_CONCATENATION[width], data))


def check(udh: bytes) -> None:
    """Check the lengths in the header of a message to send.

    Raises:
        LocalProtocolError: the length octet does not count the octets behind it, an element goes
            past the end, or an element has not the length that the standard fixes.
    """
    elements = _elements(udh)
    if elements is None:
        raise _error("its lengths do not add up to the octets that it has", "udh")
    for element in elements:
        if not _has_its_length(element):
            raise _error(
                f"element {element.identifier:02X} has {_LENGTHS[element.identifier]} octets,"
                f" not {len(element.data)}",
                "udh",
            )


def _header(*elements: UdhElement) -> bytes:
    body = b"".join(
        bytes([element.identifier, len(element.data)]) + element.data for element in elements
    )
    return bytes([len(body)]) + body


def _error(message: str, field: str) -> LocalProtocolError:
    return LocalProtocolError(message, field=field, section="2/2")
