"""A journal in an SQLite file."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Self, TypeVar

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.sqlite_thread import FileKind, SqliteThread
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal import sqlite_tables
from infobip_async.journal.base import (
    WHOLE_POST,
    Decode,
    EventState,
    Journal,
    RowDigests,
    State,
    StoredPush,
)
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.sqlite_tables import SetAside
from infobip_async.journal.worker import Worker
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router

T = TypeVar("T")

_logger = logging.getLogger("infobip_async.journal")

REMEMBERED: Final = 26 * 3600.0
"""The gateway sends again for a little more than 24 hours (§3.1)."""

_AT_ONCE: Final = 256
_ID: Final = re.compile("([0-9]{1,18})(?::([0-9]{1,9}))?")
_DEFAULT_SETTINGS: Final = HandlerSettings()

_Decision = Callable[[sqlite3.Connection, Sequence[tuple[int, int]]], None]
"""What is done to events that were set aside, given by post and number."""


class _Storage:
    """Posts and marks in a file; see `infobip_async.journal.base.Storage`."""

    def __init__(self, thread: SqliteThread, remembered: float) -> None:
        self._thread = thread
        self._remembered = remembered
        self._puts: Batcher[RawPush] = Batcher(self._insert)
        self._news = asyncio.Event()
        self._after = 0

    def rewind(self) -> None:
        """Give what is open from the beginning."""
        self._after = 0

    async def put(self, push: RawPush) -> None:
        await self._puts.write(push)

    async def _insert(self, pushes: Sequence[RawPush]) -> None:
        await self._thread.do(partial(sqlite_tables.insert, pushes=pushes))
        self._news.set()

    async def take(self, limit: int) -> Sequence[StoredPush]:
        self._news.clear()
        posts = await self._thread.do(
            partial(sqlite_tables.read_open, after=self._after, limit=limit)
        )
        if posts:
            self._after = posts[-1].id
        return posts

    async def wait(self) -> None:
        await self._news.wait()

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        return await self._thread.do(
            partial(sqlite_tables.claim, claims=claims, seconds=self._remembered)
        )

    async def settle(self, marks: Sequence[EventState]) -> None:
        await self._thread.do(partial(sqlite_tables.settle, marks=marks))

    async def decide(
        self, states: Iterable[State], places: Sequence[tuple[int, int]], decision: _Decision
    ) -> int:
        """Have something done to the events that are kept in some states, and count them."""

        def work(connection: sqlite3.Connection) -> int:
            found = sqlite_tables.find_set_aside(connection, states, places)
            decision(connection, found)
            return len(found)

        count = await self._thread.do(work)
        self._news.set()
        return count


class SqliteJournal:
    """Keeps accepted posts in a file until they are handled, and what could not be.

    ::

        journal = SqliteJournal("posts.db")
        app.add_subapp("/infobip", webhook_app(router, secret=secret, journal=journal))

    A post is on disk before it is acknowledged, also through a loss of power
    (``synchronous=FULL``); posts that come at the same time share an fsync. The file belongs to
    one process at a time. It holds numbers and texts in clear.

    A row of a delivery report or HLR post that came before, within `remembered` seconds, is
    acknowledged and not handled again. Handlers must expect some events twice all the same: those
    that were being handled when the process died. What is done with is deleted; the space is used
    again.

    To look into a journal that is not being served, use it as a context manager of its own.

    Args:
        path: the file; made where there is none, but its directory is not.
        handling: how events are handled.
        remembered: seconds that rows are told from later ones that are equal.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        handling: HandlerSettings = _DEFAULT_SETTINGS,
        remembered: float = REMEMBERED,
    ) -> None:
        self._thread = SqliteThread(path, FileKind.JOURNAL, sqlite_tables.SCHEMA)
        self._storage = _Storage(self._thread, remembered)
        self._handling = handling

    async def __aenter__(self) -> Self:
        await self._thread.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.aclose()

    async def put(self, push: RawPush) -> None:
        """Keep a post; it is on disk on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: nothing was kept; the post must not be acknowledged.
        """
        await self._storage.put(push)

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Open the file, and hand what it keeps to the router until the context is left.

        A file that cannot be opened now is tried again with every post.

        Raises:
            LocalProtocolError: it never can be: there is no such directory, or the file is not
                a journal.
        """
        self._thread.start()
        try:
            try:
                await self._thread.open()
            except StorageUnavailableError as fault:
                _logger.error("posts are refused: %s", fault)  # noqa: TRY400 - no trace of ours
            self._storage.rewind()
            async with Worker(self._storage, router, decode, self._handling):
                yield
        finally:
            await self._thread.aclose()

    async def waiting(self) -> AsyncGenerator[StoredPush, None]:
        """What is not done with: posts with events to be handled, or in work, in order."""
        after = 0
        while posts := await self._thread.do(
            partial(sqlite_tables.read_open, after=after, limit=_AT_ONCE)
        ):
            for post in posts:
                yield post
            after = posts[-1].id

    def dead(self) -> AsyncGenerator[SetAside, None]:
        """The dead letters: events whose handlers failed time and again, in order."""
        return self._set_aside(State.DEAD)

    def quarantine(self) -> AsyncGenerator[SetAside, None]:
        """What was authentic and could not be read: posts, and single rows of posts, in order."""
        return self._set_aside(State.QUARANTINED)

    async def requeue(self, ids: Iterable[str] | None = None) -> int:
        """Have dead letters handled again, as if they had just arrived.

        Args:
            ids: of `SetAside`; all where it is None.

        Returns:
            How many there were.

        Raises:
            LocalProtocolError: an id that no event can have; those before it are done with.
            StorageUnavailableError: the file could not be written.
        """
        return await self._decide([State.DEAD], ids, sqlite_tables.put_back)

    async def replay(self, ids: Iterable[str] | None = None) -> int:
        """Read again what is in quarantine; as `requeue`."""
        return await self._decide([State.QUARANTINED], ids, sqlite_tables.put_back)

    async def discard(self, ids: Iterable[str] | None = None) -> int:
        """Forget dead letters, and what is in quarantine; as `requeue`."""
        return await self._decide([State.DEAD, State.QUARANTINED], ids, sqlite_tables.discard)

    async def move_to(self, journal: Journal) -> int:
        """Hand the posts that wait to another journal, in order, and forget them.

        Those whose move is interrupted may be handed over twice. For a journal that is not being
        served: used as a context manager of its own.

        Args:
            journal: takes them.

        Returns:
            How many there were.

        Raises:
            StorageUnavailableError: one of the journals cannot be used; the rest waits here.
        """
        count = 0
        moved: list[EventState] = []
        try:
            async for post in self.waiting():
                await journal.put(post.push)
                moved.append(EventState(post.id, WHOLE_POST, State.DONE, closes=True))
                count += 1
                if len(moved) == _AT_ONCE:
                    await self._storage.settle(moved)
                    moved = []
        finally:
            await self._storage.settle(moved)
        return count

    async def _set_aside(self, state: State) -> AsyncGenerator[SetAside, None]:
        after = (0, WHOLE_POST)
        while page := await self._thread.do(
            partial(sqlite_tables.read_set_aside, state=state, after=after)
        ):
            for one in page:
                yield one
            after = _place(page[-1].id)

    async def _decide(
        self, states: Sequence[State], ids: Iterable[str] | None, decision: _Decision
    ) -> int:
        if ids is None:
            # Listed first: what fails again meanwhile is not put back a second time.
            ids = [one.id for state in states async for one in self._set_aside(state)]
        count = 0
        rest = iter(ids)
        while places := [_place(one) for one in islice(rest, _AT_ONCE)]:
            count += await self._storage.decide(states, places, decision)
        return count


def _place(set_aside: str) -> tuple[int, int]:
    match = _ID.fullmatch(set_aside)
    if match is None:
        raise LocalProtocolError(f"{set_aside!r} is no id of the journal", field="ids")
    return int(match[1]), WHOLE_POST if match[2] is None else int(match[2])
