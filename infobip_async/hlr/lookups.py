"""`HlrLookups`: a query and its pushed report as one awaitable, or as one stream."""

import asyncio
import copy
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Literal, Self

import attrs

from infobip_async.errors import (
    InfobipError,
    InvalidDestinationError,
    LocalProtocolError,
    LookupTimeoutError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.queries import HlrClient, Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.hlr.stream import Numbers, Stream, StreamSettings
from infobip_async.hlr.table import MAX_BATCH, LookupTable, Stats
from infobip_async.models import HlrReport
from infobip_async.numbering.msisdn import check_lookup_destination
from infobip_async.router import Router


@attrs.define(eq=False)
class _Singles:
    """Numbers of single lookups that will share a query."""

    timer: asyncio.TimerHandle
    numbers: list[str] = attrs.field(factory=list)
    results: list[asyncio.Future[HlrResult]] = attrs.field(factory=list)

    def settle(self, position: int, result: HlrResult, fault: InfobipError | None) -> None:
        waiter = self.results[position]
        if waiter.done():
            return
        if result.outcome is HlrOutcome.REPORTED:
            waiter.set_result(result)
        else:
            waiter.set_exception(_error(result, fault))


def _error(result: HlrResult, fault: InfobipError | None) -> InfobipError:
    """What a lookup raises for an outcome without a report."""
    message = f"no report for {result.destination}: {result.reason}"
    match result.outcome:
        case HlrOutcome.TIMED_OUT:
            return LookupTimeoutError(message, lookup_id=result.lookup_id)
        case HlrOutcome.UNSUBMITTED:
            return NotSentError(message)
        case HlrOutcome.UNKNOWN:
            return OutcomeUnknownError(message)
        case _ if fault is not None:
            return copy.copy(fault)  # several lookups must not share one traceback
        case _:
            return InvalidDestinationError(
                message, code="FAILED", name="FAILED", operation="lookup"
            )


class HlrLookups:
    """Looks numbers up: submits them, and awaits the reports that are pushed for them (§4, §5).

    The reports come through `router`, whichever receiver feeds it, and reach its other handlers
    too. To be used as a context manager: leaving it stops submissions, waits for what is out up
    to `stop_timeout`, and settles the rest as timed out, unknown or not submitted. Leaving it by
    an exception does not wait.

    Args:
        client: submits the queries.
        router: brings the reports.
        batch_size: numbers per query, up to 10,000. A query costs about as much for one number
            as for some hundred; beyond 1,000 little is gained.
        batch_age: seconds that a number waits for others to share its query.
        queries: queries in flight at the most, for single lookups and for each stream.
        window: numbers of a stream that are read and not yet handed to its consumer, at the most;
            each takes some 300 octets.
        rate: numbers per second that go out at the most; None for no limit.
        report_grace: seconds that a report is kept that comes before the reply to its query.
        early_limit: reports that are kept so at the most; the oldest goes first.
        stop_timeout: seconds that leaving the context waits for what is out.

    Raises:
        LocalProtocolError: a setting is out of its range.
    """

    def __init__(
        self,
        client: HlrClient,
        router: Router,
        *,
        batch_size: int = 1_000,
        batch_age: float = 0.005,
        queries: int = 8,
        window: int = 20_000,
        rate: float | None = None,
        report_grace: float = 60.0,
        early_limit: int = 100_000,
        stop_timeout: float = 30.0,
    ) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise LocalProtocolError(f"must be from 1 to {MAX_BATCH}", field="batch_size")
        if min(queries, window) < 1 or (rate is not None and rate <= 0):
            raise LocalProtocolError("queries, window and rate must be above 0", field="window")
        # No more than a second's worth goes out at once.
        self._batch_size = min(batch_size, window, MAX_BATCH if rate is None else max(1, int(rate)))
        self._batch_age = batch_age
        self._window = window
        self._concurrent = queries
        self._router = router
        self._stop_timeout = stop_timeout
        self._queries = Queries(client, LookupTable(report_grace, early_limit), rate)
        self._slots = asyncio.Semaphore(queries)
        self._singles: dict[float, _Singles] = {}
        self._streams: set[Stream] = set()
        self._open = False

    @property
    def stats(self) -> Stats:
        """Counts since the start; plain numbers, kept up to date."""
        return self._queries.table.stats

    async def __aenter__(self) -> Self:
        self._router.on(HlrReport)(self._queries.report)
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        await asyncio.sleep(0)  # a stream that was just left closes itself in this step
        for stream in self._streams:
            stream.stop_reading()
        for timeout in tuple(self._singles):
            self._submit_singles(timeout)
        try:
            await self._queries.stop(0 if exc_type else self._stop_timeout)
        finally:
            self._router.off(HlrReport, self._queries.report)

    async def lookup(self, destination: str, *, timeout: float = 60.0) -> HlrResult:  # noqa: ASYNC109 - one clock serves all lookups
        """Look one number up and await its report. Lookups that start together share a query.

        Args:
            destination: the number.
            timeout: seconds from the query to the report.

        Raises:
            LocalProtocolError: no query can carry the number.
            InvalidDestinationError: the gateway does not accept the number.
            GatewayRefusedError: the gateway refuses the query as a whole.
            NotSentError: no byte of the query left this machine.
            OutcomeUnknownError: the reply to the query was lost or cannot be read.
            LookupTimeoutError: the number was accepted, and no report came in time.
        """
        self._check_open()
        check_lookup_destination(destination)
        singles = self._singles.get(timeout)
        if singles is None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._batch_age, self._submit_singles, timeout)
            singles = self._singles[timeout] = _Singles(timer)
        waiter: asyncio.Future[HlrResult] = asyncio.get_running_loop().create_future()
        singles.numbers.append(destination)
        singles.results.append(waiter)
        if len(singles.numbers) == self._batch_size:
            self._submit_singles(timeout)
        return await waiter

    def _submit_singles(self, timeout: float) -> None:
        singles = self._singles.pop(timeout)
        singles.timer.cancel()
        self._queries.start(singles.numbers, singles.settle, timeout=timeout, slots=self._slots)

    def stream(
        self,
        numbers: Numbers,
        *,
        timeout: float = 60.0,
        ordered: bool = False,
        share: bool = False,
        on_unknown: Literal["report", "resubmit"] = "report",
    ) -> AsyncGenerator[HlrResult, None]:
        """Look up numbers of any source, and yield a result for each as it comes.

        Nothing is raised for a number: `HlrResult.outcome` tells. What the source raises is
        raised after the results of the numbers before it. Memory is bounded by the window,
        whatever the length of the source.

        Args:
            numbers: an iterable or async iterable, read no faster than results are taken.
            timeout: seconds from the query of a number to its report.
            ordered: yield in the order of the numbers; one that waits holds those behind it.
            share: look a number up once that stands several times in the window.
            on_unknown: what to do with a query whose reply was lost: report its numbers as
                `HlrOutcome.UNKNOWN`, or submit them again, which may cost twice.
        """
        self._check_open()
        settings = StreamSettings(
            batch_size=self._batch_size,
            batch_age=self._batch_age,
            queries=self._concurrent,
            window=self._window,
            timeout=timeout,
            ordered=ordered,
            share=share,
            resubmit=on_unknown == "resubmit",
        )
        return Stream(self._queries, numbers, settings, self._streams).results()

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("lookups are made inside `async with HlrLookups(...)`")
