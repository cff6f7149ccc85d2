"""A journal elsewhere, with a file on this machine for the time that it is away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from infobip_async.errors import StorageUnavailableError
from infobip_async.journal.base import Decode, Journal
from infobip_async.journal.sqlite import SqliteJournal
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router

_logger = logging.getLogger("infobip_async.journal")

_SECONDS_BETWEEN_ATTEMPTS: Final = 0.5


class SpoolJournal:
    """Keeps posts in a file while a journal cannot take them, and hands them on later, in order.

    ::

        journal = SpoolJournal(NatsJournal("nats://broker:4222"), SqliteJournal("spool.db"))

    What the gateway says once only (HLR reports and inbound SMS are not said to be sent again, §5,
    §6) is then safe although the broker is away: it is acknowledged when it is on this machine's
    disk. There it waits as long as this machine is away, so nobody else handles it meanwhile.

    While anything waits in the file, what comes goes behind it. A post whose acknowledgement was
    lost may get into both; `NatsJournal` takes it once.

    Args:
        journal: where the posts belong; it hands them to the router.
        spool: the file, of this journal alone.
    """

    def __init__(self, journal: Journal, spool: SqliteJournal) -> None:
        self._journal = journal
        self._spool = spool
        self._direct = False
        self._putting = 0
        self._news = asyncio.Event()

    async def put(self, push: RawPush) -> None:
        """Keep a post here or there; it is durable on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: neither can keep it.
        """
        if self._direct:
            try:
                await self._journal.put(push)
            except StorageUnavailableError as fault:
                self._say(fault)
            else:
                return
        await self._put_here(push)

    def _say(self, fault: StorageUnavailableError) -> None:
        if self._direct:
            _logger.warning("posts are kept in the spool: %s", fault)
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
        """Open both, hand on what waits here, and let the other one hand posts to the router.

        Raises:
            StorageUnavailableError: the file cannot be used.
        """
        async with self._spool, self._journal.serve(router, decode):
            self._direct = False
            self._news.set()  # for what an earlier run left
            moving = asyncio.create_task(self._move_again_and_again())
            try:
                yield
            finally:
                await _end(moving)

    async def _move_again_and_again(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                count = await self._spool.move_to(self._journal)
            except StorageUnavailableError:
                self._news.set()
                await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
                continue
            if count:
                _logger.info("handed %d posts on from the spool", count)
            if not self._putting and not self._news.is_set():
                self._direct = True


async def _end(task: "asyncio.Task[None]") -> None:
    while not task.done():
        task.cancel()  # which a journal's library may lose
        await asyncio.wait([task], timeout=_SECONDS_BETWEEN_ATTEMPTS)
