"""The record of a bulk send, in a file: what was intended, and what became of it.

An item is known to the file before it is sent, an intent is on disk before its request starts, and
an outcome before it is reported. So after a crash an item without an intent was not sent, one with
an outcome is done with, and one with an intent alone may have been sent.
"""

import sqlite3
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Final, Protocol

import attrs

from infobip_async.bulk.groups import Entry, Key
from infobip_async.bulk.items import Outgoing, SendOutcome
from infobip_async.concurrency.sqlite_file import FileKind
from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import DeliveryReport
from infobip_async.models.messages import Recipient
from infobip_async.runs.job import JobFile, row_of, text_of
from infobip_async.runs.screening import Job

_TABLES: Final = """
create table if not exists items (
    key primary key, digest blob not null, run text not null, message_ids text not null default '',
    outcome text, answered integer not null default 0, reason text
) without rowid;
"""
# Without a type, a column keeps numbers and texts apart: position 1 is not the key "1".

_READ: Final = "select digest, run, message_ids, outcome, answered, reason from items where key = ?"
_MEET: Final = "insert into items (key, digest, run) values (?, ?, ?)"
_MEET_AGAIN: Final = "update items set run = ? where key = ?"
_PAGE: Final = 100
"""Items in doubt that are read at once."""


@attrs.frozen
class Record:
    """What a job knows of an item.

    Attributes:
        message_ids: the ids that reports will name; empty where no request was begun.
        outcome: None where there is an intent alone, or not even that.
        answered: whether the outcome is an answer of the gateway's, which a repetition would get
            again.
        reason: in words, where it was not sent or may not have been.
        own: whether this very run has met the item before.
    """

    message_ids: tuple[str, ...] = ()
    outcome: SendOutcome | None = None
    answered: bool = False
    reason: str | None = None
    own: bool = False

    @property
    def in_doubt(self) -> bool:
        """Whether nobody knows if the item was sent."""
        return bool(self.message_ids) and self.outcome in {None, SendOutcome.UNKNOWN}


_MET: Final = Record(own=True)


class SendRecord(Job[tuple[Key, Outgoing], Record], Protocol):
    """What remembers the items of a bulk send: `SendJob`, or something in its place."""

    def watching(self, messages: int, /) -> AbstractContextManager[object]:
        """Watch a request, from its intent to its reply."""

    async def intend(self, entries: Iterable[Entry], /) -> None:
        """Write down what is about to be sent, in place of what was known of it."""

    async def record(
        self, keys: Iterable[Key], outcome: SendOutcome, reason: str | None, *, answered: bool
    ) -> None:
        """Write down what became of items."""


class SendJob(JobFile):
    """Remembers the items of a bulk send by their keys, over crashes; see `JobFile`."""

    kind = FileKind.SEND_JOB
    tables = _TABLES
    texts = "select key, key, message_ids, reason from items"
    without = "delete from items where key = ?"
    last_position = "select max(key) from items where typeof(key) = 'integer'"
    rows = "rows"

    def __init__(self, path: str | Path, account: str | None = None) -> None:
        super().__init__(path, account)
        self._run = token_hex(8)

    def watching(self, _: int) -> AbstractContextManager[object]:
        """Do nothing: a job keeps no trace."""
        return nullcontext()

    async def meet(
        self, items: Sequence[tuple[Key, Outgoing]]
    ) -> tuple[list[Record | None], LocalProtocolError | None]:
        """Make items known to the job, up to one that differs; see `runs.screening.Job`."""
        assert self._identity is not None  # noqa: S101 - an account is given for this
        seen = [(key, self._identity.digest(*_content(item))) for key, item in items]

        def work(connection: sqlite3.Connection) -> list[Record | None]:
            records: list[Record | None] = []
            new: list[tuple[Key, bytes, str]] = []
            again: list[tuple[str, Key]] = []
            met: set[Key] = set()
            for key, digest in seen:
                row = None
                if key not in met:
                    row = connection.execute(_READ, (key,)).fetchone()
                if key in met or (row is not None and row[1] == self._run):
                    records.append(_MET)
                elif row is None:
                    new.append((key, digest, self._run))
                    records.append(None)
                elif row[0] != digest:
                    break
                else:
                    again.append((self._run, key))
                    records.append(_record(*row[2:]))
                met.add(key)
            connection.executemany(_MEET, new)
            connection.executemany(_MEET_AGAIN, again)
            return records

        records = await self._thread.do(work)
        if len(records) == len(seen):
            return records, None
        key = seen[len(records)][0]
        row = f"{row_of(key)} has another number or another message there"
        return records, self._changed(row, key)

    async def intend(self, entries: Iterable[Entry]) -> None:
        """Write down what is about to be sent, in place of what was known of it."""
        rows = [("\n".join(entry.message_ids), entry.key) for entry in entries]
        await self._change(
            "update items set message_ids = ?, outcome = null, answered = 0, reason = null"
            " where key = ?",
            rows,
        )

    async def record(
        self, keys: Iterable[Key], outcome: SendOutcome, reason: str | None, *, answered: bool
    ) -> None:
        """Write down what became of items."""
        rows = [(outcome.value, answered, reason, key) for key in keys]
        await self._change(
            "update items set outcome = ?, answered = ?, reason = ? where key = ?", rows
        )

    async def in_doubt(self) -> AsyncGenerator[dict[Key, tuple[str, ...]], None]:
        """Page through the items that may have been sent: their message ids by key."""
        page: dict[Key, tuple[str, ...]] = {}
        last: Key = -1  # positions are from 0, and SQLite sorts texts behind numbers

        def read(connection: sqlite3.Connection) -> dict[Key, tuple[str, ...]]:
            rows = connection.execute(
                "select key, message_ids from items where key > ? and message_ids != ''"
                " and (outcome is null or outcome = ?) order by key limit ?",
                (last, SendOutcome.UNKNOWN.value, _PAGE),
            )
            return {key: tuple(message_ids.split("\n")) for key, message_ids in rows}

        while page := await self._thread.do(read):
            yield page
            last = next(reversed(page))


def _record(ids: str, outcome: str | None, answered: int, reason: str | None) -> Record:
    return Record(
        tuple(ids.split("\n")) if ids else (),
        None if outcome is None else SendOutcome(outcome),
        bool(answered),
        reason,
    )


def number_of(item: Outgoing) -> str | None:
    """The number of an item; None where the caller gave something that is none."""
    given = item.recipient
    number: object = given.msisdn if isinstance(given, Recipient) else given
    return number if isinstance(number, str) else None


def _content(item: Outgoing) -> tuple[str, str]:
    """What tells an item from a changed one."""
    return number_of(item) or repr(item.recipient), text_of(item.message)


async def settle_doubts(
    path: str | Path,
    ask: Callable[[Iterable[str]], Awaitable[Mapping[str, DeliveryReport]]],
    proven: dict[str, DeliveryReport],
) -> None:
    """Ask about the items of a job that may have been sent, and write down which ones were.

    Args:
        path: of the job.
        ask: gives the reports that there are, by message id.
        proven: gets them.

    Raises:
        StorageUnavailableError: the job cannot be opened or written.
    """
    async with SendJob(path) as job:
        async for page in job.in_doubt():
            proven.update(await ask(chain.from_iterable(page.values())))
            sent = [key for key, ids in page.items() if proven.keys() >= set(ids)]
            reason = "a delivery report proves it"
            await job.record(sent, SendOutcome.SENT, reason, answered=True)
