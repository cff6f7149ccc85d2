"""Workers in processes of their own on one port and one journal, some of which are killed."""

import asyncio
import json
import os
import random
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

from children import start_child_async
from infobip_async.journal import SqliteJournal
from infobip_async.protocol.exchange import CallbackUrls
from infobip_async.simulator import Simulator
from platforms import needs_fork
from scale import scaled

pytestmark = needs_fork

SECRET = "a-secret-of-the-tests"
SENDERS = 12
IN_FLIGHT = 10


@attrs.define
class Crew:
    """Workers, and what was pushed at them.

    Attributes:
        process: forks the workers.
        folder: where the journal is.
        port: of all of them.
        pids: of the workers that live.
        results: what workers have printed of their lookups.
        acknowledged: what was answered with 200, by sender, in order.
        killed: how many were killed.
        over: whether no more is.
    """

    process: asyncio.subprocess.Process
    folder: Path
    port: int = 0
    pids: list[int] = attrs.field(factory=list)
    results: list[str] = attrs.field(factory=list)
    acknowledged: defaultdict[str, list[int]] = attrs.field(factory=lambda: defaultdict(list))
    killed: int = 0
    over: bool = False
    _news: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def start(self, workers: int, gateway: Simulator | None = None) -> "asyncio.Task[None]":
        """Have the workers started."""
        address = gateway.base_url if gateway else ""
        order = {"workers": workers, "gateway": address, "in_flight": IN_FLIGHT}
        order |= {name: str(self.folder / name) for name in ("path", "handled")}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        listening = asyncio.create_task(self._listen())
        await self.until(lambda: self.port)
        if gateway:
            base = f"http://127.0.0.1:{self.port}/{SECRET}"
            gateway.callbacks = CallbackUrls(f"{base}/dlr", f"{base}/hlr", f"{base}/inbound")
        self.process.stdin.write(b"\n")
        await self.until(lambda: len(self.pids) == workers)
        return listening

    async def _listen(self) -> None:
        while line := await self.process.stdout.readline():
            word, *values = line.decode().split()
            if word == "port":
                self.port = int(values[0])
            elif word == "pid":
                self.pids.append(int(values[0]))
            elif word == "end":
                self.pids.remove(int(values[0]))
            else:
                self.results += values
            self._news.set()

    async def until(self, condition) -> None:
        """Wait until what was printed fulfils a condition."""
        async with asyncio.timeout(60):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def end(self, listening: "asyncio.Task[None]") -> None:
        """Have all that waits handled, and the workers stopped."""
        self.process.stdin.close()
        async with asyncio.timeout(60):
            await listening
            await self.process.wait()

    async def send(self, sender: str) -> None:
        """Forward messages of a sender, one after the other, until the last kill and an answer."""
        number = 0
        while not (self.over and self.acknowledged[sender]):
            number += 1
            request = f"GET /{SECRET}/inbound?sender={sender}&receiver=1&text={number} HTTP/1.1\r\n"
            reply = b""
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(f"{request}Host: x\r\nConnection: close\r\n\r\n".encode())
                with suppress(OSError):
                    reply = await reader.readline()
                writer.close()
            if b" 200 " in reply:
                self.acknowledged[sender].append(number)
                self._news.set()

    async def kill(self, chance: random.Random, deaths: int, pause: float) -> None:
        """Kill workers at random, those among them that handle, while they have work."""
        for death in range(deaths):
            await asyncio.sleep(pause * (0.5 + chance.random()))
            await self.until(lambda n=death: sum(map(len, self.acknowledged.values())) > 5 * n)
            pid = chance.choice(self.pids)
            os.kill(pid, signal.SIGKILL)
            self.killed += 1
            count = len(self.pids)
            await self.until(lambda pid=pid: pid not in self.pids)
            await self.until(lambda count=count: len(self.pids) == count)
        self.over = True

    def handled(self) -> dict[str, list[int]]:
        """What was handled, by sender, in order."""
        numbers = defaultdict(list)
        for line in (self.folder / "handled").read_text().splitlines():
            _, sender, number = line.split()
            numbers[sender].append(int(number))
        return numbers


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Crew]:
    """Where workers are started."""
    process = await start_child_async(
        *(sys.executable, str(Path(__file__).parent / "crew.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    crew = Crew(process, tmp_path)
    yield crew
    if process.returncode is None:  # the test has failed
        for pid in crew.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("workers", "deaths", "pause"),
    [
        (2, 2, 0.0),
        pytest.param(1, scaled(30), 0.2, marks=pytest.mark.proof(long=True)),
        pytest.param(4, scaled(30), 0.2, marks=pytest.mark.proof(long=True)),
    ],
)
async def test_workers_that_are_killed(
    crew: Crew, workers: int, deaths: int, pause: float, capsys
) -> None:
    """Each acknowledged event is handled, in order for each sender; few are handled twice.

    A killer that comes five times a second may hit the same event three times while it is alone:
    that one is a dead letter then.
    """
    listening = await crew.start(workers)
    load = [crew.send(f"38598{n:03}") for n in range(SENDERS)]
    await asyncio.gather(crew.kill(random.Random(workers), deaths, pause), *load)
    await crew.end(listening)
    handled = crew.handled()
    async with SqliteJournal(crew.folder / "path") as journal:
        counts = await journal.counts()
        dead = [one.read() async for one in journal.dead()]
    assert (counts.waiting, counts.quarantined) == (0, 0)
    lost = {
        (sender, number)
        for sender, numbers in crew.acknowledged.items()
        for number in set(numbers) - set(handled[sender])
    } - {(sms.sender, int(sms.text)) for sms in dead}
    acknowledged = sum(map(len, crew.acknowledged.values()))
    doubled = sum(len(numbers) - len(set(numbers)) for numbers in handled.values())
    figures = f"{workers} workers, {crew.killed} kills: {acknowledged} acknowledged,"
    with capsys.disabled():
        if deaths > 2:
            sys.stdout.write(f"\n{figures} {doubled} doubled, {len(dead)} dead, {len(lost)} lost\n")
    assert acknowledged >= SENDERS
    assert lost == set()
    assert doubled <= IN_FLIGHT * crew.killed
    assert len(dead) <= crew.killed // 20
    for numbers in handled.values():
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first)


async def test_lookups_in_several_workers(crew: Crew) -> None:
    """Each worker hears the reports on its own lookups, whichever worker they were pushed to."""
    async with Simulator(username="user", password="password") as simulator:
        listening = await crew.start(2, simulator)
        await crew.until(lambda: len(crew.results) == 20)
        await crew.end(listening)
    assert {one.split(":")[1] for one in crew.results} == {"reported"}
