"""Numbers from a file, as people keep them: one a line, or a column of a CSV."""

import csv
import io
from collections.abc import Iterator
from typing import TextIO

import click

from infobip_async import LocalProtocolError
from infobip_async.numbering import normalise


def read_numbers(source: TextIO, column: str | None) -> Iterator[str]:
    """Yield the numbers of a source, blank lines left out.

    Args:
        source: text, or a CSV with a header where a column is named.
        column: the name of the column, or its number from 1.
    """
    if column is None:
        yield from filter(None, (line.strip() for line in source))
        return
    rows = csv.reader(source)
    header = next(rows, [])
    at = _position(header, column)
    for row in rows:
        if len(row) > at and row[at].strip():
            yield row[at].strip()


def _position(header: list[str], column: str) -> int:
    names = [name.strip().lower() for name in header]
    if column.strip().lower() in names:
        return names.index(column.strip().lower())
    if column.isdecimal() and 0 < int(column) <= len(header):
        return int(column) - 1
    raise click.BadParameter(f"no column {column!r} among {', '.join(header)}")


def tidy(number: str, country: str | None) -> str:
    """Write a number as the gateway wants it; what is no number stays, for the gateway to judge."""
    try:
        return normalise(number, country=country)
    except LocalProtocolError:
        return number


def count(source: TextIO) -> int | None:
    """The lines of a file, for a progress bar; None where it can be read only once."""
    if not source.seekable():
        return None
    start = source.tell()
    lines = sum(1 for line in source if line.strip())
    source.seek(start, io.SEEK_SET)
    return lines
