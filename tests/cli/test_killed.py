"""A run in a process of its own that is stopped or killed, and the same command after it."""

import csv
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from platforms import needs_signals
from scale import scaled

pytestmark = needs_signals

MANY = scaled(3_000)
FEW = 300
Hlr = Callable[..., Any]


@pytest.fixture(autouse=True)
def _in_flight(gateway: Any) -> None:
    """Reports take a moment, so that some are under way."""
    gateway.simulator.gateway.report_delay = 0.02


@pytest.fixture
def many(tmp_path: Path) -> Callable[[int], list[str]]:
    """Make a file of numbers, some of which stand twice."""

    def many(count: int) -> list[str]:
        numbers = [str(385980000000 + at % (count * 9 // 10)) for at in range(count)]
        (tmp_path / "numbers.txt").write_text("\n".join(numbers))
        return numbers

    return many


@pytest.fixture
def hlr(gateway: Any, tmp_path: Path) -> Hlr:
    """Run or start the command on that file, with a job."""
    receive = ("--receive", f"127.0.0.1:{gateway.port}")
    job = ("--job", tmp_path / "job.db", "-o", tmp_path / "out.csv")
    return lambda run, *args, **options: run(
        "hlr", tmp_path / "numbers.txt", *receive, *job, *args, **options
    )


def _output(folder: Path) -> list[tuple[str, str]]:
    with (folder / "out.csv").open(encoding="utf-8", newline="") as rows:
        return [(row["destination"], row["outcome"]) for row in csv.DictReader(rows)]


def _expire(job: Path) -> None:
    """Have the deadlines pass of what the killed process waited for."""
    with closing(sqlite3.connect(job)) as there, there:
        there.execute("update numbers set deadline = 0 where deadline is not null")


@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(FEW, 2, marks=pytest.mark.proof),
        pytest.param(MANY, 10, marks=pytest.mark.proof),
    ],
)
def test_killed_at_random(  # noqa: PLR0917 - fixtures
    hlr: Hlr,
    start: Any,
    run: Any,
    gateway: Any,
    tripwire: Any,
    many: Any,
    tmp_path: Path,
    count: int,
    kills: int,
) -> None:
    """Nothing is missing or there twice, and only what was in flight is repeated.

    In flight is what the gateway had accepted, and had not seen a report of acknowledged.
    """
    simulator, numbers = gateway.simulator, many(count)
    pace = ("--batch-size", max(5, count // 200), "--rate", min(count, 8_000))
    again = ("--on-unknown", "repeat")
    chance = random.Random(7)
    for _ in range(kills):
        tripwire.set(chance.randrange(1, count // (kills + 2)))
        process = hlr(start, *pace, *again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with tripwire.held():
            process.kill()
            process.wait()
        gateway.settle()
        acknowledged = sum(push.rows for push in simulator.pushes if push.successful)
        in_flight = simulator.counts.lookups - acknowledged
        _expire(tmp_path / "job.db")
    result = hlr(run, *again)
    assert result.exit_code == 0
    assert _output(tmp_path) == [(number, "reported") for number in numbers]
    repeated = simulator.counts.lookups - len(numbers)
    print(f"{repeated} repeated, {in_flight} in flight at the kills")  # noqa: T201 - shown by -s
    assert 0 < repeated <= in_flight


@pytest.mark.proof  # test_hlr.py stops one in its own process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(  # noqa: PLR0917 - fixtures
    hlr: Hlr,
    start: Any,
    run: Any,
    gateway: Any,
    tripwire: Any,
    many: Any,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """What is out comes back and is kept: nothing is looked up twice."""
    numbers = many(FEW)
    tripwire.set(FEW // 3)
    process = hlr(start, "--batch-size", 10, patient=True)
    with tripwire.held():
        process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == 128 + number
    assert "Traceback" not in stderr
    assert "stopped; the same command goes on where it was" in stderr
    written = [outcome for _, outcome in _output(tmp_path) if outcome == "reported"]
    assert FEW // 3 <= len(written) == gateway.simulator.counts.lookups < FEW
    result = hlr(run)
    assert result.exit_code == 0
    assert _output(tmp_path) == [(number, "reported") for number in numbers]
    assert gateway.simulator.counts.lookups == FEW


@pytest.mark.proof
def test_stopped_twice(hlr: Hlr, start: Any, gateway: Any, tripwire: Any, many: Any) -> None:
    """What is out is not waited for the second time."""
    gateway.simulator.gateway.report_delay = 3600
    many(FEW)
    tripwire.set(FEW // 3)
    process = hlr(start, patient=True)
    with tripwire.held():
        process.send_signal(signal.SIGINT)
        while "stopping" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert "leaving at once" in stderr
    assert "Traceback" not in stderr


@pytest.mark.proof
def test_nobody_reads_the_results(start: Any, gateway: Any, many: Any) -> None:
    """A reader that has enough, such as ``head``, ends the command without a traceback."""
    many(1_000)  # more than a pipe holds
    process = start("hlr", "numbers.txt", "--receive", f"127.0.0.1:{gateway.port}")
    assert process.stdout.readline().startswith("position,")
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait() == 1
    assert "Traceback" not in stderr
    assert "Exception" not in stderr
