"""Numbers from a file or a pipe, as people keep them: one a line, or a column of a CSV."""

import asyncio
import codecs
import csv
import io
import os
import re
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Final

import click

from infobip_async import LocalProtocolError
from infobip_async.numbering import normalise

_CHUNK: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 20
_NUMBER: Final = re.compile(r"\+?[0-9][0-9 ()./-]{5,}")
_LINE_END: Final = re.compile("\r\n|\r|\n")
_DELIMITERS: Final = (",", ";", "\t", "|")


header_option = click.option(
    "--header/--no-header",
    default=True,
    help="Whether the first line of a CSV names its columns; without, they have numbers.",
)


async def read_numbers(
    source: io.BufferedReader,
    column: str | None,
    tidied: Callable[[str], str] = str,
    *,
    header: bool = True,
) -> AsyncGenerator[str, None]:
    """Yield the numbers of a source, blank ones left out; a pipe does not hold the event loop up.

    Args:
        source: UTF-8 text, or a CSV where a column is named.
        column: the name of the column, or its number from 1.
        tidied: what is done to each number.
        header: whether the first line of a CSV names its columns.

    Raises:
        click.UsageError: there is no such column, or the source is no text.
    """
    lines = _lines(source)
    async for number in lines if column is None else _column(lines, column, header=header):
        if stripped := number.strip():
            yield tidied(stripped)


async def _lines(
    source: io.BufferedReader, encoding: str = "utf-8", errors: str = "replace"
) -> AsyncGenerator[str, None]:
    name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    octets = codecs.getincrementaldecoder(name)(errors)
    decoder = io.IncrementalNewlineDecoder(octets, translate=True)
    rest, before = "", 0
    async for chunk in _chunks(source):
        try:
            *whole, rest = (rest + decoder.decode(chunk, final=not chunk)).split("\n")
        except UnicodeDecodeError as fault:
            read = fault.object[: fault.start].decode(encoding, "ignore")
            place = f"{_name(source)}, line {before + len(_LINE_END.split(read))}"
            raise click.UsageError(f"{place} is not {encoding}; see --encoding") from None
        before += len(whole)
        for line in whole:
            yield line
        if len(rest) > _LONGEST_LINE:
            raise click.UsageError("the source of numbers has a line that does not end")
    yield rest


def _name(source: io.BufferedReader) -> str:
    return str(getattr(source, "name", "the source"))


async def _chunks(source: io.BufferedReader) -> AsyncGenerator[bytes, None]:
    pipe = _pipe(source)
    chunk = b"..."
    while chunk:
        # Between the parts of a file, the others on the event loop have their turn.
        await (asyncio.sleep(0) if pipe is None else _readable(pipe))
        chunk = source.read1(_CHUNK)
        yield chunk


def _pipe(source: io.BufferedReader) -> int | None:
    """The descriptor of a source that may have to be waited for: whatever is not a file."""
    try:
        descriptor = source.fileno()
    except OSError:  # octets in memory
        return None
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor


