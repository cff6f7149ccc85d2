"""Memory: what a stream takes does not grow with its length, and is given back."""

import asyncio
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest


def _run(count: int) -> tuple[int, int]:
    """Stream so many numbers in a process of its own: its peak of memory, and how far it rose."""
    program = Path(__file__).with_name("volume.py")
    command = [sys.executable, str(program), str(count)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - the program beside this file
    taken, before, after = map(int, output.split())
    assert taken == count
    return after, after - before


def test_memory_does_not_grow_with_the_stream() -> None:
    """A million numbers take at most 1.3 times the memory of ten thousand, beyond the start."""
    pytest.importorskip("resource")
    peak_of_few, rise_of_few = _run(10_000)
    peak_of_many, rise_of_many = _run(1_000_000)
    assert peak_of_many <= 1.3 * peak_of_few
    assert rise_of_many <= 1.3 * rise_of_few


async def test_nothing_is_kept_of_a_stream(gateway) -> None:
    """Once a stream has ended, its memory is free, though its deadlines are far away."""
    gateway.keep = False
    numbers = [str(385980000000 + number) for number in range(5_000)]

    async def run() -> int:
        async for _ in lookups.stream(numbers, timeout=1e6):
            pass
        await asyncio.sleep(1)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async with gateway.lookups(batch_size=100) as lookups:
        tracemalloc.start()
        first = await run()
        second = await run()
        tracemalloc.stop()
    assert second - first < 20_000
