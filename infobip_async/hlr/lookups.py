"""`HlrLookups`: a query and its pushed report as one awaitable, or as one stream."""

import asyncio
from collections.abc import Sequence
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Final, Self
from weakref import WeakSet

import attrs

from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.stop_deadline import time_to_stop
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.deadlines import Deadlines, loop_time
from infobip_async.hlr.pending import MAX_BATCH, LookupTable
from infobip_async.hlr.queries import HlrClient, Queries
from infobip_async.hlr.results import HlrResult, Stats
from infobip_async.hlr.single_lookups import SingleLookups
from infobip_async.hlr.stream import Numbers, Stream, StreamSettings
from infobip_async.models.events import HlrReport
from infobip_async.numbering.msisdn import check_lookup_destination
from infobip_async.router import Router
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.hours import Between, Hours
from infobip_async.runs.run import Run
from infobip_async.runs.settings import OnUnknown, check_positive, check_range

_PUSH: Final = 10_000
"""Reports after which results must be on disk, of one push; §5 has 100."""

_COUNTED: Final = (
    *("refused", "reported", "timed_out", "unknown", "not_sent", "invalid", "late", "unclaimed"),
)
"""What metrics tell of the `Stats`; the levels are another metric."""


def _counts(lookups: "HlrLookups") -> dict[str, int]:
    return {name: getattr(lookups.stats, name) for name in _COUNTED}


def _waiting(lookups: "HlrLookups") -> dict[str, int]:
    return {"": lookups.stats.in_flight}


_FIGURES: Final = {"infobip.lookup.results": _counts, "infobip.lookup.waiting": _waiting}


