"""A person's data out of the pushes of a journal, which are stored as they arrived.

An inbound message that mentions the number goes as a whole. Of a push of reports go the rows that
do: others of the same push may wait to be handled, and keep their numbers. So a row is overwritten,
and counts as done with.
"""

import asyncio
import json
import re
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from infobip_async.concurrency.sqlite_erasure import erase
from infobip_async.concurrency.sqlite_file import FileKind, SqliteFile
from infobip_async.journal.base import EventState, State
from infobip_async.journal.sqlite_tables import SCHEMA, close, page, push_of, record
from infobip_async.protocol import hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat, decode

_READ: Final = (
    "select id, kind, query, body, received_at, trace, wanted from pushes"
    " where id > ? order by id limit 100"
)


async def forget(path: Path, mentions: re.Pattern[str]) -> int:
    """Forget all events of a journal that mention a number, those that wait included.

    Args:
        path: of the journal, which receivers may serve meanwhile.
        mentions: finds the number in a text.

    Returns:
        How many there were.

    Raises:
        StorageUnavailableError: the journal cannot be rewritten now.
    """
    file = SqliteFile(path, FileKind.JOURNAL, SCHEMA, shared=True)
    return await asyncio.to_thread(erase, file, partial(_forget, mentions=mentions))


def _forget(connection: sqlite3.Connection, mentions: re.Pattern[str]) -> int:
    count, last = 0, 0
    while rows := page(connection, _READ, (last,)):
        for push_id, kind, query, body, *rest, wanted in rows:
            if mentions.search(f"{_text(query)}\n{_text(body)}"):
                found = _Found(push_id, wanted, mentions)
                count += found.forget(connection, (kind, query, body, *rest))
        last = rows[-1][0]
    _forget_reasons(connection, mentions)
    return count


def _text(octets: object) -> str:
    return octets.decode("latin-1") if isinstance(octets, bytes) else str(octets)


def _forget_reasons(connection: sqlite3.Connection, mentions: re.Pattern[str]) -> None:
    """Take the number out of what handlers have raised, also on other events of their batch."""
    rows = connection.execute(
        "select reason, push, number from states where reason != ''"
    ).fetchall()
    connection.executemany(
        "update states set reason = ? where push = ? and number = ?",
        [
            (mentions.sub("(forgotten)", reason), *place)
            for reason, *place in rows
            if mentions.search(reason)
        ],
    )


@attrs.frozen
class _Found:
    """A push that mentions the number somewhere.

    Attributes:
        id: its id.
        wanted: the numbers of its events to handle, as JSON; None for all.
        mentions: finds the number.
    """

    id: int
    wanted: str | None
    mentions: re.Pattern[str]

    def forget(self, connection: sqlite3.Connection, columns: Sequence[Any]) -> int:
        """Forget the events of the push that mention the number, and count them."""
        try:
            push = push_of(*columns)
            body, numbers, total = self._overwritten(push)
        except Exception:  # noqa: BLE001 - nobody can read it, or not its rows
            body, numbers, total = b"", frozenset(), 0
        if len(numbers) == total:
            for table, key in (("states", "push"), ("pushes", "id")):
                connection.execute(f"delete from {table} where {key} = ?", (self.id,))  # noqa: S608 - constants
            return max(total, 1)
        connection.execute("update pushes set body = ? where id = ?", (body, self.id))
        record(connection, [EventState(self.id, number, State.DONE) for number in numbers])
        self._close_if_done(connection, total)
        return len(numbers)

    def _overwritten(self, push: RawPush) -> tuple[bytes, frozenset[int], int]:
        """Give the body without the events, their numbers, and the number of all events."""
        events = decode(push, PushFormat())
        numbers = frozenset(
            number
            for number, event in enumerate(events)
            if self.mentions.search(str(attrs.astuple(event)))
        )
        if push.kind is PushKind.HLR_REPORTS:
            return hlr_dlr.overwrite(push.body, numbers), numbers, len(events)
        octets = self.mentions.sub("0", _text(push.body)).encode("latin-1")
        return octets, numbers, len(events)

    def _close_if_done(self, connection: sqlite3.Connection, total: int) -> None:
        rows = connection.execute("select number, state from states where push = ?", (self.id,))
        final = {number for number, state in rows if State(state).final}
        if final.issuperset(range(total) if self.wanted is None else json.loads(self.wanted)):
            close(connection, [self.id])