async def _readable(pipe: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(pipe, ready.set)
    except (PermissionError, NotImplementedError):
        return  # /dev/null cannot be waited for, and on Windows nothing can
    try:
        await ready.wait()
    finally:
        loop.remove_reader(pipe)


async def _column(
    lines: AsyncIterator[str], column: str, *, header: bool
) -> AsyncGenerator[str, None]:
    async for row in _rows(lines, (column,), header=header):
        yield row[column]


def check_encoding(_: object, __: object, encoding: str) -> str:
    """Take an encoding of text that Python knows."""
    try:
        "a".encode(encoding)
    except (LookupError, UnicodeError):
        raise click.BadParameter(f"{encoding!r} is no encoding") from None
    return encoding


async def read_rows(
    source: io.BufferedReader,
    columns: Sequence[str],
    encoding: str = "utf-8",
    *,
    header: bool = True,
) -> AsyncGenerator[dict[str, str], None]:
    """Yield, of each row of a CSV, what stands in some columns; a pipe holds nothing up.

    Args:
        source: text.
        columns: their names, or their numbers from 1, that of the recipients first. What is
            missing in a row is empty.
        encoding: of the text; it is held to.
        header: whether the first line names the columns.

    Raises:
        click.UsageError: there is no such column, or the source is no CSV of that encoding.
    """
    async for row in _rows(_lines(source, encoding, "strict"), columns, header=header):
        yield row


async def _rows(
    lines: AsyncIterator[str], columns: Sequence[str], *, header: bool
) -> AsyncGenerator[dict[str, str], None]:
    first = await anext(lines, "")
    delimiter, places = _find(first, columns, header=header)
    record, at_line = "", 0
    async for line in lines if header else behind(first, lines):
        at_line += 1
        # Only a quotation mark ends what one began, lines ago.
        begun = bool(record)
        record += line + "\n"
        if begun and '"' not in line and len(record) < _LONGEST_LINE:
            continue
        if "\0" in record:
            raise click.UsageError(f"there is a NUL in line {at_line + header}")
        row = _row(record, delimiter)
        if row is not None:
            record = ""
        if row:
            yield {name: row[at] if at < len(row) else "" for name, at in places.items()}
    if record:
        raise click.UsageError(f"a quotation mark is not closed, near {record[:40]!r}")


async def behind(first: str, others: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """Yield one more before others."""
    yield first
    async for other in others:
        yield other


def _check_header(name: str) -> None:
    """Refuse a first line that is no header: who stands in it would be passed over."""
    if _NUMBER.fullmatch(name):
        raise click.UsageError(
            f"the first line looks like a recipient, {name!r};"
            " give the file a header line, or --no-header"
        )


def _find(first: str, columns: Sequence[str], *, header: bool) -> tuple[str, dict[str, int]]:
    """The delimiter of a CSV, and the places of columns in its rows."""
    missing = ""
    for delimiter in sorted(_DELIMITERS, key=first.count, reverse=True):
        cells = _row(first, delimiter) or ()
        names = [cell.strip().casefold() if header else "" for cell in cells]
        places = {column: _place(names, column) for column in columns}
        found = {column: at for column, at in places.items() if at is not None}
        if len(found) == len(places):
            _check_header(names[found[columns[0]]])
            return delimiter, found
        missing = missing or next(column for column in columns if places[column] is None)
    raise click.UsageError(f"no column {missing!r} in the first line, {first!r}")


def _place(names: list[str], column: str) -> int | None:
    """Where a column is, by its name or else its number."""
    wanted = column.strip().casefold()
    if wanted in names:
        return names.index(wanted)
    number = int(wanted) if wanted.isdecimal() else 0
    return number - 1 if 0 < number <= len(names) else None


def _row(record: str, delimiter: str) -> list[str] | None:
    """Read the lines of one record; None where it goes on in the next line."""

    def given() -> Iterator[str]:
        yield record
        raise EOFError

    try:
        return next(csv.reader(given(), delimiter=delimiter))
    except EOFError:
        return None
    except csv.Error as error:
        raise click.UsageError(f"the CSV cannot be read, near {record[:40]!r}: {error}") from None


def check_country(_: click.Context, __: click.Parameter, country: str | None) -> str | None:
    """Refuse, as click's callback, a country whose national numbers cannot be read."""
    try:
        normalise("0", country=country)
    except LocalProtocolError as fault:
        if fault.field == "country":
            raise click.BadParameter(str(fault)) from None
    return country


def tidy(number: str, country: str | None) -> str:
    """Write a number as the gateway wants it; what is no number stays, for the gateway to judge."""
    try:
        return normalise(number, country=country)
    except LocalProtocolError:
        return number


def count_lines(source: io.BufferedReader) -> int | None:
    """The lines of a file, for a progress bar; None where it can be read only once."""
    if not source.seekable():
        return None
    start = source.tell()
    blocks = iter(partial(source.read, _CHUNK), b"")
    lines, last = 0, b"\n"
    for block in blocks:
        lines += block.count(b"\n")
        last = block[-1:]
    source.seek(start)
    return lines + (last != b"\n")
