"""The example of a cluster, as its reader runs it."""

import asyncio
import sys
from pathlib import Path

import pytest

from children import start_child_async
from tests.jetstream.conftest import LIMIT


@pytest.mark.proof
async def test_the_example_runs() -> None:
    """In one command: every number is looked up."""
    path = Path(__file__).parents[2] / "examples" / "cluster" / "run.py"
    process = await start_child_async(sys.executable, path, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(4 * LIMIT):  # several processes, one after the other
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().count("{'reported': 1000}") == 2
