"""A journal in an SQLite file."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Self

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.sqlite_thread import FileKind, SqliteThread
from infobip_async.errors import StorageUnavailableError
from infobip_async.journal import sqlite_tables
from infobip_async.journal.base import (
    DEDUP_WINDOW,
    WHOLE_PUSH,
    Decode,
    EventState,
    Journal,
    RowDigests,
    SetAside,
    State,
    StoredPush,
    place_of,
)
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.worker import JournalWorker
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router

_logger = logging.getLogger("infobip_async.journal")

_AT_ONCE: Final = 256
_DEFAULT_SETTINGS: Final = HandlerSettings()

_Decision = Callable[[sqlite3.Connection, Sequence[tuple[int, int]]], None]
"""What is done to events that are set aside, given by push and number."""


class _Storage:
    """Pushes and states in a file; see `infobip_async.journal.base.Storage`."""

    def __init__(self, thread: SqliteThread, dedup_window: float) -> None:
        self._thread = thread
        self._dedup_window = dedup_window
        self._puts: Batcher[RawPush] = Batcher(self._insert)
        self._news = asyncio.Event()
        self._after = 0

    def rewind(self) -> None:
        """Let `take` begin with the oldest open push."""
        self._after = 0

    async def put(self, push: RawPush) -> None:
        await self._puts.write(push)

    async def _insert(self, pushes: Sequence[RawPush]) -> None:
        await self._thread.do(partial(sqlite_tables.insert, pushes=pushes))
        self._news.set()

    async def take(self, limit: int) -> Sequence[StoredPush]:
        self._news.clear()
        pushes = await self._thread.do(
            partial(sqlite_tables.read_open, after=self._after, limit=limit)
        )
        if pushes:
            self._after = pushes[-1].id
        return pushes

    async def wait(self) -> None:
        await self._news.wait()

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        return await self._thread.do(
            partial(sqlite_tables.claim, claims=claims, seconds=self._dedup_window)
        )

    async def record(self, states: Sequence[EventState]) -> None:
        await self._thread.do(partial(sqlite_tables.record, states=states))

    async def decide(
        self, states: Iterable[State], places: Sequence[tuple[int, int]], decision: _Decision
    ) -> int:
        """Carry out a decision about events that are set aside, and count the events."""

        def work(connection: sqlite3.Connection) -> int:
            found = sqlite_tables.find_set_aside(connection, states, places)
            decision(connection, found)
            return len(found)

        count = await self._thread.do(work)
        self._news.set()
        return count


class SqliteJournal:
    """Stores accepted pushes in a file until they are handled, and what could not be handled.

    ::

        journal = SqliteJournal("pushes.db")
        app.add_subapp("/infobip", webhook_app(router, secret=secret, journal=journal))

    A push is on disk before it is acknowledged, and survives a loss of power
    (``synchronous=FULL``); pushes that come at the same time share an fsync. The file belongs to
    one process at a time. It holds numbers and texts in clear; a new one is readable by its owner
    alone (mode 0600).

    A row of a delivery report or HLR push that came before, within `dedup_window` seconds, is
    acknowledged and not handled again. Handlers must expect some events twice all the same: those
    that were being handled when the process died. Handled pushes are deleted, and their space is
    used again.

    To look into a journal that is not being served, use it as a context manager of its own.

    Args:
        path: the file; made if there is none, but its directory is not.
        settings: how events are handled.
        dedup_window: seconds within which equal rows count as repeated.

    Raises:
        LocalProtocolError: when it is opened: there is no such directory, or the file is not a
            journal.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        settings: HandlerSettings = _DEFAULT_SETTINGS,
        dedup_window: float = DEDUP_WINDOW,
    ) -> None:
        self._thread = SqliteThread(path, FileKind.JOURNAL, sqlite_tables.SCHEMA)
        self._storage = _Storage(self._thread, dedup_window)
        self._settings = settings

    async def __aenter__(self) -> Self:
        await self._thread.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.aclose()

    async def put(self, push: RawPush) -> None:
        """Store a push; it is on disk on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: the push is not stored, and must not be acknowledged.
        """
        await self._storage.put(push)

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Open the file, and hand stored pushes to the router until the context is left.

        If the file cannot be opened now, each push tries again to open it.

        Raises:
            LocalProtocolError: the file can never be opened: there is no such directory, or it is
                not a journal.
        """
        self._thread.start()
        try:
            try:
                await self._thread.open()
            except StorageUnavailableError as fault:
                _logger.error("pushes are refused: %s", fault)  # noqa: TRY400 - no trace of ours
            self._storage.rewind()
            async with JournalWorker(self._storage, router, decode, self._settings):
                yield
        finally:
            await self._thread.aclose()

    async def waiting(self) -> AsyncGenerator[StoredPush, None]:
        """Give the pushes with events that wait or are being handled, in order."""
        after = 0
        while pushes := await self._thread.do(
            partial(sqlite_tables.read_open, after=after, limit=_AT_ONCE)
        ):
            for push in pushes:
                yield push
            after = pushes[-1].id

    def dead(self) -> AsyncGenerator[SetAside, None]:
        """Give the dead letters: events whose handlers failed too often, in order."""
        return self._set_aside(State.DEAD)

    def quarantine(self) -> AsyncGenerator[SetAside, None]:
        """Give what was authentic and could not be read: pushes, and rows of pushes, in order."""
        return self._set_aside(State.QUARANTINED)

    async def requeue(self, ids: Iterable[str] | None = None) -> int:
        """Have dead letters handled again, as if they had just arrived.

        Args:
            ids: of `SetAside`; None for all.

        Returns:
            How many there were.

        Raises:
            LocalProtocolError: an id that no event can have; the ids before it were put back.
            StorageUnavailableError: the file could not be written.
        """
        return await self._decide([State.DEAD], ids, sqlite_tables.put_back)

    async def replay(self, ids: Iterable[str] | None = None) -> int:
        """Read quarantined pushes and rows again; as `requeue`."""
        return await self._decide([State.QUARANTINED], ids, sqlite_tables.put_back)

    async def discard(self, ids: Iterable[str] | None = None) -> int:
        """Forget dead letters and quarantined pushes and rows; as `requeue`."""
        return await self._decide([State.DEAD, State.QUARANTINED], ids, sqlite_tables.discard)

    async def move_to(self, journal: Journal) -> int:
        """Hand the waiting pushes to another journal, in order, and forget them.

        If the move is interrupted, the last pushes may be handed over twice. This journal must
        not be served at the same time: use it as a context manager of its own.

        Args:
            journal: takes the pushes.

        Returns:
            How many there were.

        Raises:
            StorageUnavailableError: one of the journals cannot be used; the rest waits here.
        """
        count = 0
        moved: list[EventState] = []
        try:
            async for stored in self.waiting():
                await journal.put(stored.push)
                moved.append(EventState(stored.id, WHOLE_PUSH, State.DONE, closes=True))
                count += 1
                if len(moved) == _AT_ONCE:
                    await self._storage.record(moved)
                    moved = []
        finally:
            await self._storage.record(moved)
        return count

    async def _set_aside(self, state: State) -> AsyncGenerator[SetAside, None]:
        after = (0, WHOLE_PUSH)
        while page := await self._thread.do(
            partial(sqlite_tables.read_set_aside, state=state, after=after)
        ):
            for one in page:
                yield one
            after = place_of(page[-1].id)

    async def _decide(
        self, states: Sequence[State], ids: Iterable[str] | None, decision: _Decision
    ) -> int:
        if ids is None:
            # Listed first: an event that fails again meanwhile is not put back a second time.
            ids = [one.id for state in states async for one in self._set_aside(state)]
        count = 0
        rest = iter(ids)
        while places := [place_of(one) for one in islice(rest, _AT_ONCE)]:
            count += await self._storage.decide(states, places, decision)
        return count
