"""Items by ordering key, and the places of workers."""

import asyncio

from infobip_async.concurrency.keyed_queue import KeyedQueue, WorkQueue
from infobip_async.concurrency.tasks import cancel


def one(_: str) -> int:
    """No item goes with the first one."""
    return 1


def same(first: str, other: str) -> bool:
    """Items of the same letter go together."""
    return first[0] == other[0]


async def turns() -> None:
    """Let every task go on as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_one_item_of_a_key_at_a_time() -> None:
    """The first may be worked on, the others wait in order; keys do not wait for each other."""
    queue: KeyedQueue[str] = KeyedQueue()
    assert [queue.add("a", name) for name in ("a1", "a2", "a3")] == [True, False, False]
    assert queue.add("b", "b1")
    assert len(queue) == 4
    assert [queue.finish("a") for _ in range(3)] == ["a2", "a3", None]
    assert len(queue) == 1
    assert queue.finish("b") is None
    assert len(queue) == 0
    assert queue.add("a", "a4")


def test_an_item_that_goes_first() -> None:
    """Before those that wait, behind the one that is worked on."""
    queue: KeyedQueue[str] = KeyedQueue()
    queue.add("a", "1")
    queue.add("a", "2")
    assert not queue.add("a", "3", first=True)
    assert [queue.finish("a"), queue.finish("a")] == ["3", "2"]


def test_a_key_without_waiting_items_costs_no_queue() -> None:
    """Most keys never have a second item, and there may be many of them."""
    queue: KeyedQueue[str] = KeyedQueue()
    queue.add("a", "1")
    assert queue._waiting == {"a": None}
    queue.finish("a")
    assert queue._waiting == {}


async def test_work_is_given_out_in_order() -> None:
    """One piece at a time, while there are places."""
    queue: WorkQueue[str] = WorkQueue(2)
    for item in ("a", "b", "c"):
        queue.put(item)
    assert [await queue.get(one, same), await queue.get(one, same)] == [["a"], ["b"]]
    third = asyncio.create_task(queue.get(one, same))
    await turns()
    assert not third.done()
    queue.give_back()
    assert await third == ["c"]


async def test_places_are_counted() -> None:
    """As many as were given back are there, and no more."""
    queue: WorkQueue[str] = WorkQueue(2)
    for item in ("a", "b", "c", "d", "e"):
        queue.put(item)
    assert [await queue.get(one, same) for _ in range(2)] == [["a"], ["b"]]
    queue.give_back()
    queue.give_back()
    assert [await queue.get(one, same) for _ in range(2)] == [["c"], ["d"]]
    fifth = asyncio.create_task(queue.get(one, same))
    await turns()
    assert not fifth.done()
    await cancel([fifth])


async def test_a_worker_waits_for_an_item() -> None:
    """The one that has waited longest gets the first."""
    queue: WorkQueue[str] = WorkQueue(5)
    workers = [asyncio.create_task(queue.get(one, same)) for _ in range(3)]
    await turns()
    queue.put("a")
    queue.put("b")
    await turns()
    assert [worker.done() for worker in workers] == [True, True, False]
    assert [await workers[0], await workers[1]] == [["a"], ["b"]]
    await cancel(workers)


async def test_items_go_together() -> None:
    """As many as the first allows, while they are alike; they take one place."""
    queue: WorkQueue[str] = WorkQueue(4)
    for item in ("a1", "a2", "a3", "a4", "b1", "a5"):
        queue.put(item)
    got = [await queue.get(lambda first: 3 if first == "a1" else 9, same) for _ in range(4)]
    assert got == [["a1", "a2", "a3"], ["a4"], ["b1"], ["a5"]]


async def test_a_woken_worker_wakes_the_next() -> None:
    """It may be busy for long, and there are places for others."""
    queue: WorkQueue[str] = WorkQueue(2)
    workers = [asyncio.create_task(queue.get(one, same)) for _ in range(2)]
    await turns()
    queue._items.extend(["a", "b"])  # two items, and one wake-up
    queue._wake()
    await turns()
    assert [await worker for worker in workers] == [["a"], ["b"]]


async def test_an_item_that_another_worker_took() -> None:
    """Who was woken for it waits again."""
    queue: WorkQueue[str] = WorkQueue(2)
    idle = asyncio.create_task(queue.get(one, same))
    await turns()
    queue.put("a")
    assert await queue.get(one, same) == ["a"]
    await turns()
    assert not idle.done()
    queue.put("b")
    assert await idle == ["b"]


async def test_cancelled_workers_take_nothing() -> None:
    """Neither before they are woken nor in the same step: the next worker gets the item."""
    queue: WorkQueue[str] = WorkQueue(2)
    workers = [asyncio.create_task(queue.get(one, same)) for _ in range(3)]
    await turns()
    workers[0].cancel()  # not told yet: its waiter is cancelled, and still in the queue
    queue.put("a")
    workers[1].cancel()  # it was woken
    await turns()
    assert await workers[2] == ["a"]
    await cancel(workers)


async def test_the_end_of_the_queue() -> None:
    """Every worker gets nothing, now and later, whatever is left; the cancelled ones do not."""
    queue: WorkQueue[str] = WorkQueue(1)
    workers = [asyncio.create_task(queue.get(one, same)) for _ in range(3)]
    await turns()
    workers[0].cancel()
    queue.close()
    await turns()
    assert workers[0].cancelled()
    assert [await worker for worker in workers[1:]] == [[], []]
    queue.put("a")
    assert await queue.get(one, same) == []
    assert not queue._idle
