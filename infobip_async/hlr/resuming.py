"""What a job adds to a stream: numbers pass it before their query, and results afterwards."""

import asyncio
import copy
from collections.abc import Iterable, Sequence
from itertools import count, groupby, islice
from typing import TYPE_CHECKING, Protocol

import attrs

from infobip_async.concurrency.batching import Batcher
from infobip_async.hlr.job import HlrJobFile, OpenLookup, Record
from infobip_async.hlr.pending import MAX_BATCH, Batch
from infobip_async.hlr.queries import Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.settings import OnUnknown

if TYPE_CHECKING:
    from infobip_async.concurrency.window import Window
    from infobip_async.errors import LocalProtocolError


class Resumed(Protocol):
    """The stream that a job is for."""

    @property
    def window(self) -> "Window[str, HlrResult]":
        """Where its results go."""

    def fill(self, first: int, numbers: Sequence[str]) -> None:
        """Look numbers up."""

    def submit(self) -> None:
        """Send off what waits for others, since none will come."""

    def arrange(self, sequence: int, result: HlrResult) -> None:
        """Hand a result on."""

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""


@attrs.frozen
class _Read:
    """Numbers that were read; None behind the last ones."""

    first: int
    numbers: Sequence[str] | None


class Resuming:
    """Keeps a job: looks numbers up in it, and writes results down in it.

    Lookups of earlier runs are waited for from the start, since their reports may be pushed before
    the source has been read as far as their numbers.

    Args:
        job: the file.
        queries: wait for the reports of such lookups.
        flow: tells whether anything goes out, and is closed where the source is not the job's.
        stream: gets numbers that are to be looked up, and results.
        on_unknown: what becomes of numbers whose outcome is unknown.
    """

    def __init__(
        self,
        job: HlrJobFile,
        queries: Queries,
        flow: FlowControl,
        stream: Resumed,
        on_unknown: OnUnknown,
    ) -> None:
        self._job = job
        self._queries = queries
        self._flow = flow
        self._stream = stream
        self._repeats = on_unknown == "repeat"
        self._differs = False
        # Numbers that were not read yet, and whose lookup an earlier run has made: their result,
        # once it has come.
        self._ahead: dict[int, HlrResult | None] = {}
        self._reading: Batcher[_Read] = Batcher(self._screen)
        self._recording: Batcher[tuple[int, HlrResult]] = Batcher(self._record)
        self._recorded = asyncio.Event()
        self._recorded.set()
        self._fault: Exception | None = None

    async def open(self) -> None:
        """Open the job, and wait for the reports that are due."""
        await self._job.__aenter__()
        try:
            lookups = await self._job.open_lookups()
        except BaseException:
            await self._job.__aexit__()
            raise
        self._ahead = dict.fromkeys(lookup.position for lookup in lookups)
        for _, same in groupby(lookups, lambda lookup: lookup.seconds):
            while several := list(islice(same, MAX_BATCH)):
                self._adopt(several)

    def _adopt(self, lookups: Sequence[OpenLookup]) -> None:
        self._queries.adopt(
            [lookup.destination for lookup in lookups],
            [lookup.lookup_id for lookup in lookups],
            self._take_adopted,
            timeout=lookups[0].seconds,
            sequences=[lookup.position for lookup in lookups],
        )

    async def drain(self, seconds: float) -> None:
        """Look at the numbers that were read, for up to so many seconds."""
        await self._reading.aclose(seconds)

    async def flush(self, seconds: float) -> None:
        """Write down the results that came, for up to so many seconds."""
        await self._recording.aclose(seconds)

    async def close(self) -> None:
        """Close the job."""
        await self._job.__aexit__()

    # --- numbers ---

    def read(self, first: int, numbers: Sequence[str]) -> None:
        """Have numbers looked at."""
        self._reading.add(_Read(first, numbers))

    def end(self, numbers: int) -> None:
        """Have the end of the source noticed, behind so many numbers."""
        self._stream.window.hold()
        self._reading.add(_Read(numbers, None))

    async def _screen(self, several: Sequence[_Read]) -> None:
        """Look at numbers in their order, as many at once as were read meanwhile."""
        try:
            numbers = [number for one in several for number in one.numbers or ()]
            if numbers:
                await self._compare(several[0].first, numbers)
            if several[-1].numbers is None:
                await self._end(several[-1].first)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the run ends with it
            self._stream.fail(fault)
        finally:
            if several[-1].numbers is None:
                self._stream.window.free()

    async def _compare(self, first: int, numbers: Sequence[str]) -> None:
        known: list[Record | None] = []
        difference: LocalProtocolError | None = None
        if not self._differs:  # what is read behind a difference must not become known
            known, difference = await self._job.meet(first, numbers)
        for sequence, number, record in zip(count(first), numbers, known, strict=False):
            if record is None or not self._is_settled(sequence, number, record):
                self._stream.fill(sequence, (number,))
        if difference is not None:
            self._differs = True
            self._flow.end(difference)
        for sequence, number in enumerate(numbers[len(known) :], first + len(known)):
            why = self._flow.why
            result = HlrResult(number, HlrOutcome.NOT_SENT, None, None, why, str(why))
            self._stream.arrange(sequence, result)

    def _is_settled(self, sequence: int, number: str, record: Record) -> bool:
        """Whether a number needs no new lookup: its result is known, or its report may come."""
        result = record.result
        if sequence in self._ahead:
            result = self._ahead.pop(sequence)
            if result is None:
                return True  # it will be handed on when it comes
            if self._repeats and result.outcome is HlrOutcome.TIMED_OUT:
                return False
        elif result is None:
            if self._repeats:
                return False
            result = _lost(number, record)
        elif self._repeats and result.outcome is HlrOutcome.UNKNOWN:
            return False
        self._stream.arrange(sequence, result)
        return True

    async def _end(self, numbers: int) -> None:
        if not self._flow.closed:  # else the source was not read to its end
            difference = await self._job.check_end(numbers)
            if difference is not None:
                self._flow.end(difference)
        self._stream.submit()

    # --- results ---

    def _take_adopted(self, batch: Batch, position: int, result: HlrResult) -> None:
        """Take the result of a lookup that an earlier run has paid for."""
        sequence = batch.sequences[position]
        if result.outcome is not HlrOutcome.TIMED_OUT or not self._repeats:
            self.keep(sequence, result)
        elif sequence in self._ahead or self._flow.closed:
            self._pass_on(sequence, result)
        else:
            self._stream.fill(sequence, (result.destination,))

    def keep(self, sequence: int, result: HlrResult) -> None:
        """Have a result on disk before it is handed on.

        Where nothing goes out any more, a lookup may be given up before its deadline: the next run
        waits for its report again.
        """
        if result.outcome is HlrOutcome.TIMED_OUT and self._flow.closed:
            self._pass_on(sequence, result)
        else:
            self._recorded = self._recording.add((sequence, result))

    async def _record(self, results: Sequence[tuple[int, HlrResult]]) -> None:
        try:
            await self._job.record(results)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the run ends with it
            self._fault = fault
            self._stream.fail(fault)
        else:
            for sequence, result in results:
                self._pass_on(sequence, result)

    def _pass_on(self, sequence: int, result: HlrResult) -> None:
        if sequence in self._ahead:
            self._ahead[sequence] = result
        else:
            self._stream.arrange(sequence, result)

    async def recorded(self) -> None:
        """Wait until the results that came so far are on disk.

        Raises:
            Exception: they cannot be.
        """
        await self._recorded.wait()
        if self._fault is not None:
            raise copy.copy(self._fault)  # several tasks must not share one traceback

    async def forget(self, sequences: Iterable[int]) -> None:
        """Have numbers looked up again by the next run."""
        await self._job.forget(sequences)


def _lost(number: str, record: Record) -> HlrResult:
    """The result of a number whose run ended before its outcome was known."""
    if record.lookup_id is not None:
        reason = "no report before the deadline, which passed between two runs"
        return HlrResult(
            number, HlrOutcome.TIMED_OUT, record.lookup_id, None, None, reason, resumed=True
        )
    reason = "an earlier run ended before the outcome was known"
    return HlrResult(number, HlrOutcome.UNKNOWN, None, None, None, reason, resumed=True)
