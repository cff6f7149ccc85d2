"""A worker of a job: takes chunks, looks their numbers up, and stores the results."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final
from uuid import uuid4

import attrs
from nats.aio.msg import Msg

from infobip_async.errors import GatewayRefusedError, NotSentError
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.pending import MAX_BATCH
from infobip_async.hlr.queries import HlrClient
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.jetstream.connection import ConflictError, Connection
from infobip_async.jetstream.hlr_messages import (
    POSITION,
    ChunkResult,
    JobSubjects,
    Total,
    chunk_number,
)
from infobip_async.jetstream.lease import Lease
from infobip_async.models import HlrSubmission
from infobip_async.router import Router
from infobip_async.runs.settings import OnUnknown

_PAUSE: Final = 1.0
_POLL_SECONDS: Final = 0.5
_POSSIBLY_SUBMITTED: Final = "another worker stopped while it submitted this number"


@attrs.define
class _Guard:
    """A client that tells apart what is refused because of the account.

    Attributes:
        client: submits.
        refused: set when the gateway refuses a query as such.
        fault: the refusal.
    """

    client: HlrClient
    refused: asyncio.Event
    fault: GatewayRefusedError | None = None

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Submit numbers, unless the gateway refused some before."""
        if self.fault is not None:
            raise NotSentError("the gateway refuses queries")
        try:
            return await self.client.submit_hlr(destinations)
        except GatewayRefusedError as fault:
            self.fault = fault
            self.refused.set()
            raise NotSentError("the gateway refuses queries") from fault


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
        ack_wait: seconds after which the broker gives the chunks of a dead worker to others.
    """

    connection: Connection
    subjects: JobSubjects
    client: HlrClient
    router: Router
    concurrency: int
    timeout: float
    on_unknown: OnUnknown
    ack_wait: float
    _stopped: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _fault: Exception | None = attrs.field(default=None, init=False)
    _room: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _done: int = attrs.field(default=0, init=False)
    _guard: _Guard = attrs.field(init=False)
    _lookups: HlrLookups = attrs.field(init=False)
    _lease: Lease = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._guard = _Guard(self.client, self._stopped)
        self._lookups = HlrLookups(
            self._guard,
            self.router,
            batch_size=MAX_BATCH,
            window=MAX_BATCH,
            concurrency=self.concurrency,
            stop_timeout=0,
        )
        self._lease = Lease(
            connection=self.connection,
            stream=self.subjects.stream,
            consumer=self.subjects.consumer,
            subject=self.subjects.of("chunk"),
            ack_wait=self.ack_wait,
        )

    async def run(self) -> int:
        """Work; gives the number of chunks that this worker has done."""
        async with self._lookups, self._lease.open(self._begin, self._capacity):
            await self._until_done()
        if fault := self._guard.fault or self._fault:
            raise fault
        return self._done

    async def _until_done(self) -> None:
        """Wait until no chunk of the job is left, or this worker cannot go on."""
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._stopped.wait()
            if not self._lease and await self.connection.retry(self._nothing_left):
                return

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
        while not (free := self.concurrency - len(self._lease)):
            self._room.clear()
            await self._room.wait()
        return free

    async def _begin(self, message: Msg) -> None:
        self._lease.tasks.start(self._work(message))

    async def _work(self, message: Msg) -> None:
        try:
            await self._look_up(message)
        except Exception as fault:  # noqa: BLE001 - `run` raises it, and others get the chunk
            self._fault = fault
            self._stopped.set()

    async def _look_up(self, message: Msg) -> None:
        number, attempt = chunk_number(message.subject), uuid4().hex
        repeated = await self._announce(number, attempt)
        if not (repeated and await self._has_result(number)):
            numbers = message.data.decode().split("\n")
            if repeated and self.on_unknown == "report":
                results = [
                    HlrResult(one, HlrOutcome.UNKNOWN, reason=_POSSIBLY_SUBMITTED)
                    for one in numbers
                ]
            else:
                results = await self._results(numbers)
            position = int((message.headers or {}).get(POSITION, "0"))
            await self._store(number, ChunkResult(attempt, repeated, position, results))
        sequence = message.metadata.sequence.stream
        await self.connection.retry(partial(self._lease.acknowledge, sequence))
        self._room.set()
        self._done += 1

    async def _announce(self, number: int, attempt: str) -> bool:
        """Say that a chunk is about to be submitted; whether any worker said so before.

        The message has to be there before the query: whoever gets the chunk after this worker
        died must know that its numbers may have been looked up.
        """
        connection, payload = self.connection, attempt.encode()
        stream, subject = self.subjects.stream, self.subjects.of("attempt", number)
        try:
            await connection.retry(lambda: connection.store(stream, subject, payload, first=True))
        except ConflictError:
            last = await connection.retry(lambda: connection.last_message(stream, subject))
            if last is not None and last.data == payload:  # the broker's answer to it was lost
                return False
            await connection.retry(
                lambda: connection.store(stream, subject, payload, message_id=attempt)
            )
            return True
        return False

    async def _has_result(self, number: int) -> bool:
        stream, subject = self.subjects.stream, self.subjects.of("result", number)
        found = await self.connection.retry(lambda: self.connection.last_message(stream, subject))
        return found is not None

    async def _results(self, numbers: Sequence[str]) -> list[HlrResult]:
        """Look numbers up, and wait for a gateway that cannot be reached."""
        results: dict[int, HlrResult] = {}
        left = list(range(len(numbers)))
        while left:
            stream = self._lookups.stream(
                [numbers[place] for place in left], timeout=self.timeout, ordered=True
            )
            found = [result async for result in stream]
            results.update(zip(left, found, strict=True))
            left = [p for p in left if results[p].outcome is HlrOutcome.NOT_SENT]
            if left:
                await asyncio.sleep(_PAUSE)
        return [results[place] for place in range(len(numbers))]

    async def _store(self, number: int, result: ChunkResult) -> None:
        connection, payload = self.connection, result.encode()
        stream, subject = self.subjects.stream, self.subjects.of("result", number)
        with suppress(ConflictError):  # another worker was first, or the broker's answer was lost
            await connection.retry(lambda: connection.store(stream, subject, payload, first=True))
