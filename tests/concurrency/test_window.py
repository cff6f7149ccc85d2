"""The window between a source and a consumer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest

from infobip_async.concurrency.window import Window, in_chunks


@attrs.define
class Work:
    """Takes items, and gives results when it is told to.

    Attributes:
        window: gets the results.
        taken: the chunks so far.
        finished: whether the source has ended.
        at_once: whether each item has its result at once.
        refused: an item that cannot be taken.
    """

    window: Window[int, int] = attrs.field(init=False)
    taken: list[list[int]] = attrs.field(factory=list)
    finished: bool = False
    at_once: bool = True
    refused: int | None = None

    def take(self, items: Sequence[int]) -> None:
        """Take items."""
        if self.refused in items:
            raise TypeError("it cannot be taken")
        self.taken.append(list(items))
        if self.at_once:
            for item in items:
                self.window.emit(item)

    def finish(self) -> None:
        """Know that there are no more."""
        self.finished = True


@pytest.fixture
def work() -> Work:
    """What stands between the source and the consumer."""
    return Work()


@pytest.fixture
def window(work: Work) -> Callable[..., Window[int, int]]:
    """Make a window."""

    def make(source: object, size: int = 10, **options: object) -> Window[int, int]:
        work.window = Window(source, work.take, work.finish, size=size, **options)  # type: ignore[arg-type]
        return work.window

    return make


@asynccontextmanager
async def leaving(window: Window[int, int]) -> AsyncIterator[None]:
    """Do what a run does in the end."""
    try:
        yield
    finally:
        window.stop_reading()
        await window.reader_ended()


def results_of(window: Window[int, int]):
    """The iteration."""
    return window.results(leaving(window))


async def counting(most: int) -> AsyncIterator[int]:
    """An asynchronous source."""
    for number in range(most):
        yield number


@pytest.mark.parametrize("source", [range(5), counting(5), iter(range(5))])
async def test_a_source_is_read_in_chunks(source) -> None:
    """Of one size, and what is left at the end."""
    assert [chunk async for chunk in in_chunks(source, 2)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("source", [[], counting(0)])
async def test_an_empty_source_has_no_chunk(source) -> None:
    """Not even an empty one."""
    assert [chunk async for chunk in in_chunks(source, 2)] == []


@pytest.mark.parametrize("source", [range(25), counting(25), iter(range(25))])
async def test_each_item_has_a_result(window, work, source) -> None:
    """Whatever kind the source is."""
    assert [one async for one in results_of(window(source))] == list(range(25))
    assert work.finished
    assert work.window.read == work.window.finished == 25


async def test_the_source_is_held_up(window, work) -> None:
    """No more items have been read than the consumer took results, and a window."""
    left = iter(range(1_000))
    results = results_of(window(left, size=7))
    for taken in range(1, 100):
        await anext(results)
        await asyncio.sleep(0.1)
        assert 1_000 - left.__length_hint__() <= taken + 7
        assert work.window.finished >= taken
    await results.aclose()


async def test_chunks_are_as_large_as_is_wanted(window, work) -> None:
    """And as the window has room for."""
    wanted = iter([3, 5])
    work.at_once = False
    results = results_of(window(range(100), wanted=lambda: next(wanted, 100)))
    taking = asyncio.ensure_future(anext(results))
    await asyncio.sleep(1)
    assert [len(chunk) for chunk in work.taken] == [3, 5, 2]
    work.window.emit(1)
    assert await taking == 1
    await results.aclose()


async def test_a_full_window_is_read_on_from_when_enough_is_free(window, work) -> None:
    """So that there are few large chunks, and not many small ones."""
    work.at_once = False
    results = results_of(window(range(100), size=10, wanted=lambda: 10, enough=4))
    for number in range(4):
        assert len(work.taken) <= 1
        taking = asyncio.ensure_future(anext(results))
        await asyncio.sleep(1)
        work.window.emit(number)
        await taking
    await asyncio.sleep(1)
    assert [len(chunk) for chunk in work.taken] == [10, 4]
    await results.aclose()


@pytest.mark.parametrize("kind", [iter, None])
async def test_what_the_source_raises_comes_after_the_results(window, work, kind) -> None:
    """Though it raises in the midst of a chunk."""

    def broken() -> Iterator[int]:
        yield from range(5)
        raise ZeroDivisionError

    async def abroken() -> AsyncIterator[int]:
        for number in broken():
            yield number

    found = []
    results = results_of(window(broken() if kind else abroken(), wanted=lambda: 10))

    async def drain() -> None:
        async for one in results:
            found.append(one)  # noqa: PERF401 - a comprehension loses them

    with pytest.raises(ZeroDivisionError):
        await drain()
    assert found == list(range(5))
    assert work.finished


async def test_an_item_that_cannot_be_taken(window, work) -> None:
    """Is like a fault of the source: it comes after the results of the items before it."""
    work.refused = 3
    results = results_of(window(range(10)))
    assert [await anext(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TypeError, match="cannot be taken"):
        await anext(results)
    assert work.finished


async def test_a_fault_ends_it(window, work) -> None:
    """After the results that are there, though others are missing; the first fault is the one."""
    work.at_once = False
    results = results_of(window(range(100)))
    taking = asyncio.ensure_future(anext(results))
    await asyncio.sleep(1)
    work.window.emit(1)
    work.window.emit(2)
    work.window.fail(ZeroDivisionError())
    work.window.fail(TypeError())
    assert [await taking, await anext(results)] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        await anext(results)
    assert work.finished


async def test_the_end_can_be_put_off(window, work) -> None:
    """By those who still have something to find out."""
    results = results_of(window(range(2)))
    work.window.hold()
    work.window.hold()
    assert [await anext(results), await anext(results)] == [0, 1]
    end = asyncio.ensure_future(anext(results, None))
    await asyncio.sleep(1)
    work.window.free()
    await asyncio.sleep(1)
    assert not end.done()
    work.window.free()
    assert await end is None


async def test_reading_can_be_stopped(window, work) -> None:
    """What was read still has its results, and the iteration ends well."""
    work.at_once = False
    results = results_of(window(counting(100), size=5))
    taking = asyncio.ensure_future(anext(results))
    await asyncio.sleep(1)
    work.window.stop_reading()
    await work.window.reader_ended()
    assert (work.window.read, work.finished) == (5, True)
    for number in range(5):
        work.window.emit(number)
    assert [await taking, *[one async for one in results]] == list(range(5))


async def test_reading_can_be_stopped_before_it_begins(window, work) -> None:
    """Then nothing is read."""
    results = results_of(window(range(100)))
    work.window.stop_reading()
    await work.window.reader_ended()
    assert [one async for one in results] == []
    assert work.taken == []


async def test_a_source_may_take_its_time_to_end(window, work) -> None:
    """A second stop does not break it off."""
    ended = False

    async def source() -> AsyncIterator[int]:
        nonlocal ended
        try:
            yield 1
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(10)
            ended = True

    results = results_of(window(source()))
    assert await anext(results) == 1
    await asyncio.sleep(1)
    for _ in range(3):
        work.window.stop_reading()
        await asyncio.sleep(1)
    assert not ended
    await work.window.reader_ended()
    assert ended
    assert [one async for one in results] == []


async def test_what_a_source_raises_when_it_is_stopped(window, work) -> None:
    """Is raised to the consumer."""

    async def source() -> AsyncIterator[int]:
        yield 1
        try:
            await asyncio.sleep(1000)
        finally:
            raise ZeroDivisionError

    results = results_of(window(source()))
    assert await anext(results) == 1
    await asyncio.sleep(1)
    work.window.stop_reading()
    with pytest.raises(ZeroDivisionError):
        await anext(results)


async def test_a_long_source_lets_others_run(window) -> None:
    """Though the window has room for everything."""
    rounds = 0

    async def other() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 1

    beside = asyncio.create_task(other())
    assert len([one async for one in results_of(window(range(5_000), size=10_000))]) == 5_000
    beside.cancel()
    assert rounds >= 50
