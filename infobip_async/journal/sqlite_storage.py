"""What is handled of an SQLite journal, and how several processes hear of each other there."""

import asyncio
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from secrets import token_hex
from time import monotonic, time
from typing import Final, TypeVar

import attrs

from infobip_async.concurrency.sqlite_thread import SqliteThread
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal import sqlite_listeners, sqlite_set_aside, sqlite_tables
from infobip_async.journal.base import (
    WHOLE_PUSH,
    EventState,
    JournalCounts,
    RowDigests,
    State,
    StoredPush,
)
from infobip_async.journal.notes import Notes, Row
from infobip_async.journal.sqlite_tables import UnreadablePush
from infobip_async.protocol.exchange import RawPush
from infobip_async.redaction import logger_of_faults

_logger = logger_of_faults("infobip_async.journal")

T = TypeVar("T")

_AT_ONCE: Final = 256
_SECONDS_BETWEEN_LOOKS: Final = 0.05
_SECONDS_BETWEEN_NEWS: Final = 1.0
_LONGEST_SILENCE: Final = 10.0

Decision = Callable[[sqlite3.Connection, Sequence[tuple[int, int]]], None]
"""What is done to events that are set aside, given by push and number."""


@attrs.frozen
class _Told:
    """What the file knows of a listener.

    Attributes:
        heard: the id of the last push that it has heard.
        since: when that was told, by a clock that does not go back.
        at: the same by the clock of the machine, which the file goes by.
    """

    heard: int = 0
    since: float = -math.inf
    at: float = -math.inf

    @property
    def silence(self) -> float:
        """Seconds since then, by the clock that has gone further: that of the machine may jump.

        It does when the machine was suspended, and then the file takes the listener for dead.
        """
        return max(monotonic() - self.since, time() - self.at)


