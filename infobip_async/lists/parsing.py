"""Octets in, rows out, without input or output: lines are decoded, and the rows of a CSV found.

A quoted cell of a CSV may go on in the next lines. The first line names the columns; without such
a header, columns have numbers. What cannot be read raises `LocalProtocolError`, which names the
line: a row that is passed over in silence would be a person who gets nothing.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError

_LONGEST_LINE: Final = 1 << 20
_NUMBER: Final = re.compile(r"\+?[0-9][0-9 ()./-]{5,}")
_FIELD: Final = re.compile(r"\{([^{}]+)\}")
_LINE_END: Final = re.compile("\r\n|\r|\n")
_DELIMITERS: Final = (",", ";", "\t", "|")


class LineDecoder:
    """Decodes octets to lines, as they come.

    Args:
        encoding: of the text. A byte order mark in front of UTF-8 is dropped.
        errors: what becomes of octets that are not of this encoding, as `open` has it.
        name: of the source, for the text of faults.
    """

    def __init__(self, encoding: str, errors: str, name: str) -> None:
        self._encoding = encoding
        self._name = name
        codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        octets = codecs.getincrementaldecoder(codec)(errors)
        self._decoder = io.IncrementalNewlineDecoder(octets, translate=True)
        self._rest = ""
        self._lines = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Decode the next octets, and give the lines that are complete.

        Args:
            chunk: the octets; an empty chunk ends the text, and its last line is complete then.

        Raises:
            LocalProtocolError: the octets are not of the encoding, or a line is too long.
        """
        try:
            text = self._rest + self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as fault:
            read = fault.object[: fault.start].decode(self._encoding, "ignore")
            line = self._lines + len(_LINE_END.split(read))
            raise LocalProtocolError(
                f"{self._name}, line {line} is not {self._encoding}; give another encoding",
                field="encoding",
            ) from None
        *lines, self._rest = text.split("\n")
        if len(self._rest) > _LONGEST_LINE:
            raise LocalProtocolError(f"{self._name} has a line that does not end; is it a text?")
        self._lines += len(lines)
        return lines if chunk else [*lines, self._rest]


@attrs.frozen
class Header:
    """The columns of a list.

    Attributes:
        names: of the columns, in their order; their numbers from 1 where no line names them.
        delimiter: between two cells of a row.
    """

    names: tuple[str, ...] = ()
    delimiter: str = ","
    _known: dict[str, int | None] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def place(self, column: str) -> int | None:
        """Find a column by its name, in any case of letters, or else by its number from 1."""
        if column not in self._known:
            self._known[column] = self._look_for(column.strip().casefold())
        return self._known[column]

    def _look_for(self, wanted: str) -> int | None:
        for place, name in enumerate(self.names):
            if name.casefold() == wanted:
                return place
        number = int(wanted) if wanted.isdecimal() else 0
        return number - 1 if 0 < number <= len(self.names) else None

    def cell(self, values: Sequence[str], column: str) -> str:
        """The text of a column; empty where the row is too short."""
        place = self.place(column)
        return "" if place is None or place >= len(values) else values[place]


@attrs.frozen
class ListRow:
    """One row of a list.

    Attributes:
        line: the line of the source that it begins in, from 1.
        position: its number among the rows, from 1; the header and blank lines do not count.
        msisdn: the number, without blanks around it, and normalised where that was asked for.
        key: what stands in the column of keys; None without such a column.
    """

    line: int
    position: int
    msisdn: str
    key: str | None = None
    _values: Sequence[str] = attrs.field(default=(), eq=False, repr=False)
    _header: Header = attrs.field(default=Header(), eq=False, repr=False)

    @property
    def cells(self) -> dict[str, str]:
        """The text of each column by its name; empty where the row is too short."""
        return {name: self.cell(name) for name in self._header.names}

    def cell(self, column: str) -> str:
        """The text of a column, by its name or its number from 1; empty where there is none."""
        return self._header.cell(self._values, column)

    def fill(self, template: str) -> str:
        """Put the text of columns in the place of their names in braces."""
        return _FIELD.sub(lambda field: self.cell(field[1]), template)


def fields_of(template: str) -> list[str]:
    """The columns that a template names in braces."""
    return _FIELD.findall(template)


