"""Lists of numbers and people, from files and pipes."""

import io
import os
from pathlib import Path

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.lists import NumberList, read_list
from infobip_async.models.messages import BinaryMessage, TextMessage, WapBookmark

PEOPLE = b'id;Number;name\n1;38598514674;Ana\n\n2;+41 79/302;"Be\nat"\n3; n/a\n'


async def _read(
    source: io.BufferedIOBase, column: str | None = None, *, encoding: str | None = None
) -> list[str]:
    numbers = read_list(source, recipient=column, encoding=encoding)
    return [number async for number in numbers.numbers()]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"", []),
        (b"1\n2\n", ["1", "2"]),
        (b"1\n2", ["1", "2"]),
        (b"1\r\n2\r3\n", ["1", "2", "3"]),
        (b"\xef\xbb\xbf1\n\n \t\n  2 \n", ["1", "2"]),
        ("\ufeff1\n2".encode("utf-16-le"), ["1", "2"]),
        ("\ufeff1\r\n2\r\n".encode("utf-16-be"), ["1", "2"]),
    ],
)
async def test_text_has_a_number_a_line(source: bytes, expected: list[str]) -> None:
    """Line ends of every system, a byte order mark, blanks and blank lines do no harm."""
    assert await _read(io.BytesIO(source)) == expected


async def test_utf_16_is_read_by_its_mark() -> None:
    """Also where an order of octets is named; a mark that is missing is no traceback."""
    octets = "\ufeff1\n2".encode("utf-16-le")
    assert await _read(io.BytesIO(octets), encoding="utf-16-le") == ["1", "2"]
    with pytest.raises(LocalProtocolError, match="line 1 is not utf-16"):
        await _read(io.BytesIO(b"1\n2"), encoding="utf-16")


@pytest.mark.parametrize(
    ("source", "column", "expected"),
    [
        (b"name,msisdn\nAda,1\nBob,2\n", "msisdn", ["1", "2"]),
        (b"name;MSISDN ;x\nAda;1;\nBob;2;\n", " Msisdn", ["1", "2"]),
        (b"name\tmsisdn\nAda, B.\t1\n", "msisdn", ["1"]),
        (b"name|msisdn\nAda|1\n", "2", ["1"]),
        (b"msisdn\n1\n2\n", "1", ["1", "2"]),
        (b"2,1\n3,4\n", "2", ["3"]),
        (b'name,msisdn\n"Ada, ""the"" first",1\n', "msisdn", ["1"]),
        (b'name,msisdn\n"Ada\nof\n\nLondon",1\n"Bob",2\n', "msisdn", ["1", "2"]),
        (b"name,msisdn\nAda\n\nBob,\nCy,3\n", "msisdn", ["", "", "3"]),
        (b"sep=;\nname, first;msisdn\nAda;1\n", "msisdn", ["1"]),
        (b"msisdn;name\n1;a\n;;\n ; \n2;b;;\n", "msisdn", ["1", "2"]),
        (b'"a,b";"msisdn"\n"x;y";"1"\n', "msisdn", ["1"]),
        (b'"my\nphone",name\n1,a\n', "1", ["1"]),
    ],
)
async def test_a_csv_has_a_column(source: bytes, column: str, expected: list[str]) -> None:
    """The column is found by name, else by number; the delimiter by itself; rows may be odd."""
    assert await _read(io.BytesIO(source), column) == expected


@pytest.mark.parametrize("column", ["phone", "0", "3", "-1"])
async def test_a_column_that_is_not_there_is_refused(column: str) -> None:
    """The error has the header."""
    with pytest.raises(LocalProtocolError, match="no column") as caught:
        await _read(io.BytesIO(b"name,msisdn\n1,2\n"), column)
    assert caught.value.value == ["name", "msisdn"]


async def test_a_line_without_end_is_refused() -> None:
    """A file that is no text does not fill the memory."""
    with pytest.raises(LocalProtocolError, match="does not end"):
        await _read(io.BytesIO(b"0" * (1 << 21)))


@pytest.mark.parametrize("rows", [1, 200_000])
async def test_a_field_without_end_is_refused(rows: int) -> None:
    """A quotation mark that is never closed does not swallow numbers, nor the memory."""
    with pytest.raises(LocalProtocolError, match="mark in line 2 is not closed"):
        await _read(io.BytesIO(b'name,msisdn\n"Ada,1\n' + b"Bob,2\n" * rows), "msisdn")


async def test_a_file_is_read_in_parts(tmp_path: Path) -> None:
    """A number that lies across two parts is whole."""
    numbers = [str(number) for number in range(30_000)]
    path = tmp_path / "numbers.txt"
    path.write_text("\n".join(numbers))
    with path.open("rb") as source:
        assert await _read(source) == numbers


