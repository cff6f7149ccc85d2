"""The time limit, which has to be right where ``asyncio.timeout`` is."""

import asyncio
from contextlib import suppress

import pytest

from infobip_async.concurrency.reusable_timeout import ReusableTimeout


async def test_what_takes_too_long():
    """It is cancelled, time and again."""
    limit = ReusableTimeout(0.001)
    for _ in range(3):
        with pytest.raises(TimeoutError), limit:
            await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_what_is_quick():
    """A timer of work that has ended cancels nothing: neither later work nor none."""
    limit = ReusableTimeout(0.001)
    loop = asyncio.get_running_loop()
    with limit:
        pass
    first = limit._timer
    await asyncio.sleep(0.003)
    assert first.when() < loop.time()
    assert limit._timer is None


async def test_the_timer_waits_for_what_was_begun_since():
    """Each piece of work has its whole time."""
    limit = ReusableTimeout(0.02)
    loop = asyncio.get_running_loop()
    with limit:
        await asyncio.sleep(0.015)
    begun = loop.time()
    with pytest.raises(TimeoutError), limit:
        await asyncio.Event().wait()
    assert loop.time() - begun >= 0.02


async def test_a_cancellation_from_outside():
    """It is one, also if the time is up."""
    limit = ReusableTimeout(0.001)
    begun = asyncio.Event()

    async def work() -> None:
        with limit:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asyncio.current_task().cancel()
                await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await begun.wait()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_work_that_does_not_let_itself_be_cancelled():
    """What it returns or raises instead counts."""
    limit = ReusableTimeout(0.001)

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    with limit:
        await work()

    async def fail() -> None:
        await work()
        raise KeyError

    with pytest.raises(KeyError), limit:
        await fail()
    assert asyncio.current_task().cancelling() == 0


async def test_closing():
    """Nothing of it is left."""
    limit = ReusableTimeout(1_000.0)
    limit.close()
    with limit:
        pass
    limit.close()
    assert limit._timer.cancelled()
