"""Lines in, rows out, without input or output: where a cell, a row and the header begin and end.

A quoted cell of a CSV may go on in the next lines (RFC 4180). The first row names the columns;
without such a header, columns have numbers. A list whose rows cannot be told apart raises
`LocalProtocolError`, which names the line: a row that is passed over in silence would be a person
who gets nothing. A row that can be told from the others, but not sent to, has a fault.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.lists.decoding import LONGEST_LINE
from infobip_async.lists.list_row import Header, ListRow, ReadNumber
from infobip_async.numbering.normalising import fault_of_spreadsheet, looks_like_number

_DELIMITERS: Final = (",", ";", "\t", "|")
_SEPARATED: Final = re.compile(r'[,;\t|"]')
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""The first line of some spreadsheets' CSV, which names the delimiter."""
_LETTER: Final = re.compile(r"[^\W\d_]")
_LONG_NUMBER: Final = re.compile("[0-9]{9}")
"""What no name of a column has: more digits than a date."""


@attrs.define
class LineRows:
    """The rows of a list that has one number a line; blank lines are passed over."""

    read_number: ReadNumber
    _line: int = attrs.field(default=0, init=False)
    _position: int = attrs.field(default=0, init=False)

    def feed(self, lines: Iterable[str]) -> Iterator[ListRow]:
        """Give the rows of the next lines.

        Raises:
            LocalProtocolError: a line has several cells.
        """
        for line in lines:
            self._line += 1
            if not (number := line.strip()):
                continue
            if found := _SEPARATED.search(number):
                raise LocalProtocolError(
                    f"line {self._line} has a {found[0]!r}, as the rows of a CSV have:"
                    ' name the column of the numbers, such as recipient="1"'
                )
            self._position += 1
            yield ListRow.of(self._line, self._position, number, self.read_number)

    def end(self) -> None:
        """End the list."""


@attrs.define
class CsvRows:
    """The rows of a CSV, whose cells are quoted as RFC 4180 has it; empty rows are passed over.

    Attributes:
        table: makes rows of cells.
        multiline: whether a quoted cell may have a line in it that looks like a row.
    """

    table: "TableRows"
    multiline: bool = False
    _delimiter: str | None = attrs.field(default=None, init=False)
    _line: int = attrs.field(default=0, init=False)
    _record: list[str] = attrs.field(factory=list, init=False)
    _length: int = attrs.field(default=0, init=False)
    _open: bool = attrs.field(default=False, init=False)  # whether a quoted cell goes on

    def feed(self, lines: Iterable[str]) -> Iterator[ListRow]:
        """Give the rows of the next lines.

        Raises:
            LocalProtocolError: a column is missing, or the CSV cannot be read.
        """
        for line in lines:
            self._line += 1
            if self._line == 1 and (named := _SEP_LINE.fullmatch(line)):
                self._delimiter = named[1]
                continue
            self._add(line)
            if not self._open:
                record, self._record, self._length = "\n".join(self._record), [], 0
                yield from self._rows(record)

    def end(self) -> None:
        """End the list.

        Raises:
            LocalProtocolError: it ends within a quoted cell, or has no header.
        """
        if self._open:
            self._refuse_open_cell()
        self.table.end()

    def _add(self, line: str) -> None:
        """Add a line to the record, which is whole once its quotation marks are even."""
        if "\0" in line:
            raise LocalProtocolError(
                f"there is a NUL in line {self._line}: is the text UTF-16? give its encoding",
                field="encoding",
            )
        self._record.append(line)
        self._length += len(line)
        if line.count('"') % 2:
            self._open = not self._open
        if self._open and self._length > LONGEST_LINE:
            self._refuse_open_cell()

    def _refuse_open_cell(self) -> None:
        begun = self._line - len(self._record) + 1
        raise LocalProtocolError(
            f"a quotation mark in line {begun} is not closed: close it, or double it within a"
            " quoted cell"
        )

    def _rows(self, record: str) -> Iterator[ListRow]:
        begun = self._line - record.count("\n")
        if self._delimiter is None:
            if not record.strip():
                return
            self._delimiter = self._find(record, begun)
        cells = split(record, self._delimiter, begun)
        if "\n" in record and not self.multiline:
            self._look_for_rows(cells, begun)
        yield from self.table.add(begun, cells)

    def _find(self, record: str, line: int) -> str:
        """Find the delimiter, by which the first row has all columns that are wanted."""
        fault: LocalProtocolError | None = None
        for delimiter in sorted(_DELIMITERS, key=record.count, reverse=True):
            try:
                self.table.header_of(split(record, delimiter, line))
            except LocalProtocolError as found:
                fault = fault or found
            else:
                return delimiter
        raise fault or LocalProtocolError("no delimiter is known")

    def _look_for_rows(self, cells: Sequence[str], begun: int) -> None:
        """Refuse a cell with lines that look like rows, which a stray quotation mark swallows."""
        for cell in cells:
            lines = cell.split("\n") if "\n" in cell else ()
            for count, text in enumerate(lines):
                pieces = text.split(self._delimiter)
                if count:
                    pieces.append(_LETTER.split(text, maxsplit=1)[0])  # what the line begins with
                elif len(pieces) == 1:
                    continue
                what = ""
                if count and self._has_cells(text, whole=count + 1 < len(lines)):
                    what = "cells"
                if any(looks_like_number(piece.strip(' "')) for piece in pieces):
                    what = "a number"
                if what:
                    raise LocalProtocolError(
                        f"a quoted cell of the row in line {begun} has a line with {what}, as if"
                        " a stray quotation mark took rows for text; multiline=True takes them"
                    )

    def _has_cells(self, text: str, *, whole: bool) -> bool:
        """Whether a line within a cell has the delimiters of a row, though no number.

        Behind a mark of prose there is a blank, and a decimal comma stands between digits.

        Args:
            text: the line.
            whole: whether it ends within the cell, and not with it: then no delimiter is missing.
        """
        mark = re.escape(self._delimiter or "")
        found = len(re.findall(rf"(?<!\d){mark}(?=\S)|{mark}(?=[^\s\d])", text))
        most = self.table.columns - 1
        return found == most > 0 if whole else 0 < found <= most