class SqliteStorage:
    """Stored pushes and their states; see `Storage` and `SharedStorage` for the rules.

    Args:
        thread: works on the file.
        dedup_window: seconds within which equal rows count as repeated.
        keep: seconds after which what was set aside is forgotten; None for never.
        clock: gives seconds since the epoch.
        notes: outlive the process.

    Attributes:
        faults: why the worker could not do something, by what it was; empty once it can again.
        news: is set when a push is stored.
    """

    def __init__(
        self,
        thread: SqliteThread,
        dedup_window: float,
        keep: float | None,
        clock: Callable[[], float],
        notes: Notes,
    ) -> None:
        self._clock = clock
        self._notes = notes
        self._looked_back = False
        self._thread = thread
        self._dedup_window = dedup_window
        self._keep = keep
        self.news: asyncio.Event = asyncio.Event()
        self._after = 0
        self.faults: dict[str, Exception] = {}
        self._listener = token_hex(8)
        self._heard: int | None = None  # up to which push this process has listened
        self._told = _Told()

    def rewind(self) -> None:
        """Let `take` begin with the oldest push that is not closed."""
        self._after = 0
        self._looked_back = False

    async def _look_back(self) -> None:
        """Write down which events handlers had when an earlier process died.

        Where the file of the notes cannot be used, such as on a full disk, each `take` tries again.
        """
        left = self._notes.open()
        work = partial(sqlite_tables.suspect, places=left)
        if left and (count := await self._do("suspect", work)):
            _logger.warning("a process died while it handled %d events: each is a suspect", count)
        self._notes.clear()
        self._looked_back = self._notes.kept

    def note(self, worker: int, rows: Sequence[Row]) -> None:
        """Note which events a worker hands to its handlers."""
        self._notes.write(worker, rows)

    async def check_readable(self) -> None:
        """Look whether what `faults` tell of is over: nothing is stored that nobody could handle.

        Raises:
            StorageUnavailableError: pushes cannot be read, or not be done with.
        """
        for fault in self.faults.values():
            if not isinstance(fault, StorageUnavailableError):
                raise StorageUnavailableError(f"the journal cannot be used: {type(fault).__name__}")
        await self._read(partial(sqlite_tables.read_open, after=self._after, limit=1))

    async def _do(self, name: str, run: Callable[[sqlite3.Connection], T]) -> T:
        """Do work for the worker, and remember whether it could be done."""
        try:
            result = await self._thread.do(run, writes=name != "take", anywhere=True)
        except Exception as fault:
            self.faults[name] = fault
            raise
        self.faults.pop(name, None)
        return result

    async def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        return await self._thread.do(ask, writes=False, anywhere=True)

    async def take(self, limit: int) -> Sequence[StoredPush]:
        """Give the next pushes that are not closed; set those aside that cannot be read."""
        if not self._looked_back:
            await self._look_back()
        pushes: list[StoredPush] = []
        while not pushes:
            self.news.clear()
            found = await self._do(
                "take", partial(sqlite_tables.read_open, after=self._after, limit=limit)
            )
            if not found:
                break
            pushes = [one for one in found if isinstance(one, StoredPush)]
            if len(pushes) < len(found):
                await self._quarantine([one for one in found if not isinstance(one, StoredPush)])
            self._after = found[-1].id
        return pushes

    async def _quarantine(self, unreadable: Sequence[UnreadablePush]) -> None:
        """Set rows aside that make no push, so that they hold up nothing behind them."""
        _logger.error("%d rows of the journal are in its quarantine", len(unreadable))
        now = self._clock()
        states = [
            EventState(one.id, WHOLE_PUSH, State.QUARANTINED, 0, one.reason, now, closes=True)
            for one in unreadable
        ]
        await self.record(states)

    async def wait(self) -> None:
        """Wait for pushes of this process, and look for those of others."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_BETWEEN_LOOKS):
                    await self.news.wait()
                    return
            with suppress(StorageUnavailableError, LocalProtocolError):
                if await self._read(partial(sqlite_tables.has_open, after=self._after)):
                    return

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        """Remember rows, and tell which ones came before."""
        work = partial(sqlite_tables.claim, claims=claims, seconds=self._dedup_window)
        return await self._do("claim", work)

    async def record(self, states: Sequence[EventState]) -> None:
        """Write states down, and forget closed pushes."""
        await self._do("record", partial(sqlite_tables.record, states=states))

    async def listen(self) -> Sequence[RawPush]:
        """Give the pushes since the last call that this process may wait for."""
        read = sqlite_listeners.read_listened_for
        ask = partial(read, behind=self._heard, limit=_AT_ONCE)
        heard, pushes = await self._read(ask)
        await self._tell_heard(heard)
        self._heard = heard
        return pushes

    async def _tell_heard(self, heard: int) -> None:
        """Let the file know up to where this process has listened, about once a second."""
        before, silence = self._told.heard, self._told.silence
        if silence < (_SECONDS_BETWEEN_NEWS if heard > before else _LONGEST_SILENCE):
            return
        work = partial(sqlite_listeners.listen, name=self._listener, since=before, behind=heard)
        await self._thread.do(work, anywhere=True)
        self._told = _Told(heard, monotonic(), time())

    async def stop_listening(self) -> None:
        """Keep nothing for this process any more."""
        if self._heard is not None:
            self._heard = None
            self._told = _Told()
            work = partial(sqlite_listeners.stop_listening, name=self._listener)
            await self._thread.do(work, anywhere=True)

    async def counts(self) -> JournalCounts:
        """Count what is in the file.

        Raises:
            StorageUnavailableError: the file cannot be read.
        """
        counts = await self._thread.do(sqlite_set_aside.count, writes=False)
        return attrs.evolve(counts, in_work=len(self._notes.read()))

    async def sweep(self) -> None:
        """Forget what was kept for long enough."""
        await self._thread.do(sqlite_listeners.forget_listened_for)
        if self._keep is not None:
            before = self._clock() - self._keep
            await self._thread.do(partial(sqlite_set_aside.sweep, before=before))

    async def decide(
        self, states: Iterable[State], places: Sequence[tuple[int, int]], decision: Decision
    ) -> int:
        """Carry out a decision about events that are set aside, and count the events."""

        def work(connection: sqlite3.Connection) -> int:
            found = sqlite_set_aside.find_set_aside(connection, states, places)
            decision(connection, found)
            return len(found)

        count = await self._thread.do(work)
        self.news.set()
        return count
