"""The paired runner, and the one table that `nox -s bench` ends with.

A path of the library and its floor run in turns, so that a machine that changes its pace changes
it for both; what is told is the median of the ratios of each round. Nothing here can fail a build.
"""

import statistics
import time
from collections.abc import Callable

import attrs
import pytest

ROUNDS = 9
SECONDS_PER_ROUND = 0.05
TABLE = pytest.StashKey["list[Row]"]()


@attrs.frozen
class Row:
    """A line of the table; times in seconds of processor time per operation."""

    path: str
    library: float
    floor: float
    ratio: float
    target: str


def repetitions(run: Callable[[], object]) -> int:
    """How often to run something in a round."""
    count = 1
    while True:
        start = time.process_time()
        for _ in range(count):
            run()
        taken = time.process_time() - start
        if taken >= SECONDS_PER_ROUND:
            return count
        count = max(2 * count, int(count * SECONDS_PER_ROUND / max(taken, 1e-9)))


def cost(run: Callable[[], object], count: int) -> float:
    """Processor time per run."""
    start = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - start) / count


@attrs.define
class Bench:
    """Puts lines into the table."""

    rows: list[Row]

    def add(
        self, path: str, library: list[float], floor: list[float], target: str, *, fold: int = 1
    ) -> None:
        """Add what was measured round by round; `fold` is how many things one run does."""
        ratios = [one / other for one, other in zip(library, floor, strict=True)]
        self.rows.append(
            Row(
                path,
                statistics.median(library) / fold,
                statistics.median(floor) / fold,
                statistics.median(ratios),
                target,
            )
        )

    def pair(
        self,
        path: str,
        library: Callable[[], object],
        floor: Callable[[], object],
        target: str,
        *,
        fold: int = 1,
    ) -> None:
        """Run the two in turns, and add the line."""
        counts = repetitions(library), repetitions(floor)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            times[0].append(cost(library, counts[0]))
            times[1].append(cost(floor, counts[1]))
        self.add(path, *times, target, fold=fold)


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table."""
    config.stash[TABLE] = []


@pytest.fixture
def bench(pytestconfig: pytest.Config) -> Bench:
    """The table's writer."""
    return Bench(pytestconfig.stash[TABLE])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    if rows := config.stash[TABLE]:
        terminalreporter.section("ratios: the library against a floor in the same run")
        line = "{:<58} {:>12} {:>12} {:>8}  {}"
        terminalreporter.write_line(line.format("path", "library", "floor", "ratio", "target"))
        for row in rows:
            terminalreporter.write_line(
                line.format(
                    row.path,
                    f"{row.library * 1e6:.2f} us",
                    f"{row.floor * 1e6:.2f} us",
                    f"{row.ratio:.2f}",
                    row.target,
                )
            )
