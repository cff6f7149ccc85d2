"""What an import costs: the processor time of a new interpreter for the statement alone.

The bytecode of all modules is there, as it is after an installation.

What remains: attrs makes the methods of the values when their classes are made, some 0.4 ms for
each class. The client, which is loaded when it is asked for, brings httpx, and what httpx itself
loads only when it is used: asyncio and httpcore, a fifth of the floor.
"""

import os
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
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def cost(statement):
    """Seconds of processor time."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ENVIRONMENT)  # noqa: S603 - ours
    return float(ended.stdout)


@pytest.mark.parametrize(
    ("statement", "target"),
    [
        ("import infobip_async", "<= 1.3"),
        ("from infobip_async import InfobipClient", "-"),
    ],
)
def test_import(bench, statement, target):
    """Against what it cannot do without."""
    cost(statement)  # which writes the bytecode
    bench.measure(
        f"{statement}, against httpx, attrs",
        lambda: cost(statement),
        lambda: cost("import httpx, attrs"),
        target,
        unit="ms",
    )
