"""What an import costs: the processor time of a new interpreter for the statement alone.

What remains: attrs makes the methods of the values when their classes are made, some 0.5 ms for
each class.
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
    "statement", ["import infobip_async", "from infobip_async import InfobipClient, HlrLookups"]
)
def test_import(bench, statement):
    """Against what it cannot do without."""
    bench.measure(
        f"{statement}, against import httpx, attrs",
        lambda: cost(statement),
        lambda: cost("import httpx, attrs"),
        "<= 1.3",
        unit="ms",
    )
