"""The window between source and consumer."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence

import attrs
import pytest

from infobip_async.errors import NotSentError, OutcomeUnknownError, RunStoppedError
from infobip_async.hlr.pending import Stats
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.receipts import HlrSubmission


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


def numbers(count: int, first: int = 0) -> list[str]:
    """Numbers that no two are the same of."""
    return [str(385980000000 + number) for number in range(first, first + count)]


async def drained(stream) -> list[HlrResult]:
    """All results of a stream."""
    return [result async for result in stream]


async def take(stream: AsyncIterator[HlrResult], results: list[HlrResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in stream:
        results.append(result)  # noqa: PERF401 - a comprehension loses them


def outcomes(results: list[HlrResult]) -> Counter[HlrOutcome]:
    """How many of each."""
    return Counter(result.outcome for result in results)


@attrs.define
class Source:
    """An endless source that knows how far it has been read."""

    read: int = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.read += 1
        return str(385980000000 + self.read)


@attrs.define
class AsyncSource:
    """The same, asynchronously."""

    read: int = 0
    pause: float = 0.0
    closed: bool = False

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                await asyncio.sleep(self.pause)
                self.read += 1
                yield str(385980000000 + self.read)
        finally:
            self.closed = True


# --- the window ---


@pytest.mark.parametrize("kind", [Source, AsyncSource])
@pytest.mark.parametrize(("window", "batch_size"), [(1, 1), (7, 3), (50, 1000), (100, 10)])
async def test_window_holds_the_source_up(gateway, kind, window: int, batch_size: int) -> None:
    """No more is read than the window has room for, and no more is out than has been read."""
    source = kind()
    async with gateway.lookups(window=window, batch_size=batch_size) as lookups:
        stream = lookups.stream(source)
        for taken in range(5 * window):
            await anext(stream)
            assert source.read <= window + taken + 1
            if taken % 10 == 0:
                await asyncio.sleep(1)
        await stream.aclose()
    assert sum(map(len, gateway.asked)) <= source.read


async def test_window_without_reports(gateway) -> None:
    """While no report comes, the source is read up to the window and no further."""
    gateway.delay = None
    source = Source()
    async with gateway.lookups(window=100, batch_size=30) as lookups:
        stream = lookups.stream(source, timeout=1000)
        task = asyncio.create_task(anext(stream))
        await asyncio.sleep(999)
        assert source.read == 100
        assert lookups.stats.in_flight == 100
        await gateway.push(gateway.rows[:1])
        await task
        await stream.aclose()


async def test_slow_consumer_gets_full_queries(gateway) -> None:
    """A consumer that takes one result at a time does not make queries of one number."""
    async with gateway.lookups(window=100, batch_size=25) as lookups:
        async for _ in lookups.stream(numbers(1000)):
            await asyncio.sleep(1)
    assert len(gateway.asked) <= 50
    assert max(map(len, gateway.asked)) == 25


async def test_queries_in_flight_are_bounded(gateway) -> None:
    """No more queries of a stream are in flight at once than allowed, and so many are."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        await asyncio.sleep(1)
        return await gateway.accept(destinations)

    gateway.answer = answer
    async with gateway.lookups(batch_size=10, concurrency=3) as lookups:
        await drained(lookups.stream(numbers(300)))
    assert gateway.most_flying == 3
    assert now() == pytest.approx(1 + 10, abs=0.1)  # the first query is a trial


async def test_gateway_away_does_not_use_the_source_up(gateway) -> None:
    """While nothing can be sent, one number tries, and a window is read and no more."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        raise NotSentError("away")

    gateway.answer = answer
    source = Source()
    async with gateway.lookups(batch_size=10, concurrency=2, window=100) as lookups:
        stream = lookups.stream(source, unreachable_timeout=60)
        consumer = asyncio.create_task(drained(stream))
        await asyncio.sleep(59)
        assert (source.read, stream.stats.finished, stream.stats.waiting) == (100, 0, True)
        with pytest.raises(RunStoppedError):
            await consumer
    assert now() == pytest.approx(60, abs=0.1)
    assert len(gateway.asked) < 25
    assert {len(asked) for asked in gateway.asked} == {1}
    assert lookups.stats == Stats(not_sent=source.read)
    assert source.read == 100


async def test_gateway_that_cannot_be_reached(gateway) -> None:
    """Each attempt makes the next one wait longer, up to a limit; an answer ends the pauses."""
    times: list[float] = []

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        times.append(now())
        if 12 <= len(times) < 22:
            return await gateway.accept(destinations)
        raise NotSentError("away")

    gateway.answer = answer
    async with gateway.lookups(concurrency=1, batch_size=1) as lookups:
        with pytest.raises(RunStoppedError, match="away"):
            await drained(lookups.stream(numbers(11), unreachable_timeout=40))
    pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
    growing = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5, 5]
    assert pauses[:21] == pytest.approx([*growing, *[0] * 10], abs=0.01)
    assert pauses[21:29] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5], abs=0.01)
    assert times[-1] - times[21] == pytest.approx(40, abs=0.01)


async def test_gateway_without_answers(gateway) -> None:
    """After three queries in a row, single numbers try, ever less often; then the run ends."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        if len(gateway.asked) == 1:
            return await gateway.accept(destinations)
        raise OutcomeUnknownError("cut")

    gateway.answer = answer
    source, results = Source(), []
    async with gateway.lookups(concurrency=1, batch_size=10, window=100) as lookups:
        with pytest.raises(RunStoppedError, match=r'cut.*on_unknown="repeat"'):
            await take(lookups.stream(source), results)
    assert outcomes(results)[HlrOutcome.UNKNOWN] <= 10 + 10 + 10 + 5
    assert list(map(len, gateway.asked))[-5:] == [1] * 5
    assert len(gateway.asked) == 1 + 3 + 5
    assert now() == pytest.approx(31, abs=0.1)
    assert len(results) == source.read


