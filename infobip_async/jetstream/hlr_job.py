"""A job of lookups that processes on any machines share, on NATS JetStream (§4, §5).

::

    async with HlrJob("nats://127.0.0.1:4222", "spring") as job:
        await job.load(numbers)                       # one process, or several with the same source
        async for result in job.results(): ...        # any process, as often as it likes

    async with HlrJob(url, "spring") as job, ReportFeed(url, router):
        await job.work(client, router)                # as many processes as you like

All of them can be killed and started again at any time. A chunk of numbers is loaded once, however
often the loader runs, and has one result. One worker looks it up, and announces that before its
query goes out. If this worker dies, or is cancelled, another one finds the announcement: the
numbers may have been looked up already. `on_unknown` decides whether they are looked up again,
which marks their results. A worker that is stopped (`HlrJob.stop`), or whose run ends by itself,
such as for a wrong login, says in place of the announcement which numbers have their result, and
which were not submitted.

What the broker confirmed survives the death of any process; on losses of power see
`infobip_async.jetstream.journal`. A job stays in the broker until it is deleted: it takes some 15
octets for each number, and 150 once the number has its result.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Self, get_args

import attrs
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.concurrency.window import in_chunks
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.queries import HlrClient
from infobip_async.hlr.results import HlrResult
from infobip_async.jetstream.connection import ConflictError, Connection
from infobip_async.jetstream.consumers import OrderedConsumer
from infobip_async.jetstream.hlr_messages import (
    MAX_CHUNK,
    POSITION,
    ChunkResult,
    JobSubjects,
    Total,
    chunk_number,
)
from infobip_async.jetstream.hlr_worker import HlrWorker
from infobip_async.jetstream.options import Servers, connect_options
from infobip_async.router import Router
from infobip_async.runs.settings import OnUnknown, check_positive, check_range

_READ_AHEAD: Final = 16  # chunks
_logger = logging.getLogger("infobip_async.jetstream")

_POLL_SECONDS: Final = 0.5


@attrs.frozen
class JobResult:
    """The result of one number of a job.

    Attributes:
        position: of the number in the source, from 0.
        result: what came of the lookup.
        possibly_repeated: whether the number may have been looked up more than once, because a
            worker looked it up after another one had stopped in the middle, or made a query again
            whose reply was lost.
    """

    position: int
    result: HlrResult
    possibly_repeated: bool


class HlrJob:
    """A job of lookups in a broker, as a context.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions`.
        name: of the job: 1 to 64 letters, digits, ``-`` and ``_``.
        stream: the stream of all jobs; created if it is missing.
        replicas: copies of the stream in a cluster of brokers: 1, 3 or 5.

    Raises:
        LocalProtocolError: the name of the job or of the stream is out of range.
        StorageUnavailableError: on entry: the broker is away.
    """

    def __init__(
        self,
        servers: Servers,
        name: str,
        *,
        stream: str = "infobip_jobs",
        replicas: int = 1,
    ) -> None:
        self._subjects = JobSubjects(stream, name)
        self._replicas = replicas
        self._connection = Connection(connect_options(servers), self._declare)
        self._workers: set[HlrWorker] = set()

    async def __aenter__(self) -> Self:
        await self._connection.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.aclose()

    async def _declare(self, connection: Connection) -> None:
        name = self._subjects.stream
        config = StreamConfig(
            name=name,
            subjects=[f"{name}.>"],
            storage=StorageType.FILE,
            # A full stream refuses new messages: it must not delete results.
            discard=DiscardPolicy.NEW,
            num_replicas=self._replicas,
            allow_direct=True,
        )
        await connection.ensure_stream(config)

    # --- the loader ---

    async def load(
        self, numbers: Iterable[str] | AsyncIterable[str], *, chunk_size: int = 1_000
    ) -> Total:
        """Put numbers into the job; those that an earlier call put there stay as they are.

        A broker that goes away meanwhile is waited for.

        Args:
            numbers: the source; a job has the same one always.
            chunk_size: numbers of a query, 1 to 5,000.

        Returns:
            The size of the job.

        Raises:
            LocalProtocolError: `chunk_size` is out of range, or the job has other numbers.
        """
        check_range("chunk_size", chunk_size, 1, MAX_CHUNK)
        chunks = count = 0
        async for chunk in in_chunks(numbers, chunk_size):
            headers = {POSITION: str(count)}
            subject = self._subjects.of("chunk", chunks)
            await self._store_once(subject, "\n".join(chunk).encode(), headers)
            chunks += 1
            count += len(chunk)
        total = Total(chunks, count, chunk_size)
        await self._store_once(self._subjects.total, total.encode())
        return total

    async def _store_once(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Store the first message of a subject, or find the same message there."""
        stream, connection = self._subjects.stream, self._connection
        try:
            await connection.retry(
                lambda: connection.store(stream, subject, payload, headers=headers, first=True)
            )
        except ConflictError:
            found = await connection.retry(lambda: connection.last_message(stream, subject))
            if found is None or found.data != payload:
                raise LocalProtocolError(
                    "the job has other numbers, or chunks of another size", field="numbers"
                ) from None

    # --- workers ---

    async def work(
        self,
        client: HlrClient,
        router: Router,
        *,
        concurrency: int = 8,
        timeout: float = 60.0,  # noqa: ASYNC109 - of each lookup
        on_unknown: OnUnknown = "repeat",
        unreachable_timeout: float = 300.0,
        stop_timeout: float = 30.0,
        ack_wait: float = 30.0,
    ) -> int:
        """Look up chunks of the job until every chunk has its result, or until `stop`.

        A broker that cannot be reached is waited for. A call that is cancelled waits for nothing:
        what it had out is in doubt.

        Args:
            client: submits the queries.
            router: brings the reports, such as that of a `ReportFeed`.
            concurrency: most chunks, and so queries, under way; 1 or more.
            timeout: seconds to wait for the reports of a query.
            on_unknown: what becomes of a chunk that another worker may have submitted: ``repeat``
                looks it up again, which may cost a second time; ``report`` gives its numbers the
                outcome `HlrOutcome.UNKNOWN`.
            unreachable_timeout: seconds that a gateway which cannot be connected to is waited for.
            stop_timeout: seconds that `stop` waits for the reports of the queries that are out.
            ack_wait: seconds after which the chunks of a worker that died go to others.

        Returns:
            How many chunks this call has done.

        Raises:
            LocalProtocolError: a setting is out of its range.
            RunStoppedError: the lookups cannot go on, such as for a wrong login, a wrong address,
                no credits, or a gateway that stays away; other workers get the chunks that this
                one had.
        """
        check_range("concurrency", concurrency, 1)
        check_positive("timeout", timeout)
        check_range("unreachable_timeout", unreachable_timeout, 0)
        check_range("stop_timeout", stop_timeout, 0)
        check_positive("ack_wait", ack_wait)
        if on_unknown not in get_args(OnUnknown):
            raise LocalProtocolError("must be report or repeat", field="on_unknown")
        worker = HlrWorker(
            connection=self._connection,
            subjects=self._subjects,
            client=client,
            router=router,
            concurrency=concurrency,
            timeout=timeout,
            on_unknown=on_unknown,
            unreachable_timeout=unreachable_timeout,
            stop_timeout=stop_timeout,
            ack_wait=ack_wait,
        )
        self._workers.add(worker)
        try:
            return await worker.run()
        finally:
            self._workers.discard(worker)

    async def stop(self) -> None:
        """Have each call of `work` of this object take no further chunk, and end.

        The reports of what is out are waited for, up to ``stop_timeout``, and kept. The other
        numbers go to other workers; those that were submitted are in doubt.
        """
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    # --- results ---

    async def total(self) -> Total | None:
        """The size of the job; None until it is loaded.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        message = await self._connection.last_message(self._subjects.stream, self._subjects.total)
        return None if message is None else Total.decode(message.data)

    async def results(self) -> AsyncGenerator[JobResult, None]:
        """Yield all results from the first one on, as they come, until the job is done.

        The results of a chunk come together. A job that is not loaded, and a broker that goes
        away, are waited for.
        """
        async with self._chunk_results() as messages:
            chunks: int | None = None
            seen = 0
            while chunks is None or seen < chunks:
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        message = await messages.get()
                except TimeoutError:
                    total = await self._connection.retry(self.total)
                    chunks = None if total is None else total.chunks
                    continue
                seen += 1
                for result in await self._connection.retry(partial(self._read, message)):
                    yield result

    @asynccontextmanager
    async def _chunk_results(self) -> AsyncIterator[asyncio.Queue[Msg]]:
        messages: asyncio.Queue[Msg] = asyncio.Queue(_READ_AHEAD)
        subjects = self._subjects.of("result")
        consumer = OrderedConsumer(self._connection, self._subjects.stream, subjects)
        tasks = LastingTasks("job", _logger)
        tasks.start(partial(consumer.run, messages.put))
        try:
            yield messages
        finally:
            await tasks.end()

    async def _read(self, message: Msg) -> list[JobResult]:
        """Read the results of a chunk.

        Each result knows the attempts that came before it. Attempts that came later are seen from
        the last attempt, which then is another one.
        """
        chunk = ChunkResult.decode(message.data)
        subject = self._subjects.of("attempt", chunk_number(message.subject))
        last = await self._connection.last_message(self._subjects.stream, subject)
        repeated = last is None or last.data != chunk.attempt.encode()
        return [
            JobResult(position, result, repeated or result.possibly_repeated)
            for position, result in enumerate(chunk.results, chunk.position)
        ]

    async def delete(self) -> None:
        """Delete the job and its results.

        Raises:
            StorageUnavailableError: the broker is away.
        """
        stream, consumer = self._subjects.stream, self._subjects.consumer
        for subject in self._subjects.all:
            await self._connection.purge(stream, subject)
        try:
            await self._connection.call(lambda js: js.delete_consumer(stream, consumer))
        except NotFoundError:  # no worker has started
            return
