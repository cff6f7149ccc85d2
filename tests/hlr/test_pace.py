"""Even paces, and pauses after failures."""

import asyncio

import pytest

from infobip_async.concurrency.rate import Backoff, RateLimiter


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


async def test_pace_without_a_limit() -> None:
    """Without a rate nothing waits."""
    pace = RateLimiter(None)
    for _ in range(1000):
        await pace.wait(1_000_000)
    assert now() == 0


async def test_pace_spaces_work() -> None:
    """What was done takes its time from what follows; idle time is not saved up."""
    pace, starts = RateLimiter(10), []
    for units in (5, 20, 1):
        await pace.wait(units)
        starts.append(now())
    await asyncio.sleep(60)
    for _ in range(2):
        await pace.wait(1)
        starts.append(now())
    assert starts == pytest.approx([0, 0.5, 2.5, 62.5, 62.6])


async def test_pace_of_the_cancelled() -> None:
    """Who is cancelled while waiting takes no time from those behind."""
    pace = RateLimiter(1)
    await pace.wait(1)
    waiting = [asyncio.create_task(pace.wait(100)) for _ in range(3)]
    last = asyncio.create_task(pace.wait(1))
    await asyncio.sleep(0.5)
    for task in waiting:
        task.cancel()
    await last
    assert now() == pytest.approx(1)


async def test_backoff_grows_and_recovers() -> None:
    """A pause doubles with each failure up to the longest, and halves with each success."""
    backoff = Backoff(first=1, longest=5)
    pauses: list[float] = []

    async def pause() -> None:
        start = now()
        await backoff.wait()
        pauses.append(now() - start)

    await pause()
    for _ in range(4):
        backoff.failed()
        await pause()
    backoff.succeeded()
    await pause()
    backoff.failed()
    await pause()
    for _ in range(4):
        backoff.succeeded()
    backoff.failed()
    await pause()
    assert pauses == pytest.approx([0, 1, 2, 4, 5, 0, 5, 1])


async def test_backoff_counts_failures_together_once() -> None:
    """Failures during a pause do not make it longer, and those at its end start the next."""
    backoff = Backoff(first=1)
    for _ in range(10):
        backoff.failed()
    await asyncio.sleep(0.5)
    backoff.failed()
    await backoff.wait()
    assert now() == pytest.approx(1)
    backoff.failed()
    await backoff.wait()
    assert now() == pytest.approx(3)
