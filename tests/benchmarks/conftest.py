"""The paired runner, and the one table that `nox -s bench` ends with.

A path of the library and its floor run in turns, so that a machine that changes its pace changes
it for both; what is told is the median of the ratios of each round. Times are processor times.
Nothing here can fail a build.

``nox -s profile -- -k NAME`` runs the benchmarks whose names contain NAME under cProfile.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs
import pytest

ROUNDS = 9
SECONDS_PER_ROUND = 0.05
UNITS = {"us": 1e6, "ms": 1e3, "octets": 1.0, "MiB": 2.0**-20}
TABLE = pytest.StashKey["list[Row]"]()

Measure = Callable[[], float]


@attrs.frozen
class Row:
    """A line of the table."""

    path: str
    library: float
    floor: float
    ratio: float
    target: str
    unit: str

    def told(self) -> tuple[str, ...]:
        """Its columns."""
        scale = UNITS[self.unit]
        figures = (f"{one * scale:.2f} {self.unit}" for one in (self.library, self.floor))
        return self.path, *figures, f"{self.ratio:.2f}", self.target


def repetitions(run: Callable[[], object]) -> int:
    """How often to run something in a round."""
    count = 1
    while True:
        taken = cost(run, count) * count
        if taken >= SECONDS_PER_ROUND:
            return count
        count = max(2 * count, int(count * SECONDS_PER_ROUND / max(taken, 1e-9)))


def cost(run: Callable[[], object], count: int = 1) -> float:
    """Processor time per run."""
    start = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - start) / count


@attrs.define
class Bench:
    """Puts lines into the table."""

    rows: list[Row]

    def measure(
        self,
        path: str,
        library: Measure,
        floor: Measure,
        target: str = "-",
        *,
        rounds: int = ROUNDS,
        fold: int = 1,
        unit: str = "us",
    ) -> None:
        """Have the two measure themselves in turns, and add the line.

        Args:
            path: what is measured.
            library: gives its cost in seconds or octets.
            floor: likewise.
            target: of the ratio.
            rounds: how often each is asked.
            fold: how many things one measurement is about.
            unit: what to print.
        """
        figures = [(library() / fold, floor() / fold) for _ in range(rounds)]
        ours, others = map(statistics.median, zip(*figures, strict=True))
        ratio = statistics.median(one / other for one, other in figures)
        self.rows.append(Row(path, ours, others, ratio, target, unit))

    def pair(
        self,
        path: str,
        library: Callable[[], object],
        floor: Callable[[], object],
        target: str = "-",
        *,
        fold: int = 1,
    ) -> None:
        """Run two functions in turns, often enough for the clock, and add the line."""
        ours, others = (partial(cost, run, repetitions(run)) for run in (library, floor))
        self.measure(path, ours, others, target, fold=fold)


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table."""
    config.stash[TABLE] = []


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Bench:
    """The table's writer."""
    return Bench(pytestconfig.stash[TABLE])


@pytest.fixture(scope="session")
def gateway() -> Iterator[str]:
    """The base URL of a gateway in a process of its own, which answers without looking."""
    command = [sys.executable, str(Path(__file__).with_name("gateway.py"))]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:  # noqa: S603 - ours
        yield process.stdout.readline().strip()
        process.stdin.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    if rows := config.stash[TABLE]:
        terminalreporter.section("ratios: the library against a floor in the same run")
        line = "{:<66} {:>14} {:>14} {:>8}  {}"
        terminalreporter.write_line(line.format("path", "library", "floor", "ratio", "target"))
        for row in rows:
            terminalreporter.write_line(line.format(*row.told()))
