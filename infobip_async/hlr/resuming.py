"""A stream with a job: numbers are looked up in the job first, and results are kept in it."""

import asyncio
import copy
from collections.abc import Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Protocol

import attrs

from infobip_async.concurrency.batching import Batcher
from infobip_async.errors import InfobipError
from infobip_async.hlr.job import HlrJobFile, OpenLookup, Record
from infobip_async.hlr.pending import MAX_BATCH, Batch
from infobip_async.hlr.queries import Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.screening import Screening
from infobip_async.runs.settings import OnUnknown

if TYPE_CHECKING:
    from infobip_async.concurrency.window import Window


class Resumed(Protocol):
    """The stream that a job is for."""

    @property
    def window(self) -> "Window[str, HlrResult]":
        """Where its results go."""

    def fill(self, first: int, numbers: Sequence[str]) -> None:
        """Look numbers up."""

    def submit(self) -> None:
        """Start the query of the numbers that wait for others."""

    def arrange(self, sequence: int, result: HlrResult) -> None:
        """Hand a result on."""

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""


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

    Attributes:
        screening: is given the numbers that were read, with their positions.
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
        self.flow = flow
        self.window: Window[str, HlrResult] = stream.window
        self._stream = stream
        self._repeats = on_unknown == "repeat"
        # Numbers that this run looks up again, since an earlier one may have done that.
        self._again: set[int] = set()
        # Numbers that were not read yet, and whose lookup an earlier run has made: their result,
        # once it has come.
        self._ahead: dict[int, HlrResult | None] = {}
        self.screening: Screening[tuple[int, str], Record] = Screening(self, job)
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
        """Wait until the results that came are written down, for up to so many seconds."""
        await self._recording.drain(seconds)

    async def close(self) -> None:
        """Write nothing more down, and close the job."""
        try:
            await self._recording.aclose(0)
        finally:
            await self._job.__aexit__()

    # --- numbers ---

    async def take(self, placed: tuple[int, str], record: Record | None) -> None:
        """Look a number up, unless its result is known, or its report may come."""
        sequence, number = placed
        if record is not None:
            if self._is_settled(sequence, number, record):
                return
            self._again.add(sequence)
        self._stream.fill(sequence, (number,))

    def leave_out(self, placed: tuple[int, str], why: InfobipError) -> None:
        """Report a number that is not looked up, since the source is not the job's."""
        sequence, number = placed
        result = HlrResult(number, HlrOutcome.NOT_SENT, None, None, why, str(why))
        self._stream.arrange(sequence, result)

    def finish(self) -> None:
        """Start the query of the numbers that wait for others, since no number comes any more."""
        self._stream.submit()

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""
        self._stream.fail(fault)

    def _is_settled(self, sequence: int, number: str, record: Record) -> bool:
        """Whether a number needs no new lookup: its result is known, or its report may come."""
        result = record.result
        if sequence in self._ahead:
            result = self._ahead.pop(sequence)
            if result is None:
                return True  # the result will be handed on when it comes
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

    # --- results ---

    def _take_adopted(self, batch: Batch, position: int, result: HlrResult) -> None:
        """Take the result of a lookup that an earlier run has paid for."""
        sequence = batch.sequences[position]
        if result.outcome is not HlrOutcome.TIMED_OUT or not self._repeats:
            self.keep(sequence, result)
        elif sequence in self._ahead or self.flow.closed:
            self._pass_on(sequence, result)
        else:
            self._again.add(sequence)
            self._stream.fill(sequence, (result.destination,))

    def keep(self, sequence: int, result: HlrResult) -> None:
        """Have a result on disk before it is handed on.

        Where nothing goes out any more, a lookup may be given up before its deadline: the next run
        waits for its report again.
        """
        if sequence in self._again and result.outcome is not HlrOutcome.NOT_SENT:
            self._again.remove(sequence)
            result = attrs.evolve(result, possibly_repeated=True)
        if result.outcome is HlrOutcome.TIMED_OUT and self.flow.closed:
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


def _lost(number: str, record: Record) -> HlrResult:
    """The result of a number whose run ended before its outcome was known."""
    if record.lookup_id is not None:
        reason = "no report before the deadline, which passed between two runs"
        return HlrResult(
            number, HlrOutcome.TIMED_OUT, record.lookup_id, None, None, reason, resumed=True
        )
    reason = "an earlier run ended before the outcome was known"
    return HlrResult(number, HlrOutcome.UNKNOWN, None, None, None, reason, resumed=True)
