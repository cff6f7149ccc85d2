"""Reports for processes that wait for them, although they are posted to another one.

::

    async with (
        ReportFeed("nats://127.0.0.1:4222", router),
        HlrLookups(client, router) as lookups,
    ):
        result = await lookups.lookup("38598514674")

Every process reads all HLR reports that the receivers' `NatsJournal` keeps, from the moment on
at which it opens its feed, and takes its own. So a report cannot come before its feed is open, nor
before its query is in flight, and `HlrLookups` keeps it until the reply is there. It counts
those of other processes as ``unclaimed``, and keeps them as early ones while a query is in flight:
let `early_limit` be more than the reports that all processes together get in the time of the
slowest query.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from nats.aio.msg import Msg

from infobip_async.errors import RemoteProtocolError
from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import (
    Connection,
    ConnectOptions,
    connect_options,
    end,
    logger,
)
from infobip_async.jetstream.consumers import OrderedConsumer
from infobip_async.jetstream.journal import declare_posts
from infobip_async.journal.base import DEDUP_WINDOW
from infobip_async.protocol.exchange import PushKind
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.router import Router


class ReportFeed:
    """Hands the HLR reports that any receiver takes in to a router, as a context.

    It has a cursor of its own, which is made anew behind the last report after any fault of the
    broker: none is left out, as long as the broker keeps it (see `NatsJournal`). A report can come
    twice, as pushes can anyway. Handlers are called one after the other, and not again when they
    fail: work that must be done belongs to the journal's workers.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions` for more than that.
        router: gets the reports; best one that has no other handlers for them.
        stream: the one of the receivers' journal.

    Attributes:
        read: reports that were handed on.
    """

    def __init__(
        self,
        servers: str | Sequence[str] | ConnectOptions,
        router: Router,
        *,
        stream: str = "infobip",
    ) -> None:
        self.read = 0
        self._router = router
        self._names = messages.Names(stream)
        self._broker = Connection(connect_options(servers), self._declare)
        subject = self._names.post(PushKind.HLR_REPORTS)
        self._cursor = OrderedConsumer(self._broker, stream, subject)
        self._begun = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to read.

        Raises:
            StorageUnavailableError: the broker is away, so that there is no place to begin at.
        """
        await self._broker.__aenter__()
        try:
            await self._broker.wait()
        except BaseException:
            await self._broker.aclose()
            raise
        self._task = asyncio.create_task(self._cursor.run(self._take))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            await end([self._task])
        await self._broker.aclose()

    async def _declare(self, broker: Connection) -> None:
        await declare_posts(broker, self._names, DEDUP_WINDOW, 1)
        info = await broker.manage(lambda js: js.stream_info(self._names.stream))
        if not self._begun:
            self._cursor.last = info.state.last_seq
            self._begun = True
        elif info.state.last_seq < self._cursor.last:
            logger.error("the broker has lost posts: it ends before what was read from it")
            self._cursor.last = 0

    async def _take(self, message: Msg) -> None:
        try:
            push = messages.decode(message.subject, message.data, message.headers)
            events = decode(push, PushFormat())
            self.read += len(events)
            await self._router.dispatch(events)
        except RemoteProtocolError:
            logger.info("a post cannot be read; the journal's workers put it into quarantine")
        except ExceptionGroup:
            logger.exception("handlers failed on reports of the feed")
