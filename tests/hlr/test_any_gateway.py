"""Streams against gateways of chance."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import attrs
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import (
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission
from infobip_async.router import Router


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


async def drained(stream) -> list[HlrResult]:
    """All results of a stream."""
    return [result async for result in stream]


def outcomes(results: list[HlrResult]) -> Counter[HlrOutcome]:
    """How many of each."""
    return Counter(result.outcome for result in results)


# --- reports of all sorts ---


@attrs.define
class Faulty:
    """A gateway of chance, which remembers what it decided for each lookup."""

    router: Router
    random: random.Random
    truth: defaultdict[tuple[str, str], dict[str, float]] = attrs.field(
        factory=lambda: defaultdict(dict)
    )
    misled: set[str] = attrs.field(factory=lambda: {"same"})
    asked: int = 0
    began: dict[str, float] = attrs.field(factory=dict)
    pushed: int = 0
    pushes: set[asyncio.Task[None]] = attrs.field(factory=set)

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Accept, refuse, cut, hang, or give nonsense."""
        self.asked += 1
        query = self.asked
        self.began[str(query)] = now()
        await self.sleep(2)
        chance = self.random.random()
        if chance < 0.05:
            raise NotSentError("away")
        rows = [self.row(one, f"{query}-{at}") for at, one in enumerate(destinations)]
        for row in rows:
            if row.lookup_id:
                self.spawn(self.life(row.destination, row.lookup_id))
        await self.sleep(3)
        if chance < 0.1:
            raise OutcomeUnknownError("cut")
        if chance < 0.12:
            await asyncio.sleep(1000)
        return rows[:-1] if chance > 0.97 else rows

    def row(self, destination: str, lookup_id: str) -> HlrSubmission:
        """A row: mostly accepted."""
        kind = self.random.random()
        if kind < 0.05:
            return HlrSubmission(destination, False, None, "FAILED")
        if kind < 0.06:
            return HlrSubmission(destination, True, None, "OK")
        return HlrSubmission(destination, True, "same" if kind < 0.07 else lookup_id, "OK")

    async def life(self, destination: str, lookup_id: str) -> None:
        """Reports of a lookup: early or late, once, twice or never, and sometimes wrong ones."""
        if self.random.random() < 0.05:
            self.misled.add(lookup_id)
            await self.push(HlrReport("999", lookup_id, HlrStatus.DELIVRD, "DELIVRD", "wrong"))
        for _ in range(self.random.choices([1, 2, 0], [0.85, 0.1, 0.05])[0]):
            await self.sleep(self.random.choice([1, 4, 40]))
            named = destination if self.random.random() < 0.95 or lookup_id == "same" else ""
            imsi = f"{self.random.randrange(10**15):015}"
            self.truth[destination, lookup_id][imsi] = now()
            await self.push(HlrReport(named, lookup_id, HlrStatus.DELIVRD, "DELIVRD", imsi))

    def was_late(self, result: HlrResult) -> bool:
        """Whether no report of a lookup came within 10 seconds from its query."""
        start = self.began[result.lookup_id.partition("-")[0]]
        reports = self.truth[result.destination, result.lookup_id]
        return all(pushed >= start + 10 for pushed in reports.values())

    async def push(self, report: HlrReport) -> None:
        """One report."""
        self.pushed += 1
        await self.router.dispatch([report])

    async def sleep(self, most: float) -> None:
        """Some time."""
        await asyncio.sleep(self.random.random() * most)

    def spawn(self, coroutine) -> None:
        """Let something happen meanwhile."""
        task = asyncio.ensure_future(coroutine)
        self.pushes.add(task)
        task.add_done_callback(self.pushes.discard)


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 120),
    ordered=st.booleans(),
    share=st.booleans(),
    repeat=st.booleans(),
    batch_size=st.integers(1, 20),
    window=st.integers(1, 60),
    early_limit=st.sampled_from([0, 3, 1000]),
)
async def test_any_gateway(
    *,
    seed: int,
    count: int,
    ordered: bool,
    share: bool,
    repeat: bool,
    batch_size: int,
    window: int,
    early_limit: int,
) -> None:
    """Whatever the gateway does: one right result per number, and counts that add up."""
    chance = random.Random(seed)
    source = [str(chance.randrange(1, 200)) for _ in range(count)]
    faulty = Faulty(Router(), chance)
    async with HlrLookups(
        faulty, faulty.router, batch_size=batch_size, window=window, early_limit=early_limit
    ) as lookups:
        on_unknown = "repeat" if repeat else "report"
        results = await drained(
            lookups.stream(source, timeout=10, ordered=ordered, share=share, on_unknown=on_unknown)
        )
        await asyncio.gather(*faulty.pushes)
    stats, found = lookups.stats, outcomes(results)
    destinations = [result.destination for result in results]
    assert destinations == source if ordered else Counter(destinations) == Counter(source)
    for result in results:
        assert (result.report is None) == (result.outcome is not HlrOutcome.REPORTED)
        assert (result.report is None) == (result.reason is not None)
        if result.report:
            assert result.report.lookup_id == result.lookup_id
            assert result.report.imsi in faulty.truth[result.destination, result.lookup_id]
        elif result.outcome is HlrOutcome.TIMED_OUT and result.lookup_id not in faulty.misled:
            assert early_limit < 1000 or faulty.was_late(result)
    assert stats.in_flight == stats.early_kept == 0
    assert faulty.pushed == stats.reported + stats.late + stats.unclaimed
    if not share:
        assert found == +Counter(
            {outcome: getattr(stats, outcome.name.lower()) for outcome in HlrOutcome}
        )
