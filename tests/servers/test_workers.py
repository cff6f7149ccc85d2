"""Several workers on one journal: whatever one of them acknowledges is handled, once in all."""

import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(sys.platform != "linux", reason="it finds workers in /proc"),
]

SECRET = "MARKED-secret.of_the-webhook"
PATIENCE = 60.0


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
    """The processes that serve: those below the one that was started, and its other helpers."""
    found, parents = [], {server.process.pid}
    for status in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parts[2])):
        with suppress(OSError):
            pid, _, rest = status.read_text().partition(" (")
            if int(rest.rpartition(") ")[2].split()[1]) in parents:
                parents.add(int(pid))
                found.append(int(pid))
    return found


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


@pytest.mark.parametrize("name", ["gunicorn-aiohttp", "gunicorn-uvicorn"])
def test_workers_that_are_killed(start, name, capsys):
    """Nothing that was acknowledged is lost; what a death doubles is counted."""
    server, chance = start(name, workers=4, journal=True), random.Random(7)
    names = {f"report-{number}" for number in range(300)}
    for number, each in enumerate(sorted(names)):
        push_until_acknowledged(server, each)
        if number % 15 == 0:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers_of(server)), signal.SIGKILL)

    times = handled(server, names)
    doubled = sum(count - 1 for count in times.values())
    with capsys.disabled():  # the figure is the point
        sys.stdout.write(f"\n{name}: 300 acknowledged, {len(times)} handled, {doubled} doubled\n")
    assert set(times) == names
    assert doubled <= 20
