"""How much a bulk send holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from children import mortal
from scale import scaled

PROGRAM = Path(__file__).with_name("memory.py")


@pytest.mark.parametrize(
    ("count", "with_job"),
    [
        pytest.param(10_000, False, marks=pytest.mark.proof),
        (5_000, True),
        pytest.param(scaled(50_000), False, marks=pytest.mark.proof),
        pytest.param(scaled(30_000), True, marks=pytest.mark.proof),
    ],
)
def test_memory_does_not_grow_with_the_source(tmp_path: Path, count: int, with_job: bool) -> None:
    """Ten times the items take no more."""
    command = [sys.executable, str(PROGRAM), str(count), *([str(tmp_path)] if with_job else [])]
    run = subprocess.run(mortal(command), check=True, capture_output=True)  # noqa: S603 - our own program
    _, small, large = map(int, run.stdout.split())
    assert large < 1.5 * small
