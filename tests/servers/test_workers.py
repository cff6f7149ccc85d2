"""Several workers on one journal: whatever one of them acknowledges is handled, once in all."""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import pytest

from infobip_async import SqliteJournal
from scale import scaled

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(sys.platform != "linux", reason="it finds workers in /proc"),
]

SECRET = "MARKED-secret.of_the-webhook"
PATIENCE = 60.0
SENDERS = 4
KILLS = scaled(10)  # of workers, for each set-up


def push(server, name: str) -> bool:
    """Push a report, as the gateway does: what is not acknowledged comes again."""
    body = f'<DeliveryReport><message id="{name}" status="SENT"/></DeliveryReport>'.encode()
    head = f"POST /infobip/{SECRET}/dlr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with suppress(OSError):
        return server.send(head.encode() + body, closing=False).status == 200
    return False


def push_until_acknowledged(server, name: str) -> None:
    """Push a report until it is acknowledged."""
    end = time.monotonic() + PATIENCE
    while not push(server, name):
        assert time.monotonic() < end, server.log()[-5000:]
        time.sleep(0.05)


def handled(server, names: set[str]) -> Counter:
    """How often each report was handled, once all were."""
    end = time.monotonic() + PATIENCE
    while not names <= {event[1] for event in server.events()}:
        assert time.monotonic() < end, server.log()[-5000:]
        time.sleep(0.1)
    return Counter(event[1] for event in server.events())


def workers_of(server) -> list[int]:
    """The processes that serve: those of its session without any below them, and no helpers."""
    found, parents = [], set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, _, rest = status.read_text().partition(" (")
            _, parent, _, session = rest.rpartition(") ")[2].split()[:4]
            if int(session) == server.process.pid:  # workers outlive some servers
                found.append(int(pid))
                parents.add(int(parent))
    return [pid for pid in found if pid not in parents and _serves(pid)]


def _serves(pid: int) -> bool:
    """Whether a process is alive, and neither a shell nor a helper of Python's."""
    command = b""
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return bool(command) and not command.startswith(b"sh\0") and b"resource_tracker" not in command


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    "name", ["gunicorn-aiohttp", "gunicorn-uvicorn", "uvicorn-httptools", "hypercorn", "granian"]
)
def test_each_push_is_handled_once(start, name, workers):
    """Whichever worker took it."""
    server = start(name, workers=workers, journal=True)
    names = {f"report-{number}" for number in range(100)}
    for each in names:
        assert push(server, each), server.log()[-5000:]

    assert handled(server, names) == Counter(names)
    server.stop()


@attrs.define
class Sender:
    """Pushes one report after the other, and each until it is acknowledged."""

    server: object
    number: int
    acknowledged: list[str] = attrs.field(factory=list)
    ended: threading.Event = attrs.field(factory=threading.Event)

    def run(self) -> None:
        """Push until the end."""
        while not self.ended.is_set():
            name = f"report-{self.number}-{len(self.acknowledged)}"
            push_until_acknowledged(self.server, name)
            self.acknowledged.append(name)


@contextmanager
def sending(server) -> Iterator[Callable[[], Sequence[str]]]:
    """Push from several sides at once, and give what was acknowledged so far."""
    senders = [Sender(server, number) for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        runs = [pool.submit(sender.run) for sender in senders]
        try:
            yield lambda: [name for sender in senders for name in tuple(sender.acknowledged)]
        finally:
            for sender in senders:
                sender.ended.set()
        for run in runs:
            run.result()


def kill_workers(server, acknowledged: Callable[[], Sequence[str]], chance: random.Random) -> None:
    """Kill one of the workers, each time when pushes have come through again."""
    for _ in range(KILLS):
        before, end = len(acknowledged()), time.monotonic() + PATIENCE
        while len(acknowledged()) < before + SENDERS or not (workers := workers_of(server)):
            assert time.monotonic() < end, server.log()[-5000:]
            time.sleep(0.01)
        time.sleep(chance.random() * 0.05)
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)


@pytest.mark.proof(long=True)
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    "name", ["gunicorn-aiohttp", "gunicorn-uvicorn", "uvicorn-httptools", "hypercorn", "run_app"]
)
def test_workers_that_are_killed(start, name, workers, capsys):
    """Nothing that was acknowledged is lost or a dead letter; what a death doubles is counted."""
    server = start(name, workers=workers, journal=True, kept=True)
    with sending(server) as acknowledged:
        kill_workers(server, acknowledged, random.Random(7))
    names = set(acknowledged())

    times = handled(server, names)
    lost, doubled = len(names - set(times)), sum(count - 1 for count in times.values())
    dead = asyncio.run(dead_letters(server.folder / "journal"))
    with capsys.disabled():  # the figures are the point
        sys.stdout.write(
            f"\n{name}, {workers} workers, {KILLS} kills: {len(names)} acknowledged,"
            f" {len(set(times) & names)} handled, {doubled} doubled, {lost} lost, {dead} dead\n"
        )
    assert (lost, dead) == (0, 0)
    assert doubled <= SENDERS * KILLS


async def dead_letters(path: Path) -> int:
    """Count them, beside the workers."""
    async with SqliteJournal(path) as journal:
        return (await journal.counts()).dead
