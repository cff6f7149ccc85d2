"""A list of numbers or people: its rows, its numbers, and the messages to everyone in it."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from infobip_async.bulk.items import Outgoing
from infobip_async.errors import LocalProtocolError
from infobip_async.lists.csv_parsing import CsvRows, LineRows, TableRows
from infobip_async.lists.decoding import LineDecoder
from infobip_async.lists.list_row import ListNumber, ListRemark, ListRow, ReadNumber, fields_of
from infobip_async.lists.sources import chunks, chunks_as_they_come
from infobip_async.lists.spreadsheet import is_spreadsheet, sheet_rows
from infobip_async.models.messages import BinaryMessage, Message, TextMessage, WapBookmark
from infobip_async.numbering.msisdn import MarkedNumber
from infobip_async.numbering.normalising import fault_of_spreadsheet, normalise, read_number

_MISSING: Final = "is missing: the row has no number"
_MORE: Final = re.compile(r'[,;|\t"]|\d{2}[^\w]+[^\W\d_]|[^\W\d_][^\w]+\d{2}')
"""What only a row of a table has: a separator, or words beside digits. It may be about a person."""
_TOO_SHORT: Final = "stands in a row that is too short for the text"


@attrs.frozen
class ListItem(Outgoing):
    """A message to the person in one row of a list.

    Attributes:
        row: the row.
    """

    row: ListRow = attrs.field(kw_only=True)


@attrs.define(eq=False, kw_only=True)
class NumberList:
    """A list that is read when it is iterated, by ``for`` or ``async for``, row by row.

    A file is read from its start each time, and is looked through before its first number or
    message is given: a file that cannot be read costs nothing. A pipe can be read once, as it
    comes. `read_list` makes it.

    Rows with a fault are given, too, so that each row has its outcome: their number, a `str`, is
    refused by everything that sends or looks up, with the fault as the reason.
    """

    _source: str | Path | io.BufferedIOBase
    _recipient: str | None
    _key: str | None
    _columns: tuple[str, ...]
    _header: bool
    _read_number: ReadNumber
    _encoding: str | None
    _multiline: bool
    _sheet: str | None
    _start: int | None
    _looked_through: bool = attrs.field(default=False, init=False)
    _remarks: list[ListRow] | None = attrs.field(default=None, init=False)

    def __iter__(self) -> Iterator[ListRow]:
        with self._open() as file:
            if is_spreadsheet(file):
                yield from self._cells(sheet_rows(file, self._sheet), ())
                return
            decoder, rows = self._parsers(())
            for chunk in chunks(file):
                yield from rows.feed(decoder.feed(chunk))
            rows.end()

    def __aiter__(self) -> AsyncIterator[ListRow]:
        return self.rows()

    @property
    def can_be_read_again(self) -> bool:
        """Whether the list can be read more than once: a file can, a pipe cannot."""
        return isinstance(self._source, str | Path) or self._start is not None

    @property
    def faults(self) -> tuple[ListRemark, ...]:
        """The rows of a file that will not go, by line and reason; a file is read for it once.

        Raises:
            LocalProtocolError: the list cannot be read, or only once; then see `ListRow.fault`.
        """
        return tuple(ListRemark(row.line, row.fault) for row in self._remarkable() if row.fault)

    @property
    def guesses(self) -> tuple[ListRemark, ...]:
        """What was taken for granted in a file, by line, such as a zero that is missing.

        Raises:
            LocalProtocolError: the list cannot be read, or only once; then see `ListRow.guess`.
        """
        return tuple(ListRemark(row.line, row.guess) for row in self._remarkable() if row.guess)

    def _remarkable(self) -> list[ListRow]:
        if self._remarks is None:
            if not self.can_be_read_again:
                raise LocalProtocolError("a pipe can be read once: see the fault of each row")
            self._remarks = [row for row in self if row.fault or row.guess]
        return self._remarks

    async def numbers(self) -> AsyncGenerator[ListNumber, None]:
        """Give the number of each row, in a `str` that knows its row.

        Raises:
            LocalProtocolError: a column is missing, or the list cannot be read.
        """
        async with aclosing(self._checked(())) as rows:
            async for row in rows:
                yield ListNumber(row)

    async def messages(
        self, template: str | Message, *, sender: str | None = None, holes: bool = True
    ) -> AsyncGenerator[ListItem, None]:
        """Give a message to everyone in the list, as `InfobipClient.send_many` takes them.

        Args:
            template: the text, or a message with it, which may have names of columns in braces;
                ``{{`` and ``}}`` are braces of the text. A `BinaryMessage` goes to everyone as it
                is.
            sender: of a text: 1 to 11 characters, or 1 to 14 digits.
            holes: whether a row that is too short for a column of the text gets a text with a
                hole, or has a fault.

        Raises:
            LocalProtocolError: a column is missing, or the list cannot be read.
        """
        message = message_of(template, sender)
        fields = () if isinstance(message, BinaryMessage) else fields_of(message.text)
        fill = filler(message)
        async with aclosing(self._checked(fields)) as rows:
            async for row in rows:
                number = row.msisdn
                if not holes and row.lacks(fields):
                    number = MarkedNumber(number, _TOO_SHORT)
                yield ListItem(fill(row), number, row.key, row=row)

    # --- reading ---

    async def _checked(self, fields: Sequence[str]) -> AsyncGenerator[ListRow, None]:
        """Give the rows, of a file once it is known that all of it can be read."""
        if self.can_be_read_again and not self._looked_through:
            async for _ in attrs.evolve(self, read_number=_unread).rows(fields):
                pass
            self._looked_through = True
        async with aclosing(self.rows(fields)) as rows:
            async for row in rows:
                yield row

    async def rows(self, columns: Sequence[str] = ()) -> AsyncGenerator[ListRow, None]:
        """Give the rows as they are read; a fault of the list may come behind some of them.

        Args:
            columns: further columns that there must be.

        Raises:
            LocalProtocolError: a column is missing, or the list cannot be read.
        """
        with self._open() as file:
            if is_spreadsheet(file):
                cells = await asyncio.to_thread(sheet_rows, file, self._sheet)
                for row in self._cells(cells, columns):
                    yield row
            else:
                decoder, rows = self._parsers(columns)
                async with aclosing(chunks_as_they_come(file)) as several:
                    async for chunk in several:
                        for row in rows.feed(decoder.feed(chunk)):
                            yield row
                rows.end()
        self._looked_through = True

    def _parsers(self, fields: Sequence[str]) -> tuple[LineDecoder, LineRows | CsvRows]:
        named = self._source
        name = str(named if isinstance(named, str | Path) else getattr(named, "name", "the list"))
        decoder = LineDecoder(self._encoding, name)
        if self._sheet is not None:
            raise LocalProtocolError("only a spreadsheet has sheets", field="sheet")
        if self._recipient is not None:
            return decoder, CsvRows(self._table(self._recipient, fields), self._multiline)
        if fields or self._columns or self._key is not None:
            raise LocalProtocolError(
                "a list with one number a line has no columns", field="recipient"
            )
        return decoder, LineRows(self._read_number)

    def _cells(self, rows: Sequence[list[str]], fields: Sequence[str]) -> Iterator[ListRow]:
        """Give the rows of a spreadsheet's cells."""
        if self._recipient is None:
            raise LocalProtocolError(
                'name the column of the numbers in the spreadsheet, such as recipient="1"'
            )
        table = self._table(self._recipient, fields)
        for line, cells in enumerate(rows, 1):
            yield from table.add(line, cells)
        table.end()

    def _table(self, recipient: str, fields: Sequence[str]) -> TableRows:
        wanted = (*self._columns, *fields)
        return TableRows(recipient, self._key, wanted, self._read_number, self._header)

    @contextmanager
    def _open(self) -> Iterator[io.BufferedIOBase]:
        """Open a file, or go to the start of one that is open."""
        if isinstance(self._source, str | Path):
            with Path(self._source).open("rb") as file:
                yield file
            return
        if self._start is not None:
            self._source.seek(self._start)
        yield self._source


