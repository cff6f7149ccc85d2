"""Numbers from files and pipes."""

import io
import os
from pathlib import Path

import click
import pytest
from infobip_async.cli.numbers import count_lines, read_numbers, tidy


async def _read(source: io.BufferedReader | io.BytesIO, column: str | None = None) -> list[str]:
    return [number async for number in read_numbers(source, column)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"", []),
        (b"1\n2\n", ["1", "2"]),
        (b"1\n2", ["1", "2"]),
        (b"1\r\n2\r3\n", ["1", "2", "3"]),
        (b"\xef\xbb\xbf1\n\n \t\n  2 \n", ["1", "2"]),
        (b"1\xff\n2\n", ["1\ufffd", "2"]),
    ],
)
async def test_text_has_a_number_a_line(source: bytes, expected: list[str]) -> None:
    """Line ends of every system, a byte order mark, blanks and blank lines do no harm."""
    assert await _read(io.BytesIO(source)) == expected


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
        (b'name,msisdn\nBig "Bob,1\nAda,2\n', "msisdn", ["1", "2"]),
        (b"name,msisdn\nAda\n\nBob,\nCy,3\n", "msisdn", ["3"]),
    ],
)
async def test_a_csv_has_a_column(source: bytes, column: str, expected: list[str]) -> None:
    """The column is found by name, else by number; the delimiter by itself; rows may be odd."""
    assert await _read(io.BytesIO(source), column) == expected


@pytest.mark.parametrize("column", ["phone", "0", "3", "-1"])
async def test_a_column_that_is_not_there_is_refused(column: str) -> None:
    """The error shows the header."""
    with pytest.raises(click.UsageError, match=r"no column .* 'name,msisdn'"):
        await _read(io.BytesIO(b"name,msisdn\n1,2\n"), column)


async def test_a_line_without_end_is_refused() -> None:
    """A file that is no text does not fill the memory."""
    with pytest.raises(click.UsageError, match="does not end"):
        await _read(io.BytesIO(b"0" * (1 << 21)))


@pytest.mark.parametrize("rows", [1, 200_000])
async def test_a_field_without_end_is_refused(rows: int) -> None:
    """A quotation mark that is never closed does not swallow numbers, nor the memory."""
    with pytest.raises(click.UsageError, match="near '\"Ada,1"):
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
        numbers = read_numbers(source, None)
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
    assert tidy(number, country) == expected


@pytest.mark.parametrize(
    ("source", "lines"), [(b"", 0), (b"1\n", 1), (b"1\n2", 2), (b"1\n2\n" * 40_000, 80_000)]
)
def test_lines_are_counted(source: bytes, lines: int) -> None:
    """The file can be read from its start afterwards."""
    file = io.BytesIO(source)
    assert count_lines(file) == lines
    assert file.read() == source


def test_lines_of_a_pipe_are_not_counted() -> None:
    """It can be read only once."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as source:
        assert count_lines(source) is None
