"""What an import costs: the processor time of a new interpreter for the statement alone.

What remains: attrs makes the methods of the values when their classes are made, some 0.5 ms for
each class. The client, which is loaded when it is asked for, brings httpx, and the SQLite that bulk
sends keep their jobs in.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import time
start = time.process_time()
{}
print(time.process_time() - start)
import sys
assert "aiohttp" not in sys.modules
"""


def cost(statement):
    """Seconds of processor time."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603 - ours


@pytest.mark.parametrize(
    ("statement", "target"),
    [
        ("import infobip_async", "<= 1.3"),
        ("from infobip_async import InfobipClient", "-"),
    ],
)
def test_import(bench, statement, target):
    """Against what it cannot do without."""
    bench.measure(
        f"{statement}, against httpx, attrs",
        lambda: cost(statement),
        lambda: cost("import httpx, attrs"),
        target,
        unit="ms",
    )
