"""`HlrLookups`: a query and its pushed report as one awaitable, or as one stream."""

import asyncio
import copy
import math
from collections.abc import AsyncGenerator
from functools import partial
from itertools import compress
from types import TracebackType
from typing import Literal, Self
from weakref import WeakSet

import attrs

from infobip_async.concurrency.rate import Backoff, RateLimiter
from infobip_async.errors import (
    GatewayRefusedError,
    InfobipError,
    InvalidDestinationError,
    LocalProtocolError,
    LookupTimeoutError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.deadlines import Deadlines, loop_time
from infobip_async.hlr.pending import MAX_BATCH, LookupTable, Stats
from infobip_async.hlr.queries import HlrClient, Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.hlr.stream import Numbers, Stream, StreamSettings
from infobip_async.models import HlrReport
from infobip_async.numbering.msisdn import check_lookup_destination
from infobip_async.router import Router


@attrs.define(eq=False)
class _Singles:
    """Numbers of single lookups that will share a query."""

    timer: asyncio.TimerHandle
    numbers: list[str] = attrs.field(factory=list)
    results: list[asyncio.Future[HlrResult]] = attrs.field(factory=list)

    def withdraw_cancelled(self) -> None:
        """Leave out the numbers that nobody awaits any more."""
        wanted = [not waiter.done() for waiter in self.results]
        self.numbers = list(compress(self.numbers, wanted))
        self.results = list(compress(self.results, wanted))

    def settle(self, position: int, result: HlrResult, refusal: GatewayRefusedError | None) -> None:
        waiter = self.results[position]
        if waiter.done():
            return
        if result.outcome is HlrOutcome.REPORTED:
            waiter.set_result(result)
        else:
            waiter.set_exception(_error(result, refusal))


def _error(result: HlrResult, refusal: GatewayRefusedError | None) -> InfobipError:
    """What a lookup raises for an outcome without a report."""
    message = f"no report for {result.destination}: {result.reason}"
    match result.outcome:
        case HlrOutcome.TIMED_OUT:
            return LookupTimeoutError(message, lookup_id=result.lookup_id)
        case HlrOutcome.NOT_SENT:
            return NotSentError(message)
        case HlrOutcome.UNKNOWN:
            return OutcomeUnknownError(message)
        case _ if refusal is not None:
            return copy.copy(refusal)  # several lookups must not share one traceback
        case _:
            return InvalidDestinationError(
                message, code="FAILED", name="FAILED", operation="lookup"
            )


class HlrLookups:
    """Looks numbers up: submits them, and awaits the reports that are pushed for them (§4, §5).

    The reports come through `router`, whichever receiver feeds it, and reach its other handlers
    too. To be used as a context manager, once: leaving it stops submissions, waits for what is
    out up to `stop_timeout`, and settles the rest as timed out, unknown or not submitted. Leaving
    it by an exception does not wait.

    Args:
        client: submits the queries.
        router: brings the reports.
        batch_size: numbers per query, up to 10,000. A query costs about as much for one number
            as for some hundred; beyond 1,000 little is gained.
        batch_age: seconds that a number waits for others to share its query. A source that is
            slower than that has queries of single numbers.
        queries: queries in flight at the most, for single lookups and for each stream.
        window: numbers of a stream that are read and not yet handed to its consumer, at the most;
            each takes some 400 octets, and 1 KiB where it has a query of its own.
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
        _check_range("batch_size", batch_size, 1, MAX_BATCH)
        _check_range("queries", queries, 1)
        _check_range("window", window, 1)
        _check_range("batch_age", batch_age, 0)
        _check_range("report_grace", report_grace, 0)
        _check_range("early_limit", early_limit, 0)
        _check_range("stop_timeout", stop_timeout, 0)
        if rate is not None:
            _check_positive("rate", rate)
        # No more than a second's worth goes out at once.
        second = MAX_BATCH if rate is None else max(1, int(min(rate, MAX_BATCH)))
        self._batch_size = min(batch_size, window, second)
        self._batch_age = batch_age
        self._window = window
        self._router = router
        self._stop_timeout = stop_timeout
        self._timekeeper = Deadlines(LookupTable(loop_time, report_grace, early_limit))
        self._origin = partial(Queries, client, self._timekeeper, RateLimiter(rate), limit=queries)
        # Who looks one number up is told at once that the gateway is away.
        self._queries = self._origin(backoff=Backoff(longest=0.0))
        self._singles: dict[float, _Singles] = {}
        self._streams: WeakSet[Stream] = WeakSet()
        self._entered = False

    @property
    def stats(self) -> Stats:
        """Counts since the start; plain numbers, kept up to date."""
        return self._timekeeper.table.stats

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("an HlrLookups is entered once")
        self._entered = True
        self._router.on(HlrReport)(self._timekeeper.report)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        origins: list[Queries | Stream] = [self._queries, *self._streams]
        for origin in origins:
            origin.refuse()
        for timeout in tuple(self._singles):
            self._submit_singles(timeout)
        wait = 0 if exc_type else self._stop_timeout
        try:
            await asyncio.gather(*(origin.stop(wait) for origin in origins))
        finally:
            self._router.off(HlrReport, self._timekeeper.report)
            self._timekeeper.disarm()

    async def lookup(self, destination: str, *, timeout: float = 60.0) -> HlrResult:  # noqa: ASYNC109 - one clock serves all lookups
        """Look one number up and await its report. Lookups that start together share a query.

        One that is cancelled before that query is made up costs nothing; later, its report is
        passed over.

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
        _check_positive("timeout", timeout)
        check_lookup_destination(destination)
        loop = asyncio.get_running_loop()
        singles = self._singles.get(timeout)
        if singles is None:
            timer = loop.call_later(self._batch_age, self._submit_singles, timeout)
            singles = self._singles[timeout] = _Singles(timer)
        waiter: asyncio.Future[HlrResult] = loop.create_future()
        singles.numbers.append(destination)
        singles.results.append(waiter)
        if len(singles.numbers) == self._batch_size:
            self._submit_singles(timeout)
        return await waiter

    def _submit_singles(self, timeout: float) -> None:
        singles = self._singles.pop(timeout)
        singles.timer.cancel()
        singles.withdraw_cancelled()
        if singles.numbers:
            self._queries.start(singles.numbers, singles.settle, timeout=timeout)

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

        A consumer that leaves early leaves nothing behind: at once where it closes the generator
        (``contextlib.aclosing``), else when the interpreter does.

        Args:
            numbers: an iterable or async iterable, read no faster than results are taken; an
                iterable that blocks, blocks everything.
            timeout: seconds from the query of a number to its report.
            ordered: yield in the order of the numbers; one that waits holds those behind it.
            share: look a number up once that stands several times in the window.
            on_unknown: what to do with a query whose reply was lost: report its numbers as
                `HlrOutcome.UNKNOWN`, or submit them again, up to three times, which may cost each
                time.

        Raises:
            LocalProtocolError: the timeout is not above 0.
        """
        self._check_open()
        _check_positive("timeout", timeout)
        settings = StreamSettings(
            batch_size=self._batch_size,
            batch_age=self._batch_age,
            window=self._window,
            timeout=timeout,
            ordered=ordered,
            share=share,
            resubmit=on_unknown == "resubmit",
        )
        # A gateway that is away must not use up the source in no time.
        queries = self._origin(backoff=Backoff())
        stream = Stream(queries, self.stats, numbers, settings)
        self._streams.add(stream)
        return stream.results()

    def _check_open(self) -> None:
        if not self._entered or self._queries.stopping:
            raise RuntimeError("lookups are made inside `async with HlrLookups(...)`")


def _check_range(field: str, value: float, least: float, most: float = math.inf) -> None:
    if not least <= value <= most:
        limits = f"from {least} to {most}" if most < math.inf else f"{least} or more"
        raise LocalProtocolError(f"must be {limits}", field=field)


def _check_positive(field: str, value: float) -> None:
    if not value > 0:
        raise LocalProtocolError("must be above 0", field=field)
