"""The GSM 7-bit alphabet, against an independent transcription of the standard's tables."""

import json
import random
import re
import sys
from pathlib import Path

import pytest
import smsutil

from infobip_async.errors import LocalProtocolError
from infobip_async.text import gsm7

TABLES = json.loads((Path(__file__).parent / "data" / "gsm0338.json").read_text())


def cells(table: dict[str, str]) -> dict[int, str]:
    """Septet to character, from the notation of the data file."""
    return {
        int(septet, 16): chr(int(point.removeprefix("U+"), 16)) for septet, point in table.items()
    }


DEFAULT = cells(TABLES["default"])
EXTENSION = cells(TABLES["extension"])
ALPHABET = [*DEFAULT.values(), *EXTENSION.values()]
LANGUAGES = {int(number): tables for number, tables in TABLES["national"].items()}


def check(septets: str, text: str, *, damaged: bool = False, **languages: int) -> None:
    """Decode what is given in hexadecimal."""
    assert gsm7.decode(bytes.fromhex(septets), **languages) == (text, damaged)


def test_every_cell_of_the_default_table_both_ways() -> None:
    """127 septets stand for 127 characters."""
    assert len(DEFAULT) == 127
    for septet, character in DEFAULT.items():
        assert gsm7.encode(character) == bytes([septet])
        assert gsm7.decode(bytes([septet])) == (character, False)
        assert gsm7.septet_count(character) == 1


def test_every_cell_of_the_extension_table_both_ways() -> None:
    """Ten characters take an escape and a septet."""
    assert len(EXTENSION) == 10
    for septet, character in EXTENSION.items():
        assert gsm7.encode(character) == bytes([0x1B, septet])
        assert gsm7.decode(bytes([0x1B, septet])) == (character, False)
        assert gsm7.septet_count(character) == 2


@pytest.mark.parametrize(
    "end", [0x10000, pytest.param(sys.maxunicode + 1, marks=pytest.mark.proof)]
)
def test_no_other_character_is_in_the_alphabet(end: int) -> None:
    """All other code points, U+001B and the surrogates among them, are refused."""
    for code in set(range(end)).difference(map(ord, ALPHABET)):
        assert gsm7.septet_count(chr(code)) is None, hex(code)
    for character in ("\x1b", "\ud800", "ç", "\u00a0", "\t", "`", "\u2126", "\U0001f600"):
        assert gsm7.OUTSIDE.fullmatch(character)
        with pytest.raises(LocalProtocolError):
            gsm7.encode(character)
    assert not any(map(gsm7.OUTSIDE.match, ALPHABET))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("€uro ç", "U+00E7 at position 5"),
        ("\x1b", "U+001B at position 0"),
        ("a😀b", "U+1F600 at position 1"),
        ("ab\ud83d", "U+D83D at position 2"),
    ],
)
def test_encode_names_position_and_character(text: str, message: str) -> None:
    """The error tells what cannot be encoded and where, without repeating the text."""
    with pytest.raises(LocalProtocolError, match=re.escape(message)) as caught:
        gsm7.encode(text)
    assert caught.value.field == "text"
    assert caught.value.section == "2/1.2"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("aé", 2),
        ("é[", 3),
        ("^{}\\[~]|€\f", 20),
        ("a€b€", 6),
        ("[ç", None),
        ("ç[", None),
        ("a\x1b", None),
        ("abc\n", 4),
        ("€\n", 3),
    ],
)
def test_septet_count(text: str, count: int | None) -> None:
    """Characters of the extension table count twice; one foreign character makes it None."""
    assert gsm7.septet_count(text) == count


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.proof)])
def test_random_texts_come_back(count: int) -> None:
    """What is encoded has the counted septets, all below 0x80, and decodes to the same text."""
    choose = random.Random(3)
    characters = choose.choices(ALPHABET, k=200_000)
    for _ in range(count):
        start = choose.randrange(199_000)
        text = "".join(characters[start : start + choose.randrange(40)])
        septets = gsm7.encode(text)
        assert len(septets) == gsm7.septet_count(text)
        assert septets.isascii()
        assert gsm7.decode(septets) == (text, False)


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        ("1B41", "A"),  # no entry: the character of the default table
        ("1B00", "@"),
        ("1B0D", "\r"),  # reserved for control, never assigned
        ("1B1B", " "),  # reserved for a further table
        ("1B1B41", " A"),
        ("1B1B1B65", " €"),
        ("1B1B1B", "  "),
        ("1B", " "),  # nothing follows
        ("411B", "A "),
        ("1B650A1B0A", "€\n\f"),
        ("09", "Ç"),
        ("", ""),
    ],
)
def test_escapes_without_an_entry(septets: str, text: str) -> None:
    """The standard's rules for escapes that lead nowhere lose no character."""
    check(septets, text)


@pytest.mark.parametrize(
    ("septets", "text"),
    [("80", "�"), ("41FF42", "A�B"), ("1BE5", "�"), ("1B80", "�"), ("E9A7", "��")],
)
def test_octets_that_are_no_septets(septets: str, text: str) -> None:
    """Each octet above 0x7F becomes U+FFFD and marks the text as damaged."""
    check(septets, text, damaged=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cell_of_the_national_tables(language: int) -> None:
    """Locking tables replace the default table, single shift tables the extension table."""
    tables = LANGUAGES[language]
    single = cells(tables["single"])
    locking = cells(tables["locking"]) if "locking" in tables else DEFAULT
    for septet in set(range(0x80)) - {0x1B}:
        character = locking.get(septet, "\ufffd")
        plain = bytes([septet])
        damaged = character == "\ufffd"
        assert gsm7.decode(plain, locking=language) == (character, damaged)
        assert gsm7.decode(plain, single=language) == (DEFAULT[septet], False)
        escaped = b"\x1b" + plain
        assert gsm7.decode(escaped, single=language)[0] == single.get(septet, DEFAULT[septet])
        both = single.get(septet, character)
        assert gsm7.decode(escaped, locking=language, single=language)[0] == both
        fallback = EXTENSION.get(septet, character)
        assert gsm7.decode(escaped, locking=language)[0] == fallback


def test_languages_without_a_table_count_as_none() -> None:
    """The default tables stand in for numbers that the standard reserves."""
    for language in (0, 2, 14, 255, -1):
        check("411B65", "A€", locking=language)
    for language in (0, 14, 255, -1):
        check("411B65", "A€", single=language)


def test_agrees_with_smsutil_on_every_text_in_the_alphabet() -> None:
    """The same octets, and the same text back."""
    choose = random.Random(5)
    for _ in range(2_000):
        text = "".join(choose.choices(ALPHABET, k=choose.randrange(1, 200)))
        assert gsm7.encode(text) == smsutil.encode(text)
        assert smsutil.decode(gsm7.encode(text)) == text


def test_known_disagreements_with_smsutil_in_decoding() -> None:
    """Of an escape without an entry it makes a space, which the standard has for two escapes."""
    assert smsutil.decode(b"\x1bA") == " A"
    check("1B41", "A")
    assert smsutil.decode(b"\x1b\x1bA") == "  A"  # a space for each escape
    check("1B1B41", " A")
    assert smsutil.encode("\x1b") == b"\x1b"  # for smsutil the escape is a character
    with pytest.raises(LocalProtocolError):
        gsm7.encode("\x1b")
