"""A stream of lookups: a source on one side, a consumer on the other, a window between them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from functools import partial

import attrs

from infobip_async.errors import InfobipError, LocalProtocolError
from infobip_async.hlr.queries import Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.numbering.msisdn import check_lookup_destination, check_lookup_destinations

Numbers = Iterable[str] | AsyncIterable[str]
"""Any source of numbers, of any length."""


@attrs.frozen(kw_only=True)
class StreamSettings:
    """How a stream is run.

    Attributes:
        batch_size: numbers per query.
        batch_age: seconds that a number waits for its query to fill.
        queries: queries in flight at the most.
        window: numbers read and not yet handed to the consumer, at the most.
        timeout: seconds from the query to the last report that is waited for.
        ordered: give results in the order of the numbers.
        share: look a number up once that is in the window several times.
        resubmit: make a query of unknown outcome again.
    """

    batch_size: int
    batch_age: float
    queries: int
    window: int
    timeout: float
    ordered: bool
    share: bool
    resubmit: bool


class Stream:
    """One call of `HlrLookups.stream`.

    Each number takes a place in the window when it is read, and gives it back when the consumer
    takes its result: that bounds what waits and what is ready together, and holds the source up.

    Args:
        queries: take the batches.
        numbers: the source.
        settings: how to run.
        running: the streams that are being consumed, of which this will be one.
    """

    def __init__(
        self,
        queries: Queries,
        numbers: Numbers,
        settings: StreamSettings,
        running: "set[Stream]",
    ) -> None:
        self._queries = queries
        self._running = running
        self._numbers = numbers
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.queries)
        self._places = settings.window
        self._room = asyncio.Event()
        self._filling: list[str] = []
        self._sequences: list[int] = []
        self._read = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._shared: dict[str, list[int]] = {}
        self._ready: deque[HlrResult] = deque()
        self._held: dict[int, HlrResult] = {}
        self._next = 0
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def results(self) -> AsyncGenerator[HlrResult, None]:
        """Yield a result for each number; afterwards raise what the source raised, if it did."""
        self._running.add(self)
        self._reader = asyncio.create_task(self._read_all())
        self._reader.add_done_callback(self._stir)
        try:
            while self._ready or self._tasks or not self._reader.done():
                while self._ready:
                    self._places += 1
                    self._room.set()
                    yield self._ready.popleft()
                self._wake.clear()
                if self._tasks or not self._reader.done():
                    await self._wake.wait()
            if not self._reader.cancelled():
                self._reader.result()
        finally:
            await self._close()

    def stop_reading(self) -> None:
        """Read no more numbers; those that were read still get their results."""
        if self._reader is not None:
            self._reader.cancel()

    async def _close(self) -> None:
        """Leave no task behind, wherever the consumer left."""
        self._running.discard(self)
        tasks = [*self._tasks, *([self._reader] if self._reader else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stir(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    # --- from the source to the queries ---

    async def _read_all(self) -> None:
        try:
            if isinstance(self._numbers, AsyncIterable):
                async for number in self._numbers:
                    await self._take(number)
            else:
                for number in self._numbers:
                    await self._take(number)
        finally:
            self._submit()

    async def _take(self, number: str) -> None:
        while self._places <= 0:
            self._room.clear()
            await self._room.wait()
        self._places -= 1
        sequence = self._read
        self._read += 1
        if self._settings.share:
            if number in self._shared:
                self._shared[number].append(sequence)
                return
            self._shared[number] = []
        self._filling.append(number)
        self._sequences.append(sequence)
        if len(self._filling) == self._settings.batch_size:
            self._submit()
        elif len(self._filling) == 1:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.batch_age, self._submit)

    def _submit(self) -> None:
        """Start the query of what has been read so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        numbers, self._filling = self._filling, []
        sequences, self._sequences = self._sequences, []
        if not numbers:
            return
        try:
            check_lookup_destinations(numbers)
        except LocalProtocolError:
            numbers, sequences = self._without_bad_ones(numbers, sequences)
        if numbers:
            task = self._queries.start(
                numbers,
                partial(self._settle, sequences),
                timeout=self._settings.timeout,
                slots=self._slots,
                resubmit=self._settings.resubmit,
            )
            self._tasks.add(task)
            task.add_done_callback(self._stir)

    def _without_bad_ones(
        self, numbers: list[str], sequences: list[int]
    ) -> tuple[list[str], list[int]]:
        """Refuse the numbers that no query can carry, and keep the others."""
        good: list[tuple[str, int]] = []
        for number, sequence in zip(numbers, sequences, strict=True):
            try:
                good.append((check_lookup_destination(number), sequence))
            except LocalProtocolError as fault:
                self._queries.table.stats.refused += 1
                self._emit(sequence, HlrResult(number, HlrOutcome.REFUSED, reason=str(fault)))
        return [number for number, _ in good], [sequence for _, sequence in good]

    # --- from the reports to the consumer ---

    def _settle(
        self, sequences: list[int], position: int, result: HlrResult, _: InfobipError | None
    ) -> None:
        self._emit(sequences[position], result)

    def _emit(self, sequence: int, result: HlrResult) -> None:
        self._wake.set()
        sharers = self._shared.pop(result.destination) if self._settings.share else ()
        if not self._settings.ordered:
            self._ready.extend([result] * (1 + len(sharers)))
            return
        self._held.update(dict.fromkeys([sequence, *sharers], result))
        while self._next in self._held:
            self._ready.append(self._held.pop(self._next))
            self._next += 1
