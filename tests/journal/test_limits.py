"""The time limit, which has to be right where ``asyncio.timeout`` is."""

import asyncio
from contextlib import suppress

import attrs
import pytest

from infobip_async.journal.limits import TimeLimit


@attrs.define
class Clock:
    """What the loop takes for its clock, and goes on when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:  # noqa: D102 - a clock
        return self.now

    async def go_on(self, seconds: int) -> None:
        """Let so many seconds pass, one after the other."""
        for _ in range(seconds):
            self.now += 1.0
            for _ in range(2):  # the timers that are due come behind this task
                await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch) -> Clock:
    """The clock of the loop."""
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock)
    return clock


async def test_what_takes_too_long():
    """It is cancelled, time and again."""
    limit = TimeLimit(0.001)
    for _ in range(3):
        with pytest.raises(TimeoutError), limit:
            await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_what_is_quick(clock):
    """A timer of work that has ended cancels nothing: neither later work nor none."""
    limit = TimeLimit(10.0)
    with limit:
        pass
    assert limit._timer.when() == 10.0
    await clock.go_on(10)
    assert limit._timer is None
    assert asyncio.current_task().cancelling() == 0


async def test_the_timer_waits_for_what_was_begun_since(clock):
    """Each piece of work has its whole time."""
    limit = TimeLimit(10.0)
    with limit:
        await clock.go_on(9)
    with pytest.raises(TimeoutError), limit:
        await clock.go_on(100)
    assert clock.now == 19.0


async def test_a_cancellation_from_outside():
    """It is one, also if the time is up."""
    limit = TimeLimit(0.001)
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
    limit = TimeLimit(0.001)

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
    limit = TimeLimit(1_000.0)
    limit.close()
    with limit:
        pass
    limit.close()
    assert limit._timer.cancelled()
