"""Processes that are killed while they send with a job, at random and at named points.

What arrived is counted by the gateway, which lives on.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from children import start_child_async
from infobip_async.simulator import Fault, Simulator
from platforms import needs_fork
from scale import scaled

pytestmark = needs_fork

ITEMS = 400
FEWER = 100
BATCH_SIZE = 5
REQUESTS = 4

Outcomes = dict[str, str]
"""What one run has reported: the name of the outcome by number."""


@attrs.define
class Nursery:
    """Runs bulk sends in child processes, one after the other, on one job.

    Attributes:
        process: forks them.
        simulator: what they send to.
        folder: where the job is.
        items: how many each is to send.
        on_unknown: of the job.
        without: a protection that they do without.
        runs: what each has reported.
        killed: how many were killed.
    """

    process: asyncio.subprocess.Process
    simulator: Simulator
    folder: Path
    items: int = FEWER
    on_unknown: str = "report"
    without: str = ""
    runs: list[Outcomes] = attrs.field(factory=list)
    killed: int = 0

    async def run(self, *, point: str = "", calls: int = 0, seconds: float | None = None) -> None:
        """Run a child to its end, or until it kills itself, or is killed after a time."""
        outcomes = self.folder / f"outcomes {len(self.runs)}"
        order = {
            "base_url": self.simulator.base_url,
            "items": self.items,
            "outcomes": str(outcomes),
            "point": point,
            "calls": calls,
            "without": self.without,
            "options": {
                "job": str(self.folder / "job"),
                "on_unknown": self.on_unknown,
                "batch_size": BATCH_SIZE,
                "concurrency": REQUESTS,
            },
        }
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        child = int(await self.process.stdout.readline())
        status = asyncio.create_task(self.process.stdout.readline())
        await asyncio.wait([status], timeout=seconds)
        if not status.done():
            os.kill(child, signal.SIGKILL)
        ended = int(await status)
        assert ended in {0, -signal.SIGKILL}
        self.killed += ended != 0
        lines = outcomes.read_bytes().splitlines() if outcomes.exists() else []
        rows = [json.loads(line) for line in lines]
        self.runs.append(dict(rows))
        assert len(self.runs[-1]) == len(rows)

    async def crash(self, seed: int, deaths: int) -> None:
        """Have so many children killed, then let one finish.

        The first two die at a named point, where there is much left to do; a later one may
        finish before its time.
        """
        chance = random.Random(seed)
        for death in range(deaths):
            point = chance.choice(["intent", "request", "outcome", "any"][: 3 if death < 2 else 4])
            if point == "any":
                await self.run(seconds=chance.uniform(0.01, 0.05))
            else:
                await self.run(point=point, calls=chance.randint(1, 8))
        await self.run()

    @property
    def copies(self) -> Counter[str]:
        """How many copies of each item the gateway has sent."""
        return Counter(message.msisdn for message in self.simulator.messages)

    def check(self) -> None:
        """Hold what is promised of every job: nobody is forgotten, and what is said remains so."""
        final = self.runs[-1]
        assert len(final) == self.items
        for run in self.runs[:-1]:
            for number, outcome in run.items():
                assert outcome != "SENT" or final[number] == "SENT"
        for number, outcome in final.items():
            assert outcome != "SENT" or self.copies[number] >= 1

    def check_at_most_once(self) -> None:
        """Hold that nothing was sent twice."""
        self.check()
        assert max(self.copies.values()) == 1

    def check_at_least_once(self) -> None:
        """Hold that everything was sent, and twice only what was in flight at a kill."""
        self.check()
        assert len(self.copies) == self.items
        assert self.copies.total() - self.items <= self.killed * REQUESTS * BATCH_SIZE


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    """Children and their gateway."""
    async with Simulator() as simulator:
        process = await start_child_async(
            sys.executable,
            str(Path(__file__).parent / "nursery.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        yield Nursery(process, simulator, tmp_path)
        process.stdin.close()
        await process.wait()


SEEDS = [
    (0, FEWER),
    *(pytest.param(seed, ITEMS, marks=pytest.mark.proof) for seed in range(scaled(3))),
]


@pytest.mark.parametrize(("seed", "items"), SEEDS)
async def test_nothing_is_sent_twice(nursery: Nursery, seed: int, items: int) -> None:
    """Though the gateway loses replies, and the process is killed again and again."""
    nursery.items = items
    for fault in (Fault.CUT_BEFORE_REPLY, Fault.REFUSE):
        nursery.simulator.faults.add(fault, operation="send", rate=0.02)
    await nursery.crash(seed, deaths=5)
    assert nursery.killed >= 2
    nursery.check_at_most_once()


@pytest.mark.proof
@pytest.mark.parametrize(("seed", "items"), SEEDS)
async def test_nothing_is_left_out(nursery: Nursery, seed: int, items: int) -> None:
    """Everything arrives once or more."""
    nursery.items = items
    nursery.on_unknown = "repeat"
    await nursery.crash(seed, deaths=5)
    assert nursery.killed >= 2
    nursery.check_at_least_once()
    assert set(nursery.runs[-1].values()) == {"SENT"}


@pytest.mark.parametrize(
    "point",
    [pytest.param(one, marks=pytest.mark.proof) for one in ("intent", "request", "outcome")],
)
async def test_a_death_at_each_point(nursery: Nursery, point: str) -> None:
    """What was in flight is in doubt and nothing else; its outcome, once kept, is not lost."""
    await nursery.run(point=point, calls=3)
    assert nursery.killed == 1
    await nursery.run()
    nursery.check_at_most_once()
    unknown = [number for number, one in nursery.runs[-1].items() if one == "UNKNOWN"]
    assert len(unknown) <= REQUESTS * BATCH_SIZE
    if point != "outcome":
        assert unknown
    if point == "request":
        assert nursery.copies.keys() & set(unknown)


@pytest.mark.proof
@pytest.mark.parametrize(
    "protection", ["intent", pytest.param("refusal to repeat", marks=pytest.mark.proof)]
)
async def test_without_a_protection_items_are_sent_twice(nursery: Nursery, protection: str) -> None:
    """So each of them is needed, and is what the checks above are about."""
    nursery.without = protection
    await nursery.run(point="request", calls=10)
    await nursery.run()
    with pytest.raises(AssertionError):
        nursery.check_at_most_once()
    assert max(nursery.copies.values()) > 1


@pytest.mark.proof
async def test_without_keeping_outcomes_they_do_not_last(nursery: Nursery) -> None:
    """What was reported as sent is unknown to the next run."""
    nursery.without = "outcome"
    await nursery.run(point="request", calls=10)
    await nursery.run()
    with pytest.raises(AssertionError):
        nursery.check()
