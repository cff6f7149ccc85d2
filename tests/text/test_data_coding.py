"""What each data coding says, and what its octets decode to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.models.events import UdhElement, UserDataHeader
from infobip_async.text import data_coding, udh
from infobip_async.text.data_coding import Alphabet, Coding

LETTERS = {
    "G": Alphabet.GSM_7,
    "A": Alphabet.ASCII,
    "L": Alphabet.LATIN_1,
    "C": Alphabet.ISO_8859_5,
    "H": Alphabet.ISO_8859_8,
    "U": Alphabet.UCS_2,
    "B": Alphabet.BINARY,
    "x": Alphabet.UNSUPPORTED,
    "-": Alphabet.RESERVED,
}

# One row for each high nibble: alphabets, classes, and whether the octets are compressed.
CODINGS = """
    0 GABLBxCHUxx--xx- ................ no
    1 GGGGBBBBUUUU---- 0123012301230123 no
    2 GGGGBBBBUUUU---- ................ yes
    3 GGGGBBBBUUUU---- 0123012301230123 yes
    4 GGGGBBBBUUUU---- ................ no
    5 GGGGBBBBUUUU---- 0123012301230123 no
    6 GGGGBBBBUUUU---- ................ yes
    7 GGGGBBBBUUUU---- 0123012301230123 yes
    8 ---------------- ................ no
    9 ---------------- ................ no
    A ---------------- ................ no
    B ---------------- ................ no
    C GGGGGGGGGGGGGGGG ................ no
    D GGGGGGGGGGGGGGGG ................ no
    E UUUUUUUUUUUUUUUU ................ no
    F GGGGBBBBGGGGBBBB 0123012301230123 no
"""


def check(
    octets: str,
    coding: int,
    text: str | None,
    *,
    damaged: bool = False,
    header: UserDataHeader | None = None,
) -> None:
    """Decode what is given in hexadecimal."""
    assert data_coding.decode(bytes.fromhex(octets), coding, header) == (text, damaged)


def test_all_256_values() -> None:
    """SMPP's values up to 15, the groups of 3GPP TS 23.038 clause 4 above."""
    rows = [line.split() for line in CODINGS.split("\n") if line.strip()]
    assert len(rows) == 16
    for nibble, alphabets, classes, compressed in rows:
        for low, (letter, number) in enumerate(zip(alphabets, classes, strict=True)):
            coding = data_coding.classify(int(nibble, 16) << 4 | low)
            message_class = None if number == "." else int(number)
            assert coding == Coding(LETTERS[letter], message_class, compressed == "yes")
            assert coding.flash == (message_class == 0)


@pytest.mark.parametrize("value", [-1, 256, 100_000])
def test_numbers_that_are_no_octet(value: int) -> None:
    """They count as reserved."""
    assert data_coding.classify(value) == Coding(Alphabet.RESERVED)
    check("41", value, None)


def test_only_text_is_decoded() -> None:
    """Binary, compressed, reserved and unsupported octets have no text."""
    for value in range(256):
        coding = data_coding.classify(value)
        readable = coding.alphabet not in {
            Alphabet.BINARY,
            Alphabet.UNSUPPORTED,
            Alphabet.RESERVED,
        }
        expected = "AB" if readable and not coding.compressed else None
        octets = "00410042" if coding.alphabet is Alphabet.UCS_2 else "4142"
        check(octets, value, expected)


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        ("41001B65", 0, "A@€"),
        ("41001B65", 240, "A@€"),
        ("41001B65", 0xC8, "A@€"),
        ("7E5F60", 1, "~_`"),
        ("E9A0FF", 3, "é\u00a0ÿ"),
        ("BFF0", 6, "П№"),
        ("E0FA", 7, "את"),
        ("041F0440", 8, "Пр"),
        ("041F0440", 24, "Пр"),
        ("041F0440", 0xE0, "Пр"),
        ("D83DDE000041", 8, "😀A"),
        ("FFFD", 8, "\ufffd"),  # as sent, so nothing is damaged
        ("", 8, ""),
        ("", 0, ""),
    ],
)
def test_texts(octets: str, coding: int, text: str) -> None:
    """Each alphabet by an example."""
    check(octets, coding, text)


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        ("4180FF", 0, "A��"),
        ("41E9", 1, "A�"),
        ("41A1", 7, "A�"),  # a gap of ISO-8859-8
        ("004100", 8, "A�"),  # half a unit
        ("D83D0041", 8, "�A"),  # a lone high surrogate
        ("DE000041", 8, "�A"),  # a lone low surrogate
        ("0041D83D", 8, "A�"),
        ("0041D83DDE", 8, "A�"),
    ],
)
def test_broken_octets(octets: str, coding: int, text: str) -> None:
    """U+FFFD stands for what cannot be decoded, and a flag says so."""
    check(octets, coding, text, damaged=True)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("03240101", "@ş"),
        ("03250101", "@s"),
        ("03250103", "@s"),
        ("0325010D", "\u0627s"),
        ("06240101250106", "\u0901ş"),
        ("06250106240101", "\u0901ş"),
        ("03240163", "@s"),  # reserved
        ("050003CC0201", "@s"),
        ("0424020101", "@s"),  # a wrong length
    ],
)
def test_national_tables_of_the_header(header: str, text: str) -> None:
    """Elements 24 and 25 choose the tables for GSM-7 (Turkish 1, Hindi 6, Urdu 13)."""
    check("001B73", 0, text, header=udh.parse(bytes.fromhex(header))[0])
    check("0041", 8, "A", header=udh.parse(bytes.fromhex(header))[0])


def test_shifts() -> None:
    """Locking first, then single; 0 where the header names none."""
    assert data_coding.shifts(None) == (0, 0)
    header = UserDataHeader(b"", (UdhElement(0x25, b"\x06"), UdhElement(0x24, b"\x01")))
    assert data_coding.shifts(header) == (6, 1)


@given(st.binary(max_size=60), st.integers(-1, 256), st.none() | st.binary(max_size=20))
def test_random_octets_never_raise(data: bytes, coding: int, header: bytes | None) -> None:
    """Whatever comes decodes to something, with U+FFFD where it is damaged."""
    parsed = None if header is None else udh.parse(bytes([len(header)]) + header)[0]
    text, damaged = data_coding.decode(data, coding, parsed)
    assert not damaged or "\ufffd" in str(text)
