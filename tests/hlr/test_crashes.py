"""Processes that are killed while they look numbers up with a job, at random and at named points.

What was paid for is counted by the gateway, which lives on, and pushes each report until somebody
takes it.
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
import httpx
import pytest
from aiohttp import web

from children import start_child_async
from infobip_async.simulator import Fault, Simulator
from infobip_async.webhook import callback_urls
from platforms import needs_fork
from ports import reserved_port
from scale import scaled

pytestmark = needs_fork

ITEMS = 400
FEWER = 100
BATCH_SIZE = 5
QUERIES = 4

Outcomes = dict[str, str]
"""What one run has reported: the name of the outcome by number."""


class Relay:
    """Takes pushes of the gateway, and hands each on until a child has taken it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/hlr"
        self._waiting: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Take a push."""
        self._waiting.put_nowait((await request.read(), request.headers["Content-Type"]))
        return web.Response()

    async def hand_on(self) -> None:
        """Hand pushes on, one after the other."""
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=60) as http:
            while True:
                body, kind = await self._waiting.get()
                while not await self._is_taken(http, body, kind):  # noqa: ASYNC110 - no child yet
                    await asyncio.sleep(0.01)

    async def _is_taken(self, http: httpx.AsyncClient, body: bytes, kind: str) -> bool:
        try:
            reply = await http.post(self._url, content=body, headers={"Content-Type": kind})
        except httpx.TransportError:
            return False
        return reply.status_code == 200


@attrs.define
class Nursery:
    """Runs lookups in child processes, one after the other, on one job.

    Attributes:
        process: forks them.
        simulator: what they ask.
        folder: where the job is.
        port: where they take reports.
        items: how many each is to look up.
        on_unknown: of the job.
        without: a protection that they do without.
        runs: what each has reported.
        killed: how many were killed.
    """

    process: asyncio.subprocess.Process
    simulator: Simulator
    folder: Path
    port: int
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
            "port": self.port,
            "items": self.items,
            "outcomes": str(outcomes),
            "point": point,
            "calls": calls,
            "without": self.without,
            "lookups": {"batch_size": BATCH_SIZE, "concurrency": QUERIES},
            "stream": {
                "job": str(self.folder / "job"),
                "on_unknown": self.on_unknown,
                "timeout": 3600,
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
        points = ["intent", "query", "ids", "result", "any"]
        for death in range(deaths):
            point = chance.choice(points[: 4 if death < 2 else 5])
            if point == "any":
                await self.run(seconds=chance.uniform(0.01, 0.05))
            else:
                await self.run(point=point, calls=chance.randint(1, 4))
        await self.run()

    @property
    def paid(self) -> Counter[str]:
        """How often each number was paid for."""
        return Counter(lookup.msisdn for lookup in self.simulator.lookups)

    @property
    def in_flight(self) -> int:
        """Numbers of the queries that were in flight at the kills, at most."""
        return self.killed * QUERIES * BATCH_SIZE

    def check(self) -> None:
        """Hold what is promised of every job: nobody is forgotten, and what is said remains so."""
        final = self.runs[-1]
        assert len(final) == self.items
        assert set(final.values()) <= {"REPORTED", "UNKNOWN"}
        for run in self.runs[:-1]:
            for number, outcome in run.items():
                assert outcome != "REPORTED" or final[number] == "REPORTED"

    def check_at_most_once(self) -> None:
        """Hold that nothing was paid for twice, and that only what was in flight is in doubt."""
        self.check()
        assert max(self.paid.values()) == 1
        unknown = [number for number, one in self.runs[-1].items() if one == "UNKNOWN"]
        assert len(unknown) <= self.in_flight

    def check_at_least_once(self) -> None:
        """Hold that everything was looked up, and twice only what was in flight at a kill."""
        self.check()
        assert set(self.runs[-1].values()) == {"REPORTED"}
        twice = self.paid.total() - self.items
        print(f"{twice} paid for twice, {self.in_flight} in flight at most")  # noqa: T201 - with -s
        assert twice <= self.in_flight


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    """Children and their gateway."""
    with reserved_port() as port:
        relay = Relay(port)
        runner = web.ServerRunner(web.Server(relay.take), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls = callback_urls(f"http://127.0.0.1:{runner.addresses[0][1]}", secret=None)
        handing_on = asyncio.create_task(relay.hand_on())
        async with Simulator(callbacks=urls) as simulator:
            process = await start_child_async(
                sys.executable,
                str(Path(__file__).parent / "nursery.py"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            yield Nursery(process, simulator, tmp_path, port)
            process.stdin.close()
            await process.wait()
        handing_on.cancel()
        await asyncio.wait([handing_on])
        await runner.cleanup()


SEEDS = [
    (0, FEWER),
    *(pytest.param(seed, ITEMS, marks=pytest.mark.proof) for seed in range(scaled(3))),
]


@pytest.mark.parametrize(("seed", "items"), SEEDS)
async def test_nothing_is_paid_for_twice(nursery: Nursery, seed: int, items: int) -> None:
    """Though the gateway loses replies, and the process is killed again and again."""
    nursery.items = items
    for fault in (Fault.CUT_BEFORE_REPLY, Fault.REFUSE):
        nursery.simulator.faults.add(fault, operation="submit_hlr", rate=0.02)
    await nursery.crash(seed, deaths=5)
    assert nursery.killed >= 2
    nursery.check()
    assert max(nursery.paid.values()) == 1


@pytest.mark.proof
@pytest.mark.parametrize(("seed", "items"), SEEDS)
async def test_nothing_is_left_out(nursery: Nursery, seed: int, items: int) -> None:
    """Everything is looked up, once or more, and what was accepted is not paid for again."""
    nursery.items = items
    nursery.on_unknown = "repeat"
    await nursery.crash(seed, deaths=5)
    assert nursery.killed >= 2
    nursery.check_at_least_once()


@pytest.mark.parametrize(
    "point",
    [pytest.param(one, marks=pytest.mark.proof) for one in ("query", "intent", "ids", "result")],
)
async def test_a_death_at_each_point(nursery: Nursery, point: str) -> None:
    """What was in flight is in doubt, and nothing else; ids, once kept, are not lost."""
    await nursery.run(point=point, calls=3)
    assert nursery.killed == 1
    await nursery.run()
    nursery.check_at_most_once()
    unknown = {number for number, one in nursery.runs[-1].items() if one == "UNKNOWN"}
    if point in {"intent", "query"}:
        assert unknown
    if point == "query":
        assert nursery.paid.keys() & unknown


@pytest.mark.proof
@pytest.mark.parametrize(
    ("protection", "point"),
    [
        ("intent", "query"),
        pytest.param("ids", "query", marks=pytest.mark.proof),
        pytest.param("wait for reports", "ids", marks=pytest.mark.proof),
    ],
)
async def test_without_a_protection_numbers_are_paid_for_twice(
    nursery: Nursery, protection: str, point: str
) -> None:
    """So each of them is needed, and is what the checks above are about."""
    nursery.without = protection
    nursery.on_unknown = "report" if protection == "intent" else "repeat"
    await nursery.run(point=point, calls=4)
    await nursery.run()
    with pytest.raises(AssertionError):
        nursery.check_at_most_once()
    assert max(nursery.paid.values()) > 1