class HlrLookups:
    """Looks numbers up: submits them, and awaits the reports that are pushed for them (§4, §5).

    The reports come through `router`, whichever receiver feeds it, and reach its other handlers
    too. Enter the lookups as a context, once, and before the receiver starts. Leaving the context
    stops submissions, waits for lookups that are out up to `stop_timeout`, and gives the rest its
    outcome (timed out, unknown, not sent). Leaving it by an exception does not wait.

    Args:
        client: submits the queries.
        router: brings the reports.
        batch_size: numbers per query, up to 10,000. A query costs about as much for one number
            as for some hundred; beyond 1,000 little is gained.
        batch_age: seconds that a number waits for others to share its query. A source that is
            slower than that has queries of single numbers.
        concurrency: queries in flight at most, for single lookups and for each stream.
        window: numbers of a stream that are read and not yet handed to its consumer, at most;
            each takes some 400 octets, and 1 KiB where it has a query of its own.
        rate: numbers per second that go out, evenly; None for no limit.
        report_grace: seconds that a report is kept that comes before the reply to its query; and
            seconds from the start for which reports are kept that nobody waits for, since the job
            of an earlier run may be opened yet.
        early_limit: reports that are kept so at most; the oldest goes first.
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
        concurrency: int = 8,
        window: int = 20_000,
        rate: float | None = None,
        report_grace: float = 60.0,
        early_limit: int = 100_000,
        stop_timeout: float = 30.0,
    ) -> None:
        self._settings = StreamSettings(
            batch_size=batch_size,
            batch_age=batch_age,
            concurrency=concurrency,
            window=window,
            rate=rate,
            stop_timeout=stop_timeout,
        )
        self._settings.check(largest_batch=MAX_BATCH, most="max_numbers")
        check_range("report_grace", report_grace, 0)
        check_range("early_limit", early_limit, 0)
        self._limiter = RateLimiter(rate)
        largest = min(batch_size, window, self._limiter.largest or window)
        self._client = client
        self._router = router
        self._report_grace = report_grace
        self._deadlines = Deadlines(LookupTable(loop_time, report_grace, early_limit))
        # Who looks one number up is told at once that the gateway is away.
        told_at_once = attrs.evolve(self._settings, unreachable_timeout=0)
        self._flow = FlowControl(told_at_once, self._limiter, lenient=True)
        self._queries = Queries(client, self._deadlines, self._flow)
        self._singles = SingleLookups(self._queries, largest, batch_age)
        self._streams: WeakSet[Stream] = WeakSet()
        self._entered = False

    @property
    def stats(self) -> Stats:
        """Counts since the start; plain numbers, kept up to date."""
        return self._deadlines.table.stats

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("an HlrLookups is entered once")
        self._entered = True
        self._deadlines.table.heard_until = loop_time() + self._report_grace
        self._router.watch.observe(self, _FIGURES)
        self._be_timed()
        self._router.on(HlrReport, everywhere=True)(self._deadlines.report)
        self._router.on(HlrReport, batch=_PUSH, everywhere=True)(self._recorded)
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        for stream in self._streams:
            stream.leave()
        self._singles.submit_all()
        self._flow.stop("the lookups were left before its turn")
        wait = 0 if exc_type else time_to_stop(self._settings.stop_timeout)
        try:
            stops = (stream.stop(wait) for stream in self._streams)
            await asyncio.gather(self._queries.stop(wait), *stops)
        finally:
            self._router.off(HlrReport, self._deadlines.report)
            self._router.off(HlrReport, self._recorded)
            self._deadlines.disarm()
            self._router.watch.forget(self)

    def _be_timed(self) -> None:
        """Have the time of each lookup told, if anybody asks: not at each, since that costs."""
        active = self._router.watch.active
        self._deadlines.table.timed = self._timed if active else None

    def _timed(self, seconds: float) -> None:
        self._router.watch.record("infobip.lookup.duration", seconds, {})

    async def _recorded(self, _: Sequence[HlrReport]) -> None:
        """Have the results of jobs on disk before the push that brought them is acknowledged."""
        self._be_timed()
        for stream in tuple(self._streams):
            await stream.recorded()

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
        check_positive("timeout", timeout)
        check_lookup_destination(destination)
        return await self._singles.add(destination, timeout)

    def stream(
        self,
        numbers: Numbers,
        *,
        timeout: float = 60.0,
        ordered: bool = False,
        share: bool = False,
        max_numbers: int | None = None,
        min_credits: Decimal | None = None,
        job: str | Path | None = None,
        on_unknown: OnUnknown = "report",
        unreachable_timeout: float = 300.0,
        between: Between | None = None,
        between_zone: str | tzinfo | None = None,
    ) -> Run[HlrResult]:
        """Look up numbers of any source, and yield a result for each as it comes.

        Nothing is raised for a number: `HlrResult.outcome` tells. A run that cannot go on (the
        gateway refuses queries, a wrong address, a gateway that stays away or does not answer, no
        credits, a limit that is reached) stops reading, gives what it has read its outcome, and
        raises `RunStoppedError`. What the source raises is raised after the results of the numbers
        before it. Memory is bounded by the window, whatever the length of the source.

        A consumer that leaves early leaves nothing behind: at once where it closes the run
        (``async with lookups.stream(...) as run``), else when the interpreter does.

        Args:
            numbers: an iterable or async iterable, read no faster than results are taken; an
                iterable that blocks, blocks everything.
            timeout: seconds from the query of a number to its report.
            ordered: yield in the order of the numbers; one that waits holds those behind it.
            share: look a number up once that stands several times in the window.
            max_numbers: numbers that may go out in all; the run ends before more do.
            min_credits: what must be left of the balance, which is asked for at the start.
            job: a file that remembers what was asked and what came back, so that the same call
                with the same numbers goes on after a crash; None to remember nothing. Lookups that
                were accepted before it are waited for until their deadline, and not paid for
                again.
            on_unknown: what to do with a query whose reply was lost: ``"report"`` gives its
                numbers as `HlrOutcome.UNKNOWN`, ``"repeat"`` submits them again, up to three times
                and by the next run of the job, which may cost each time.
            unreachable_timeout: seconds that a gateway which cannot be connected to is waited for.
            between: the hours of the day in which queries go out, such as ``"09:00-20:00"``.
            between_zone: whose hours, such as ``"Europe/Zagreb"``; this machine's by default.

        Raises:
            LocalProtocolError: an option is out of its range; or, from the iteration, the file is
                no job of this account.
            RunStoppedError: from the iteration: the run could not go on.
            StorageUnavailableError: from the iteration: the job cannot be opened, or written any
                more.
        """
        self._check_open()
        check_positive("timeout", timeout)
        if share and job is not None:
            raise LocalProtocolError("a job looks each number of its source up", field="share")
        settings = attrs.evolve(
            self._settings,
            most=max_numbers,
            min_credits=min_credits,
            unreachable_timeout=unreachable_timeout,
            hours=Hours.of(between, between_zone),
            job=job,
            on_unknown=on_unknown,
            timeout=timeout,
            ordered=ordered,
            share=share,
        )
        settings.check(largest_batch=MAX_BATCH, most="max_numbers")
        stream = Stream(self._client, self._deadlines, self._limiter, numbers, settings)
        self._streams.add(stream)
        return Run(stream, self._router.watch, "stream")

    def _check_open(self) -> None:
        if not self._entered or self._flow.closed:
            raise RuntimeError("lookups are made inside `async with HlrLookups(...)`")
