"""How a stream ends: consumers that leave, and contexts that are left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

import attrs
import pytest

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


# --- consumers ---


@pytest.mark.parametrize("kind", [Source, AsyncSource])
async def test_consumer_that_closes(gateway, kind) -> None:
    """A closed stream has nothing under way, sends nothing more, and leaves no task."""
    source = kind()
    gateway.delay = 1
    async with gateway.lookups(batch_size=10, window=55, stop_timeout=1000) as lookups:
        async with aclosing(lookups.stream(source)) as stream:
            async for _ in stream:
                break
        assert len(asyncio.all_tasks()) == 1 + len(gateway._pushes)
        asked, read = len(gateway.asked), source.read
        await asyncio.sleep(100)
        assert (len(gateway.asked), source.read) == (asked, read)
        assert lookups.stats.in_flight == 0
        closed = now()
    assert now() == closed
    stats = lookups.stats
    assert stats.submitted == stats.reported + stats.timed_out + stats.unknown
    assert stats.late == stats.timed_out


async def test_consumer_that_breaks(gateway) -> None:
    """A stream that is left without closing it ends as soon as it is let go."""
    source = Source()
    gateway.delay = 1
    async with gateway.lookups(batch_size=10, window=50) as lookups:
        async for _ in lookups.stream(source):
            break
        await asyncio.sleep(0.001)  # the interpreter has it closed in a task of its own
        assert len(asyncio.all_tasks()) == 1 + len(gateway._pushes)
        assert lookups.stats.in_flight == 0


async def test_consumer_that_leaves_at_once(gateway) -> None:
    """Leaving stream and context in one step leaves nothing behind."""
    gateway.delay = 1
    async with gateway.lookups(batch_size=10, stop_timeout=1000) as lookups:
        async for _ in lookups.stream(Source()):
            break
    assert now() == pytest.approx(1, abs=0.1)


async def test_consumer_that_raises(gateway) -> None:
    """An exception in the consumer ends stream and context at once."""

    async def program() -> None:
        async with gateway.lookups(batch_size=10) as lookups:
            async for _ in lookups.stream(Source()):
                gateway.delay = 1000
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await program()
    assert now() < 1


@pytest.mark.parametrize("after", [0, 0.003, 5, 15])
async def test_consumer_that_is_cancelled(gateway, after: float) -> None:
    """Cancelling the consumer leaves no task behind, wherever it is."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        await asyncio.sleep(10)
        return await gateway.accept(destinations)

    gateway.answer, gateway.delay = answer, 10
    async with gateway.lookups(batch_size=10, window=100, stop_timeout=1000) as lookups:
        consumer = asyncio.create_task(drained(lookups.stream(AsyncSource())))
        await asyncio.sleep(after)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        assert len(asyncio.all_tasks()) == 1 + len(gateway._pushes)
        assert lookups.stats.in_flight == 0
        left = now()
    assert now() == left


async def test_stream_that_is_not_read(gateway) -> None:
    """A stream that nobody reads does nothing."""
    source = Source()
    async with gateway.lookups() as lookups:
        stream = lookups.stream(source)
        await asyncio.sleep(10)
    assert (source.read, gateway.asked) == (0, [])
    with pytest.raises(RuntimeError, match="context"):
        await anext(stream)


async def test_two_streams(gateway) -> None:
    """Two streams side by side each get their own."""
    gateway.delay = 1
    async with gateway.lookups(batch_size=10) as lookups:
        one, other = await asyncio.gather(
            drained(lookups.stream(numbers(100), ordered=True)),
            drained(lookups.stream(numbers(100), share=True)),
        )
    assert [result.destination for result in one] == numbers(100)
    assert sorted(result.destination for result in other) == numbers(100)
    assert not {result.lookup_id for result in one} & {result.lookup_id for result in other}


async def test_two_lookups_on_one_router(gateway) -> None:
    """Streams of two HlrLookups on one router do not take each other's reports."""
    gateway.delay = 1
    async with gateway.lookups(batch_size=7) as one, gateway.lookups(batch_size=9) as other:
        results = await asyncio.gather(
            drained(one.stream(numbers(200))), drained(other.stream(numbers(200)))
        )
    for lookups, mine in zip((one, other), results, strict=True):
        assert sorted(result.destination for result in mine) == numbers(200)
        assert outcomes(mine) == {HlrOutcome.REPORTED: 200}
        assert lookups.stats == Stats(submitted=200, reported=200, unclaimed=200)


# --- leaving the context ---


@pytest.mark.parametrize("kind", [Source, AsyncSource])
async def test_leaving_under_another_task(gateway, kind) -> None:
    """A consumer in another task gets a result for every number read, then the end."""
    source = kind()
    gateway.delay = 10
    async with gateway.lookups(batch_size=10, window=95, concurrency=2) as lookups:

        async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
            await asyncio.sleep(2)
            return await gateway.accept(destinations)

        gateway.answer = answer
        consumer = asyncio.create_task(drained(lookups.stream(source)))
        await asyncio.sleep(5)
    assert now() == pytest.approx(16, abs=0.1)
    results = await consumer
    assert len(results) == source.read == 95
    out = sum(map(len, gateway.asked))
    assert len(gateway.asked) == 1 + 2 + 2
    assert outcomes(results) == {HlrOutcome.REPORTED: out, HlrOutcome.NOT_SENT: 95 - out}
    assert lookups.stats == Stats(submitted=out, reported=out, not_sent=95 - out)


