"""A worker: takes chunks of a job, looks their numbers up, and hands the results in."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal
from uuid import uuid4

import attrs
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo

from infobip_async.errors import GatewayRefusedError, NotSentError, StorageUnavailableError
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.pending import MAX_BATCH
from infobip_async.hlr.queries import HlrClient
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.jetstream.connection import ConflictError, Connection, end
from infobip_async.jetstream.consumers import Pull
from infobip_async.jetstream.hlr_messages import POSITION, ChunkResult, Names, Total, number_of
from infobip_async.models import HlrSubmission
from infobip_async.router import Router

_PAUSE: Final = 1.0
_LOOK_SECONDS: Final = 0.5
_BEATS: Final = 3
_PARKED: Final = "a worker died while it was being submitted"


@attrs.frozen(kw_only=True)
class WorkerSettings:
    """How a worker works; see `HlrJob.work`."""

    chunks: int
    timeout: float
    on_doubt: Literal["again", "park"]
    ack_wait: float


@attrs.define
class _Guard:
    """A client that tells apart what is refused because of the account.

    Attributes:
        client: submits.
        fault: why the gateway refuses queries as such.
        refused: set when it does.
    """

    client: HlrClient
    fault: GatewayRefusedError | None = None
    refused: asyncio.Event = attrs.field(factory=asyncio.Event)

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


class Worker:
    """Works on a job until all of it is done.

    Args:
        broker: has the job.
        names: what it is called there.
        client: submits the queries.
        router: brings the reports.
        settings: how.
    """

    def __init__(
        self,
        broker: Connection,
        names: Names,
        client: HlrClient,
        router: Router,
        settings: WorkerSettings,
    ) -> None:
        self._broker = broker
        self._names = names
        self._guard = _Guard(client)
        self._settings = settings
        self._lookups = HlrLookups(
            self._guard,
            router,
            batch_size=MAX_BATCH,
            window=MAX_BATCH,
            queries=settings.chunks,
            stop_timeout=0,
        )
        self._in_hand: dict[int, Msg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room_again = asyncio.Event()
        self._done = 0

    async def run(self) -> int:
        """Work; see `HlrJob.work`."""
        pull = Pull(self._broker, self._names.stream, self._consumer)
        async with self._lookups:
            beside = [
                asyncio.create_task(pull.run(self._take, self._room)),
                asyncio.create_task(self._beat()),
            ]
            try:
                await self._until_done()
            finally:
                await end([*beside, *self._tasks])
                await self._give_back()
        if self._guard.fault is not None:
            raise self._guard.fault
        return self._done

    async def _until_done(self) -> None:
        """Wait until no chunk is left, or the gateway refuses."""
        while not self._guard.refused.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._guard.refused.wait(), _LOOK_SECONDS)
            if not self._in_hand and await self._broker.insist(self._nothing_left):
                return

    async def _nothing_left(self) -> bool:
        stream = self._names.stream
        total = await self._broker.last(stream, self._names.total)
        if total is None:
            return False
        name = await self._consumer()
        info: ConsumerInfo = await self._broker.manage(lambda js: js.consumer_info(stream, name))
        done = info.delivered.stream_seq if info.delivered else 0
        begun = done or not Total.decode(total.data).chunks
        return bool(begun) and not info.num_pending and not info.num_ack_pending

    async def _consumer(self) -> str:
        config = ConsumerConfig(
            durable_name=self._names.consumer,
            filter_subject=self._names.all("chunk"),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._settings.ack_wait,
            max_deliver=-1,
            max_ack_pending=-1,
        )
        await self._broker.consumer(self._names.stream, config)
        return self._names.consumer

    async def _room(self) -> int:
        while not (room := self._settings.chunks - len(self._in_hand)):
            self._room_again.clear()
            await self._room_again.wait()
        return room

    async def _take(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        known = sequence in self._in_hand
        self._in_hand[sequence] = message
        if known:  # the broker has not heard of it for long, but it is in work
            return
        task = asyncio.create_task(self._look_up(sequence))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _beat(self) -> None:
        """Let the broker know that what is in hand is in work."""
        while True:
            await asyncio.sleep(self._settings.ack_wait / _BEATS)
            with suppress(StorageUnavailableError):
                for message in tuple(self._in_hand.values()):
                    await self._broker.tell(message.reply, b"+WPI")

    async def _give_back(self) -> None:
        with suppress(StorageUnavailableError):
            for message in self._in_hand.values():
                await self._broker.tell(message.reply, b"-NAK")

    # --- one chunk ---

    async def _look_up(self, sequence: int) -> None:
        broker, message = self._broker, self._in_hand[sequence]
        number, attempt = number_of(message.subject), uuid4().hex
        again = await self._mark(number, attempt)
        if not (again and await self._has_result(number)):
            numbers = message.data.decode().split("\n")
            if again and self._settings.on_doubt == "park":
                results = [HlrResult(one, HlrOutcome.UNKNOWN, reason=_PARKED) for one in numbers]
            else:
                results = await self._results(numbers)
            position = int((message.headers or {}).get(POSITION, "0"))
            await self._hand_in(number, ChunkResult(attempt, again, position, results))
        await broker.insist(lambda: broker.request(self._in_hand[sequence].reply, b"+ACK"))
        del self._in_hand[sequence]
        self._room_again.set()
        self._done += 1

    async def _mark(self, number: int, attempt: str) -> bool:
        """Say that a chunk is about to be submitted; whether somebody else has said so before."""
        stream, subject = self._names.stream, self._names.one("mark", number)
        broker, payload = self._broker, attempt.encode()
        try:
            await broker.insist(lambda: broker.publish(stream, subject, payload, first=True))
        except ConflictError:
            last = await broker.insist(lambda: broker.last(stream, subject))
            if last is not None and last.data == payload:  # an acknowledgement of ours was lost
                return False
            await broker.insist(
                lambda: broker.publish(stream, subject, payload, message_id=attempt)
            )
            return True
        return False

    async def _has_result(self, number: int) -> bool:
        subject = self._names.one("result", number)
        return (
            await self._broker.insist(lambda: self._broker.last(self._names.stream, subject))
            is not None
        )

    async def _results(self, numbers: Sequence[str]) -> list[HlrResult]:
        """Look numbers up, and again for as long as the gateway cannot be reached."""
        results: dict[int, HlrResult] = {}
        left = list(range(len(numbers)))
        while left:
            stream = self._lookups.stream(
                [numbers[place] for place in left], timeout=self._settings.timeout, ordered=True
            )
            found = [result async for result in stream]
            results.update(zip(left, found, strict=True))
            left = [p for p in left if results[p].outcome is HlrOutcome.NOT_SENT]
            if left:
                await asyncio.sleep(_PAUSE)
        return [results[place] for place in range(len(numbers))]

    async def _hand_in(self, number: int, result: ChunkResult) -> None:
        stream, subject = self._names.stream, self._names.one("result", number)
        broker, payload = self._broker, result.encode()
        with suppress(ConflictError):  # another worker was first, or an acknowledgement was lost
            await broker.insist(lambda: broker.publish(stream, subject, payload, first=True))
