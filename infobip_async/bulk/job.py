"""The record of a bulk send, in a file: what was intended, and what became of it.

An intent is on disk before its request starts, and an outcome before it is reported. So after a
crash an item without a record was not sent, one with an outcome is done with, and one with an
intent alone may have been sent.
"""

import sqlite3
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from itertools import chain
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Final, Self

import attrs

from infobip_async.bulk.groups import Entry, Key
from infobip_async.bulk.items import SendOutcome
from infobip_async.concurrency.sqlite_thread import FileKind, SqliteThread
from infobip_async.models import DeliveryReport

_SCHEMA: Final = """
create table if not exists items (
    key primary key, run text not null, number text not null, message_ids text not null,
    outcome text, answered integer not null, reason text
) without rowid;
"""
# Without a type, a column keeps numbers and texts apart: position 1 is not the key "1".

_PAGE: Final = 100
"""Items in doubt that are read at once."""


@attrs.frozen
class Record:
    """What a job knows of an item.

    Attributes:
        number: to which it was sent, or would have been.
        message_ids: what reports name of it.
        outcome: None where there is an intent alone.
        answered: whether the outcome is an answer of the gateway's, which a repetition would get
            again.
        reason: in words, where it was not sent or may not have been.
        own: whether this very run has written it.
    """

    number: str
    message_ids: tuple[str, ...]
    outcome: SendOutcome | None
    answered: bool
    reason: str | None
    own: bool

    @property
    def in_doubt(self) -> bool:
        """Whether it may have been sent or not."""
        return self.outcome in {None, SendOutcome.UNKNOWN}


class Job:
    """Remembers the items of a bulk send by their keys, over crashes.

    Args:
        path: the file; made where there is none. Only one process can have it open.

    Raises:
        StorageUnavailableError: by every method: the file cannot be read or written, and nothing
            of what was to be written is.
    """

    def __init__(self, path: str | Path) -> None:
        self._writer = SqliteThread(path, FileKind.SEND_JOB, _SCHEMA)
        self._run = token_hex(8)

    async def __aenter__(self) -> Self:
        await self._writer.__aenter__()
        try:
            await self._writer.do(lambda _: None)
        except BaseException:
            await self._writer.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._writer.aclose()

    async def known(self, keys: Collection[Key]) -> dict[Key, Record]:
        """The records that there are of some items, by key."""

        def read(connection: sqlite3.Connection) -> dict[Key, Record]:
            found: dict[Key, Record] = {}
            for key in keys:
                row = connection.execute(
                    "select number, message_ids, outcome, answered, reason, run"
                    " from items where key = ?",
                    (key,),
                ).fetchone()
                if row is not None:
                    number, ids, outcome, answered, reason, run = row
                    found[key] = Record(
                        number,
                        tuple(ids.split("\n")),
                        outcome and SendOutcome(outcome),
                        bool(answered),
                        reason,
                        run == self._run,
                    )
            return found

        return await self._writer.do(read)

    async def intend(self, entries: Iterable[Entry]) -> None:
        """Write down what is about to be sent, in place of what was known of it."""
        rows = [
            (entry.key, self._run, entry.recipient.msisdn, "\n".join(entry.message_ids))
            for entry in entries
        ]
        await self._change("insert or replace into items values (?, ?, ?, ?, null, 0, null)", rows)

    async def settle(
        self, keys: Iterable[Key], outcome: SendOutcome, reason: str | None, *, answered: bool
    ) -> None:
        """Write down what became of items."""
        rows = [(outcome.value, answered, reason, key) for key in keys]
        await self._change(
            "update items set outcome = ?, answered = ?, reason = ? where key = ?", rows
        )

    async def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        await self._writer.do(lambda connection: connection.executemany(statement, rows).rowcount)

    async def in_doubt(self) -> AsyncGenerator[dict[Key, tuple[str, ...]], None]:
        """Page through the items that may have been sent: their message ids by key."""
        page: dict[Key, tuple[str, ...]] = {}
        last: Key = -1  # positions are from 0, and SQLite sorts texts behind numbers

        def read(connection: sqlite3.Connection) -> dict[Key, tuple[str, ...]]:
            rows = connection.execute(
                "select key, message_ids from items where key > ?"
                " and (outcome is null or outcome = ?) order by key limit ?",
                (last, SendOutcome.UNKNOWN.value, _PAGE),
            )
            return {key: tuple(message_ids.split("\n")) for key, message_ids in rows}

        while page := await self._writer.do(read):
            yield page
            last = next(reversed(page))


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
    async with Job(path) as job:
        async for page in job.in_doubt():
            proven.update(await ask(chain.from_iterable(page.values())))
            sent = [key for key, ids in page.items() if proven.keys() >= set(ids)]
            reason = "a delivery report proves it"
            await job.settle(sent, SendOutcome.SENT, reason, answered=True)
