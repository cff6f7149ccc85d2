"""The user data header: reading, building, checking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import UdhElement, UserDataHeader
from infobip_async.text import udh
from infobip_async.text.udh import Concatenation


def check(
    octets: str, elements: list[tuple[int, str]], *, rest: str = "", malformed: bool = False
) -> None:
    """Parse what is given in hexadecimal, with `rest` behind it."""
    header, behind = udh.parse(bytes.fromhex(octets + rest))
    assert header == UserDataHeader(
        bytes.fromhex(octets),
        tuple(UdhElement(identifier, bytes.fromhex(data)) for identifier, data in elements),
        malformed,
    )
    assert behind == bytes.fromhex(rest)


@pytest.mark.parametrize(
    ("octets", "elements"),
    [
        ("050003CC0201", [(0x00, "CC0201")]),
        ("06080412340302", [(0x08, "12340302")]),
        ("06050400010241", [(0x05, "00010241")]),  # the document's own, §2/2
        ("0404020102", [(0x04, "0102")]),
        ("0B0504158A00000003010201", [(0x05, "158A0000"), (0x00, "010201")]),
        ("03240101", [(0x24, "01")]),
        ("06240101250103", [(0x24, "01"), (0x25, "03")]),
        ("0801020103010201FF", [(0x01, "0103"), (0x01, "01FF")]),  # may stand twice
        ("027000", [(0x70, "")]),
        ("00", []),
    ],
)
def test_sound_headers(octets: str, elements: list[tuple[int, str]]) -> None:
    """Elements come out in order, and what follows the header is left alone."""
    check(octets, elements)
    check(octets, elements, rest="424344")


@pytest.mark.parametrize(
    "octets",
    [
        "050004CC0201",  # the last element goes past the end
        "050002CC0201",  # the last element has no length
        "0100",
        "027005",
        "0A0003CC02010504000102",  # so that the sound one before it is ignored as well
    ],
)
def test_headers_whose_last_element_does_not_end_with_them(octets: str) -> None:
    """The whole header is ignored."""
    check(octets, [], malformed=True)
    check(octets, [], rest="0102030405", malformed=True)


@pytest.mark.parametrize("octets", ["", "05", "050003CC02", "FF00"])
def test_headers_that_are_cut_off(octets: str) -> None:
    """A header longer than the octets that came takes them all, and is ignored."""
    check(octets, [], malformed=True)


@pytest.mark.parametrize(
    ("octets", "elements"),
    [
        # A wrong length.
        ("040002CC02", []),
        ("060004CC020100", []),
        ("050803CC0201", []),
        ("0424020101", []),
        ("022500", []),
        ("060002CC027000", [(0x70, "")]),
        # Part 0, a part above the total, a total of 0.
        ("050003CC0200", []),
        ("050003CC0203", []),
        ("050003CC0000", []),
        ("06080400CC0200", []),
        ("06080400CC0203", []),
        ("080003CC02007001AA", [(0x70, "AA")]),
        # The same element twice, or two that exclude each other: the last one counts.
        ("0A0003CC02010003DD0302", [(0x00, "DD0302")]),
        ("0A0003CC02010003CC0201", [(0x00, "CC0201")]),
        ("0B0003CC0201080400DD0302", [(0x08, "00DD0302")]),
        ("0A04020102050400010002", [(0x05, "00010002")]),
        ("06240101240103", [(0x24, "03")]),
        # But not if it is to be ignored itself.
        ("0A0003CC02010003DD0300", [(0x00, "CC0201")]),
    ],
)
def test_malformed_elements(octets: str, elements: list[tuple[int, str]]) -> None:
    """What the standard says to ignore is left out, and the octets are kept."""
    check(octets, elements, malformed=True)
    check(octets, elements, rest="00", malformed=True)


@pytest.mark.parametrize(
    ("identifier", "length"),
    [(0x01, 2), (0x04, 2), (0x05, 4), (0x06, 1), (0x07, 1), (0x20, 1), (0x24, 1), (0x25, 1)],
)
def test_elements_whose_length_is_fixed(identifier: int, length: int) -> None:
    """With an octet less or more they are ignored, and not sent."""
    for size in (length - 1, length, length + 1):
        header = bytes([size + 2, identifier, size]) + bytes(size)
        assert udh.parse(header)[0].malformed == (size != length)
        if size == length:
            udh.check(header)
        else:
            with pytest.raises(LocalProtocolError, match=f"has {length} octets, not {size}"):
                udh.check(header)


@pytest.mark.parametrize(
    ("element", "once"),
    [
        ("0003010201", True),
        ("04020102", True),
        ("050401020304", True),
        ("060101", True),
        ("080400010201", True),
        ("200101", True),
        ("220101", True),
        ("240101", True),
        ("250101", True),
        ("01020101", False),
        ("070101", False),
        ("700101", False),
    ],
)
def test_elements_that_may_stand_once(element: str, *, once: bool) -> None:
    """A second one replaces the first, or stands beside it."""
    octets = bytes.fromhex(element)
    header, _ = udh.parse(bytes([2 * len(octets)]) + octets * 2)
    assert (len(header.elements), header.malformed) == ((1, True) if once else (2, False))


@given(st.binary(max_size=40), st.booleans())
def test_random_octets_never_raise(data: bytes, fitting: bool) -> None:
    """Header and rest are always the octets given, and the elements can be used."""
    data = bytes([len(data)]) + data if fitting else data
    header, rest = udh.parse(data)
    assert header.raw + rest == data
    part = udh.concatenation_of(header)
    assert part is None or 1 <= part.number <= part.total
    whole = udh.without_concatenation(header)
    assert whole is None or udh.parse(whole.raw) == (whole, b"")


@pytest.mark.parametrize(
    ("octets", "part"),
    [
        ("050003CC0201", Concatenation(0xCC, 8, 2, 1)),
        ("06080412340302", Concatenation(0x1234, 16, 3, 2)),
        ("0B0504158A0000000301FFFF", Concatenation(1, 8, 255, 255)),
        ("06050400010241", None),
        ("050003CC0200", None),
    ],
)
def test_concatenation_of(octets: str, part: Concatenation | None) -> None:
    """Only a sound element makes a message a part."""
    header, _ = udh.parse(bytes.fromhex(octets))
    assert udh.concatenation_of(header) == part


@pytest.mark.parametrize(
    ("octets", "whole"),
    [
        ("050003CC0201", None),
        ("0B0504158A00000003010201", "060504158A0000"),
        ("09080412340302240101", "03240101"),
        ("0703CC02010003CC", None),
    ],
)
def test_without_concatenation(octets: str, whole: str | None) -> None:
    """Of the header of a part, the header of its message is left, if anything is."""
    header = udh.without_concatenation(udh.parse(bytes.fromhex(octets))[0])
    assert header == (udh.parse(bytes.fromhex(whole))[0] if whole else None)


@pytest.mark.parametrize(
    ("built", "octets"),
    [
        (udh.concatenation(0xCC, 2, 1), "050003CC0201"),
        (udh.concatenation(0xCC, 2, 1, width=16), "06080400CC0201"),
        (udh.concatenation(0xFFFF, 255, 255, width=16), "060804FFFFFFFF"),
    ],
)
def test_headers_of_parts(built: bytes, octets: str) -> None:
    """They are whole and sound, their length octet included."""
    assert built == bytes.fromhex(octets)
    header, rest = udh.parse(built)
    assert (header.malformed, rest) == (False, b"")
    udh.check(built)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((256, 2, 1, 8), "reference"),
        ((-1, 2, 1, 8), "reference"),
        ((65536, 2, 1, 16), "reference"),
        ((0, 2, 0, 8), "number"),
        ((0, 2, 3, 8), "number"),
        ((0, 256, 1, 8), "number"),
        ((0, 0, 0, 8), "number"),
        ((0, 2, 1, 9), "width"),
    ],
)
def test_concatenation_refuses(arguments: tuple[int, int, int, int], field: str) -> None:
    """Numbers out of their range are named."""
    reference, total, number, width = arguments
    with pytest.raises(LocalProtocolError) as caught:
        udh.concatenation(reference, total, number, width=width)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        ("", "do not add up"),
        ("060003CC0201", "do not add up"),
        ("040003CC0201", "do not add up"),
        ("050004CC0201", "do not add up"),
        ("0100", "do not add up"),
        ("040002CC02", "element 00 has 3 octets, not 2"),
        ("06080500CC0201", "do not add up"),
        ("0425020101", "element 25 has 1 octets, not 2"),
    ],
)
def test_check_refuses_wrong_lengths(octets: str, message: str) -> None:
    """A header that receivers would have to ignore is not sent."""
    with pytest.raises(LocalProtocolError, match=message) as caught:
        udh.check(bytes.fromhex(octets))
    assert caught.value.field == "udh"
