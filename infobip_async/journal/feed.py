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
from typing import Final, Self

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy, StreamInfo

from infobip_async.errors import RemoteProtocolError
from infobip_async.journal import posts
from infobip_async.journal.broker import Access, Broker, access_to, end, logger
from infobip_async.journal.nats import REMEMBERED, declare_posts
from infobip_async.journal.pulling import LostError, Pull
from infobip_async.protocol.exchange import PushKind
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.router import Router

_AT_ONCE: Final = 1_000
_INACTIVE_SECONDS: Final = 60.0


class ReportFeed:
    """Hands the HLR reports that any receiver takes in to a router, as a context.

    It has a cursor of its own, which is made anew behind the last report after any fault of the
    broker: none is left out, as long as the broker keeps it (see `NatsJournal`). A report can come
    twice, as pushes can anyway. Handlers are called one after the other, and not again when they
    fail: work that must be done belongs to the journal's workers.

    Args:
        servers: URLs of the broker's servers, or `Access` for more than that.
        router: gets the reports; best one that has no other handlers for them.
        stream: the one of the receivers' journal.

    Attributes:
        read: reports that were handed on.
    """

    def __init__(
        self, servers: str | Sequence[str] | Access, router: Router, *, stream: str = "infobip"
    ) -> None:
        self.read = 0
        self._router = router
        self._names = posts.Names(stream)
        self._broker = Broker(access_to(servers), self._declare)
        self._last: int | None = None
        self._delivered = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to read.

        Raises:
            JournalUnavailableError: the broker is away, so that there is no place to begin at.
        """
        await self._broker.__aenter__()
        try:
            await self._broker.wait()
        except BaseException:
            await self._broker.aclose()
            raise
        pull = Pull(self._broker, self._names.stream, self._consumer)
        self._task = asyncio.create_task(pull.run(self._take, self._room))
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

    async def _declare(self, broker: Broker) -> None:
        await declare_posts(broker, self._names, REMEMBERED, 1)
        info: StreamInfo = await broker.manage(lambda js: js.stream_info(self._names.stream))
        if self._last is None:
            self._last = info.state.last_seq
        elif info.state.last_seq < self._last:
            logger.error("the broker has lost posts: it ends before what was read from it")
            self._last = 0

    async def _consumer(self) -> str:
        """Make a cursor behind what was read last."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=(self._last or 0) + 1,
            filter_subject=self._names.post(PushKind.HLR_REPORTS),
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_INACTIVE_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        info: ConsumerInfo = await self._broker.manage(
            lambda js: js.add_consumer(self._names.stream, config)
        )
        self._delivered = 0
        return info.name

    async def _room(self) -> int:
        return _AT_ONCE

    async def _take(self, message: Msg) -> None:
        sequence = message.metadata.sequence
        if sequence.consumer != self._delivered + 1:
            raise LostError("messages are missing")
        self._delivered += 1
        self._last = sequence.stream
        try:
            push = posts.decode(message.subject, message.data, message.headers)
            events = decode(push, PushFormat())
            self.read += len(events)
            await self._router.dispatch(events)
        except RemoteProtocolError:
            logger.info("a post cannot be read; the journal's workers put it into quarantine")
        except ExceptionGroup:
            logger.exception("handlers failed on reports of the feed")