@cache
def _cell(delimiter: str) -> re.Pattern[str]:
    return re.compile(
        rf'(?:"((?:[^"]|"")*)"|([^"{re.escape(delimiter)}]*))({re.escape(delimiter)}|\Z)'
    )


def split(record: str, delimiter: str, line: int) -> list[str]:
    """Take a record of a CSV apart, strictly as RFC 4180 says.

    Args:
        record: its lines.
        delimiter: between two cells.
        line: the line that the record begins in, for the text of the fault.

    Raises:
        LocalProtocolError: a quotation mark stands where none can.
    """
    if '"' not in record:
        return record.split(delimiter)
    cells, position, more = [], 0, True
    while more:
        found = _cell(delimiter).match(record, position)
        if found is None:
            at = line + record.count("\n", 0, position)
            raise LocalProtocolError(
                f"a quotation mark in line {at} is neither around a cell nor doubled within one:"
                ' write "..." around the cell, and "" for a mark in it'
            )
        quoted, plain, end = found.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position, more = found.end(), bool(end)
    return cells


def _has_number(name: str) -> bool:
    """Whether there is a number in what should be a name, or what a spreadsheet left of one.

    A rounded number may have been split at its comma.
    """
    pieces = _SEPARATED.split(name)
    return bool(_LONG_NUMBER.search(name)) or any(map(fault_of_spreadsheet, pieces))


@attrs.define
class TableRows:
    """The rows of a table, made of cells; empty rows are passed over.

    Attributes:
        recipient: the column of the numbers, by name or by number from 1.
        key: the column of the keys; None where there is none.
        fields: further columns that there must be.
        read_number: reads each number.
        named: whether the first row names the columns.
    """

    recipient: str
    key: str | None
    fields: Sequence[str]
    read_number: Callable[[str], tuple[str, str, str]]
    named: bool
    _header: Header | None = attrs.field(default=None, init=False)
    _position: int = attrs.field(default=0, init=False)

    @property
    def columns(self) -> int:
        """How many there are; 0 before the first row."""
        return 0 if self._header is None else len(self._header.names)

    def add(self, line: int, cells: list[str]) -> Iterator[ListRow]:
        """Give the row of some cells, unless it is the header, or empty.

        Raises:
            LocalProtocolError: a column is missing, or stands twice, or the row is no header.
        """
        if not any(map(str.strip, cells)):
            return
        if self._header is None:
            self._header = self.header_of(cells)
            if self.named:
                self._check(self._header)
                return
        self._position += 1
        yield ListRow.of(
            line,
            self._position,
            self._header.cell(cells, self.recipient).strip(),
            self.read_number,
            key=None if self.key is None else self._header.cell(cells, self.key),
            values=cells,
            header=self._header,
        )

    def end(self) -> None:
        """End the list.

        Raises:
            LocalProtocolError: there was no header.
        """
        if self._header is None and self.named:
            raise LocalProtocolError(f"no column {self.recipient!r}: the list is empty")

    def header_of(self, cells: Sequence[str]) -> Header:
        """Make the header of the first row.

        Raises:
            LocalProtocolError: a column is missing, or stands twice.
        """
        names = [cell.strip() for cell in cells]
        header = Header(tuple(names if self.named else map(str, range(1, len(names) + 1))))
        for column in (self.recipient, *(() if self.key is None else (self.key,)), *self.fields):
            if header.place(column) is None:
                raise LocalProtocolError(f"no column {column!r} in the first line", value=cells)
        return header

    def _check(self, header: Header) -> None:
        """Refuse a first row that is no header: the person in it would be passed over."""
        name = header.names[header.place(self.recipient) or 0]
        if not looks_like_number(name):
            name = next(filter(_has_number, header.names), "")
        if name:
            raise LocalProtocolError(
                "the first line looks like a recipient;"
                " give the list a header line, or header=False",
                value=name,
            )
