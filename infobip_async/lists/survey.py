"""A look before the leap: what a message to everyone in a list takes, before any is sent."""

from collections import Counter
from collections.abc import Container, Sequence
from functools import lru_cache
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.lists.list_row import fields_of
from infobip_async.lists.number_list import ListItem, NumberList, filler, message_of
from infobip_async.models.messages import BinaryMessage, Message, TextMessage
from infobip_async.numbering.msisdn import check_destination
from infobip_async.text.look_alikes import simplify
from infobip_async.text.segments import preview

_FIRST: Final = 3
"""Messages that are shown as they will be, and lines that are named for a reason."""
_REMEMBERED: Final = 1_000_000
"""Numbers that are remembered, to find those that stand twice."""


@attrs.define
class Refusals:
    """Rows that will not be sent, for one reason.

    Attributes:
        count: how many.
        lines: the first of them.
    """

    count: int = 0
    lines: list[int] = attrs.field(factory=list)

    def add(self, line: int) -> None:
        """Count a row."""
        self.count += 1
        if len(self.lines) < _FIRST:
            self.lines.append(line)


@attrs.define
class Survey:
    """What a message to everyone in a list takes.

    Attributes:
        rows: of the list.
        messages: that will be sent, by the number of their parts.
        refused: rows that will not be sent, by reason.
        excluded: rows whose number is excluded.
        repeated: rows whose number stood in a row before.
        short: messages with a hole, since their row is too short for a column of the text.
        blank: messages with a hole, since a cell is empty.
        guessed: rows in which something was taken for granted, by what it was.
        offenders: characters that force UCS-2, by the messages that have them.
        saved: parts less if the texts went through `infobip_async.simplify`.
        first: the first messages, as they will be.
    """

    rows: int = 0
    messages: Counter[int] = attrs.field(factory=Counter)
    refused: dict[str, Refusals] = attrs.field(factory=dict)
    excluded: int = 0
    repeated: int = 0
    short: int = 0
    blank: int = 0
    guessed: Counter[str] = attrs.field(factory=Counter)
    offenders: Counter[str] = attrs.field(factory=Counter)
    saved: int = 0
    first: list[ListItem] = attrs.field(factory=list)

    @property
    def parts(self) -> int:
        """Parts in all."""
        return sum(parts * count for parts, count in self.messages.items())


async def survey(
    people: NumberList,
    template: str | Message,
    *,
    sender: str | None = None,
    exclude: Container[str] = frozenset(),
) -> Survey:
    """Read a list, and say what a message to everyone in it takes; nothing is sent.

    Args:
        people: the list, which must be one that can be read again.
        template: as of `NumberList.messages`.
        sender: as of `NumberList.messages`.
        exclude: numbers that nothing is sent to.

    Raises:
        LocalProtocolError: a column is missing, or the list cannot be read.
    """
    message = message_of(template, sender)
    fields = () if isinstance(message, BinaryMessage) else fields_of(message.text)
    found, seen = Survey(), set[str]()
    fill = filler(message)
    async for row in people.rows(fields):
        item = ListItem(fill(row), row.msisdn, row.key, row=row)
        found.rows += 1
        if reason := _refusal(item):
            found.refused.setdefault(reason, Refusals()).add(item.row.line)
        elif item.row.msisdn in exclude:
            found.excluded += 1
        else:
            _count(found, item, fields)
            found.repeated += item.row.msisdn in seen
            if len(seen) < _REMEMBERED:
                seen.add(item.row.msisdn)
    return found


def _refusal(item: ListItem) -> str:
    """Why a message cannot be sent; empty where it can."""
    try:
        check_destination(item.row.msisdn)
        _looked_at(item.message)
    except LocalProtocolError as fault:
        return str(fault.args[0])
    return ""


def _count(found: Survey, item: ListItem, fields: Sequence[str]) -> None:
    parts, offenders, saved = _looked_at(item.message)
    found.messages[parts] += 1
    found.offenders.update(offenders)
    found.saved += saved
    short = item.row.lacks(fields)
    found.short += short
    found.blank += not short and not all(item.row.cell(field).strip() for field in fields)
    if item.row.guess:
        found.guessed[item.row.guess] += 1
    if len(found.first) < _FIRST:
        found.first.append(item)


@lru_cache(maxsize=1_000)
def _looked_at(message: Message) -> tuple[int, tuple[str, ...], int]:
    """The parts of a message, its characters that force UCS-2, and what simple ones would save."""
    seen = preview(message)
    offenders = tuple(dict.fromkeys(offender.character for offender in seen.offenders))
    if not offenders or not isinstance(message, TextMessage):
        return len(seen.parts), offenders, 0
    simple = preview(attrs.evolve(message, text=simplify(message.text)))
    return len(seen.parts), offenders, len(seen.parts) - len(simple.parts)
