"""A journal elsewhere, with a file on this machine for the time that the journal is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.errors import StorageUnavailableError
from infobip_async.journal.base import Counted, Decode, Journal, JournalCounts
from infobip_async.journal.sqlite import SqliteJournal
from infobip_async.protocol.exchange import RawPush
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router

_logger = logger_of_faults("infobip_async.journal")

_SECONDS_BETWEEN_ATTEMPTS: Final = 0.5


class SpoolJournal:
    """Stores pushes in a file while a journal cannot take them, and hands them on later, in order.

    ::

        journal = SpoolJournal(NatsJournal("nats://broker:4222"), SqliteJournal("spool.db"))

    The document promises repetition for delivery reports only (§3.1), not for HLR reports and
    inbound SMS (§5, §6). With a spool these survive a broker that is away: they are acknowledged
    when they are on this machine's disk. There they wait as long as this machine is away, and
    nobody else handles them meanwhile.

    While anything waits in the file, new pushes go behind it. A push whose acknowledgement was
    lost may get into both; `NatsJournal` takes it once.

    Args:
        journal: where the pushes belong; it hands them to the router.
        spool: the file, of this journal alone.
    """

    def __init__(self, journal: Journal, spool: SqliteJournal) -> None:
        self._journal = journal
        self._spool = spool
        # Whether the journal gets pushes directly: only while the file is empty, to keep the order.
        self._direct = False
        self._putting = 0
        self._news = asyncio.Event()

    async def put(self, push: RawPush) -> None:
        """Store a push here or there; it is durable on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: neither can store it.
        """
        if self._direct:
            try:
                await self._journal.put(push)
            except StorageUnavailableError as fault:
                self._stop_direct(fault)
            else:
                return
        await self._put_here(push)

    def _stop_direct(self, fault: StorageUnavailableError) -> None:
        if self._direct:
            _logger.warning("pushes are stored in the spool: %s", fault)
            self._direct = False

    async def _put_here(self, push: RawPush) -> None:
        self._putting += 1
        try:
            await self._spool.put(push)
        finally:
            self._putting -= 1
            self._news.set()

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Open both; move pushes from the file, and let the journal hand pushes to the router.

        Args:
            router: where the events go.
            decode: reads a push.

        Raises:
            StorageUnavailableError: the file cannot be used, or another process moves its pushes.
        """
        async with self._spool.alone(), self._journal.serve(router, decode):
            self._direct = False
            self._news.set()  # there may be pushes of an earlier run
            moving = LastingTasks("spool", _logger)
            moving.start(self._move_repeatedly)
            try:
                yield
            finally:
                moving.ending = True
                for task in moving.tasks:
                    await _end(task)

    async def counts(self) -> JournalCounts:
        """Count what is in the journal and in the file together, while they are served.

        The file is counted alone where the journal cannot be counted, or is away: the file takes
        the pushes then, and is well while none of them waits for too long.

        Raises:
            StorageUnavailableError: the file cannot be read.
        """
        here = await self._spool.counts()
        if not isinstance(self._journal, Counted):
            return here
        try:
            there = await self._journal.counts()
        except StorageUnavailableError:
            return here
        oldest = [one.oldest for one in (here, there) if one.oldest is not None]
        return JournalCounts(
            waiting=here.waiting + there.waiting,
            oldest=min(oldest, default=None),
            in_work=there.in_work,
            dead=here.dead + there.dead,
            quarantined=here.quarantined + there.quarantined,
            octets=here.octets + there.octets,
        )

    async def _move_repeatedly(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                count = await self._spool.move_to(self._journal)
            except StorageUnavailableError:
                self._news.set()
                await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
                continue
            except BaseException:
                self._news.set()  # for the task that takes the place of this one
                raise
            if count:
                _logger.info("handed %d pushes on from the spool", count)
            if not self._putting and not self._news.is_set():
                self._direct = True


async def _end(task: "asyncio.Task[object]") -> None:
    """Cancel a task until it ends: the library of a journal may lose a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_SECONDS_BETWEEN_ATTEMPTS)
