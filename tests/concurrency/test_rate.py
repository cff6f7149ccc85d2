"""Even rates, in time that is skipped, also beside a task that holds the event loop."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.tasks import cancel
from skipping import SkippingLoop

SECONDS = 10


def now() -> float:
    """The loop's time, which passes only while everything waits, and by `busy`."""
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def busy(round_trip: float) -> AsyncIterator[None]:
    """Let another task hold the loop for so many seconds in each of its rounds."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SkippingLoop)

    async def hold() -> None:
        while round_trip:
            loop.selector.now += round_trip
            await asyncio.sleep(0)

    other = asyncio.create_task(hold())
    yield
    await cancel([other])


async def starts_of(limiter: RateLimiter, units: int, workers: int) -> list[float]:
    """When pieces of work of so many units start, for some seconds."""
    starts: list[float] = []

    async def work() -> None:
        while now() < SECONDS:
            await limiter.wait(units)
            starts.append(now())

    await asyncio.gather(*(work() for _ in range(workers)))
    return starts


def most_in_advance(starts: list[float], units: int, rate: float) -> float:
    """The seconds of the rate that any window has beyond its length, at the most."""
    most = lowest = 0.0
    for at, start in enumerate(starts):
        # Units up to and with this one, less what the time until it is worth.
        lowest = min(lowest, at * units / rate - start) if at else -start
        most = max(most, (at + 1) * units / rate - start - lowest)
    return most


@pytest.mark.parametrize("round_trip", [0, 0.002, 0.005])
@pytest.mark.parametrize(
    "rate", [97, 500, *(pytest.param(one, marks=pytest.mark.proof) for one in (20, 200, 3_000))]
)
@pytest.mark.parametrize("whole", [True, False])
async def test_a_rate_is_kept_and_reached(rate: float, round_trip: float, whole: bool) -> None:
    """In any w seconds at most rate * (w + 0.1) units start, and in ten nearly 10 * rate."""
    limiter = RateLimiter(rate)
    units = limiter.largest if whole else 1
    assert units is not None
    async with busy(round_trip):
        starts = await starts_of(limiter, units, workers=8)
    assert most_in_advance(starts, units, rate) <= 0.1 + 1e-9
    in_time = sum(start < SECONDS for start in starts) * units
    assert in_time >= 0.98 * rate * SECONDS


@pytest.mark.parametrize("rate", [97, 500])
async def test_half_of_the_burst_is_made_up(rate: float) -> None:
    """A timer of whole pieces may ring 0.04 s late, two rounds of the loop, and costs nothing."""
    limiter = RateLimiter(rate)
    units = limiter.largest
    assert units is not None
    async with busy(0.02):
        starts = await starts_of(limiter, units, workers=8)
    assert most_in_advance(starts, units, rate) <= 0.1 + 1e-9
    assert sum(start < SECONDS for start in starts) * units >= 0.98 * rate * SECONDS


@pytest.mark.parametrize("round_trip", [0, 0.002, 0.005])
@pytest.mark.parametrize("rate", [0.5, 3, 10, 12])
async def test_a_low_rate_is_kept_and_reached(rate: float, round_trip: float) -> None:
    """Where one unit takes longer than the burst, there is one, and a little for late timers."""
    async with busy(round_trip):
        starts = await starts_of(RateLimiter(rate), 1, workers=8)
    assert most_in_advance(starts, 1, rate) <= 1 / rate + 0.02 + 1e-9
    assert sum(start < SECONDS for start in starts) >= 0.98 * rate * SECONDS


@pytest.mark.parametrize("round_trip", [0, 0.005])
@pytest.mark.parametrize("units", [3, 4, 5, 8])
async def test_the_rate_of_long_texts(units: int, round_trip: float) -> None:
    """A text can have more parts than a piece of work should: the burst is no larger for that."""
    rate = 50
    async with busy(round_trip):
        starts = await starts_of(RateLimiter(rate), units, workers=8)
    assert most_in_advance(starts, units, rate) <= max(0.1, units / rate + 0.02) + 1e-9
    assert sum(start < SECONDS for start in starts) * units >= 0.98 * rate * SECONDS


async def test_a_long_stop_of_the_loop_is_no_credit() -> None:
    """Of time that was lost, a moment is made up, and no more."""
    limiter = RateLimiter(100)
    working = asyncio.create_task(starts_of(limiter, 1, workers=8))
    await asyncio.sleep(5)
    asyncio.get_running_loop().selector.now += 3  # type: ignore[attr-defined]
    starts = await working
    assert most_in_advance(starts, 1, 100) <= 0.1 + 1e-9
    assert len(starts) == pytest.approx(100 * (SECONDS - 3), abs=20)


async def test_without_a_limit() -> None:
    """Nothing waits, and a piece of work has any size."""
    for limiter in (RateLimiter(None), RateLimiter(float("inf"))):
        for _ in range(1_000):
            await limiter.wait(1_000_000)
        assert limiter.largest is None
    assert now() == 0


@pytest.mark.parametrize(("rate", "most"), [(0.1, 1), (20, 1), (59, 2), (60, 3), (1_000, 50)])
def test_a_piece_of_work_has_a_twentieth(rate: float, most: int) -> None:
    """Of the rate, or one unit."""
    assert RateLimiter(rate).largest == most


async def test_work_is_spaced() -> None:
    """What was done takes its time from what follows; idle time is not saved up."""
    limiter, starts = RateLimiter(10), []
    for units in (5, 20, 1):
        await limiter.wait(units)
        starts.append(now())
    await asyncio.sleep(60)
    for _ in range(2):
        await limiter.wait(1)
        starts.append(now())
    assert starts == pytest.approx([0, 0.5, 2.5, 62.5, 62.6], abs=0.05)


async def test_first_come_first_served() -> None:
    """Large work is not overtaken by small work."""
    limiter, order = RateLimiter(10), []

    async def work(units: int) -> None:
        await limiter.wait(units)
        order.append(units)

    await asyncio.gather(*map(work, (30, 1, 20, 2, 10)))
    assert order == [30, 1, 20, 2, 10]


async def test_the_cancelled_take_no_time() -> None:
    """Who is cancelled while waiting takes no time from those behind."""
    limiter = RateLimiter(1)
    await limiter.wait(1)
    waiting = [asyncio.create_task(limiter.wait(100)) for _ in range(3)]
    last = asyncio.create_task(limiter.wait(1))
    await asyncio.sleep(0.5)
    await cancel(waiting)
    await last
    assert now() == pytest.approx(1, abs=0.021)


async def test_nothing_is_left_of_the_cancelled() -> None:
    """No timer rings for nobody."""
    limiter = RateLimiter(0.001)
    await limiter.wait(1)
    waiting = [asyncio.create_task(limiter.wait(1)) for _ in range(3)]
    await asyncio.sleep(1)
    await cancel(waiting)
    timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert [one for one in timers if not one.cancelled()] == []


async def test_waiting_after_the_only_one_was_cancelled() -> None:
    """Who comes next has a timer again."""
    limiter = RateLimiter(1)
    await limiter.wait(1)
    waiting = asyncio.create_task(limiter.wait(1))
    await asyncio.sleep(0.5)
    await cancel([waiting])
    await limiter.wait(1)
    assert now() == pytest.approx(1, abs=0.021)


@pytest.mark.parametrize("before_the_turn", [True, False])
async def test_a_cancellation_that_crosses_the_turn(before_the_turn: bool) -> None:
    """Takes no time either, whichever comes first in the same step."""
    limiter = RateLimiter(1)
    await limiter.wait(1)
    waiting = asyncio.create_task(limiter.wait(1))
    await asyncio.sleep(0)
    assert limiter._timer is not None
    loop = asyncio.get_running_loop()
    loop.selector.now = limiter._timer.when()  # type: ignore[attr-defined]
    moves = [waiting.cancel, lambda: limiter._let_go(now())]
    for move in moves if before_the_turn else reversed(moves):
        move()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    start = now()
    await limiter.wait(1)
    assert now() == start
    limiter._timer = None


async def test_time_that_was_not_used_is_given_back() -> None:
    """Who waits next gets it at once."""
    limiter = RateLimiter(1)
    await limiter.wait(10)
    next_one = asyncio.create_task(limiter.wait(1))
    await asyncio.sleep(0.5)
    limiter.give_back(10)
    await next_one
    assert now() == 0.5
    RateLimiter(None).give_back(10)


async def test_a_part_of_the_time_is_given_back() -> None:
    """Who waits next gets so much of it."""
    limiter = RateLimiter(10)
    await limiter.wait(100)
    limiter.give_back(40)
    await limiter.wait(1)
    assert now() == pytest.approx(6, abs=0.1)


async def test_a_piece_that_is_larger_than_the_rate() -> None:
    """Is let go, and what follows waits for it."""
    limiter, starts = RateLimiter(10), []
    for units in itertools.repeat(50, 3):
        await limiter.wait(units)
        starts.append(now())
    assert starts == pytest.approx([0, 5, 10], abs=0.021)
