"""The record of a bulk send, in a file: what was intended, and what became of it.

An intent is on disk before its request starts, and an outcome before it is reported. So after a
crash an item without a record was not sent, one with an outcome is done with, and one with an
intent alone may have been sent.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self

import attrs

from infobip_async.bulk.items import SendOutcome
from infobip_async.journal.writer import Writer

_SCHEMA = """
create table if not exists items (
    key text primary key, run text not null, message_ids text not null,
    outcome text, reason text
) without rowid;
"""


@attrs.frozen
class Record:
    """What a job knows of an item.

    Attributes:
        message_ids: under which it was, or would have been, sent.
        outcome: None where there is an intent alone.
        reason: in words, where it was not sent.
        own: whether the intent is of this very run.
    """

    message_ids: tuple[str, ...]
    outcome: SendOutcome | None
    reason: str | None
    own: bool


class Job:
    """Remembers the items of a bulk send by their keys, over crashes.

    Args:
        path: the file; made where there is none. Only one process can have it open.
    """

    def __init__(self, path: str | Path) -> None:
        self._writer = Writer(path, _SCHEMA)
        self._run = token_hex(8)

    async def __aenter__(self) -> Self:
        await self._writer.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._writer.aclose()

    async def intend(
        self, intents: Mapping[str, Sequence[str]], *, again: frozenset[SendOutcome | None]
    ) -> dict[str, Record]:
        """Write down what is about to be sent.

        Args:
            intents: the message ids of each item, by its key.
            again: the earlier outcomes of items that are to be sent once more; None among them
                for those with an intent alone.

        Returns:
            What is known of the items that must not be sent, by key.

        Raises:
            JournalUnavailableError: nothing was written down; nothing may be sent.
        """

        def write(connection: sqlite3.Connection) -> dict[str, Record]:
            known: dict[str, Record] = {}
            for key, message_ids in intents.items():
                record = self._read(connection, key)
                if record and (record.own or record.outcome not in again):
                    known[key] = record
                else:
                    connection.execute(
                        "insert or replace into items values (?, ?, ?, null, null)",
                        (key, self._run, "\n".join(message_ids)),
                    )
            return known

        return await self._writer.do(write)

    def _read(self, connection: sqlite3.Connection, key: str) -> Record | None:
        row = connection.execute(
            "select message_ids, outcome, reason, run from items where key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        message_ids, outcome, reason, run = row
        known = None if outcome is None else SendOutcome(outcome)
        return Record(tuple(message_ids.split("\n")), known, reason, run == self._run)

    async def settle(self, keys: Iterable[str], outcome: SendOutcome, reason: str | None) -> None:
        """Write down what became of items.

        Raises:
            JournalUnavailableError: it could not be written down.
        """
        rows = [(outcome.value, reason, key) for key in keys]
        await self._writer.do(
            lambda connection: (
                connection.executemany(
                    "update items set outcome = ?, reason = ? where key = ?", rows
                ).rowcount
            )
        )
