"""A stream of numbers against the simplest program that does the same, and the table beneath it.

Run with ``pytest tests/benchmarks/test_hlr.py --benchmark-group-by=group --benchmark-only``; each
group holds the library and what it is compared with. The gateway is a function in the same
process, so the figures of the streams contain it: rows and reports are made and dispatched.

What remains for a number: two look-ups in dicts, one of them of its batch, the comparison of the
number, the result's value, and the steps of the async generator.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

import pytest

from infobip_async import HlrLookups, HlrOutcome, HlrReport, HlrResult, HlrStatus, Router
from infobip_async.hlr.table import Batch, LookupTable
from infobip_async.models import HlrSubmission

pytest.importorskip("pytest_benchmark")

COUNT = 50_000
BATCH = 1_000
OUTSTANDING = 20_000


def numbers(count: int) -> list[str]:
    """Numbers that no two are the same of."""
    return [str(385980000000 + number) for number in range(count)]


def accepted(destinations: Iterable[str], ids: Iterable[int]) -> tuple[HlrSubmission, ...]:
    """Rows of a reply that accepts every number."""
    return tuple(
        [
            HlrSubmission(destination, True, f"121c0a6b752-1-{number}", "OK")
            for destination, number in zip(destinations, ids, strict=False)
        ]
    )


def report_of(row: HlrSubmission) -> HlrReport:
    """The report that ends the lookup of a row."""
    return HlrReport(
        row.destination,
        row.lookup_id or "",
        HlrStatus.DELIVRD,
        "DELIVRD",
        "219011231213000",
        "385980501",
        "0",
    )


class Gateway:
    """Accepts every query, and pushes its reports in posts of 100."""

    def __init__(self) -> None:
        self.router = Router()
        self.replies: asyncio.Queue[Sequence[HlrSubmission]] = asyncio.Queue()
        self.ids = itertools.count()

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Accept."""
        await asyncio.sleep(0)
        rows = accepted(destinations, self.ids)
        self.replies.put_nowait(rows)
        return rows

    async def push(self) -> None:
        """Report, without end."""
        while True:
            rows = await self.replies.get()
            for start in range(0, len(rows), 100):
                await self.router.dispatch([report_of(row) for row in rows[start : start + 100]])
                await asyncio.sleep(0)


async def stream(**settings: bool) -> None:
    """The library."""
    gateway = Gateway()
    pusher = asyncio.create_task(gateway.push())
    taken = 0
    async with HlrLookups(gateway, gateway.router, batch_size=BATCH) as lookups:
        async for result in lookups.stream(numbers(COUNT), **settings):  # type: ignore[arg-type]
            taken += result.report is not None
    assert taken == COUNT
    pusher.cancel()


async def simplest() -> None:
    """A dict, eight workers, no checks, no deadlines, nothing for what goes wrong."""
    gateway = Gateway()
    pusher = asyncio.create_task(gateway.push())
    waiting: dict[str | None, str] = {}
    room = asyncio.Semaphore(OUTSTANDING // BATCH)
    over = asyncio.Event()
    taken = itertools.count(1)

    @gateway.router.on(HlrReport)
    async def reported(report: HlrReport) -> None:
        waiting.pop(report.lookup_id)
        count = next(taken)
        if count % BATCH == 0:
            room.release()
        if count == COUNT:
            over.set()

    source = iter(numbers(COUNT))

    async def work() -> None:
        while batch := list(itertools.islice(source, BATCH)):
            await room.acquire()
            for row in await gateway.submit_hlr(batch):
                waiting[row.lookup_id] = row.destination

    await asyncio.gather(*(work() for _ in range(8)))
    await over.wait()
    pusher.cancel()


PROGRAMS = {
    "stream": stream,
    "stream, ordered": lambda: stream(ordered=True),
    "stream, share": lambda: stream(share=True),
    "simplest program": simplest,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_stream(benchmark, program: str) -> None:
    """The traffic of 50,000 numbers in queries of 1,000, in one process."""
    benchmark.group = "50,000 numbers"
    benchmark.pedantic(lambda: asyncio.run(PROGRAMS[program]()), rounds=5, warmup_rounds=1)


def in_table() -> Callable[[HlrReport], object]:
    """What resolves lookups that wait in the table of the library."""
    table = LookupTable(lambda: 0.0, 60.0, 100)
    results: list[HlrResult] = []
    ids = itertools.count()
    several = numbers(OUTSTANDING)
    for start in range(0, OUTSTANDING, BATCH):
        destinations = several[start : start + BATCH]
        batch = Batch(destinations, lambda _, result, __: results.append(result))
        table.begin(batch, 60.0)
        table.accept(batch, accepted(destinations, ids))
        table.land(batch)
    return table.report


def in_dict() -> Callable[[HlrReport], object]:
    """What resolves lookups that wait in a dict of id to number."""
    waiting = {row.lookup_id: row.destination for row in rows()}
    results: list[HlrResult] = []
    reported = HlrOutcome.REPORTED

    def report(report: HlrReport) -> None:
        lookup_id = report.lookup_id
        results.append(HlrResult(waiting.pop(lookup_id), reported, lookup_id, report))

    return report


def rows() -> tuple[HlrSubmission, ...]:
    """The rows of all that is outstanding."""
    return accepted(numbers(OUTSTANDING), itertools.count())


@pytest.mark.parametrize("make", [in_table, in_dict], ids=["table", "dict"])
def test_resolve(benchmark, make: Callable[[], Callable[[HlrReport], object]]) -> None:
    """20,000 lookups wait, and their reports come in any order."""
    benchmark.group = "20,000 reports"
    reports = [report_of(row) for row in rows()]
    random.Random(1).shuffle(reports)

    def resolve(report: Callable[[HlrReport], object]) -> None:
        for one in reports:
            report(one)

    benchmark.pedantic(resolve, setup=lambda: ((make(),), {}), rounds=10, warmup_rounds=1)


def accept_into_table(reply: tuple[HlrSubmission, ...], destinations: list[str]) -> None:
    """The reply of a query in the table."""
    table = LookupTable(lambda: 0.0, 60.0, 100)
    batch = Batch(destinations, lambda *_: None)
    table.begin(batch, 60.0)
    table.accept(batch, reply)
    table.land(batch)


def accept_into_dict(reply: tuple[HlrSubmission, ...], destinations: list[str]) -> None:
    """The reply of a query in a dict of id to number."""
    waiting: dict[str | None, str] = {}
    for row in reply:
        if row.accepted:
            waiting[row.lookup_id] = row.destination


@pytest.mark.parametrize("accept", [accept_into_table, accept_into_dict], ids=["table", "dict"])
def test_accept(benchmark, accept: Callable[[tuple[HlrSubmission, ...], list[str]], None]) -> None:
    """A reply of 1,000 rows is taken in."""
    benchmark.group = "reply of 1,000 rows"
    destinations = numbers(BATCH)
    reply = accepted(destinations, itertools.count())
    benchmark.pedantic(accept, args=(reply, destinations), rounds=50, iterations=5)
