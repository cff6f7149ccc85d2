"""A list of numbers or people: its rows, its numbers, and the messages to everyone in it."""

import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path

import attrs

from infobip_async.bulk.items import Outgoing
from infobip_async.errors import LocalProtocolError
from infobip_async.lists.parsing import CsvRows, LineDecoder, LineRows, ListRow, fields_of
from infobip_async.lists.sources import chunks, chunks_as_they_come, count_lines
from infobip_async.models import BinaryMessage, Message, TextMessage
from infobip_async.numbering import normalise as normalised


@attrs.frozen
class ListItem(Outgoing):
    """A message to the person in one row of a list.

    Attributes:
        row: the row.
    """

    row: ListRow = attrs.field(kw_only=True)


@attrs.frozen(eq=False)
class NumberList:
    """A list that is read when it is iterated, by ``for`` or ``async for``, row by row.

    A file is read from its start each time; a pipe can be read once. `read_list` makes it.
    """

    _source: str | Path | io.BufferedIOBase
    _recipient: str | None
    _key: str | None
    _header: bool
    _tidied: Callable[[str], str]
    _encoding: str
    _errors: str
    _start: int | None

    def __iter__(self) -> Iterator[ListRow]:
        decoder, rows = self._parsers(())
        with self._open() as file:
            for chunk in chunks(file):
                yield from rows.feed(decoder.feed(chunk))
        rows.end()

    def __aiter__(self) -> AsyncIterator[ListRow]:
        return self._rows(())

    @property
    def can_be_read_again(self) -> bool:
        """Whether the list can be read more than once: a file can, a pipe cannot."""
        return isinstance(self._source, str | Path) or self._start is not None

    async def numbers(self) -> AsyncGenerator[str, None]:
        """Give the numbers; rows without one are left out.

        Raises:
            LocalProtocolError: a column is missing, or the list cannot be read.
        """
        async with aclosing(self._rows(())) as rows:
            async for row in rows:
                if row.msisdn:
                    yield row.msisdn

    async def messages(
        self, template: str | Message, *, sender: str | None = None
    ) -> AsyncGenerator[ListItem, None]:
        """Give a message to everyone in the list, as `InfobipClient.send_many` takes them.

        Args:
            template: the text, or a message with it, which may have names of columns in braces.
                A `BinaryMessage` goes to everyone as it is.
            sender: of a text: 1 to 11 characters, or 1 to 14 digits.

        Raises:
            LocalProtocolError: a column is missing, or the list cannot be read.
        """
        message = _message(template, sender)
        fields = () if isinstance(message, BinaryMessage) else fields_of(message.text)
        fill = _filler(message) if fields else None
        async with aclosing(self._rows(fields)) as rows:
            async for row in rows:
                yield ListItem(fill(row) if fill else message, row.msisdn, row.key, row=row)

    def count_lines(self) -> int | None:
        """Count the lines of a file, to show progress; None where it can be read only once."""
        with self._open() as file:
            if not file.seekable():
                return None
            lines = count_lines(file)
            if self._start is not None:
                file.seek(self._start)
            return lines

    def _parsers(self, fields: Sequence[str]) -> tuple[LineDecoder, LineRows | CsvRows]:
        named = self._source
        name = str(named if isinstance(named, str | Path) else getattr(named, "name", "the list"))
        decoder = LineDecoder(self._encoding, self._errors, name)
        if self._recipient is None:
            if fields or self._key is not None:
                raise LocalProtocolError(
                    "a list with one number a line has no columns", field="recipient"
                )
            return decoder, LineRows(self._tidied)
        rows = CsvRows(self._recipient, self._key, fields, self._tidied, self._header)
        return decoder, rows

    async def _rows(self, fields: Sequence[str]) -> AsyncGenerator[ListRow, None]:
        decoder, rows = self._parsers(fields)
        with self._open() as file:
            async with aclosing(chunks_as_they_come(file)) as several:
                async for chunk in several:
                    for row in rows.feed(decoder.feed(chunk)):
                        yield row
        rows.end()

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


def _message(template: str | Message, sender: str | None) -> Message:
    if not isinstance(template, str):
        if sender is not None:
            raise LocalProtocolError("the message has one of its own", field="sender")
        return template
    if sender is None:
        raise LocalProtocolError("a text needs one", field="sender")
    return TextMessage(template, sender)


def _filler(message: Message) -> Callable[[ListRow], Message]:
    """Make what fills a message's text with the cells of a row, quicker than `attrs.evolve`."""
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
    header: bool = True,
    normalise: bool = False,
    country: str | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> NumberList:
    """Read a list of numbers or people: one number a line, or the rows of a CSV.

    ::

        people = read_list("people.csv", recipient="number", country="HR")
        async for result in client.send_many(people.messages("Hi {name}", sender="Shop")):
            print(result.item.row.line, result.outcome)

    Nothing is read before the list is iterated. The delimiter of a CSV is found by itself: comma,
    semicolon, tab or vertical bar.

    Args:
        source: the path of a file, or a file or pipe that was opened to read octets.
        recipient: the column of the numbers in a CSV, by name or by number from 1; None for a
            list with one number a line.
        key: the column of the keys, which tell the rows of a job from each other.
        header: whether the first line of a CSV names its columns; without, they have numbers.
        normalise: write numbers as the gateway wants them: without ``+``, ``00``, blanks and
            punctuation. What is no number stays as it is, for the gateway to judge.
        country: normalise, and read national numbers as of this country, such as ``HR``.
        encoding: of the text.
        errors: what becomes of octets that are not of this encoding: ``strict`` refuses them,
            ``replace`` puts U+FFFD in their place.

    Raises:
        LocalProtocolError: the encoding or the country is not known. Later, from the iteration: a
            column is missing, or the list cannot be read, and which line it is.
    """
    try:
        "a".encode(encoding)
    except (LookupError, UnicodeError):
        raise LocalProtocolError(f"{encoding!r} is no encoding", field="encoding") from None
    tidied: Callable[[str], str] = str
    if normalise or country is not None:
        check_country(country)
        tidied = partial(tidy, country=country)
    start = None
    if not isinstance(source, str | Path) and source.seekable():
        start = source.tell()
    return NumberList(source, recipient, key, header, tidied, encoding, errors, start)


def check_country(country: str | None) -> None:
    """Check that national numbers of a country can be read.

    Raises:
        LocalProtocolError: they cannot.
    """
    try:
        normalised("0", country=country)
    except LocalProtocolError as fault:
        if fault.field == "country":
            raise


def tidy(number: str, country: str | None) -> str:
    """Write a number as the gateway wants it; what is no number stays, for the gateway to judge."""
    try:
        return normalised(number, country=country)
    except LocalProtocolError:
        return number
