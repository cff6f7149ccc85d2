"""A journal in NATS JetStream that several receivers and workers share, on any machines.

::

    pip install "infobip-async[nats]"

    journal = NatsJournal("nats://127.0.0.1:4222")
    app.add_subapp("/infobip", webhook_app(router, secret=secret, journal=journal))

Every process that serves the journal accepts pushes and handles pushes, whichever process accepted
them.

What is promised
----------------
- A push is acknowledged after the broker has confirmed that it stored the push in the right
  stream. While the broker is away pushes are answered with 503, and the gateway sends them again
  (§3.1). `SpoolJournal` stores them on the local disk instead.
- A push stays in the stream until all handlers of all its events succeeded, or the events are dead
  letters or in quarantine, which are kept without a limit of time. A full stream refuses new
  pushes.
- The death of a process, the broker included, costs nothing. The broker gives the pushes of a
  worker that died to another one after `ack_wait`; a clean stop gives them back at once.

What is not
-----------
- **Power.** A single broker syncs its disk every two minutes by default. If the power fails, what
  it stored since is lost; if only the process dies, nothing is. Set
  ``jetstream { sync_interval: always }``, or run three brokers with `replicas=3`.
- **Duplicates.** A delivery report or HLR push that comes again, octet for octet, within
  `dedup_window` (26 hours; the gateway tries for 24) is handled once. Rows that come again in a
  different push are handled again, unlike with `SqliteJournal`. So are all events of the pushes
  that a worker had in hand when it died: handlers must be able to take an event twice. A broker
  that is killed may give pushes to another worker that one has in hand, or was done with just
  before; within a process nothing is handled again. An inbound SMS that is given to a second
  worker has ``possible_duplicate=True``.
- **Order.** Two workers can handle events of one message id at the same time if they arrive in
  different pushes. Go by `DeliveryReport.done_at`, not by the order of calls.
- **Parts.** The parts of an inbound SMS can get to different workers. So handlers with
  ``whole=True`` are refused.

Sizes
-----
A push stays for `dedup_window` after it was handled: a broker that restarts recognises repeated
pushes by those that it has, and `ReportFeed` reads them. It takes its body and about 250 octets;
50 million HLR reports a day, 100 in a push, take some 4 GB. The id of a push takes about 150 octets
of the broker's memory. The broker's default ``max_payload`` of 1 MiB takes pushes of up to 960 KiB,
some 10,000 HLR reports; bigger ones are refused with 503. Raise it to 4 MiB if your `Limits` are
bigger.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Self

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.dead_letters import DeadLetters
from infobip_async.jetstream.messages import StreamSubjects
from infobip_async.jetstream.options import Servers, connect_options
from infobip_async.jetstream.storage import CONSUMER, NatsStorage
from infobip_async.jetstream.suspects import SECONDS_KEPT
from infobip_async.journal.base import DEDUP_WINDOW, Decode, JournalCounts, SetAside, State
from infobip_async.journal.levels import SECONDS_BETWEEN_COUNTS, Levels
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.worker import JournalWorker
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router

_PURGE_SECONDS: Final = 600.0
_SUSPECTS_DEDUP_WINDOW: Final = 1.0  # none has an id
_SET_ASIDE_DEDUP_WINDOW: Final = 3600.0  # the worker repeats a store for much less than that
_DEFAULT_SETTINGS: Final = HandlerSettings()

_logger = logging.getLogger("infobip_async.jetstream")


class NatsJournal:
    """Stores accepted pushes in NATS JetStream until one of several workers has handled them.

    It creates the streams ``<stream>``, ``<stream>_set_aside`` and ``<stream>_suspects`` and a
    durable consumer on the broker if they are missing. It leaves existing ones as they are.

    To look into a journal without serving it, use the journal itself as a context manager.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions`.
        stream: the name that all processes of one journal give: 1 to 64 letters, digits, ``-``
            and ``_``.
        account: makes equal pushes of two accounts different, if they share a stream.
        handles: whether this process handles pushes, or only accepts them.
        replicas: copies of the streams in a cluster of brokers: 1, 3 or 5.
        settings: how events are handled.
        ack_wait: seconds after which the broker gives the pushes of a worker that died to others.
        max_deliveries: times that a push is given to workers before all of it is a dead letter.
            From the third time on its events are handled one by one, while nothing else in the
            process is. An event that its process dies of three times thereby is a dead letter;
            the others of its push are not.
        dedup_window: seconds that a push is kept after it was handled, and recognised if it comes
            again.

    Raises:
        LocalProtocolError: the stream's name is out of range.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        stream: str = "infobip",
        account: str = "",
        handles: bool = True,
        replicas: int = 1,
        settings: HandlerSettings = _DEFAULT_SETTINGS,
        ack_wait: float = 30.0,
        max_deliveries: int = 20,
        dedup_window: float = DEDUP_WINDOW,
    ) -> None:
        self._subjects = StreamSubjects(stream)
        self._handles = handles
        self._replicas = replicas
        self._settings = settings
        self._dedup_window = dedup_window
        self._connection = Connection(connect_options(servers), self._declare)
        self._storage = NatsStorage(
            self._connection, self._subjects, account, ack_wait, max_deliveries
        )
        self._dead_letters = DeadLetters(self._connection, self._subjects, self._storage)

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        await self._connection.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.aclose()

    async def put(self, push: RawPush) -> None:
        """Store a push; it may be acknowledged on return.

        Raises:
            StorageUnavailableError: the broker did not confirm; the push must not be acknowledged.
        """
        if not self._connection.ready:
            raise StorageUnavailableError("the broker is away")
        await self._storage.put(push)

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Connect, and hand pushes to the router until the context is left.

        A broker that is away is tried again in the background.

        Args:
            router: where the events go.
            decode: reads a push.

        Raises:
            LocalProtocolError: a handler wants inbound messages whole.
        """
        if self._handles and router.joins:
            raise LocalProtocolError(
                "parts of a message can get to different workers: whole=True needs another journal",
                field="router",
            )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._connection)
            tasks = LastingTasks("journal", _logger)
            stack.push_async_callback(tasks.end)
            tasks.start(self._purge_regularly)
            if self._handles:
                await stack.enter_async_context(self._storage.taking())
                worker = JournalWorker(self._storage, router, decode, self._settings)
                await stack.enter_async_context(worker)
                levels = Levels(router.watch, self.counts)
                stack.callback(levels.clear)
                tasks.start(partial(self._count_regularly, levels))
            yield

    def dead(self) -> AsyncGenerator[SetAside, None]:
        """Yield the dead letters, the oldest first: events whose handlers failed too often."""
        return self._dead_letters.events(State.DEAD)

    def quarantine(self) -> AsyncGenerator[SetAside, None]:
        """Yield what could not be read, the oldest first: pushes, and single rows of pushes."""
        return self._dead_letters.events(State.QUARANTINED)

    async def requeue(self, ids: Iterable[str] | None = None) -> int:
        """Have dead letters handled again, as if they had just arrived.

        Args:
            ids: ids of `SetAside`; None for all dead letters.

        Returns:
            How many events are handled again.

        Raises:
            LocalProtocolError: an id that no event can have; nothing was done.
            StorageUnavailableError: the broker is away.
        """
        return await self._dead_letters.put_back(State.DEAD, ids)

    async def replay(self, ids: Iterable[str] | None = None) -> int:
        """Read again what is in quarantine; otherwise like `requeue`."""
        return await self._dead_letters.put_back(State.QUARANTINED, ids)

    async def discard(self, ids: Iterable[str] | None = None) -> int:
        """Delete dead letters and what is in quarantine; otherwise like `requeue`."""
        return await self._dead_letters.discard(ids)

    async def counts(self) -> JournalCounts:
        """Count what is in the journal, for all processes that share it.

        Events of a push that were set aside together count as one.

        Raises:
            StorageUnavailableError: the broker is away, or its stream is gone.
        """
        try:
            return await self._counts()
        except NotFoundError as gone:
            raise StorageUnavailableError("the broker has no such stream") from gone

    async def _counts(self) -> JournalCounts:
        name = self._subjects.stream
        consumer = await self._connection.call(lambda js: js.consumer_info(name, CONSUMER))
        stream = await self._connection.call(lambda js: js.stream_info(name))
        in_work = consumer.num_ack_pending or 0
        waiting = in_work + (consumer.num_pending or 0)
        floor = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
        set_aside, octets = await self._dead_letters.count()
        return JournalCounts(
            waiting=waiting,
            oldest=await self._storage.arrival(floor + 1) if waiting else None,
            in_work=in_work,
            dead=set_aside.get(State.DEAD.value, 0),
            quarantined=set_aside.get(State.QUARANTINED.value, 0),
            octets=stream.state.bytes + octets,
        )

    async def purge(self) -> None:
        """Delete pushes that were handled, and arrived longer than `dedup_window` ago.

        A journal that is served does so by itself.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        name = self._subjects.stream
        consumer = await self._connection.call(lambda js: js.consumer_info(name, CONSUMER))
        floor = consumer.ack_floor
        handled = floor.stream_seq if floor else 0
        oldest = datetime.now(UTC) - timedelta(seconds=self._dedup_window)
        first = min(handled + 1, await self._first_since(oldest))
        for subject in self._subjects.purged:
            await self._connection.call(partial(_purge, name, subject, first))

    async def _first_since(self, time: datetime) -> int:
        """The sequence number of the first push that arrived at a time or later.

        Only a consumer finds a message by its time. This one is deleted by the broker.
        """
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=time,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=1,
            mem_storage=True,
        )
        info = await self._connection.call(
            lambda js: js.add_consumer(self._subjects.stream, config)
        )
        return (info.delivered.stream_seq if info.delivered else 0) + 1

    async def _purge_regularly(self) -> None:
        while True:
            with suppress(StorageUnavailableError, NotFoundError):
                await self._connection.until_ready()
                await self.purge()
            await asyncio.sleep(_PURGE_SECONDS)

    async def _count_regularly(self, levels: Levels) -> None:
        while True:
            await self._connection.until_ready()
            await levels.look()
            await asyncio.sleep(SECONDS_BETWEEN_COUNTS)

    async def _declare(self, connection: Connection) -> None:
        """Create what the journal needs on the broker."""
        await declare_pushes(connection, self._subjects, self._dedup_window, self._replicas)
        config = _stream(self._subjects.set_aside_stream, self._replicas, _SET_ASIDE_DEDUP_WINDOW)
        config.subjects = [
            self._subjects.set_aside(state.value) for state in State if state.set_aside
        ]
        await connection.ensure_stream(config)
        config = _stream(self._subjects.suspects_stream, self._replicas, _SUSPECTS_DEDUP_WINDOW)
        config.subjects = [self._subjects.suspect()]
        config.max_msgs_per_subject, config.max_age = 1, SECONDS_KEPT
        await connection.ensure_stream(config)
        await self._storage.declare()


async def declare_pushes(
    connection: Connection, subjects: StreamSubjects, dedup_window: float, replicas: int
) -> int:
    """Create the stream of pushes if it is missing.

    Returns:
        The sequence number of its last message.
    """
    config = _stream(subjects.stream, replicas, dedup_window)
    config.subjects = [subjects.pushes]
    info = await connection.ensure_stream(config)
    if (info.config.duplicate_window or 0) < dedup_window:
        _logger.warning("the stream has a shorter duplicate_window than dedup_window")
    return info.state.last_seq


async def _purge(stream: str, subject: str, first: int, js: JetStreamContext) -> None:
    await js.purge_stream(stream, seq=first, subject=subject)


def _stream(name: str, replicas: int, duplicate_window: float) -> StreamConfig:
    return StreamConfig(
        name=name,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # A full stream refuses new pushes: it must not delete what was acknowledged.
        discard=DiscardPolicy.NEW,
        num_replicas=replicas,
        duplicate_window=duplicate_window,
        allow_direct=True,
    )
