"""A gateway that does as it is told, in time that is skipped."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from infobip_async.hlr.lookups import HlrLookups
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission
from infobip_async.router import Router
from jumping import JumpingLoop
from skipping import SkippingLoop

Rows = Sequence[HlrSubmission]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Sockets and threads need time that passes; everything else here does not."""
    if item.path.stem in {"test_over_sockets", "test_job", "test_job_source", "test_crashes"}:
        return {"jumping": JumpingLoop}
    return {"skipping": SkippingLoop}


def timers() -> list[asyncio.TimerHandle]:
    """What the running loop will call at some time."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [handle for handle in scheduled if not handle.cancelled()]


@pytest.fixture(autouse=True)
async def _tidy() -> AsyncIterator[None]:
    """No test leaves a timer behind."""
    yield
    gc.collect(1)
    await asyncio.sleep(0.001)  # an abandoned generator is closed in a task of its own
    assert timers() == []


def accepted(destinations: Iterable[str], first: int = 1) -> tuple[HlrSubmission, ...]:
    """Rows of a reply that accepts every number."""
    return tuple(
        HlrSubmission(destination, True, f"id-{number}", "OK")
        for number, destination in enumerate(destinations, first)
    )


def report_of(row: HlrSubmission, imsi: str = "219011234567890") -> HlrReport:
    """The report that ends the lookup of a row."""
    assert row.lookup_id
    return HlrReport(row.destination, row.lookup_id, HlrStatus.DELIVRD, "DELIVRD", imsi)


async def enough() -> Decimal:
    """Tell a balance."""
    return Decimal(1_000)


@attrs.define(eq=False)
class Gateway:
    """The client, and the gateway behind it.

    Attributes:
        router: where reports are pushed to.
        answer: makes the reply to a query.
        delay: seconds from the reply to its reports; None for no reports.
        keep: whether queries and rows are kept for inspection.
        asked: the queries so far.
        rows: the rows given so far.
        flying: queries in flight now.
        most_flying: queries in flight at once at the most.
        username: of the account.
        credits: gives the balance of the account.
        report: makes the report on a row.
    """

    router: Router
    answer: Callable[[Sequence[str]], Awaitable[Rows]] = attrs.field(init=False)
    delay: float | None = attrs.field(default=0.0, init=False)
    keep: bool = attrs.field(default=True, init=False)
    asked: list[tuple[str, ...]] = attrs.field(factory=list, init=False)
    rows: list[HlrSubmission] = attrs.field(factory=list, init=False)
    flying: int = attrs.field(default=0, init=False)
    most_flying: int = attrs.field(default=0, init=False)
    username: str = attrs.field(default="user", init=False)
    credits: Callable[[], Awaitable[Decimal]] = attrs.field(default=enough, init=False)
    report: Callable[[HlrSubmission], HlrReport] = attrs.field(default=report_of, init=False)
    _given: int = attrs.field(default=0, init=False)
    _pushes: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.answer = self.accept

    async def submit_hlr(self, destinations: Sequence[str], /) -> Rows:
        """What the lookups call."""
        if self.keep:
            self.asked.append(tuple(destinations))
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            return await self.answer(destinations)
        finally:
            self.flying -= 1

    async def accept(self, destinations: Sequence[str]) -> Rows:
        """Accept all, and push their reports after the delay."""
        await asyncio.sleep(0)
        rows = accepted(destinations, self._given + 1)
        self._given += len(rows)
        if self.keep:
            self.rows += rows
        if self.delay is not None:
            self.spawn(self.push(rows, self.delay))
        return rows

    async def push(self, rows: Iterable[HlrSubmission], delay: float = 0.0) -> None:
        """Push the reports of rows."""
        await asyncio.sleep(delay)
        await self.router.dispatch([self.report(row) for row in rows if row.lookup_id])

    def spawn(self, coroutine: Any) -> None:
        """Let something happen meanwhile."""
        task = asyncio.ensure_future(coroutine)
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)

    async def close(self) -> None:
        """End what has been spawned."""
        for task in tuple(self._pushes):
            task.cancel()
        await asyncio.gather(*self._pushes, return_exceptions=True)

    @property
    def timers(self) -> int:
        """How many timers run."""
        return len(timers())

    def lookups(self, **settings: Any) -> HlrLookups:
        """Lookups through this gateway."""
        return HlrLookups(self, self.router, **settings)


@pytest.fixture
async def gateway(_tidy: None) -> AsyncIterator[Gateway]:
    """A gateway that accepts every number and reports it at once, unless told otherwise."""
    gateway = Gateway(Router())
    yield gateway
    await gateway.close()