async def test_leaving_up_to_a_limit(gateway) -> None:
    """What is out for longer than the limit is settled as it stands."""
    gateway.delay = 1000
    async with gateway.lookups(batch_size=10, stop_timeout=10) as lookups:
        consumer = asyncio.create_task(drained(lookups.stream(numbers(30), timeout=500)))
        await asyncio.sleep(1)
    assert now() == pytest.approx(11, abs=0.1)
    assert outcomes(await consumer) == {HlrOutcome.TIMED_OUT: 30}


async def test_leaving_by_an_exception(gateway) -> None:
    """Leaving by an exception settles all at once."""
    gateway.delay = 1000
    consumers = []

    async def program() -> None:
        async with gateway.lookups(batch_size=10) as lookups:
            stream = lookups.stream(numbers(30), timeout=500)
            consumers.append(asyncio.create_task(drained(stream)))
            await asyncio.sleep(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await program()
    assert outcomes(await consumers[0]) == {HlrOutcome.TIMED_OUT: 30}
    assert now() < 2


async def test_leaving_with_a_stream_in_hand(gateway) -> None:
    """A stream that is held and not read has no task once the context is left."""
    gateway.delay = 1
    async with gateway.lookups(batch_size=10, window=30) as lookups:
        stream = lookups.stream(Source())
        await anext(stream)
    assert len(asyncio.all_tasks()) == 1 + len(gateway._pushes)
    rest = await drained(stream)
    assert {result.outcome for result in rest} <= {HlrOutcome.REPORTED, HlrOutcome.NOT_SENT}


async def test_leaving_with_a_source_that_raises_then(gateway) -> None:
    """What a source raises when its reading is stopped is raised by the stream."""

    async def source() -> AsyncIterator[str]:
        yield "1"
        try:
            await asyncio.sleep(1000)
        finally:
            raise ZeroDivisionError

    async with gateway.lookups() as lookups:
        stream = lookups.stream(source())
        await anext(stream)
        consumer = asyncio.create_task(drained(stream))
        await asyncio.sleep(1)
    with pytest.raises(ZeroDivisionError):
        await consumer


async def test_leaving_is_cancelled(gateway) -> None:
    """Who is cancelled while leaving still leaves no task behind."""
    gateway.delay = 1000
    consumers = []

    async def program() -> None:
        async with gateway.lookups(batch_size=10, stop_timeout=1000) as lookups:
            consumers.append(asyncio.create_task(drained(lookups.stream(AsyncSource(pause=0.1)))))
            await asyncio.sleep(5)

    task = asyncio.create_task(program())
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) <= 2 + len(gateway._pushes)
    results = await consumers[0]
    assert set(outcomes(results)) <= {HlrOutcome.TIMED_OUT, HlrOutcome.NOT_SENT}


async def test_leaving_with_a_query_that_is_not_full(gateway) -> None:
    """What was read for a query that is not full is not sent, and waits for no turn."""
    source = AsyncSource(pause=0.1)
    async with gateway.lookups(rate=40, batch_age=100) as lookups:  # queries of two
        consumer = asyncio.create_task(drained(lookups.stream(source)))
        await asyncio.sleep(0.35)
    assert now() == pytest.approx(0.35, abs=0.01)
    assert outcomes(await consumer) == {HlrOutcome.REPORTED: 2, HlrOutcome.NOT_SENT: 1}


@attrs.define
class Unhurried:
    """A source that takes ten seconds to end once it is not read any more."""

    ended: bool = False

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for number in range(1, 4):
                yield str(number)
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(10)
            self.ended = True


async def test_leaving_while_a_source_takes_its_time(gateway) -> None:
    """A source may end in peace; nothing goes out meanwhile."""
    source = Unhurried()
    async with gateway.lookups(rate=0.5) as lookups:
        consumer = asyncio.create_task(drained(lookups.stream(source)))
        await asyncio.sleep(1)
    assert source.ended
    assert len(gateway.asked) == 1
    assert now() == pytest.approx(11, abs=0.1)
    assert outcomes(await consumer) == {HlrOutcome.REPORTED: 1, HlrOutcome.NOT_SENT: 2}


async def test_leaving_is_cancelled_while_a_source_takes_its_time(gateway) -> None:
    """Who is cancelled then waits neither for the source nor for what is out."""
    gateway.delay = 1000
    consumers = []

    async def program() -> None:
        async with gateway.lookups(stop_timeout=1000) as lookups:
            consumers.append(asyncio.create_task(drained(lookups.stream(Unhurried()))))
            await asyncio.sleep(1)

    task = asyncio.create_task(program())
    await asyncio.sleep(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes(await consumers[0]) == {HlrOutcome.TIMED_OUT: 3}
    assert now() < 12
