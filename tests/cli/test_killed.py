"""A run that is stopped or killed, in a process of its own, and what the same command makes of it.

``INFOBIP_TEST_NUMBERS=100000`` kills it over so many numbers in place of a few.
"""

import csv
import os
import random
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infobip_async.simulator import policies
from infobip_async.simulator.records import HlrAnswer

KILLS = 10
NUMBERS = int(os.environ.get("INFOBIP_TEST_NUMBERS", "3000"))
Hlr = Callable[..., "subprocess.Popen[str]"]


class Tripwire:
    """An HLR that tells when so many numbers were asked about."""

    def __init__(self) -> None:
        self.asked = 0
        self._at = -1
        self._reached = threading.Event()

    def set(self, at: int) -> None:
        """Tell when so many more were asked about."""
        self._reached.clear()
        self._at = self.asked + at

    def wait(self) -> None:
        """Wait until they were."""
        assert self._reached.wait(60)

    def __call__(self, number: str) -> HlrAnswer:
        """Answer for a number, in the gateway's thread."""
        self.asked += 1
        if self.asked == self._at:
            self._reached.set()
        return policies.at_home(number)


@pytest.fixture
def tripwire(gateway: Any) -> Tripwire:
    """The HLR behind the gateway; reports take a moment, so that some are under way."""
    gateway.answer = Tripwire()
    gateway.simulator.gateway.report_delay = 0.02
    return gateway.answer


@pytest.fixture
def numbers(tmp_path: Path) -> list[str]:
    """Numbers, some of which stand twice, in a file."""
    numbers = [str(385980000000 + at % (NUMBERS * 9 // 10)) for at in range(NUMBERS)]
    (tmp_path / "numbers.txt").write_text("\n".join(numbers))
    return numbers


@pytest.fixture
def hlr(start: Callable[..., Any], gateway: Any) -> Hlr:
    """Start the command."""

    def hlr(*args: object, **options: Any) -> "subprocess.Popen[str]":
        receive = f"127.0.0.1:{gateway.port}"
        job = ("--job", "job.db", "-o", "out.csv")
        return start("hlr", "numbers.txt", "--receive", receive, *job, *args, **options)

    return hlr


def _output(folder: Path) -> list[tuple[str, str]]:
    with (folder / "out.csv").open(encoding="utf-8", newline="") as rows:
        return [(row["destination"], row["outcome"]) for row in csv.DictReader(rows)]


def _repeated(stderr: str) -> int:
    found = re.search(r"up to ([0-9,]+) of them repeated", stderr)
    assert found, stderr
    return int(found[1].replace(",", ""))


def test_killed_at_random(
    hlr: Hlr, gateway: Any, tripwire: Tripwire, numbers: list[str], tmp_path: Path
) -> None:
    """Nothing is missing or there twice, and only what was in flight is repeated.

    In flight is what the gateway had accepted, and had not seen a report of acknowledged.
    """
    simulator = gateway.simulator
    pace = ("--batch-size", NUMBERS // 200, "--rate", min(NUMBERS, 8_000))
    chance = random.Random(7)
    for _ in range(KILLS):
        tripwire.set(chance.randrange(1, NUMBERS // 12))
        run = hlr(*pace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tripwire.wait()
        run.kill()
        run.wait()
        gateway.call(simulator.settled())
        acknowledged = sum(push.rows for push in simulator.pushes if push.successful)
        in_flight = simulator.counts.lookups - acknowledged
    run = hlr(*pace)
    _, stderr = run.communicate()
    assert run.returncode == 0
    assert _output(tmp_path) == [(number, "reported") for number in numbers]
    repeated = simulator.counts.lookups - len(numbers)
    print(f"{repeated} repeated, {in_flight} in flight at the kills")  # noqa: T201 - shown by -s
    assert 0 < repeated <= in_flight
    assert repeated <= _repeated(stderr)  # some were counted, and did not get to the gateway


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(  # noqa: PLR0917 - fixtures
    hlr: Hlr,
    gateway: Any,
    tripwire: Tripwire,
    numbers: list[str],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """What is out comes back and is kept: nothing is looked up twice."""
    tripwire.set(NUMBERS // 3)
    run = hlr("--batch-size", NUMBERS // 100)
    tripwire.wait()
    run.send_signal(number)
    _, stderr = run.communicate()
    assert run.returncode == 128 + number
    assert "Traceback" not in stderr
    assert "stopped; the same command goes on where it was" in stderr
    written = _output(tmp_path)
    assert NUMBERS // 3 <= len(written) == gateway.simulator.counts.lookups < NUMBERS
    run = hlr()
    _, stderr = run.communicate()
    assert run.returncode == 0
    assert _output(tmp_path) == [(number, "reported") for number in numbers]
    assert _repeated(stderr) == 0


def test_stopped_twice(hlr: Hlr, gateway: Any, tripwire: Tripwire, numbers: list[str]) -> None:
    """What is out is not waited for the second time."""
    gateway.simulator.gateway.report_delay = 3600
    tripwire.set(1000)
    run = hlr()
    tripwire.wait()
    run.send_signal(signal.SIGINT)
    while "stopping" not in (line := run.stderr.readline()):
        assert line
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate()
    assert run.returncode == 130
    assert "leaving at once" in stderr
    assert "Traceback" not in stderr


def test_nobody_reads_the_results(
    start: Callable[..., Any], gateway: Any, numbers: list[str]
) -> None:
    """A reader that has enough, such as ``head``, ends the command without a traceback."""
    run = start("hlr", "numbers.txt", "--receive", f"127.0.0.1:{gateway.port}")
    assert run.stdout.readline().startswith("position,")
    run.stdout.close()
    stderr = run.stderr.read()
    assert run.wait() == 1
    assert "Traceback" not in stderr
    assert "Exception" not in stderr
