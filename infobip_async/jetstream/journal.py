"""A journal in NATS JetStream: several receivers and workers, on any machines, share it.

::

    pip install "infobip-async[nats]"

    journal = NatsJournal("nats://127.0.0.1:4222")
    app.add_subapp("/infobip", webhook_app(router, secret=secret, journal=journal))

Every process that serves it takes posts in, and handles posts, whichever process took them in.

What is promised
----------------
- A post is acknowledged after the broker has said that it keeps it, in the stream that was
  meant. While the broker is away posts are answered with 503, and the gateway sends them again
  (§3.1); `SpoolJournal` keeps them on this machine's disk instead.
- It stays there until all handlers of all of its events succeeded, or it is a dead letter or in
  quarantine, which are kept without a limit of time. A full stream refuses new posts.
- The death of any process, the broker included, costs nothing: posts in hand are given to another
  worker after `ack_wait`, or at once by a clean stop.

What is not
-----------
- **Power.** A single broker writes to its disk every two minutes unless told otherwise; what it
  acknowledged since is lost with the power, though not with the process. Set
  ``jetstream { sync_interval: always }``, or run three of them and `replicas=3`.
- **Duplicates.** A delivery report or HLR post is taken once if it comes again octet for octet
  within `dedup_window` (26 hours; the gateway tries for 24). Rows that come again in another post
  are handled again, unlike with `SqliteJournal`. So are the events of posts that were in hand of a
  worker that died, all of a post's: handlers must be able to take an event twice. Inbound SMS that
  are given a second time have ``possible_duplicate=True``.
- **Order.** Events of one message id that arrive in different posts can be handled by two workers
  at a time. Go by `DeliveryReport.done_at`, not by the order of calls.
- **Parts.** Parts of an inbound SMS can get to different workers, so handlers that want messages
  whole (``whole=True``) are refused.

Sizes
-----
Posts stay for `dedup_window` after they were handled, which is what the broker knows them by after
a restart of its own, and for `ReportFeed`. A post takes its body and about 250 octets; 50 million
HLR reports of a day, 100 to a post, take some 4 GB. The id of a post takes about 150 octets of the
broker's memory. Its default ``max_payload`` of 1 MiB takes posts of up to 960 KiB, some 10,000
HLR reports; bigger ones are refused with 503, so raise it to 4 MiB if your `Limits` are bigger.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import (
    Connection,
    ConnectOptions,
    connect_options,
    end,
    logger,
)
from infobip_async.jetstream.dead_letters import DeadLetters
from infobip_async.jetstream.storage import CONSUMER, NatsStorage
from infobip_async.journal.base import DEDUP_WINDOW, Decode, SetAside, State
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.worker import JournalWorker
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router

_PURGE_SECONDS: Final = 600.0
_KEPT_IDS: Final = 3600.0
_DEFAULT_SETTINGS: Final = HandlerSettings()


class NatsJournal:
    """Keeps accepted posts in NATS JetStream until one of several workers has handled them.

    What it makes in the broker where it is missing: the streams ``<stream>`` and
    ``<stream>_kept``, and a durable consumer. Those that are there stay as they are.

    To look into it without serving it, use it as a context manager of its own.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions` for more than that.
        stream: a name for everything that belongs together.
        account: tells equal posts of several accounts from each other that share a stream.
        handles: whether this process handles posts, or takes them in only.
        replicas: copies of the streams in a cluster of brokers: 1, 3 or 5.
        settings: how events are handled.
        ack_wait: seconds after which the posts in hand of a worker that died go to others.
        deliveries: times that a post is given to workers, at the most; then it is a dead letter.
        dedup_window: seconds that posts are kept after they were handled, and told from others.

    Raises:
        LocalProtocolError: the stream has a name that the broker does not take.
    """

    def __init__(
        self,
        servers: str | Sequence[str] | ConnectOptions,
        *,
        stream: str = "infobip",
        account: str = "",
        handles: bool = True,
        replicas: int = 1,
        settings: HandlerSettings = _DEFAULT_SETTINGS,
        ack_wait: float = 30.0,
        deliveries: int = 20,
        dedup_window: float = DEDUP_WINDOW,
    ) -> None:
        self._names = messages.Names(stream)
        self._handles = handles
        self._replicas = replicas
        self._settings = settings
        self._ack_wait = ack_wait
        self._dedup_window = dedup_window
        self._broker = Connection(connect_options(servers), self._declare)
        self._storage = NatsStorage(self._broker, self._names, account, ack_wait, deliveries)
        self._shelf = DeadLetters(self._broker, self._names, self._storage)

    async def __aenter__(self) -> Self:
        await self._broker.__aenter__()
        if not self._broker.ready:
            await self._broker.aclose()
            raise StorageUnavailableError("the broker is away")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._broker.aclose()

    async def put(self, push: RawPush) -> None:
        """Have the broker keep a post; it may be acknowledged on return.

        Raises:
            StorageUnavailableError: it did not say so; the post must not be acknowledged.
        """
        if not self._broker.ready:
            raise StorageUnavailableError("the broker is away")
        await self._storage.put(push)

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Connect, and hand posts to the router until the context is left.

        A broker that is away now is tried again all the time.

        Raises:
            LocalProtocolError: a handler wants inbound messages whole.
        """
        if self._handles and router.joins:
            raise LocalProtocolError(
                "parts of a message can get to different workers: whole=True needs another journal",
                field="router",
            )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._broker)
            purging = asyncio.create_task(self._purge_again_and_again())
            stack.push_async_callback(end, [purging])
            if self._handles:
                await stack.enter_async_context(self._storage.taking())
                worker = JournalWorker(self._storage, router, decode, self._settings)
                await stack.enter_async_context(worker)
            yield

    def dead(self) -> AsyncGenerator[SetAside, None]:
        """The dead letters: events whose handlers failed time and again, in order."""
        return self._shelf.events(State.DEAD)

    def quarantine(self) -> AsyncGenerator[SetAside, None]:
        """What was authentic and could not be read: posts, and single rows of posts, in order."""
        return self._shelf.events(State.QUARANTINED)

    async def requeue(self, ids: Iterable[str] | None = None) -> int:
        """Have dead letters handled again, as if they had just arrived.

        Args:
            ids: of `SetAside`; all where it is None.

        Returns:
            How many there were.

        Raises:
            LocalProtocolError: an id that no event can have; nothing was done.
            StorageUnavailableError: the broker is away.
        """
        return await self._shelf.put_back(State.DEAD, ids)

    async def replay(self, ids: Iterable[str] | None = None) -> int:
        """Read again what is in quarantine; as `requeue`."""
        return await self._shelf.put_back(State.QUARANTINED, ids)

    async def discard(self, ids: Iterable[str] | None = None) -> int:
        """Forget dead letters, and what is in quarantine; as `requeue`."""
        return await self._shelf.discard(ids)

    # --- what is to be there in the broker ---

    async def _declare(self, broker: Connection) -> None:
        await declare_posts(broker, self._names, self._dedup_window, self._replicas)
        kept = _stream(self._names.kept, self._replicas, _KEPT_IDS)
        kept.subjects = [
            self._names.set_aside(state.value, "*") for state in State if state.set_aside
        ]
        await broker.stream(kept)
        await self._storage.declare()

    async def _purge_again_and_again(self) -> None:
        while True:
            with suppress(StorageUnavailableError, NotFoundError):
                await self._broker.wait_for_ever()
                await self.purge()
            await asyncio.sleep(_PURGE_SECONDS)

    async def purge(self) -> None:
        """Forget posts that were handled, and arrived longer than `dedup_window` ago.

        A journal that is served does so by itself.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        name = self._names.stream
        consumer: ConsumerInfo = await self._broker.manage(
            lambda js: js.consumer_info(name, CONSUMER)
        )
        floor = consumer.ack_floor
        handled = floor.stream_seq if floor else 0
        old = await self._first_since(datetime.now(UTC) - timedelta(seconds=self._dedup_window))
        first = min(handled + 1, old)
        await self._broker.manage(lambda js: js.purge_stream(name, seq=first))

    async def _first_since(self, time: datetime) -> int:
        """The number of the first post that came at a time or later."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=time,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=1,
            mem_storage=True,
        )
        info: ConsumerInfo = await self._broker.manage(
            lambda js: js.add_consumer(self._names.stream, config)
        )
        return (info.delivered.stream_seq if info.delivered else 0) + 1


async def declare_posts(
    broker: Connection, names: messages.Names, dedup_window: float, replicas: int
) -> None:
    """Make sure of the stream of posts."""
    config = _stream(names.stream, replicas, dedup_window)
    config.subjects = [names.posts]
    info = await broker.stream(config)
    if info.config.duplicate_window < dedup_window:
        logger.warning("the stream tells duplicates for a shorter time than is wanted")


def _stream(name: str, replicas: int, duplicates: float) -> StreamConfig:
    return StreamConfig(
        name=name,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # A full stream refuses what is new: what was acknowledged is not to be forgotten.
        discard=DiscardPolicy.NEW,
        num_replicas=replicas,
        duplicate_window=duplicates,
        allow_direct=True,
    )
