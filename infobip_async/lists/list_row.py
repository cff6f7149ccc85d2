"""The rows of a list: what stands in one, what is wrong with it, and what was guessed."""

import re
from collections.abc import Callable, Sequence
from typing import Final, Self

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering.msisdn import MarkedNumber

ReadNumber = Callable[[str], tuple[str, str, str]]
"""Reads the text of a number: the number, what is wrong with it, and what was guessed."""

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@attrs.frozen
class Header:
    """The columns of a list.

    Attributes:
        names: of the columns, in their order; their numbers from 1 where no line names them.
    """

    names: tuple[str, ...] = ()
    _known: dict[str, int | None] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def place(self, column: str) -> int | None:
        """Find a column by its name, in any case of letters, or else by its number from 1.

        Raises:
            LocalProtocolError: several columns have the name.
        """
        if column not in self._known:
            self._known[column] = self._look_for(column)
        return self._known[column]

    def _look_for(self, column: str) -> int | None:
        wanted = column.strip().casefold()
        places = [at for at, name in enumerate(self.names) if name.casefold() == wanted]
        if len(places) > 1:
            numbers = " and ".join(str(at + 1) for at in places)
            raise LocalProtocolError(f"the columns {numbers} are both {column!r}: give a number")
        if places:
            return places[0]
        number = int(wanted) if wanted.isdecimal() else 0
        return number - 1 if 0 < number <= len(self.names) else None

    def cell(self, values: Sequence[str], column: str) -> str:
        """The text of a column; empty where the row is too short."""
        place = self.place(column)
        return "" if place is None or place >= len(values) else values[place]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the columns; numbers from 1 for those whose name stands twice."""
        folded = [name.casefold() for name in self.names]
        once = [folded.count(name) == 1 for name in folded]
        return tuple(
            name if alone else str(at)
            for at, (name, alone) in enumerate(zip(self.names, once, strict=True), 1)
        )


@attrs.frozen
class ListRow:
    """One row of a list.

    Attributes:
        line: the line of the source that it begins in, from 1; of a spreadsheet, the row.
        position: its number among the rows, from 1; the header and blank lines do not count.
        msisdn: the number, without blanks around it, and normalised where that was asked for.
        key: what stands in the column of keys; None without such a column.
        fault: why nothing is sent to it; empty where nothing is wrong.
        guess: what was taken for granted about it; empty where nothing was.
    """

    line: int
    position: int
    msisdn: str
    key: str | None = None
    fault: str = ""
    guess: str = ""
    _values: Sequence[str] = attrs.field(default=(), eq=False, repr=False)
    _header: Header = attrs.field(default=Header(), eq=False, repr=False)

    @classmethod
    def of(
        cls,
        line: int,
        position: int,
        number: str,
        read_number: ReadNumber,
        *,
        key: str | None = None,
        values: Sequence[str] = (),
        header: Header | None = None,
    ) -> Self:
        """Make a row of its cells; a row with a fault has a number that is refused everywhere.

        Args:
            line: the line that it begins in, from 1.
            position: its number among the rows, from 1.
            number: the number as it stands there.
            read_number: reads that, and says what is wrong with it and what was guessed.
            key: what stands in the column of keys.
            values: the text of all cells.
            header: the names of the columns; none by default.
        """
        msisdn, fault, guess = read_number(number)
        header = header or Header()
        if len(values) > len(header.names) and any(map(str.strip, values[len(header.names) :])):
            fault = (
                f"stands in a row of {len(values)} cells under a header of {len(header.names)}:"
                " a separator within a cell needs quotation marks around the cell"
            )
        elif len(values) < len(header.names):
            short = f"{len(values)} of {len(header.names)} cells"
            guess = f"{guess}; {short}" if guess else short
        if fault:
            msisdn = MarkedNumber(msisdn, fault)
        return cls(line, position, msisdn, key, fault, guess, values, header)

    @property
    def cells(self) -> dict[str, str]:
        """The text of each column by its name; empty where the row is too short.

        Columns whose name stands twice have their numbers from 1 in its place.
        """
        count = len(self._header.names)
        values = [*self._values[:count], *[""] * (count - len(self._values))]
        return dict(zip(self._header.keys, values, strict=True))

    def cell(self, column: str) -> str:
        """The text of a column, by its name or its number from 1; empty where there is none.

        Raises:
            LocalProtocolError: several columns have the name.
        """
        return self._header.cell(self._values, column)

    def lacks(self, columns: Sequence[str]) -> bool:
        """Whether the row is too short for one of the columns."""
        return any((self._header.place(column) or 0) >= len(self._values) for column in columns)

    def fill(self, template: str) -> str:
        """Put the text of columns in the place of their names in braces; ``{{`` is a brace."""
        return _BRACES.sub(lambda found: self.cell(found[1]) if found[1] else found[0][0], template)


class ListNumber(MarkedNumber):
    """A number that knows its row.

    Attributes:
        row: the row of the list.
    """

    __slots__ = ("row",)
    row: ListRow

    def __new__(cls, row: ListRow) -> Self:
        """Take the number of a row."""
        number = super().__new__(cls, row.msisdn, row.fault)
        number.row = row
        return number


@attrs.frozen
class ListRemark:
    """Something to know about one row of a list.

    Attributes:
        line: the line of the source that the row begins in, from 1.
        reason: in words, what is wrong with the row, or was guessed.
    """

    line: int
    reason: str


def fields_of(template: str) -> list[str]:
    """The columns that a template names in braces.

    Raises:
        LocalProtocolError: a brace stands alone.
    """
    if re.search("[{}]", _BRACES.sub("", template)):
        raise LocalProtocolError(
            "a brace of the text names no column: {{ and }} write braces", field="text"
        )
    return [found[1] for found in _BRACES.finditer(template) if found[1]]
