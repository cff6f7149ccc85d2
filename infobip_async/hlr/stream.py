"""The engine of `HlrLookups.stream`: from numbers to queries, and from reports to results."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Sequence
from itertools import compress, count
from pathlib import Path
from typing import Final, cast

import attrs

from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.window import Window, in_chunks
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.credit_check import CreditCheck
from infobip_async.hlr.deadlines import Deadlines
from infobip_async.hlr.job import HlrJobFile
from infobip_async.hlr.pending import MAX_BATCH, Batch
from infobip_async.hlr.queries import AccountClient, HlrClient, Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult, Stats
from infobip_async.hlr.resuming import Resuming
from infobip_async.models.events import HlrStatus
from infobip_async.numbering.msisdn import check_lookup_destination, check_lookup_destinations
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.screening import check_source
from infobip_async.runs.settings import RunSettings

Numbers = Iterable[str] | AsyncIterable[str]
"""Any source of numbers, of any length."""

_REPORTED: Final = HlrOutcome.REPORTED  # an enum's attribute is slow to look up per report
_UNKNOWN_STATUS: Final = HlrStatus.UNKNOWN


@attrs.frozen(kw_only=True)
class StreamSettings(RunSettings):
    """How a stream is run.

    Attributes:
        timeout: seconds from a query to the last report that is waited for.
        ordered: give results in the order of the numbers.
        share: look a number up once that is in the window several times.
        job: a file that remembers intents and outcomes, so that the same call with the same
            source goes on after a crash; None to remember nothing.
    """

    timeout: float = 60.0
    ordered: bool = False
    share: bool = False
    job: str | Path | None = None


class Stream:
    """One call of `HlrLookups.stream`.

    Numbers go from the window, past what a job knows of them, into batches, and out by the run's
    flow control.
    Results go past the job, into their order where that is wanted, and to the window.

    Args:
        client: submits the queries.
        deadlines: has the table of lookups that wait for their report.
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
        ask_balance = None if settings.min_credits is None else _account(client).credits
        self.flow: FlowControl = FlowControl(
            settings, limiter, ask_balance, self.window.stop_reading, opaque=True
        )
        self._job = job = (
            None if settings.job is None else HlrJobFile(settings.job, _account(client).username)
        )
        self._queries = Queries(client, deadlines, self.flow, job, self.fail)
        self._resuming: Resuming | None = None
        if job is not None:
            unknown = settings.on_unknown
            self._resuming = Resuming(job, self._queries, self.flow, self, unknown)
        self._credits = self._credit_check(client)
        self._left = False
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

    def _credit_check(self, client: HlrClient) -> CreditCheck | None:
        if not isinstance(client, AccountClient):
            return None
        forget = None if self._job is None else self._job.forget
        return CreditCheck(client, self.flow, self.window, forget, self.fail)

    @property
    def outcomes(self) -> Counter[str]:
        """How many numbers have each outcome."""
        reported = self.window.finished - self._others.total()
        return self._others + Counter({_REPORTED.value: reported})

    async def open(self) -> None:
        """Open the job."""
        if self._left:
            raise RuntimeError("the context of this stream was left before it was read")
        if self._resuming is not None:
            await self._resuming.open()

    async def check(self) -> None:
        """Compare the source with the job; see `Run.check`."""
        if self._job is not None:
            positions = count()
            chunks = in_chunks(self.window.source, MAX_BATCH)
            placed = ([(next(positions), number) for number in chunk] async for chunk in chunks)
            await check_source(self._job, placed, lambda: next(positions))

    async def close(self) -> None:
        """Read and send nothing more, and leave no query behind."""
        try:
            await self._leave(0)
        finally:
            if self._resuming is not None:
                await self._resuming.screening.aclose(0)
                self.submit()  # the timer of a last query, too
                await self._queries.stop(0)
                await self._resuming.close()
                self._resuming = None

    def leave(self) -> None:
        """Know that the context of the lookups is left: nothing goes out any more."""
        self._left = True
        self._refuse()

    def _refuse(self) -> None:
        self.flow.stop("the run was stopped before its turn")

    async def stop(self, wait: float | None = None) -> None:
        """Read and send nothing more, and wait for what is out, up to ``stop_timeout``."""
        await self._leave(self._settings.stop_timeout if wait is None else wait)

    async def _leave(self, wait: float) -> None:
        self._refuse()
        resuming, limit = self._resuming, self._settings.stop_timeout
        try:
            await self.window.reader_ended()
            if resuming is not None:
                await resuming.screening.drain(limit)
        except asyncio.CancelledError:
            wait = 0
            raise
        finally:
            await self._queries.stop(wait)
            if resuming is not None:
                await resuming.drain(limit)
            if self._credits is not None:
                await self._credits.aclose()

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""
        self.flow.stop(f"the run failed ({type(fault).__name__})")
        self.window.fail(fault)

    # --- from the source to the queries ---

    def _fitting(self) -> int:
        return self._batch_size - len(self._filling)

    def _take(self, numbers: Sequence[str]) -> None:
        first, self._read = self._read, self._read + len(numbers)
        if self._resuming is not None:
            self._resuming.screening.add(list(enumerate(numbers, first)))
        else:
            self.fill(first, numbers)

    def _finish(self) -> None:
        if self._resuming is not None:
            self._resuming.screening.end(self._read)
        else:
            self.submit()

    def fill(self, first: int, numbers: Sequence[str]) -> None:
        """Put numbers into the batch, from a position of the source on."""
        if self._settings.share:
            for sequence, number in enumerate(numbers, first):
                if not isinstance(number, str):  # it may have no hash
                    self._keep(sequence, self._refused(number, _fault_of(number)))
                elif self._is_first(sequence, number):
                    self._filling.append(number)
                    self._sequences.append(sequence)
        else:
            self._filling.extend(numbers)
            if not self._plain:
                self._sequences.extend(range(first, first + len(numbers)))
        if len(self._filling) >= self._batch_size:
            self.submit()
        elif self._filling and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.batch_age, self.submit)

    def _is_first(self, sequence: int, number: str) -> bool:
        sequences = self._sharers.setdefault(number, [])
        sequences.append(sequence)
        return len(sequences) == 1

    def submit(self) -> None:
        """Start the query of the numbers that were read so far."""
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
                self._take_result(refused, position, self._refused(number, fault))
        good = [fault is None for fault in faults]
        return list(compress(numbers, good)), list(compress(sequences, good))

    def _refused(self, number: str, fault: LocalProtocolError | None) -> HlrResult:
        """The result of a number that no query can carry."""
        self._stats.invalid += 1
        return HlrResult(number, HlrOutcome.REFUSED, None, None, fault, str(fault))

    # --- from the reports to the consumer ---

    def _take_result(self, batch: Batch, position: int, result: HlrResult) -> None:
        if self._plain:
            self._hand_over(batch, position, result)
        elif self._settings.share:
            for sequence in self._sharers.pop(result.destination):
                self._keep(sequence, result)
        else:
            self._keep(batch.sequences[position], result)

    def _keep(self, sequence: int, result: HlrResult) -> None:
        """Have a result on disk first, where there is a job."""
        if self._resuming is not None:
            self._resuming.keep(sequence, result)
        else:
            self.arrange(sequence, result)

    async def recorded(self) -> None:
        """Wait until the results that came so far are on disk, where there is a job.

        Raises:
            Exception: they cannot be.
        """
        if self._resuming is not None:
            await self._resuming.recorded()

    def arrange(self, sequence: int, result: HlrResult) -> None:
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
        elif self._credits is not None and result.report is not None and not result.resumed:
            if result.report.status is _UNKNOWN_STATUS:
                self._credits.doubt(sequence)
            else:
                self._credits.trust()
        self.window.emit(result)


def _account(client: HlrClient) -> AccountClient:
    """The client as one that knows its account, which jobs and `min_credits` need."""
    if not isinstance(client, AccountClient):
        raise LocalProtocolError("it does not know its account", field="client")
    return client


def _fault_of(number: object) -> LocalProtocolError | None:
    """Why no query can carry a number, if so."""
    try:
        check_lookup_destination(cast("str", number))
    except LocalProtocolError as fault:
        return fault
    return None
