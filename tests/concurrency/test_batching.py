"""Writes that go together."""

import asyncio

import attrs
import pytest

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.keyed_queue import KeyedQueue, WorkQueue
from infobip_async.concurrency.tasks import cancel
from infobip_async.errors import StorageUnavailableError


@attrs.define
class Target:
    """Keeps what is written, when it is told to go on."""

    writes: list[list[int]] = attrs.field(factory=list)
    may_go_on: asyncio.Event = attrs.field(factory=asyncio.Event)
    fault: Exception | None = None

    async def write(self, items: list[int]) -> None:
        """Write."""
        self.writes.append(list(items))
        await self.may_go_on.wait()
        if self.fault:
            raise self.fault


@pytest.fixture
async def target():
    """Where things are written."""
    return Target()


async def test_what_comes_meanwhile_goes_together(target):
    """The first alone, the others with the second write, in order."""
    together = Batcher(target.write)
    writes = []
    for number in range(5):
        writes.append(asyncio.ensure_future(together.write(number)))
        await asyncio.sleep(0)
    assert target.writes == [[0]]
    assert not any(write.done() for write in writes)
    target.may_go_on.set()
    await asyncio.gather(*writes)
    assert target.writes == [[0], [1, 2, 3, 4]]


async def test_a_wait_for_what_is_written(target):
    """Ends after its time, and the write goes on."""
    together = Batcher(target.write)
    written = together.add(1)
    await together.drain(0)
    assert not written.is_set()
    target.may_go_on.set()
    await together.drain(60)
    assert written.is_set()
    await together.drain(60)


async def test_a_write_that_fails(target):
    """All whose items were in it are told, each with an exception of its own; then it goes on."""
    together = Batcher(target.write)
    target.fault = ValueError("no")
    target.may_go_on.set()
    outcomes = await asyncio.gather(together.write(1), together.write(2), return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["ValueError('no')"] * 2
    assert outcomes[0] is not outcomes[1]
    target.fault = None
    await together.write(3)


async def test_a_write_that_fails_and_that_nobody_waits_for(target):
    """The event loop's exception handler is told."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    together = Batcher(target.write)
    target.fault = ValueError("no")
    target.may_go_on.set()
    await together.add(1).wait()
    assert [repr(context["exception"]) for context in told] == ["ValueError('no')"]


async def test_closing(target):
    """It waits for what is under way, and what is behind it."""
    together = Batcher(target.write)
    together.add(1)
    await asyncio.sleep(0)
    over = together.add(2)
    closing = asyncio.ensure_future(together.aclose(5.0))
    await asyncio.sleep(0)
    target.may_go_on.set()
    await closing
    assert over.is_set()
    assert target.writes == [[1], [2]]
    await together.aclose(5.0)


async def test_closing_in_spite_of_what_is_under_way(target):
    """Whoever waits is told that nothing was written."""
    together = Batcher(target.write)
    first = asyncio.ensure_future(together.write(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.ensure_future(together.write(2))
    await asyncio.sleep(0)
    await together.aclose(0.001)
    for write in (first, second):
        with pytest.raises(StorageUnavailableError, match="closed"):
            await write
    target.may_go_on.set()
    await together.write(3)  # as when the journal is opened again
    assert target.writes == [[1], [3]]


@pytest.mark.parametrize("steps", [0, 1])
async def test_a_write_that_a_stranger_cancels(target, steps):
    """It is begun again with the same items, also if it was cancelled before its first step."""
    together = Batcher(target.write)
    waiting = together.add(1)
    for _ in range(steps):
        await asyncio.sleep(0)
    await cancel(asyncio.all_tasks() - {asyncio.current_task()})
    behind = asyncio.ensure_future(together.write(2))
    target.may_go_on.set()
    async with asyncio.timeout(60):
        await waiting.wait()
        await behind
    assert sorted({one for items in target.writes for one in items}) == [1, 2]
    await together.aclose(60)


def test_ordering_keys():
    """The first of a key may go on, the others wait behind it; some go before others."""
    queue = KeyedQueue()
    entries = [("a", 1, {}), ("b", 2, {}), ("a", 3, {}), ("a", 4, {}), ("a", 5, {"first": True})]
    assert [queue.add(key, item, **how) for key, item, how in entries] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert len(queue) == 5
    assert [queue.finish("a") for _ in range(4)] == [5, 3, 4, None]
    assert len(queue) == 1
    assert queue.finish("b") is None
    assert queue.add("a", 6)


async def test_a_queue_has_so_many_places():
    """A worker waits for an item and a place."""
    queue = WorkQueue(1)
    queue.put("a")
    queue.put("b")

    async def get() -> list[str]:
        return await queue.get(lambda _: 1, lambda *_: True)

    assert await get() == ["a"]
    second = asyncio.ensure_future(get())
    await asyncio.sleep(0)
    assert not second.done()
    queue.give_back()
    assert await second == ["b"]


async def test_a_queue_gives_several():
    """As many as may go with the first, as long as they are alike; the rest is another's."""
    queue = WorkQueue(10)
    workers = [
        asyncio.ensure_future(queue.get(lambda _: 3, lambda one, other: one == other))
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    for item in "aaaabb":
        queue.put(item)
    assert await asyncio.gather(*workers[:3]) == [list("aaa"), ["a"], list("bb")]
    queue.close()
    assert await workers[3] == []


async def test_a_closed_queue():
    """It gives nothing more, whatever is put into it."""
    line = WorkQueue(10)
    line.put("a")
    line.close()
    line.put("b")
    assert await line.get(lambda _: 1, lambda *_: True) == []


async def test_a_cancelled_worker_is_passed_over():
    """What it was woken for goes to another one, and it hinders neither items nor the end."""
    line = WorkQueue(10)
    gone, woken, first, second = (
        asyncio.ensure_future(line.get(lambda _: 1, lambda *_: True)) for _ in range(4)
    )
    await asyncio.sleep(0)
    gone.cancel()
    line.put("a")  # wakes the second, since the first is gone
    woken.cancel()
    assert await first == ["a"]
    second.cancel()
    line.close()
    for worker in (gone, woken, second):
        with pytest.raises(asyncio.CancelledError):
            await worker
