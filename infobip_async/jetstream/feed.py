"""HLR reports for processes that wait for them while other processes receive them.

::

    async with (
        ReportFeed("nats://127.0.0.1:4222", router),
        HlrLookups(client, router) as lookups,
    ):
        result = await lookups.lookup("38598514674")

Every process reads all HLR reports that any receiver's `NatsJournal` stores after the process has
opened its feed, and picks its own. A report is in the feed although it came before the reply to its
query: the query starts after the feed, and `HlrLookups` keeps early reports until the reply.
`HlrLookups` counts the reports of other processes as ``unclaimed``, and keeps them as early ones
while a query is in flight. Make `early_limit` greater than the number of reports that all processes
together get during the slowest query.
"""

import asyncio
from functools import partial
from typing import Self

from nats.aio.msg import Msg

from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.errors import RemoteProtocolError
from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.consumers import OrderedConsumer
from infobip_async.jetstream.journal import declare_pushes
from infobip_async.jetstream.options import Servers, connect_options
from infobip_async.journal.base import DEDUP_WINDOW
from infobip_async.protocol.exchange import PushKind
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.router import Router

_logger = logger_of_faults("infobip_async.jetstream")


class ReportFeed:
    """Hands the HLR reports that any receiver stores to a router, as a context.

    After a fault of the broker it goes on behind the last report: it misses none that the broker
    still has (see `NatsJournal`). A report can come twice, as pushes can anyway. Handlers are
    called one after the other, and are not called again if they fail: work that must be done
    belongs to the journal's workers.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions`.
        router: gets the reports; best one without other handlers for them.
        stream: the stream of the receivers' journal.

    Attributes:
        dispatched: how many reports the router got.

    Raises:
        LocalProtocolError: the stream's name is out of range.
    """

    def __init__(self, servers: Servers, router: Router, *, stream: str = "infobip") -> None:
        self.dispatched: int = 0
        self._router = router
        self._subjects = messages.StreamSubjects(stream)
        self._connection = Connection(connect_options(servers), self._declare)
        subject = self._subjects.push(PushKind.HLR_REPORTS)
        self._consumer = OrderedConsumer(self._connection, stream, subject)
        self._began = False
        self._sparse_logger = SparseLogger(_logger)
        self._tasks = LastingTasks("feed", _logger)

    async def __aenter__(self) -> Self:
        """Begin to read, behind the last report that is stored now.

        Raises:
            StorageUnavailableError: the broker is away, and cannot say which report is the last.
        """
        await self._connection.connect()
        self._tasks.start(partial(self._consumer.run, self._dispatch))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.end()
        await self._connection.aclose()

    async def _declare(self, connection: Connection) -> None:
        last = await declare_pushes(connection, self._subjects, DEDUP_WINDOW, replicas=1)
        if not self._began:
            self._consumer.last = last
            self._began = True
        elif last < self._consumer.last:
            _logger.error("the broker has lost pushes: the stream ends before the last one read")
            self._consumer.last = 0

    async def _dispatch(self, message: Msg) -> None:
        try:
            push = messages.decode(message.subject, message.data, message.headers)
            events = decode(push, PushFormat())
            self.dispatched += len(events)
            await self._router.dispatch(events)
        except RemoteProtocolError:
            text = "a push cannot be read; the journal's workers put it into quarantine"
            self._sparse_logger.info(text)
        except ExceptionGroup:
            self._sparse_logger.exception("handlers failed on reports of the feed")
        except asyncio.CancelledError:
            # A handler may have cancelled this task. Another one goes on behind the report.
            self._consumer.last = message.metadata.sequence.stream
            raise
        except Exception:
            self._sparse_logger.exception("tripped over a push of the feed")
