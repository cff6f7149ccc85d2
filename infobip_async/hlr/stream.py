"""The engine of `HlrLookups.stream`: from numbers to queries, and from reports to results."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Sequence
from itertools import compress
from typing import Final, cast

import attrs

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.tasks import TaskSet
from infobip_async.concurrency.window import Window
from infobip_async.errors import (
    InfobipError,
    LocalProtocolError,
    NotEnoughCreditsError,
)
from infobip_async.hlr.deadlines import Deadlines
from infobip_async.hlr.job import HlrJobFile, Record
from infobip_async.hlr.pending import Batch, Stats
from infobip_async.hlr.queries import AccountClient, HlrClient, Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models import HlrStatus
from infobip_async.numbering.msisdn import check_lookup_destination, check_lookup_destinations
from infobip_async.runs.budget import Budget
from infobip_async.runs.gate import Gate
from infobip_async.runs.run import Run
from infobip_async.runs.settings import RunSettings

Numbers = Iterable[str] | AsyncIterable[str]
"""Any source of numbers, of any length."""

DOUBTFUL: Final = 100
"""Reports of status UNKNOWN in a row after which the balance is asked for: §5 has the status for
"any other error (no credits etc)"."""

_REPORTED: Final = HlrOutcome.REPORTED  # an enum's attribute is slow to look up per report
_UNKNOWN_STATUS: Final = HlrStatus.UNKNOWN

_logger = logging.getLogger("infobip_async.hlr")


@attrs.frozen(kw_only=True)
class StreamSettings(RunSettings):
    """How a stream is run.

    Attributes:
        timeout: seconds from a query to the last report that is waited for.
        ordered: give results in the order of the numbers.
        share: look a number up once that is in the window several times.
    """

    timeout: float
    ordered: bool = False
    share: bool = False


class Stream:
    """One call of `HlrLookups.stream`.

    Numbers go from the window, past what a job knows of them, into batches, and through the gate.
    Results go past the job, into their order where that is wanted, and to the window.

    Args:
        client: submits the queries.
        deadlines: has the table of what waits.
        limiter: spaces the numbers out, of all streams together.
        numbers: the source; a string is one number.
        settings: how to run; `RunSettings.most` counts numbers.
    """

    def __init__(
        self,
        client: HlrClient,
        deadlines: Deadlines,
        limiter: RateLimiter,
        numbers: Numbers,
        settings: StreamSettings,
    ) -> None:
        self._client = client
        self._stats: Stats = deadlines.table.stats
        self._settings = settings
        batch_size = min(settings.batch_size, settings.window, limiter.largest or settings.window)
        self._batch_size = batch_size
        self.window: Window[str, HlrResult] = Window(
            (numbers,) if isinstance(numbers, str) else numbers,
            self._take,
            self._finish,
            size=settings.window,
            wanted=self._fitting,
            # A full window is read on from when a whole query has room, instead of many small ones.
            enough=min(batch_size, (settings.window + 1) // 2),
        )
        budget = Budget(settings.most, settings.min_credits)
        self.gate = Gate(
            settings.concurrency,
            limiter,
            settings.unreachable_timeout,
            budget,
            ask_balance=None if settings.min_credits is None else _account(client).credits,
            closing=self.window.stop_reading,
            opaque=True,
        )
        self._job: HlrJobFile | None = None
        if settings.job is not None:
            self._job = HlrJobFile(settings.job, _account(client).username)
        self._queries = Queries(client, deadlines, self.gate, self._job, self._fail)
        self._screening: Batcher[_Read] = Batcher(self._screen)
        self._recording: Batcher[tuple[int, HlrResult]] = Batcher(self._record)
        self._recorded = asyncio.Event()
        self._recorded.set()
        self._checks = TaskSet()
        self._fault: BaseException | None = None
        # From the source to the queries:
        self._plain = not (settings.ordered or settings.share or settings.job is not None)
        self._read = 0
        self._filling: list[str] = []
        self._sequences: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sharers: dict[str, list[int]] = {}
        # From the reports to the consumer:
        self._others: Counter[str] = Counter()
        self._held: dict[int, HlrResult] = {}
        self._next = 0
        self._doubtful: list[int] = []

    def run(self) -> Run[HlrResult]:
        """The run, to be iterated over."""
        return Run(self)

    @property
    def outcomes(self) -> Counter[str]:
        """How many numbers have each outcome."""
        reported = self.window.finished - self._others.total()
        return self._others + Counter({_REPORTED.value: reported})

    async def open(self) -> None:
        """Open the job."""
        if self.gate.closed:
            raise RuntimeError("the context of this stream was left before it was read")
        if self._job is not None:
            await self._job.__aenter__()

    async def close(self) -> None:
        """Read and send nothing more, and leave no query behind."""
        try:
            await self._leave(0)
        finally:
            if self._job is not None:
                await self._job.__aexit__()

    def refuse(self) -> None:
        """Read and send nothing more; what is not out is not sent."""
        self.gate.stop("the run was stopped before its turn")

    async def stop(self, wait: float | None = None) -> None:
        """Read and send nothing more, and wait for what is out, up to ``stop_timeout``."""
        self.refuse()
        await self._leave(self._settings.stop_timeout if wait is None else wait)

    async def _leave(self, wait: float) -> None:
        self.refuse()
        try:
            await self.window.reader_ended()
            await self._screening.aclose(self._settings.stop_timeout)
        except asyncio.CancelledError:
            wait = 0
            raise
        finally:
            await self._queries.stop(wait)
            await self._checks.cancel()
            await self._recording.aclose(self._settings.stop_timeout)

    def _fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""
        self._fault = self._fault or fault
        self.gate.stop(f"the run failed ({type(fault).__name__})")
        self.window.fail(self._fault)

    # --- from the source to the queries ---

    def _fitting(self) -> int:
        return self._batch_size - len(self._filling)

    def _take(self, numbers: Sequence[str]) -> None:
        first, self._read = self._read, self._read + len(numbers)
        if self._job is not None:
            self._screening.add(_Read(first, numbers))
        else:
            self._fill(first, numbers)

    def _finish(self) -> None:
        if self._job is not None:
            self._screening.add(_Read(self._read, None))
        else:
            self._submit()

    async def _screen(self, several: Sequence["_Read"]) -> None:
        """Look at numbers in their order, as many at once as were read meanwhile."""
        try:
            numbers = [number for one in several for number in one.numbers or ()]
            if numbers:
                await self._screen_with(cast("HlrJobFile", self._job), several[0].first, numbers)
            if several[-1].numbers is None:
                await self._end_of_source(cast("HlrJobFile", self._job))
        except Exception as fault:  # noqa: BLE001 - whatever it is, the run ends with it
            self._fail(fault)

    async def _screen_with(self, job: HlrJobFile, first: int, numbers: Sequence[str]) -> None:
        known: list[Record | None] = []
        difference: LocalProtocolError | None = None
        if not self.gate.closed:  # what is read behind a difference must not become known
            known, difference = await job.meet(first, numbers)
        for sequence, number, record in zip(range(first, self._read), numbers, known, strict=False):
            if record is None or not self._is_settled(sequence, number, record):
                self._fill(sequence, (number,))
        if difference is not None:
            self.gate.end(difference)
        for sequence, number in enumerate(numbers[len(known) :], first + len(known)):
            why = self.gate.why
            result = HlrResult(number, HlrOutcome.NOT_SENT, None, None, why, str(why))
            self._arrange(sequence, result)

    def _is_settled(self, sequence: int, number: str, record: Record) -> bool:
        """Whether a number needs no new lookup: its result is known, or its report may come."""
        repeat = self._settings.on_unknown == "repeat"
        result = record.result
        if result is not None:
            if repeat and result.outcome is HlrOutcome.UNKNOWN:
                return False
        elif record.lookup_id is not None and record.seconds > 0:
            self._queries.adopt(
                [number],
                [record.lookup_id],
                self._take_adopted,
                timeout=record.seconds,
                sequences=[sequence],
            )
            return True
        elif repeat:
            return False
        else:
            result = _lost(number, record)
        self._arrange(sequence, attrs.evolve(result, destination=number))  # as it was given
        return True

    async def _end_of_source(self, job: HlrJobFile) -> None:
        if not self.gate.closed:
            difference = await job.check_end(self._read)
            if difference is not None:
                self.gate.end(difference)
        self._submit()

    def _fill(self, first: int, numbers: Sequence[str]) -> None:
        """Put numbers into the batch."""
        if self._settings.share:
            for sequence, number in enumerate(numbers, first):
                if self._is_first(sequence, number):
                    self._filling.append(number)
                    self._sequences.append(sequence)
        else:
            self._filling.extend(numbers)
            if not self._plain:
                self._sequences.extend(range(first, first + len(numbers)))
        if len(self._filling) >= self._batch_size:
            self._submit()
        elif self._filling and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.batch_age, self._submit)

    def _is_first(self, sequence: int, number: str) -> bool:
        sequences = self._sharers.setdefault(number, [])
        sequences.append(sequence)
        return len(sequences) == 1

    def _submit(self) -> None:
        """Start the query of what has been read so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        numbers, self._filling = self._filling, []
        sequences, self._sequences = self._sequences, []
        try:
            check_lookup_destinations(numbers)
        except (LocalProtocolError, TypeError):
            numbers, sequences = self._without_bad_ones(numbers, sequences)
        if numbers:
            self._queries.start(
                numbers,
                self._hand_over if self._plain else self._take_result,
                timeout=self._settings.timeout,
                repeat=self._settings.on_unknown == "repeat",
                sequences=sequences,
            )

    def _without_bad_ones(
        self, numbers: list[str], sequences: list[int]
    ) -> tuple[list[str], list[int]]:
        """Refuse the numbers that no query can carry, and keep the others."""
        faults = [_fault_of(number) for number in numbers]
        refused = Batch(numbers, self._take_result, sequences=sequences)
        for position, (number, fault) in enumerate(zip(numbers, faults, strict=True)):
            if fault:
                self._stats.invalid += 1
                result = HlrResult(number, HlrOutcome.REFUSED, None, None, fault, str(fault))
                self._take_result(refused, position, result)
        good = [fault is None for fault in faults]
        return list(compress(numbers, good)), list(compress(sequences, good))

    # --- from the reports to the consumer ---

    def _take_result(self, batch: Batch, position: int, result: HlrResult) -> None:
        if self._plain:
            self._hand_over(batch, position, result)
        elif self._settings.share:
            for sequence in self._sharers.pop(result.destination):
                self._keep(sequence, result)
        else:
            self._keep(batch.sequences[position], result)

    def _take_adopted(self, batch: Batch, position: int, result: HlrResult) -> None:
        """Take the result of a lookup that an earlier run has paid for."""
        again = self._settings.on_unknown == "repeat" and not self.gate.closed
        if again and result.outcome is HlrOutcome.TIMED_OUT:
            self._fill(batch.sequences[position], (result.destination,))
        else:
            self._keep(batch.sequences[position], result)

    def _keep(self, sequence: int, result: HlrResult) -> None:
        """Have a result on disk first, where there is a job."""
        if self._job is not None:
            self._recorded = self._recording.add((sequence, result))
        else:
            self._arrange(sequence, result)

    async def _record(self, results: Sequence[tuple[int, HlrResult]]) -> None:
        try:
            await cast("HlrJobFile", self._job).record(results)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the run ends with it
            self._fail(fault)
        else:
            for sequence, result in results:
                self._arrange(sequence, result)

    async def recorded(self) -> None:
        """Wait until the results that came so far are on disk.

        Raises:
            Exception: they cannot be.
        """
        await self._recorded.wait()
        if self._fault is not None:
            raise self._fault

    def _arrange(self, sequence: int, result: HlrResult) -> None:
        """Hand a result over, in its order where that is wanted."""
        if not self._settings.ordered:
            self._hand_over(None, sequence, result)
            return
        self._held[sequence] = result
        while self._next in self._held:
            self._hand_over(None, self._next, self._held.pop(self._next))
            self._next += 1

    def _hand_over(self, _: Batch | None, sequence: int, result: HlrResult) -> None:
        if result.outcome is not _REPORTED:
            self._others[result.outcome.value] += 1
        elif result.report is not None and result.report.status is _UNKNOWN_STATUS:
            self._doubt(sequence, result)
        elif self._doubtful:
            self._doubtful = []
        self.window.emit(result)

    def _doubt(self, sequence: int, result: HlrResult) -> None:
        """Ask for the balance where too many reports in a row say nothing."""
        if result.resumed:
            return
        self._doubtful.append(sequence)
        if len(self._doubtful) == DOUBTFUL and hasattr(self._client, "credits"):
            self._checks.start(self._check_credits())

    async def _check_credits(self) -> None:
        try:
            credits_left = await _account(self._client).credits()
        except InfobipError as fault:
            _logger.warning("the balance cannot be asked for: %s", fault)
        else:
            if credits_left <= 0:
                self.gate.end(
                    NotEnoughCreditsError(
                        f"{len(self._doubtful)} reports in a row have the status UNKNOWN, and"
                        f" there are {credits_left} credits",
                        operation="lookup",
                    )
                )
                if self._job is not None:
                    await self._job.forget(self._doubtful)
        self._doubtful = []


@attrs.frozen
class _Read:
    """Numbers that were read; None behind the last ones."""

    first: int
    numbers: Sequence[str] | None


def _account(client: HlrClient) -> AccountClient:
    """The client as one that knows its account, which jobs and `min_credits` need."""
    if not hasattr(client, "credits") or not hasattr(client, "username"):
        raise LocalProtocolError("it does not know its account", field="client")
    return cast("AccountClient", client)


def _lost(number: str, record: Record) -> HlrResult:
    """The result of a number whose run ended before its outcome was known."""
    if record.lookup_id is not None:
        reason = "no report before the deadline, which passed between two runs"
        return HlrResult(
            number, HlrOutcome.TIMED_OUT, record.lookup_id, None, None, reason, resumed=True
        )
    reason = "an earlier run ended before the outcome was known"
    return HlrResult(number, HlrOutcome.UNKNOWN, None, None, None, reason, resumed=True)


def _fault_of(number: object) -> LocalProtocolError | None:
    """Why no query can carry a number, if so."""
    try:
        check_lookup_destination(cast("str", number))
    except LocalProtocolError as fault:
        return fault
    return None
