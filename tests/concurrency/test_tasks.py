"""Tasks that belong together, and waits that are ended from outside."""

import asyncio
import gc

import pytest

from infobip_async.concurrency.tasks import (
    Interrupt,
    TaskSet,
    cancel,
    first_of,
    is_cancelled_from_outside,
)
from leaks import unseen


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


async def stubborn(seconds: float, ended: list[float]) -> None:
    """Take a while to end when it is cancelled."""
    try:
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(seconds)
        ended.append(now())


# --- sets of tasks ---


async def test_a_set_forgets_what_ended() -> None:
    """And tells of it."""
    told: list[asyncio.Task[object]] = []
    tasks = TaskSet(told.append)
    first = tasks.start(asyncio.sleep(1, "first"))
    second = tasks.start(asyncio.sleep(2, "second"))
    assert (len(tasks), set(tasks)) == (2, {first, second})
    assert await first == "first"
    await asyncio.sleep(0)
    assert (set(tasks), told) == ({second}, [first])
    assert await tasks.drain()
    assert (len(tasks), told) == (0, [first, second])


async def test_draining_waits_for_tasks_that_tasks_start() -> None:
    """Until none is left."""
    tasks = TaskSet()

    async def start_more(generations: int) -> None:
        await asyncio.sleep(1)
        if generations:
            tasks.start(start_more(generations - 1))

    tasks.start(start_more(4))
    assert await tasks.drain()
    assert now() == 5


@pytest.mark.parametrize("seconds", [0, 3])
async def test_draining_has_a_limit(seconds: float) -> None:
    """After which it tells that something is left, and leaves it alone."""
    tasks = TaskSet()
    task = tasks.start(asyncio.sleep(10))
    assert not await tasks.drain(seconds)
    assert now() == seconds
    assert not task.done()
    assert await tasks.drain(100)
    assert await tasks.drain(0)


async def test_cancelling_waits_for_the_end_of_each() -> None:
    """However long a task takes; what they raise is dropped."""
    ended: list[float] = []
    tasks = TaskSet()
    for seconds in (1, 2):
        tasks.start(stubborn(seconds, ended))
    await asyncio.sleep(1)
    await tasks.cancel()
    assert (ended, len(tasks)) == ([2, 3], 0)


async def test_cancelling_is_for_what_has_not_ended() -> None:
    """Nothing is fine, too."""

    async def fail() -> None:
        raise ZeroDivisionError

    done = asyncio.create_task(fail())
    await asyncio.sleep(1)
    await cancel([done])
    await cancel([])


async def test_a_fault_of_a_task_is_not_lost() -> None:
    """Whoever is told of ends decides on it; without anyone it goes to the loop's handler."""

    async def fail() -> None:
        raise ZeroDivisionError

    TaskSet().start(fail())
    await asyncio.sleep(0.1)
    gc.collect()
    assert "ZeroDivisionError" in str(unseen.take())


# --- whose cancellation it is ---


async def test_a_cancellation_from_outside() -> None:
    """Of the task itself, and not of something that it awaits."""
    seen: list[bool] = []

    async def wait_for(something: "asyncio.Future[None]") -> None:
        try:
            await something
        except asyncio.CancelledError as raised:
            seen.append(is_cancelled_from_outside(raised))

    loop = asyncio.get_running_loop()
    inner, outer = loop.create_future(), loop.create_future()
    tasks = [asyncio.create_task(wait_for(one)) for one in (inner, outer)]
    await asyncio.sleep(0)
    inner.cancel()
    tasks[1].cancel()
    await asyncio.gather(*tasks)
    assert seen == [False, True]
    assert not is_cancelled_from_outside(ValueError())


# --- interrupts ---


async def test_an_interrupt_ends_all_waits() -> None:
    """Each with an error of its own, which is no cancellation."""
    interrupt = Interrupt()

    async def wait() -> None:
        async with interrupt.scope():
            await asyncio.sleep(1000)

    tasks = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(5)
    error = ValueError("enough")
    interrupt.set(error)
    interrupt.set(TypeError("the first one stays"))
    raised = await asyncio.gather(*tasks, return_exceptions=True)
    assert [repr(one) for one in raised] == [repr(error)] * 3
    assert len({id(one) for one in (error, *raised)}) == 4
    assert now() == 5
    assert all(not task.cancelled() for task in tasks)


async def test_no_wait_begins_after_an_interrupt() -> None:
    """The error is raised at once."""
    interrupt = Interrupt()
    interrupt.check()
    interrupt.set(ValueError("enough"))
    with pytest.raises(ValueError, match="enough"):
        interrupt.check()
    with pytest.raises(ValueError, match="enough"):
        async with interrupt.scope():
            pytest.fail("it was entered")


async def test_what_is_over_is_not_interrupted() -> None:
    """Neither what was left before, nor a timeout of somebody else's."""
    interrupt = Interrupt()
    async with interrupt.scope():
        await asyncio.sleep(1)
    interrupt_later = asyncio.get_running_loop().call_later(5, interrupt.set, ValueError())
    with pytest.raises(TimeoutError):
        async with interrupt.scope(), asyncio.timeout(1):
            await asyncio.sleep(1000)
    interrupt_later.cancel()


async def test_a_cancellation_stays_one() -> None:
    """A task that is cancelled within a scope ends as cancelled."""
    interrupt = Interrupt()

    async def wait() -> None:
        async with interrupt.scope():
            await asyncio.sleep(1000)

    task = asyncio.create_task(wait())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    interrupt.set(ValueError())


# --- the first of several ---


async def test_the_first_that_ends_ends_the_wait() -> None:
    """Coroutines beside that are cancelled; futures of others are left alone."""
    ended: list[float] = []
    future = asyncio.get_running_loop().create_future()
    await first_of(asyncio.sleep(3), stubborn(1, ended), future)
    assert (now(), ended, future.done()) == (4, [4], False)


async def test_a_wait_for_the_first_that_is_cancelled_leaves_nothing() -> None:
    """Its coroutines end with it."""
    ended: list[float] = []
    waiting = asyncio.create_task(first_of(stubborn(0, ended)))
    await asyncio.sleep(1)
    await cancel([waiting])
    assert ended == [1]


async def test_what_the_first_raises_is_raised() -> None:
    """It is no end like another."""

    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await first_of(fail(), asyncio.sleep(1))