async def test_a_pipe_is_read_as_it_fills() -> None:
    """What is there is given before more comes, and the event loop is not held up."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source:
        numbers = read_list(source).numbers()
        os.write(writing, b"1\n2")
        assert await anext(numbers) == "1"
        os.write(writing, b"3\n")
        assert await anext(numbers) == "23"
        os.close(writing)
        assert [number async for number in numbers] == []


async def test_a_device_that_cannot_be_waited_for_is_read() -> None:
    """Nothing comes from the null device, at once."""
    with os.fdopen(os.open(os.devnull, os.O_RDONLY), "rb") as source:
        assert await _read(source) == []


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("+385 98/514-674", None, "38598514674"),
        ("00385 98 514 674", None, "38598514674"),
        ("098 514 674", "HR", "38598514674"),
        ("098 514 674", None, "098 514 674"),
        ("n/a", "HR", "n/a"),
    ],
)
def test_a_number_is_tidied(number: str, country: str | None, expected: str) -> None:
    """What is no number is left for the gateway to judge."""
    (row,) = read_list(io.BytesIO(number.encode()), normalise=True, country=country)
    assert row.msisdn == expected


# --- rows and messages --------------------------------------------------------------------------


def _people(**options: str) -> NumberList:
    return read_list(io.BytesIO(PEOPLE), recipient="number", **options)


def test_rows_know_their_place_and_their_cells() -> None:
    """A row begins in a line of the file; what is missing in it is empty; the key is a column's."""
    assert [(row.line, row.position, row.msisdn, row.key) for row in _people(key="ID")] == [
        (2, 1, "38598514674", "1"),
        (4, 2, "+41 79/302", "2"),
        (6, 3, "n/a", "3"),
    ]
    cells = [row.cells for row in _people()]
    assert cells[1] == {"id": "2", "Number": "+41 79/302", "name": "Be\nat"}
    assert cells[2] == {"id": "3", "Number": " n/a", "name": ""}


def test_columns_without_a_header_have_numbers() -> None:
    """The first line is a row, then."""
    (row,) = read_list(io.BytesIO(b"Ana,385981\n"), recipient="2", header=False)
    assert (row.line, row.msisdn, row.cells) == (1, "385981", {"1": "Ana", "2": "385981"})


async def test_a_list_can_be_read_again(tmp_path: Path) -> None:
    """A path is opened anew, and a file goes back to where it stood, at once or as it comes."""
    path = tmp_path / "people.csv"
    path.write_bytes(PEOPLE)
    with path.open("rb") as file:
        for source in (path, str(path), file):
            people = read_list(source, recipient="2")
            first = list(people)
            assert len(first) == 3
            assert list(people) == [row async for row in people] == first


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("Hi { NAME }, {1}.", ["Hi Ana, 1.", "Hi Be\nat, 2.", "Hi , 3."]),
        ("Hi {{name}} {{{name}}}", ["Hi {name} {Ana}", "Hi {name} {Be\nat}", "Hi {name} {}"]),
        ("Hi", ["Hi", "Hi", "Hi"]),
    ],
)
async def test_everyone_gets_a_text_of_their_own(template: str, texts: list[str]) -> None:
    """Names of columns in braces are filled in; each item knows its row."""
    people = _people(key="id")
    items = [item async for item in people.messages(template, sender="Shop")]
    assert [item.message for item in items] == [TextMessage(text, "Shop") for text in texts]
    assert [(item.recipient, item.key) for item in items] == [
        (row.msisdn, row.key) for row in people
    ]
    assert [item.row for item in items] == list(people)


async def test_messages_of_every_kind_can_be_sent() -> None:
    """Texts have columns in them; octets go to everyone as they are."""
    bookmark = WapBookmark("For {name}", "example.com", "Shop")
    octets = BinaryMessage(b"{name}", "Shop")
    first = [await anext(_people().messages(message)) for message in (bookmark, octets)]
    assert first[0].message == WapBookmark("For Ana", "example.com", "Shop")
    assert first[1].message is octets
    with pytest.raises(LocalProtocolError, match="the same for everyone"):
        await anext(_people().messages(WapBookmark("Yours", "example.com/{name}", "Shop")))


@pytest.mark.parametrize(
    ("source", "options", "template", "reason"),
    [
        (PEOPLE, {"recipient": "2"}, "Hi {who}", "no column 'who' in the first line"),
        (PEOPLE, {"recipient": "2", "key": "no"}, "Hi", "no column 'no'"),
        (PEOPLE, {}, "Hi {name}", "has no columns"),
        (b"", {"recipient": "1"}, "Hi", "no column '1': the list is empty"),
        (b"n\nJos\xe9\n", {"recipient": "n"}, "Hi", "the list, line 2 is not utf-8"),
        (b'n\n1\n\n"2', {"recipient": "n"}, "Hi", "a quotation mark in line 4 is not closed"),
        (b"n\n1\n\0\n", {"recipient": "n"}, "Hi", "there is a NUL in line 3: is the text UTF-16"),
        (b"385 98-1\n", {"recipient": "1"}, "Hi", "looks like a recipient"),
    ],
)
async def test_a_list_that_cannot_be_read_is_refused(
    source: bytes, options: dict[str, str], template: str, reason: str
) -> None:
    """The error names the line or the column."""
    people = read_list(io.BytesIO(source), **options)
    with pytest.raises(LocalProtocolError, match=reason):
        [item async for item in people.messages(template, sender="Shop")]


@pytest.mark.parametrize(
    ("options", "field"), [({"encoding": "hex"}, "encoding"), ({"country": "XX"}, "country")]
)
def test_settings_are_checked_at_once(options: dict[str, str], field: str) -> None:
    """Before anything is read."""
    with pytest.raises(LocalProtocolError) as raised:
        read_list("no such file", **options)
    assert raised.value.field == field


@pytest.mark.parametrize(("template", "sender"), [("Hi", None), (TextMessage("Hi", "Me"), "You")])
async def test_a_text_needs_a_sender(template: str | TextMessage, sender: str | None) -> None:
    """A message has one of its own."""
    with pytest.raises(LocalProtocolError, match="sender: "):
        await anext(_people().messages(template, sender=sender))
