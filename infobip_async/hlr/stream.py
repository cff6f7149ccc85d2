"""A stream of lookups: a source on one side, a consumer on the other, a window between them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from functools import partial
from itertools import compress, islice

import attrs

from infobip_async.errors import GatewayRefusedError, LocalProtocolError
from infobip_async.hlr.pending import Stats
from infobip_async.hlr.queries import Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.numbering.msisdn import check_lookup_destination, check_lookup_destinations

Numbers = Iterable[str] | AsyncIterable[str]
"""Any source of numbers, of any length."""


@attrs.frozen(kw_only=True)
class StreamSettings:
    """How a stream is run.

    Attributes:
        batch_size: numbers per query; no more than the window.
        batch_age: seconds that a number waits for its query to fill.
        window: numbers read and not yet handed to the consumer, at the most.
        timeout: seconds from the query to the last report that is waited for.
        ordered: give results in the order of the numbers.
        share: look a number up once that is in the window several times.
        resubmit: make a query of unknown outcome again.
    """

    batch_size: int
    batch_age: float
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
        queries: take the batches; it has them for itself.
        stats: where numbers are counted that no query can carry.
        numbers: the source; a string is one number.
        settings: how to run.
    """

    def __init__(
        self,
        queries: Queries,
        stats: Stats,
        numbers: Numbers,
        settings: StreamSettings,
    ) -> None:
        self._queries = queries
        self._stats = stats
        self._numbers = (numbers,) if isinstance(numbers, str) else numbers
        self._settings = settings
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False
        # From the source to the queries:
        self._places = settings.window
        self._room = asyncio.Event()
        # A full window is read on from when a whole query has room, instead of many small ones.
        self._enough = min(settings.batch_size, (settings.window + 1) // 2)
        self._read = 0
        self._filling: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sharers: dict[str, list[int]] = {}
        # From the reports to the consumer:
        self._ready: deque[HlrResult] = deque()
        self._wake = asyncio.Event()
        self._plain = not (settings.ordered or settings.share)
        self._held: dict[int, HlrResult] = {}
        self._next = 0

    async def results(self) -> AsyncGenerator[HlrResult, None]:
        """Yield a result for each number; afterwards raise what the source raised, if it did."""
        if self._queries.stopping:
            raise RuntimeError("the context of this stream was left before it was read")
        self._reader = asyncio.create_task(self._read_all())
        self._reader.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                while self._ready:
                    self._places += 1
                    if self._places == self._enough:
                        self._room.set()
                    yield self._ready.popleft()
                if self._reader.done() and self._places == self._settings.window:
                    break
                self._wake.clear()
                await self._wake.wait()
            if not (self._stopped and self._reader.cancelled()):
                self._reader.result()
        finally:
            await self.stop(0)  # leave nothing behind, wherever the consumer left

    def refuse(self) -> None:
        """Read and send nothing more; what is not out is settled as not submitted."""
        if self._stopped:
            return  # a second cancellation would break off how the source ends
        self._stopped = True
        self._queries.refuse()
        if self._reader is not None:
            self._reader.cancel()

    async def stop(self, wait: float) -> None:
        """Wait for what is out, up to so many seconds, then settle the rest as it stands."""
        self.refuse()
        try:
            if self._reader is not None:
                await asyncio.gather(self._reader, return_exceptions=True)
        except asyncio.CancelledError:
            wait = 0
            raise
        finally:
            await self._queries.stop(wait)

    # --- from the source to the queries ---

    async def _read_all(self) -> None:
        try:
            if isinstance(self._numbers, AsyncIterable):
                async for number in self._numbers:
                    await self._take((number,))
            else:
                numbers = iter(self._numbers)
                while await self._take(islice(numbers, self._fitting)):
                    pass
        finally:
            self._submit()

    @property
    def _fitting(self) -> int:
        return min(self._places, self._settings.batch_size - len(self._filling))

    async def _take(self, numbers: Iterable[str]) -> bool:
        """Put numbers into the batch, then wait while the window is full; False if none came."""
        before = self._read
        self._fill(numbers)
        if len(self._filling) >= self._settings.batch_size:
            self._submit()
            await asyncio.sleep(0)  # a source that never waits must not hold up the rest
        elif self._filling and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.batch_age, self._submit)
        if not self._places:
            self._room.clear()
            await self._room.wait()
        return self._read > before

    def _fill(self, numbers: Iterable[str]) -> None:
        if self._settings.share:
            for number in numbers:
                if self._is_first(number):
                    self._filling.append(number)
                self._count(1)
            return
        before = len(self._filling)
        try:
            self._filling.extend(numbers)
        finally:  # those that came before a fault of the source are in
            self._count(len(self._filling) - before)

    def _is_first(self, number: str) -> bool:
        sequences = self._sharers.setdefault(number, [])
        sequences.append(self._read)
        return len(sequences) == 1

    def _count(self, numbers: int) -> None:
        self._read += numbers
        self._places -= numbers

    def _submit(self) -> None:
        """Start the query of what has been read so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        numbers, self._filling = self._filling, []
        sequences: Sequence[int] = range(self._read - len(numbers), self._read)
        try:
            check_lookup_destinations(numbers)
        except (LocalProtocolError, TypeError):
            numbers, sequences = self._without_bad_ones(numbers, sequences)
        if numbers:
            self._queries.start(
                numbers,
                self._hand_over if self._plain else partial(self._settle, sequences),
                timeout=self._settings.timeout,
                resubmit=self._settings.resubmit,
            )

    def _without_bad_ones(
        self, numbers: list[str], sequences: Sequence[int]
    ) -> tuple[list[str], list[int]]:
        """Refuse the numbers that no query can carry, and keep the others."""
        faults = [_fault_of(number) for number in numbers]
        for position, (number, fault) in enumerate(zip(numbers, faults, strict=True)):
            if fault:
                self._stats.invalid += 1
                result = HlrResult(number, HlrOutcome.REFUSED, reason=fault)
                self._settle(sequences, position, result, None)
        good = [fault is None for fault in faults]
        return list(compress(numbers, good)), list(compress(sequences, good))

    # --- from the reports to the consumer ---

    def _settle(
        self,
        sequences: Sequence[int],
        position: int,
        result: HlrResult,
        _: GatewayRefusedError | None,
    ) -> None:
        if self._settings.share:
            for sequence in self._sharers.pop(result.destination):
                self._emit(sequence, result)
        else:
            self._emit(sequences[position], result)

    def _emit(self, sequence: int, result: HlrResult) -> None:
        if not self._settings.ordered:
            self._hand_over(0, result, None)
            return
        self._held[sequence] = result
        while self._next in self._held:
            self._hand_over(0, self._held.pop(self._next), None)
            self._next += 1

    def _hand_over(self, _: int, result: HlrResult, __: GatewayRefusedError | None) -> None:
        if not self._ready:
            self._wake.set()
        self._ready.append(result)


def _fault_of(number: object) -> str | None:
    """Why no query can carry a number, if so."""
    if not isinstance(number, str):
        return f"{number!r} is not a string"
    try:
        check_lookup_destination(number)
    except LocalProtocolError as fault:
        return str(fault)
    return None