@attrs.define
class LineRows:
    """The rows of a list that has one number a line; blank lines are passed over.

    Attributes:
        tidied: what is done to each number.
    """

    tidied: Callable[[str], str]
    _line: int = attrs.field(default=0, init=False)
    _position: int = attrs.field(default=0, init=False)

    def feed(self, lines: Iterable[str]) -> Iterator[ListRow]:
        """Give the rows of the next lines."""
        for line in lines:
            self._line += 1
            if number := line.strip():
                self._position += 1
                yield ListRow(self._line, self._position, self.tidied(number))

    def end(self) -> None:
        """End the list."""


@attrs.define
class CsvRows:
    """The rows of a CSV; empty ones are passed over.

    Attributes:
        recipient: the column of the numbers, by name or by number from 1.
        key: the column of the keys; None where there is none.
        fields: further columns that there must be.
        tidied: what is done to each number.
        named: whether the first line names the columns.
    """

    recipient: str
    key: str | None
    fields: Sequence[str]
    tidied: Callable[[str], str]
    named: bool
    _header: Header | None = attrs.field(default=None, init=False)
    _line: int = attrs.field(default=0, init=False)
    _position: int = attrs.field(default=0, init=False)
    _record: str = attrs.field(default="", init=False)
    _begun: int = attrs.field(default=0, init=False)  # the line that the record begins in

    def feed(self, lines: Iterable[str]) -> Iterator[ListRow]:
        """Give the rows of the next lines.

        Raises:
            LocalProtocolError: a column is missing, or the CSV cannot be read.
        """
        for line in lines:
            self._line += 1
            if self._header is None:
                self._header = self._find(line)
                if self.named:
                    continue
            values = self._add(line, self._header.delimiter)
            if values:
                yield self._row(values, self._header)

    def end(self) -> None:
        """End the list.

        Raises:
            LocalProtocolError: it ends within a quoted cell.
        """
        if self._record:
            near = self._record[:40]
            raise LocalProtocolError(
                f"a quotation mark in line {self._begun} is not closed, near {near!r}"
            )

    def _row(self, values: list[str], header: Header) -> ListRow:
        self._position += 1
        number = self.tidied(header.cell(values, self.recipient).strip())
        key = None if self.key is None else header.cell(values, self.key)
        return ListRow(self._begun, self._position, number, key, values, header)

    def _add(self, line: str, delimiter: str) -> list[str] | None:
        """Add a line to the record; its cells once it is complete, else None."""
        within = bool(self._record)
        if not within:
            self._begun = self._line
        self._record += line + "\n"
        # Only a quotation mark ends a cell that one has begun: without it, nothing is parsed anew.
        if within and '"' not in line and len(self._record) < _LONGEST_LINE:
            return None
        if "\0" in self._record:
            raise LocalProtocolError(f"there is a NUL in line {self._line}")
        values = _cells(self._record, delimiter)
        if values is not None:
            self._record = ""
        return values

    def _find(self, first: str) -> Header:
        """Find the delimiter, by which the first line has all columns that are wanted."""
        missing = ""
        wanted = [self.recipient, *(() if self.key is None else (self.key,)), *self.fields]
        for delimiter in sorted(_DELIMITERS, key=first.count, reverse=True):
            cells = [cell.strip() for cell in _cells(first, delimiter) or ()]
            numbers = map(str, range(1, len(cells) + 1))
            header = Header(tuple(cells if self.named else numbers), delimiter)
            lost = [column for column in wanted if header.place(column) is None]
            if not lost:
                self._check(header)
                return header
            missing = missing or lost[0]
        raise LocalProtocolError(f"no column {missing!r} in the first line, {first!r}")

    def _check(self, header: Header) -> None:
        """Refuse a first line that is no header: the person in it would be passed over."""
        name = header.names[header.place(self.recipient) or 0]
        if self.named and _NUMBER.fullmatch(name):
            raise LocalProtocolError(
                f"the first line looks like a recipient, {name!r};"
                " give the list a header line, or header=False"
            )


def _cells(record: str, delimiter: str) -> list[str] | None:
    """Read the lines of one record; None where it goes on in the next line."""

    def lines() -> Iterator[str]:
        yield record
        raise EOFError

    try:
        return next(csv.reader(lines(), delimiter=delimiter))
    except EOFError:
        return None
    except csv.Error as error:
        near = record[:40]
        raise LocalProtocolError(f"the CSV cannot be read, near {near!r}: {error}") from None
