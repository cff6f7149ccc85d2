"""The example of a cluster, as its reader runs it."""

import asyncio
import sys
from pathlib import Path


async def test_the_example_runs() -> None:
    """In one command: every number is looked up."""
    path = Path(__file__).parents[2] / "examples" / "cluster" / "run.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(40):
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().count("{'reported': 1000}") == 2
