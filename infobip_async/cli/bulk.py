"""A run over a source of numbers: what goes out is counted, what comes back is kept and written."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final, Literal

import attrs
import click

from infobip_async import (
    GatewayRefusedError,
    HlrLookups,
    HlrOutcome,
    HlrReport,
    HlrResult,
    HlrSubmission,
    InfobipClient,
    InfobipError,
    NotSentError,
    OutcomeUnknownError,
    Router,
)
from infobip_async.cli.job import Job, Passing, Row
from infobip_async.cli.output import Threaded
from infobip_async.cli.progress import ProgressBar

_TICK: Final = 0.1
"""Seconds between two looks at what is to be written and shown."""
_POST: Final = 10_000
"""Reports of one post that are stored at once; §5 has 100."""
LAST_WAIT: Final = 10.0
"""Seconds that a run that is stopped waits for what is out."""
_DECIDED: Final = frozenset({HlrOutcome.REPORTED, HlrOutcome.REFUSED})
"""What a run that is being stopped still learns; anything else is to be looked up again."""


@attrs.define
class Source:
    """The numbers that are to be looked up, and where in the source they stand.

    Attributes:
        numbers: all numbers.
        results: knows which of them are done.
        read: how many were read, those that are done included.
        out: how many of these have no result yet.
    """

    numbers: AsyncIterator[str]
    results: Job | Passing
    read: int = attrs.field(default=0, init=False)
    out: int = attrs.field(default=0, init=False)
    _positions: dict[str, list[int]] = attrs.field(factory=dict, init=False)

    async def undone(self) -> AsyncGenerator[str, None]:
        """Yield the numbers that are not done."""
        async for number in self.numbers:
            position = self.read
            self.read += 1
            if not self.results.has(position, number):
                self.out += 1
                self._positions.setdefault(number, []).append(position)
                yield number
        self.results.check_length(self.read)

    def settle(self, number: str) -> int:
        """Give the position of a number that has its result now, of several the first."""
        positions = self._positions[number]
        self.out -= 1
        if len(positions) == 1:
            del self._positions[number]
        return positions.pop(0)


@attrs.define
class CountingClient:
    """Submits queries, and has their numbers counted before.

    What refuses a query as a whole is about the account, and so ends the run. So does a gateway
    that cannot be reached, unless it could before.

    Attributes:
        client: submits.
        results: counts.
        fault: what ended the run.
    """

    client: InfobipClient
    results: Job | Passing
    fault: InfobipError | click.ClickException | None = attrs.field(default=None, init=False)
    _reached: bool = attrs.field(default=False, init=False)

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Submit numbers, unless the run has ended.

        Raises:
            NotSentError: nothing came of it, for whatever reason.
            OutcomeUnknownError: something may have.
        """
        self._count(len(destinations))
        try:
            rows = await self.client.submit_hlr(destinations)
        except (NotSentError, GatewayRefusedError) as fault:
            self.results.submitted -= len(destinations)
            if isinstance(fault, GatewayRefusedError) or not self._reached:
                self.fault = fault
            raise NotSentError(str(fault)) from fault
        except OutcomeUnknownError:
            self._reached = True
            raise
        self._reached = True
        self.results.submitted -= sum(not row.accepted for row in rows)
        return rows

    def _count(self, numbers: int) -> None:
        if self.fault:
            raise NotSentError("the run has ended")
        try:
            self.results.submit(numbers)
        except click.ClickException as fault:
            self.fault = fault
            raise NotSentError(str(fault)) from fault


@attrs.define
class Recorder:
    """Keeps results and has them written.

    Attributes:
        results: where they are kept.
        write: writes rows; it may block.
    """

    results: Job | Passing
    write: Threaded[Sequence[Row]] = attrs.field(converter=Threaded[Sequence[Row]])

    async def add(self, row: Row) -> None:
        """Keep a result; where they are kept in memory, this waits until some are written."""
        self.results.add(row)
        if self.results.full:
            await self.flush()

    async def flush(self, *, gaps: bool = False) -> None:
        """Make safe, and then write, what has come.

        Args:
            gaps: write what is behind numbers that have no result, too.
        """
        self.results.commit()
        while rows := self.results.take(gaps=gaps):
            await self.write(rows)


@attrs.frozen(kw_only=True)
class Settings:
    """How lookups are made; see `HlrLookups` and its `stream`."""

    batch_size: int
    queries: int
    window: int
    rate: float | None
    report_timeout: float
    ordered: bool
    on_unknown: Literal["report", "resubmit"]

    def lookups(self, client: CountingClient, router: Router) -> HlrLookups:
        """Make what looks numbers up."""
        return HlrLookups(
            client,
            router,
            batch_size=self.batch_size,
            queries=self.queries,
            window=self.window,
            rate=self.rate,
            stop_timeout=LAST_WAIT,
        )

    def stream(
        self, lookups: HlrLookups, numbers: AsyncIterator[str]
    ) -> AsyncGenerator[HlrResult, None]:
        """Start to look numbers up."""
        return lookups.stream(
            numbers,
            timeout=self.report_timeout,
            ordered=self.ordered,
            on_unknown=self.on_unknown,
        )


@attrs.define(kw_only=True)
class Run:
    """Looks the numbers of a source up, until it ends or the run is stopped.

    Attributes:
        source: the numbers.
        recorder: takes the results.
        client: submits.
        settings: how.
        bar: shows how far it is.
        signals: the signals that came to stop it.
    """

    source: Source
    recorder: Recorder
    client: CountingClient
    settings: Settings
    bar: ProgressBar
    signals: list[int]

    @property
    def stopped(self) -> bool:
        """Whether it ends before the source does."""
        return bool(self.signals) or self.client.fault is not None

    async def look_up(self, numbers: AsyncIterator[str], router: Router) -> None:
        """Look numbers up, whose reports the router brings.

        When this task is cancelled by a signal, or the run has a fault, nothing more is
        submitted, and what is out is waited for a little. Cancelled once more, it ends at once.
        """
        lookups = self.settings.lookups(self.client, router)
        taking: asyncio.Task[None] | None = None
        try:
            async with lookups:
                router.on(HlrReport, batch=_POST)(self._store)
                results = self.settings.stream(lookups, numbers)
                taking = asyncio.create_task(self._take(results))
                await self._watch(taking, lookups)
                if taking.done():
                    taking.result()  # what it failed of, without a wait for what is out
            await taking
        finally:
            if taking is not None:
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)

    async def _store(self, _: Sequence[HlrReport]) -> None:
        """Have results safe before the post that brought them is acknowledged."""
        await asyncio.sleep(0)  # in this step, `_take` gets them
        self.recorder.results.commit()

    async def _watch(self, taking: asyncio.Task[None], lookups: HlrLookups) -> None:
        try:
            while not (taking.done() or self.stopped):
                await asyncio.wait([taking], timeout=_TICK)
                await self.recorder.flush()
                done = self.source.read - self.source.out
                self.bar.show(done, f"{lookups.stats.in_flight:,} in flight")
        except asyncio.CancelledError:
            if len(self.signals) != 1:
                raise

    async def _take(self, results: AsyncGenerator[HlrResult, None]) -> None:
        async with aclosing(results):
            async for result in results:
                position = self.source.settle(result.destination)
                if not self.stopped or result.outcome in _DECIDED:
                    await self.recorder.add(Row(position, result))