async def test_failures_together_count_once(gateway) -> None:
    """Queries that fail at the same time do not multiply their pauses."""
    times: list[float] = []

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        times.append(now())
        await asyncio.sleep(0.1)
        if len(times) == 1:
            return await gateway.accept(destinations)
        raise OutcomeUnknownError("cut")

    gateway.answer = answer
    async with gateway.lookups(concurrency=8, batch_size=1) as lookups:
        with pytest.raises(RunStoppedError):
            await drained(lookups.stream(numbers(25)))
    assert times == pytest.approx([0, *[0.1] * 8, 1.2, 3.3, 7.4, 15.5, 31.6], abs=0.01)


async def test_leaving_does_not_wait_for_a_pause(gateway) -> None:
    """What waits for a gateway that is away holds nobody up, and is not sent."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        raise NotSentError("away")

    gateway.answer = answer
    async with gateway.lookups(batch_size=1, window=20) as lookups:
        consumer = asyncio.create_task(drained(lookups.stream(Source())))
        await asyncio.sleep(100)
        asked, left = len(gateway.asked), now()
    assert now() - left < 0.01
    assert {result.outcome for result in await consumer} == {HlrOutcome.NOT_SENT}
    assert len(gateway.asked) == asked


async def test_source_that_never_waits_lets_others_run(gateway) -> None:
    """Reading a long source at once does not keep everything else from running."""
    gateway.delay = None
    source = Source()
    steps = 0
    async with gateway.lookups(window=20_000, batch_size=200) as lookups:
        task = asyncio.create_task(anext(lookups.stream(source)))
        while source.read < 20_000:
            await asyncio.sleep(0)
            steps += 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert steps >= 50


async def test_rate(gateway) -> None:
    """A stream keeps the rate."""
    async with gateway.lookups(rate=100, batch_size=10) as lookups:
        await drained(lookups.stream(numbers(500)))
        assert now() == pytest.approx(4.9, abs=0.1)


# --- sources ---


async def test_slow_source(gateway) -> None:
    """What a source gives goes out at its age, and its results come before it goes on."""

    async def source() -> AsyncIterator[str]:
        for number in numbers(3):
            yield number
            await asyncio.sleep(100)

    async with gateway.lookups(batch_age=0.5) as lookups:
        times = [now() async for _ in lookups.stream(source())]
    assert times == pytest.approx([0.5, 100.5, 200.5], abs=0.1)


async def test_age_counts_from_the_first_number(gateway) -> None:
    """Further numbers do not put a query off."""

    async def source() -> AsyncIterator[str]:
        for number in numbers(20):
            yield number
            await asyncio.sleep(0.09)

    async with gateway.lookups(batch_age=0.5) as lookups:
        await drained(lookups.stream(source()))
    assert list(map(len, gateway.asked)) == [1, 5, 6, 6, 2]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_source_that_raises(gateway, asynchronous: bool) -> None:
    """The results of the numbers before it come first, then what the source raised."""
    gateway.delay = 10

    def source() -> Iterator[str]:
        yield from numbers(25)
        raise ZeroDivisionError

    async def asource() -> AsyncIterator[str]:
        for number in source():
            yield number

    async with gateway.lookups(batch_size=10) as lookups:
        stream = lookups.stream(asource() if asynchronous else source())
        results = [await anext(stream) for _ in range(25)]
        with pytest.raises(ZeroDivisionError):
            await anext(stream)
    assert sorted(result.destination for result in results) == numbers(25)
    assert outcomes(results) == {HlrOutcome.REPORTED: 25}


async def test_source_that_is_none(gateway) -> None:
    """What cannot be iterated raises what iterating it raises."""
    async with gateway.lookups() as lookups:
        with pytest.raises(TypeError):
            await drained(lookups.stream(None))


async def test_source_that_is_cancelled(gateway) -> None:
    """A source whose own work was cancelled is not taken for one that has ended."""

    async def source() -> AsyncIterator[str]:
        yield "1"
        raise asyncio.CancelledError

    async with gateway.lookups() as lookups:
        stream = lookups.stream(source())
        assert (await anext(stream)).destination == "1"
        with pytest.raises(asyncio.CancelledError):
            await anext(stream)
