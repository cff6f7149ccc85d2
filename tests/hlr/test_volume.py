"""Memory: what a stream takes does not grow with its length, and is given back."""

import asyncio
import gc
import tracemalloc
from collections import deque
from collections.abc import Sequence

import pytest

from scale import scaled

WINDOW = 500
BATCH = 100
GRACE = 60.0
"""Seconds that reports are kept whose lookups are not known yet, unless told otherwise."""


async def peak(gateway, count: int) -> int:
    """The octets that a stream of so many numbers holds at the most.

    Reports are pushed only while the window is nearly full, or at the end, every twentieth twice:
    so the memory that a window takes is taken from the start.
    """
    waiting: deque[Sequence[object]] = deque()
    left = count

    async def answer(destinations: Sequence[str]) -> Sequence[object]:
        nonlocal left
        rows = await gateway.accept(destinations)
        left -= len(rows)
        waiting.append(rows)
        while len(waiting) >= WINDOW // BATCH - 1 or (waiting and not left):
            held = waiting.popleft()
            gateway.spawn(gateway.push([*held, *held[::20]]))
        return rows

    gateway.answer = answer
    numbers = map(str, range(385980000000, 385980000000 + count))
    gc.collect()
    tracemalloc.start()
    try:
        async with gateway.lookups(window=WINDOW, batch_size=BATCH) as lookups:
            await asyncio.sleep(GRACE)  # until then, reports are kept for a job that is opened yet
            taken = 0
            async for result in lookups.stream(numbers):
                taken += result.report is not None
        assert taken == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("many", [5_000, pytest.param(scaled(100_000), marks=pytest.mark.proof)])
async def test_memory_does_not_grow_with_the_stream(gateway, many: int) -> None:
    """Many numbers take at most 1.3 times the memory of a few that fill the window as well."""
    gateway.delay, gateway.keep = None, False
    few = 4 * WINDOW
    await peak(gateway, few)  # fills caches
    assert await peak(gateway, many) <= 1.3 * await peak(gateway, few)


async def test_nothing_is_kept_of_a_stream(gateway) -> None:
    """Once a stream has ended, its memory is free, though its deadlines are far away."""
    gateway.keep = False
    numbers = [str(385980000000 + number) for number in range(2_000)]

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
    assert second - first < 10_000
