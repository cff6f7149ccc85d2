"""What a process does on a journal that others may serve, too: one handles, the others listen.

::

    not my turn ──► listen: reports that the process with the turn handles, for my own lookups
         │          try to take the turn, many times a second
         ▼
    my turn ──────► a `JournalWorker` hands everything to the handlers, until the end

The turn is a lock that goes with the process, so the next process goes on at once where one was
killed. One process at a time handles, so ordering keys, retries, parts and duplicates need no
agreement between processes.

What hears of a report may take long, or not end: it holds up neither the turn nor the stop.
"""

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

import attrs

from infobip_async.concurrency.big_work import aside
from infobip_async.concurrency.file_lock import FileLock
from infobip_async.concurrency.stop_deadline import deadline_of_stop, stop_by, time_to_stop
from infobip_async.concurrency.tasks import TaskSet, abandon
from infobip_async.errors import RemoteProtocolError, StorageUnavailableError
from infobip_async.journal.base import Decode, JournalCounts, Storage
from infobip_async.journal.levels import Levels
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.worker import JournalWorker
from infobip_async.models.events import HlrReport
from infobip_async.protocol.exchange import RawPush
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.router import Router

_logger = logger_of_faults("infobip_async.journal")

_SECONDS_BETWEEN_LOOKS: Final = 0.05
_SECONDS_BETWEEN_LOOKS_AT_THE_TURN: Final = 1.0
_SECONDS_BETWEEN_SWEEPS: Final = 600.0
_SECONDS_AFTER_A_FAULT: Final = 1.0
_SECONDS_AFTER_A_CANCELLATION: Final = 1.0


class SharedStorage(Storage, Protocol):
    """A storage that several processes have open."""

    def rewind(self) -> None:
        """Let `take` begin with the oldest push that is not closed."""

    async def listen(self) -> Sequence[RawPush]:
        """Give the pushes that came since the last call and may hold what a process waits for.

        The first call gives none, and lets the storage keep what comes from then on for this
        process, until `stop_listening`.
        """

    async def stop_listening(self) -> None:
        """Keep nothing for this process any more."""

    async def counts(self) -> JournalCounts:
        """Count what the storage holds."""

    async def sweep(self) -> None:
        """Forget what was kept for long enough."""


@attrs.define(eq=False)
class Turns:
    """Takes turns with other processes at handling what a storage holds."""

    storage: SharedStorage
    turn: FileLock
    router: Router
    decode: Decode
    settings: HandlerSettings
    _stop: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _deadline: float | None = attrs.field(default=None, init=False)
    _hearing: TaskSet = attrs.field(factory=TaskSet, init=False)
    _sparse_logger: SparseLogger = attrs.field(factory=lambda: SparseLogger(_logger), init=False)
    _levels: Levels = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._levels = Levels(self.router.watch, self.storage.counts, self.settings.clock)

    async def begin(self) -> None:
        """Take the turn, or begin to listen: what comes from now on is missed by nobody."""
        with suppress(StorageUnavailableError):
            if not self.turn.take():
                await self.storage.listen()

    def stop(self) -> None:
        """Let `run` come to its end, within the deadline of whoever calls this."""
        self._deadline = deadline_of_stop()
        self._stop.set()

    async def run(self) -> None:
        """Handle or listen until `stop`; a fault of ours costs a second, and is logged."""
        try:
            while not self._stop.is_set():
                try:
                    await self._look()
                except StorageUnavailableError as fault:
                    text = "this process cannot handle what the journal stores: %s"
                    self._sparse_logger.error(text, fault)  # noqa: TRY400 - no trace of ours
                    await self._pause(_SECONDS_AFTER_A_FAULT)
                except Exception:
                    self._sparse_logger.exception("a part of the journal has failed")
                    await self._pause(_SECONDS_AFTER_A_FAULT)
        finally:
            self.turn.release()
            with suppress(StorageUnavailableError):
                await self.storage.stop_listening()
            await self._end_hearing()

    async def _end_hearing(self) -> None:
        stop_by(self._deadline)
        if not await self._hearing.drain(time_to_stop(self.settings.stop_timeout)):
            _logger.warning("handlers of reports of other processes are cancelled")
        await abandon(self._hearing, _SECONDS_AFTER_A_CANCELLATION)

    async def _look(self) -> None:
        if not self.turn.held:
            self.turn.release()
            await self._listen()
            if not self.turn.take():
                await self._pause(_SECONDS_BETWEEN_LOOKS)
                return
            await self._listen()  # to what the process before has handled to the last
        await self.storage.stop_listening()
        await self._handle()

    async def _listen(self) -> None:
        while self._has_room() and (pushes := await self.storage.listen()):
            for push in pushes if self.router.everywhere.handles(HlrReport) else ():
                self._hearing.start(self._hand_on(push))

    def _has_room(self) -> bool:
        return len(self._hearing) < self.settings.concurrency

    async def _hand_on(self, push: RawPush) -> None:
        """Give the events of a push to those who listen: lookups, which wait for their reports."""
        try:
            async with asyncio.timeout(self.settings.time_limit):
                events = await aside(len(push.body), self.decode, push)
                await self.router.everywhere.dispatch(events)
        except RemoteProtocolError:
            pass  # the process with the turn puts the push into quarantine
        except Exception:  # one push must not cost those behind it
            self._sparse_logger.exception("handlers failed on reports of other processes")

    async def _handle(self) -> None:
        _logger.info("this process handles what the journal holds")
        self.storage.rewind()
        swept = -math.inf
        async with JournalWorker(self.storage, self.router, self.decode, self.settings):
            while self.turn.held and not self._stop.is_set():
                if monotonic() - swept >= _SECONDS_BETWEEN_SWEEPS:
                    swept = monotonic()
                    with suppress(StorageUnavailableError):
                        await self.storage.sweep()
                await self._levels.look()
                await self._pause(_SECONDS_BETWEEN_LOOKS_AT_THE_TURN)
            stop_by(self._deadline)
        self._levels.clear()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