def message_of(template: str | Message, sender: str | None) -> Message:
    """Make the message of a template.

    Raises:
        LocalProtocolError: a text has no sender, a message gets a second one, or a URL has braces.
    """
    if not isinstance(template, str):
        if sender is not None:
            raise LocalProtocolError("the message has one of its own", field="sender")
        if isinstance(template, WapBookmark) and {"{", "}"} & set(template.url):
            raise LocalProtocolError("a URL is the same for everyone, without braces", field="url")
        return template
    if sender is None:
        raise LocalProtocolError("a text needs one", field="sender")
    return TextMessage(template, sender)


def filler(message: Message) -> Callable[[ListRow], Message]:
    """Make what fills a message's text with the cells of a row, quicker than `attrs.evolve`."""
    if isinstance(message, BinaryMessage) or not {"{", "}"} & set(message.text):
        return lambda _: message
    kind = type(message)
    values = {field.name: getattr(message, field.name) for field in attrs.fields(kind)}
    template = values.pop("text")
    make: Callable[..., Message] = partial(kind, **values)
    return lambda row: make(text=row.fill(template))


def read_list(
    source: str | Path | io.BufferedIOBase,
    *,
    recipient: str | None = None,
    key: str | None = None,
    columns: Iterable[str] = (),
    header: bool = True,
    normalise: bool = False,
    country: str | None = None,
    encoding: str | None = None,
    multiline: bool = False,
    sheet: str | None = None,
) -> NumberList:
    """Read a list of numbers or people: one number a line, a CSV, or a spreadsheet.

    ::

        people = read_list("people.csv", recipient="number", country="HR")
        async for result in client.send_many(people.messages("Hi {name}", sender="Shop")):
            print(result.item.row.line, result.outcome)

    Nothing is read before the list is iterated. The delimiter of a CSV is found by itself: comma,
    semicolon, tab or vertical bar, or as its first line says (``sep=;``). Its cells are quoted as
    RFC 4180 has it; a quotation mark elsewhere makes rows uncertain, and the list is refused. Lines
    and CSVs take constant memory; a spreadsheet (``.xlsx``, ``.ods``, ``.xls``; the extra ``xlsx``)
    is in memory as a whole.

    Args:
        source: the path of a file, or a file or pipe that was opened to read octets.
        recipient: the column of the numbers in a CSV or a spreadsheet, by name or by number from
            1; None for a list with one number a line.
        key: the column of the keys, which tell the rows of a job from each other.
        columns: further columns that there must be.
        header: whether the first row names the columns; without, they have numbers.
        normalise: read numbers as people write them, see `infobip_async.numbering.normalise`. A
            row whose number cannot be read has a fault.
        country: normalise, and read national numbers as of this country, such as ``HR``.
        encoding: of a text; by default UTF-16 where its byte order mark is there, else UTF-8.
        multiline: whether a quoted cell may have a line that looks like a row of the list.
        sheet: the name of the sheet in a spreadsheet that has several.

    Raises:
        LocalProtocolError: the encoding or the country is not known. Later, from the iteration: a
            column is missing, or the list cannot be read, and which line it is.
    """
    try:
        "a".encode(encoding or "utf-8")
    except (LookupError, UnicodeError):
        raise LocalProtocolError(f"{encoding!r} is no encoding", field="encoding") from None
    check_country(country)
    start = None
    if not isinstance(source, str | Path) and source.seekable():
        start = source.tell()
    read = _read_as_written
    if normalise or country is not None:
        read = partial(_read_normalised, country)
    return NumberList(
        source=source,
        recipient=recipient,
        key=key,
        columns=tuple(columns),
        header=header,
        read_number=read,
        encoding=encoding,
        multiline=multiline,
        sheet=sheet,
        start=start,
    )


def check_country(country: str | None) -> None:
    """Check that national numbers of a country can be read.

    Raises:
        LocalProtocolError: they cannot.
    """
    try:
        normalise("0", country=country)
    except LocalProtocolError as fault:
        if fault.field == "country":
            raise


def _unread(number: str) -> tuple[str, str, str]:
    """Read nothing: where only the list as a whole is looked at."""
    return number, "", ""


def _read_as_written(number: str) -> tuple[str, str, str]:
    if not number:
        return number, _MISSING, ""
    if number.isdigit():
        return number, "", ""
    more = "is more than a number" if _MORE.search(number) else ""
    return number, fault_of_spreadsheet(number) or more, ""


def _read_normalised(country: str | None, number: str) -> tuple[str, str, str]:
    if not number:
        return number, _MISSING, ""
    try:
        reading = read_number(number, country)
    except LocalProtocolError as fault:
        return number, str(fault.args[0]), ""
    return reading.msisdn, "", reading.guess
