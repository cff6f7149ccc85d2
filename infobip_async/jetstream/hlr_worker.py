"""A worker of a job: takes chunks, looks their numbers up, and stores the results."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from functools import partial
from typing import Final
from uuid import uuid4

import attrs
from nats.aio.msg import Msg

from infobip_async.concurrency.tasks import TaskSet, cancel
from infobip_async.errors import RunStoppedError, StorageUnavailableError
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.pending import MAX_BATCH
from infobip_async.hlr.queries import HlrClient
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.jetstream.connection import ConflictError, Connection, sequence_of
from infobip_async.jetstream.hlr_messages import (
    POSITION,
    ChunkResult,
    JobSubjects,
    Total,
    chunk_number,
)
from infobip_async.jetstream.lease import Lease
from infobip_async.router import Router
from infobip_async.runs.run import Run
from infobip_async.runs.settings import OnUnknown

_POLL_SECONDS: Final = 0.5
_AGAIN: Final = "-again"
"""Ends an attempt whose numbers another attempt may have submitted, too."""
_WITHOUT_ANSWER: Final = (HlrOutcome.TIMED_OUT, HlrOutcome.UNKNOWN)
_POSSIBLY_SUBMITTED: Final = "another worker stopped while it submitted this number"


@attrs.define(eq=False)
class _Chunk:
    """A chunk whose numbers are looked up.

    Attributes:
        message: as the broker gave it.
        attempt: the id of this attempt at it.
        announced: the sequence of the message that announces the attempt.
        results: what is known of the numbers, in their order: `HlrOutcome.NOT_SENT` where nobody
            has submitted a number, `HlrOutcome.UNKNOWN` where a worker may have.
        open: the places of the numbers that are to be looked up, or are being looked up.
    """

    message: Msg
    attempt: str
    announced: int
    results: list[HlrResult]
    open: set[int]

    @property
    def position(self) -> int:
        """Of its first number in the source."""
        return int((self.message.headers or {}).get(POSITION, "0"))

    def encode(self) -> bytes:
        """Write what is known of it."""
        return ChunkResult(self.attempt, self.position, self.results).encode()


class _Number(str):
    """A number that knows its chunk, which its result leads back to.

    Attributes:
        chunk: the chunk.
        place: in the chunk, from 0.
    """

    __slots__ = ("chunk", "place")
    chunk: _Chunk
    place: int


@attrs.define(kw_only=True, eq=False)
class HlrWorker:
    """Works on a job until all of it is done; see `HlrJob.work`.

    Attributes:
        connection: to the broker.
        subjects: the subjects of the job.
        client: submits the queries.
        router: brings the reports.
        concurrency: most chunks under way.
        timeout: seconds to wait for the reports of a query.
        on_unknown: what to do with a chunk that another worker may have submitted.
        unreachable_timeout: seconds that a gateway which cannot be connected to is waited for.
        stop_timeout: seconds that a stop waits for the reports of the queries that are out.
        ack_wait: seconds after which the broker gives the chunks of a dead worker to others.
    """

    connection: Connection
    subjects: JobSubjects
    client: HlrClient
    router: Router
    concurrency: int
    timeout: float
    on_unknown: OnUnknown
    unreachable_timeout: float
    stop_timeout: float
    ack_wait: float
    _fault: Exception | None = attrs.field(default=None, init=False)
    _room: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _ready: "asyncio.Queue[_Chunk | None]" = attrs.field(factory=asyncio.Queue, init=False)
    _chunks: TaskSet = attrs.field(factory=TaskSet, init=False)
    _begun: set[_Chunk] = attrs.field(factory=set, init=False)
    _stopping: bool = attrs.field(default=False, init=False)
    _run: Run[HlrResult] | None = attrs.field(default=None, init=False)
    _done: int = attrs.field(default=0, init=False)
    _lookups: HlrLookups = attrs.field(init=False)
    _lease: Lease = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lookups = HlrLookups(
            self.client,
            self.router,
            batch_size=MAX_BATCH,
            window=MAX_BATCH * self.concurrency,
            concurrency=self.concurrency,
            stop_timeout=self.stop_timeout,
        )
        self._lease = Lease(
            connection=self.connection,
            stream=self.subjects.stream,
            consumer=self.subjects.consumer,
            subject=self.subjects.of("chunk"),
            ack_wait=self.ack_wait,
        )

    async def run(self) -> int:
        """Work; gives the number of chunks that this worker has done.

        All chunks are looked up by one run, so that what ends a run ends all of them; see
        `infobip_async.runs.flow_control`.
        """
        async with self._lookups, self._lease.open(self._begin, self._capacity):
            waiting = self._lease.tasks.start(self._wait_until_done())
            try:
                await self._look_up()
            finally:
                await self._chunks.cancel()
            await cancel([waiting])
        if self._fault is not None:
            raise self._fault
        return self._done

    async def stop(self) -> None:
        """Take no further chunk, and wait for the reports of what is out; then `run` ends."""
        self._stopping = True
        self._ready.put_nowait(None)
        if self._run is not None:
            await self._run.stop()

    async def _look_up(self) -> None:
        run = self._run = self._lookups.stream(
            self._numbers(),
            timeout=self.timeout,
            on_unknown=self.on_unknown,
            unreachable_timeout=self.unreachable_timeout,
        )
        fault: RunStoppedError | None = None
        async with run:
            try:
                async for result in run:
                    self._take(result)
            except RunStoppedError as stopped:
                fault = stopped
            await self._withdraw()
        if fault is not None:
            raise fault

    async def _numbers(self) -> AsyncGenerator[_Number, None]:
        while (chunk := await self._ready.get()) is not None:
            for place in sorted(chunk.open):
                number = _Number(chunk.results[place].destination)
                number.chunk, number.place = chunk, place
                yield number

    def _take(self, result: HlrResult) -> None:
        """Keep a result; a number that was not sent, or has no answer at a stop, stays open."""
        number = result.destination
        if not isinstance(number, _Number) or result.outcome is HlrOutcome.NOT_SENT:
            return
        chunk, place = number.chunk, number.place
        again = result.possibly_repeated or _in_doubt(chunk.results[place])
        if self._stopping and result.outcome in _WITHOUT_ANSWER:
            result = HlrResult(number, HlrOutcome.UNKNOWN, reason=_POSSIBLY_SUBMITTED)
        else:
            chunk.open.discard(place)
        chunk.results[place] = attrs.evolve(result, possibly_repeated=again)
        if not chunk.open:
            self._start(self._finish(chunk))

    async def _withdraw(self) -> None:
        """Store what came, and replace the announcements of chunks that are not done.

        Another worker that gets such a chunk learns which of its numbers have their result, and
        which it need not fear to look up twice.
        """
        self._stopping = True
        await self._chunks.drain(self.ack_wait)
        for chunk in self._begun:
            subject = self.subjects.of("attempt", chunk_number(chunk.message.subject))
            with suppress(ConflictError, StorageUnavailableError):  # then it stays in doubt
                await self.connection.store(
                    self.subjects.stream, subject, chunk.encode(), behind=chunk.announced
                )

    async def _wait_until_done(self) -> None:
        """Have the run end when no chunk of the job is left, or this worker cannot go on."""
        while self._fault is None:
            await asyncio.sleep(_POLL_SECONDS)
            if not self._lease and await self.connection.retry(self._nothing_left):
                break
        self._ready.put_nowait(None)

    async def _nothing_left(self) -> bool:
        """Whether the job is loaded, and every chunk of it is acknowledged."""
        stream = self.subjects.stream
        message = await self.connection.last_message(stream, self.subjects.total)
        if message is None:
            return False
        name = await self._lease.declare()
        info = await self.connection.call(lambda js: js.consumer_info(stream, name))
        # A consumer that was just created has nothing pending for a moment.
        delivered = info.delivered.stream_seq if info.delivered else 0
        begun = delivered or not Total.decode(message.data).chunks
        return bool(begun) and not info.num_pending and not info.num_ack_pending

    # --- one chunk ---

    async def _capacity(self) -> int:
        while self._stopping or not (free := self.concurrency - len(self._lease)):
            self._room.clear()
            await self._room.wait()
        return free

    def _start(self, work: Coroutine[object, object, None]) -> None:
        self._chunks.start(self._or_stop(work))

    async def _or_stop(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as fault:  # noqa: BLE001 - `run` raises it, and others get the chunk
            self._fault = self._fault or fault

    async def _begin(self, message: Msg) -> None:
        if not self._stopping:
            self._start(self._prepare(message))

    async def _prepare(self, message: Msg) -> None:
        """Have a chunk looked up, unless another worker has done it, or may have."""
        chunk, is_first = await self._announce(message)
        if not is_first and await self._has_result(chunk_number(message.subject)):
            await self._acknowledge(message)
        elif chunk.open:
            self._begun.add(chunk)
            self._ready.put_nowait(chunk)
        else:
            await self._finish(chunk)

    async def _finish(self, chunk: _Chunk) -> None:
        """Store the results of a chunk, and be done with the chunk."""
        self._begun.discard(chunk)
        await self._store(chunk_number(chunk.message.subject), chunk.encode())
        await self._acknowledge(chunk.message)

    async def _acknowledge(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        await self.connection.retry(partial(self._lease.acknowledge, sequence))
        self._room.set()
        self._done += 1

    async def _announce(self, message: Msg) -> tuple[_Chunk, bool]:
        """Say that a chunk is about to be submitted.

        The message has to be there before the query: whoever gets the chunk after this worker
        died must know that its numbers may have been looked up.

        Returns:
            The chunk, and whether no other worker has said so before.
        """
        connection, stream = self.connection, self.subjects.stream
        subject = self.subjects.of("attempt", chunk_number(message.subject))
        chunk, before = self._chunk(message, None), 0
        while True:
            payload = chunk.attempt.encode()
            store = partial(connection.store, stream, subject, payload, behind=before)
            try:
                chunk.announced = await connection.retry(store)
            except ConflictError:
                last = await connection.retry(lambda: connection.last_message(stream, subject))
                if last is None:
                    before = 0
                    continue
                if last.data != payload:
                    chunk, before = self._chunk(message, last.data), sequence_of(last)
                    continue
                chunk.announced = sequence_of(last)  # the broker's answer to it was lost
            return chunk, not before

    def _chunk(self, message: Msg, before: bytes | None) -> _Chunk:
        """Make a chunk of its message, and of the last word of a worker that had it before."""
        results = _known(message, before)
        wanted = {HlrOutcome.NOT_SENT}
        if self.on_unknown == "repeat":
            wanted.add(HlrOutcome.UNKNOWN)
        to_look_up = {place for place, one in enumerate(results) if one.outcome in wanted}
        twice = any(one.possibly_repeated for one in results)
        twice = twice or any(_in_doubt(results[place]) for place in to_look_up)
        attempt = uuid4().hex + (_AGAIN if twice else "")
        return _Chunk(message, attempt, 0, results, to_look_up)

    async def _has_result(self, number: int) -> bool:
        stream, subject = self.subjects.stream, self.subjects.of("result", number)
        found = await self.connection.retry(lambda: self.connection.last_message(stream, subject))
        return found is not None

    async def _store(self, number: int, payload: bytes) -> None:
        connection = self.connection
        stream, subject = self.subjects.stream, self.subjects.of("result", number)
        with suppress(ConflictError):  # another worker was first, or the broker's answer was lost
            await connection.retry(lambda: connection.store(stream, subject, payload, first=True))


def _known(message: Msg, before: bytes | None) -> list[HlrResult]:
    """What is known of the numbers of a chunk from the last word of a worker that had it."""
    if before is not None and before.startswith(b"["):
        return list(ChunkResult.decode(before).results)
    result = HlrResult("", HlrOutcome.NOT_SENT)
    if before is not None:  # an announcement
        again = before.endswith(_AGAIN.encode())
        result = HlrResult(
            "", HlrOutcome.UNKNOWN, reason=_POSSIBLY_SUBMITTED, possibly_repeated=again
        )
    texts = message.data.decode().split("\n")
    return [attrs.evolve(result, destination=text) for text in texts]


def _in_doubt(result: HlrResult) -> bool:
    return result.outcome is HlrOutcome.UNKNOWN
