"""Time that a test moves."""

import asyncio
import time

from infobip_async.simulator import ManualClock, SystemClock


async def sleeper(clock: ManualClock, seconds: float, woken: list[float]) -> None:
    """Sleep, and note when that ended."""
    await clock.sleep(seconds)
    woken.append(clock.now())


async def test_sleepers_wake_at_their_time_and_in_order() -> None:
    """One advance passes through every appointment on its way."""
    clock = ManualClock(100.0)
    woken: list[float] = []
    async with asyncio.TaskGroup() as group:
        for seconds in (30, 10, 20, 10):
            group.create_task(sleeper(clock, seconds, woken))
        await asyncio.sleep(0)
        await clock.advance(25)
        assert (woken, clock.now()) == ([110, 110, 120], 125)
        await clock.advance(5)
    assert (woken, clock.now()) == ([110, 110, 120, 130], 130)


async def test_what_a_sleeper_does_next_is_on_the_way_too() -> None:
    """It falls asleep again within the same advance."""
    clock = ManualClock(0.0)
    woken: list[float] = []

    async def ticking() -> None:
        for _ in range(3):
            await sleeper(clock, 10, woken)

    task = asyncio.create_task(ticking())
    await clock.advance(60)
    await task
    assert woken == [10, 20, 30]


async def test_time_waits_for_the_work_of_each_moment() -> None:
    """What takes real time is waited for before the clock goes on."""
    clock = ManualClock(0.0)
    idle = asyncio.Event()
    idle.set()
    clock.watch(idle.wait)
    seen: list[float] = []

    async def working() -> None:
        await clock.sleep(1)
        idle.clear()
        await asyncio.to_thread(lambda: None)
        seen.append(clock.now())
        idle.set()

    task = asyncio.create_task(working())
    await clock.advance(5)
    await task
    assert (seen, clock.now()) == ([1], 5)


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    """It does not stop the clock."""
    clock = ManualClock(0.0)
    woken: list[float] = []
    task = asyncio.create_task(sleeper(clock, 1, woken))
    await asyncio.sleep(0)
    task.cancel()
    await clock.advance(2)
    assert (woken, clock.now()) == ([], 2)


async def test_the_system_clock_is_the_machines() -> None:
    """It tells the time, and sleeps no time at all on request."""
    before, now, after = time.time(), SystemClock().now(), time.time()
    assert before <= now <= after
    await SystemClock().sleep(0)
