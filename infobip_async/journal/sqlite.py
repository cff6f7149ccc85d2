"""A journal in an SQLite file."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Self

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.file_lock import FileLock
from infobip_async.concurrency.sqlite_file import FileKind, network_of
from infobip_async.concurrency.sqlite_thread import SqliteThread
from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal import sqlite_set_aside, sqlite_tables
from infobip_async.journal.base import (
    DEDUP_WINDOW,
    WHOLE_PUSH,
    Decode,
    EventState,
    Journal,
    JournalCounts,
    SetAside,
    State,
    StoredPush,
    place_of,
)
from infobip_async.journal.forget_number import forget
from infobip_async.journal.notes import Notes
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.sharing import Turns
from infobip_async.journal.sqlite_storage import Decision, SqliteStorage
from infobip_async.numbering.mentions import mentions
from infobip_async.numbering.normalising import normalise
from infobip_async.protocol.exchange import RawPush
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router

_logger = logger_of_faults("infobip_async.journal")

_AT_ONCE: Final = 256
_DEFAULT_SETTINGS: Final = HandlerSettings()


class SqliteJournal:
    """Stores accepted pushes in a file until they are handled, and what could not be handled.

    ::

        journal = SqliteJournal("pushes.db")
        app.add_subapp("/infobip", webhook_app(router, secret=secret, journal=journal))

    A push is on disk before it is acknowledged, and survives a loss of power
    (``synchronous=FULL``); pushes that come at the same time share an fsync. The file holds numbers
    and texts in clear; a new one, or an empty one, becomes readable by its owner alone (mode 0600).

    Any number of processes of one machine may serve the same file: each stores what is pushed at
    it, and one of them has the events handled. Another one goes on at once when that one ends or
    dies. `HlrLookups` hears in each process of all HLR reports. A file system of a network will not
    do.

    A row of a delivery report or HLR push that came before, within `dedup_window` seconds, is
    acknowledged and not handled again. Handlers must expect some events twice all the same: those
    that were being handled when the process died. Handled pushes are deleted, and their space is
    used again.

    To look into a journal, also while other processes serve it, use it as a context manager. An
    empty file becomes a journal when something is written.

    Args:
        path: the file; made if there is none, but its directory is not.
        settings: how events are handled.
        dedup_window: seconds within which equal rows count as repeated.
        keep: seconds after which a receiver forgets dead letters and what could not be read; None
            to keep them until somebody decides.

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
        keep: float | None = 30 * 24 * 3600.0,
    ) -> None:
        self._path = Path(path)
        self._thread = SqliteThread(path, FileKind.JOURNAL, sqlite_tables.SCHEMA, shared=True)
        self._turn = FileLock(Path(f"{path}-lock"))
        self._notes = Notes(Path(f"{path}-handling"), pages=4 * settings.concurrency)
        self._storage = SqliteStorage(self._thread, dedup_window, keep, settings.clock, self._notes)
        self._puts: Batcher[RawPush] = Batcher(self._insert)
        self._settings = settings

    async def __aenter__(self) -> Self:
        await self._thread.start_to_look(lambda _: None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.aclose()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Open the file, and let no other process take pushes out of it.

        Raises:
            StorageUnavailableError: another process does that; or the file cannot be used.
        """
        async with self:
            if not self._turn.take():
                raise StorageUnavailableError(
                    f"{self._path} is in use: give each process a file of its own"
                )
            try:
                yield
            finally:
                self._turn.release()

    async def put(self, push: RawPush) -> None:
        """Store a push; it is on disk on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: the push is not stored, and must not be acknowledged.
        """
        await self._puts.write(push)

    async def _insert(self, pushes: Sequence[RawPush]) -> None:
        """Store the pushes that came during the last write."""
        try:
            if self._storage.faults:
                await self._storage.check_readable()
            await self._thread.do(partial(sqlite_tables.insert, pushes=pushes))
        except LocalProtocolError as fault:  # another file came to the path; it may go again
            raise StorageUnavailableError(str(fault)) from None
        self._storage.news.set()

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Open the file, and hand stored pushes to the router until the context is left.

        While another process does that, this one only stores; it goes on when the other one ends.

        If the file cannot be opened now, each push tries again to open it.

        Args:
            router: where the events go.
            decode: reads a push.

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
            if network := network_of(self._path):
                _logger.warning(
                    "%s lies on a file system of a network (%s): pushes may get lost there,"
                    " above all where several machines use the file",
                    self._path,
                    network,
                )
            turns = Turns(self._storage, self._turn, router, decode, self._settings)
            await turns.begin()
            running = LastingTasks("journal", _logger)
            running.start(turns.run)
            try:
                yield
            finally:
                turns.stop()
                running.ending = True
                await running.tasks.drain()
                self._notes.close()
        finally:
            await self._thread.aclose()

    async def waiting(self) -> AsyncGenerator[StoredPush, None]:
        """Give the pushes with events that wait or are being handled, in order."""
        after = 0
        while pushes := await self._thread.do(
            partial(sqlite_tables.read_open, after=after, limit=_AT_ONCE), writes=False
        ):
            for push in pushes:
                if isinstance(push, StoredPush):  # a receiver sets the others aside
                    yield push
            after = pushes[-1].id

    async def counts(self) -> JournalCounts:
        """Count what is in the journal, also while it is served.

        Raises:
            StorageUnavailableError: the file cannot be read.
        """
        return await self._storage.counts()

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
        return await self._decide([State.DEAD], ids, sqlite_set_aside.put_back)

    async def replay(self, ids: Iterable[str] | None = None) -> int:
        """Read quarantined pushes and rows again; as `requeue`."""
        return await self._decide([State.QUARANTINED], ids, sqlite_set_aside.put_back)

    async def discard(self, ids: Iterable[str] | None = None) -> int:
        """Forget dead letters and quarantined pushes and rows; as `requeue`.

        An id may also be that of an event that waits to be handled, such as one that kills its
        process (``7:3``), or of a push (``7``: all its events that wait). Handlers that have the
        event already go on.
        """
        several = None if ids is None else list(ids)
        count = await self._decide(
            [State.DEAD, State.QUARANTINED], several, sqlite_set_aside.discard
        )
        places = sorted(set(map(place_of, several or ())))
        return count + await self._thread.do(
            partial(sqlite_set_aside.discard_waiting, places=places)
        )

    async def forget(self, *, msisdn: str) -> int:
        """Forget all events that mention a number, those that wait included.

        The file is written anew, so that the digits are nowhere in it; a receiver waits meanwhile.
        Events that a receiver has read already are handled.

        Args:
            msisdn: the number, in any form that `numbering.normalise` reads.

        Returns:
            How many events there were.

        Raises:
            LocalProtocolError: it is no number.
            StorageUnavailableError: the file cannot be rewritten now, and may hold the digits.
        """
        return await forget(self._path, mentions(normalise(msisdn)))

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
            partial(sqlite_set_aside.read_set_aside, state=state, after=after), writes=False
        ):
            for one in page:
                yield one
            after = place_of(page[-1].id)

    async def _decide(
        self, states: Sequence[State], ids: Iterable[str] | None, decision: Decision
    ) -> int:
        if ids is None:
            # Listed first: an event that fails again meanwhile is not put back a second time.
            ids = [one.id for state in states async for one in self._set_aside(state)]
        count = 0
        rest = iter(ids)
        while places := [place_of(one) for one in islice(rest, _AT_ONCE)]:
            count += await self._storage.decide(states, places, decision)
        return count
