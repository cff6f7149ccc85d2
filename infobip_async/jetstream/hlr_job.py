"""A job of lookups that processes on any machines share, on NATS JetStream (§4, §5).

::

    async with HlrJob("nats://127.0.0.1:4222", "spring") as job:
        await job.load(numbers)                       # one process, or several with the same source
        async for result in job.results(): ...        # any process, as often as it likes

    async with HlrJob(url, "spring") as job, ReportFeed(url, router):
        await job.work(client, router)                # as many processes as you like

All of them can be killed and started again at any time. A chunk is loaded once, however often the
loader runs, and has one result. It is looked up by one worker, who says so before its query goes
out; when that one dies, another finds the mark, and the numbers may have been looked up already:
they are looked up again, or parked, and flagged in either case. So is a chunk that a worker
put back because it was stopped.

What is acknowledged is safe from the death of any process; for losses of power see
`infobip_async.jetstream.journal`. A job stays in the broker until it is deleted: some 15 octets
a number, and 150 when it has its result.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self

import attrs
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.hlr.queries import HlrClient
from infobip_async.hlr.results import HlrResult
from infobip_async.jetstream.connection import (
    ConflictError,
    Connection,
    ConnectOptions,
    connect_options,
    end,
)
from infobip_async.jetstream.consumers import OrderedConsumer
from infobip_async.jetstream.hlr_messages import (
    MAX_CHUNK,
    POSITION,
    ChunkResult,
    Names,
    Total,
    number_of,
)
from infobip_async.jetstream.hlr_worker import Worker, WorkerSettings
from infobip_async.router import Router

_AHEAD: Final = 16
_LOOK_SECONDS: Final = 0.5


@attrs.frozen
class JobResult:
    """The result of one number of a job.

    Attributes:
        position: of the number in the source, from 0.
        result: what came of it.
        again: whether it may have been looked up more than once, since a worker died.
    """

    position: int
    result: HlrResult
    again: bool


class HlrJob:
    """A job, as a context: connected while it can be.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions` for more than that.
        name: of the job: 1 to 64 letters, digits, ``-`` and ``_``.
        stream: of all jobs; made where it is missing.
        replicas: copies of the stream in a cluster of brokers: 1, 3 or 5.

    Raises:
        LocalProtocolError: that is no name.
        StorageUnavailableError: on entry: the broker is away.
    """

    def __init__(
        self,
        servers: str | Sequence[str] | ConnectOptions,
        name: str,
        *,
        stream: str = "infobip_jobs",
        replicas: int = 1,
    ) -> None:
        self._names = Names(stream, name)
        self._replicas = replicas
        self._broker = Connection(connect_options(servers), self._declare)

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

    async def _declare(self, broker: Connection) -> None:
        name = self._names.stream
        config = StreamConfig(
            name=name,
            subjects=[f"{name}.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            num_replicas=self._replicas,
            allow_direct=True,
        )
        await broker.stream(config)

    # --- the loader ---

    async def load(
        self, numbers: Iterable[str] | AsyncIterable[str], *, chunk_size: int = 1_000
    ) -> Total:
        """Put numbers into the job. What an earlier run has put there stays as it is.

        A broker that goes away meanwhile is waited for.

        Args:
            numbers: the source; always the same one for a job.
            chunk_size: numbers of a query, up to 5,000.

        Returns:
            What there is of the job.

        Raises:
            LocalProtocolError: a chunk size out of range; or the job has other numbers.
        """
        if not 1 <= chunk_size <= MAX_CHUNK:
            raise LocalProtocolError(f"must be from 1 to {MAX_CHUNK}", field="chunk_size")
        chunks = count = 0
        async for chunk in _chunks(numbers, chunk_size):
            head = {POSITION: str(count)}
            await self._put(self._names.one("chunk", chunks), "\n".join(chunk).encode(), head)
            chunks += 1
            count += len(chunk)
        total = Total(chunks, count, chunk_size)
        await self._put(self._names.total, total.encode())
        return total

    async def _put(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Have the first message of a subject kept, or find the same one there."""
        stream, broker = self._names.stream, self._broker
        try:
            await broker.insist(
                lambda: broker.publish(stream, subject, payload, headers=headers, first=True)
            )
        except ConflictError:
            there = await broker.insist(lambda: broker.last(stream, subject))
            if there is None or there.data != payload:
                raise LocalProtocolError(
                    "the job has other numbers, or chunks of another size", field="numbers"
                ) from None

    # --- workers ---

    async def work(
        self,
        client: HlrClient,
        router: Router,
        *,
        chunks: int = 8,
        timeout: float = 60.0,  # noqa: ASYNC109 - of each lookup
        on_doubt: Literal["again", "park"] = "again",
        ack_wait: float = 30.0,
    ) -> int:
        """Look chunks up until the whole job is done.

        Args:
            client: submits the queries.
            router: brings the reports, as from a `ReportFeed`.
            chunks: chunks, and so queries, under way at the most.
            timeout: seconds from a query to the last report that is waited for.
            on_doubt: what to do with a chunk that another worker may have submitted: look it up
                again, which may cost a second time, or park it: its numbers are
                `HlrOutcome.UNKNOWN`.
            ack_wait: seconds after which the chunks of a worker that died go to others.

        Returns:
            How many chunks this process had.

        Raises:
            GatewayRefusedError: the gateway refuses queries as such, as for want of credits; what
                was in hand goes to other workers.
        """
        settings = WorkerSettings(
            chunks=chunks, timeout=timeout, on_doubt=on_doubt, ack_wait=ack_wait
        )
        return await Worker(self._broker, self._names, client, router, settings).run()

    # --- results ---

    async def total(self) -> Total | None:
        """How much there is of it; None until it is loaded.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        message = await self._broker.last(self._names.stream, self._names.total)
        return None if message is None else Total.decode(message.data)

    async def results(self) -> AsyncGenerator[JobResult, None]:
        """All results from the first one on, as they come, until the job is done.

        Those of a chunk come together. A broker that goes away meanwhile is waited for.
        """
        async with self._messages() as messages:
            left: int | None = None
            seen = 0
            while left is None or seen < left:
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        message = await messages.get()
                except TimeoutError:
                    total = await self._broker.insist(self.total)
                    left = None if total is None else total.chunks
                    continue
                seen += 1
                for result in await self._broker.insist(partial(self._flagged, message)):
                    yield result

    @asynccontextmanager
    async def _messages(self) -> AsyncIterator[asyncio.Queue[Msg]]:
        messages: asyncio.Queue[Msg] = asyncio.Queue(_AHEAD)
        cursor = OrderedConsumer(self._broker, self._names.stream, self._names.all("result"))
        async with AsyncExitStack() as stack:
            task = asyncio.create_task(cursor.run(messages.put))
            stack.push_async_callback(end, [task])
            yield messages

    async def _flagged(self, message: Msg) -> list[JobResult]:
        """The results of a chunk; what others tried after it was begun is in its last mark."""
        chunk = ChunkResult.decode(message.data)
        subject = self._names.one("mark", number_of(message.subject))
        mark = await self._broker.last(self._names.stream, subject)
        again = chunk.again or mark is None or mark.data != chunk.attempt.encode()
        return [
            JobResult(position, result, again)
            for position, result in enumerate(chunk.results, chunk.position)
        ]

    async def delete(self) -> None:
        """Forget the job and its results.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        names = self._names
        for subject in (names.total, *map(names.all, ("chunk", "mark", "result"))):
            await self._broker.manage(partial(_purge, names.stream, subject))
        try:
            await self._broker.manage(lambda js: js.delete_consumer(names.stream, names.consumer))
        except NotFoundError:  # nobody has worked on it
            return


async def _purge(stream: str, subject: str, js: JetStreamContext) -> None:
    await js.purge_stream(stream, subject=subject)


async def _chunks(
    numbers: Iterable[str] | AsyncIterable[str], size: int
) -> AsyncGenerator[list[str], None]:
    chunk: list[str] = []
    async for number in _each(numbers):
        chunk.append(number)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _each(numbers: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[str, None]:
    if isinstance(numbers, AsyncIterable):
        async for number in numbers:
            yield number
    else:
        for number in numbers:
            yield number
