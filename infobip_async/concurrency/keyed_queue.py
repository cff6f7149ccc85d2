"""One item at a time for each ordering key, and a bounded number of items in all."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyedQueue(Generic[T]):
    """Items by ordering key: the first of each key may be worked on, the others wait behind it."""

    def __init__(self) -> None:
        # The keys that are worked on, each with the items that wait. A key without any has None:
        # most keys never have a second item, and an empty queue for each would cost memory.
        self._waiting: dict[Hashable, deque[T] | None] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: Hashable, item: T, *, first: bool = False) -> bool:
        """Add an item.

        Args:
            key: its ordering key.
            item: the item.
            first: whether it goes before the items that wait.

        Returns:
            Whether it may be worked on at once.
        """
        self._count += 1
        if key not in self._waiting:
            self._waiting[key] = None
            return True
        waiting = self._waiting[key]
        if waiting is None:
            waiting = self._waiting[key] = deque()
        if first:
            waiting.appendleft(item)
        else:
            waiting.append(item)
        return False

    def finish(self, key: Hashable) -> T | None:
        """Remove the item of a key that was worked on.

        Returns:
            The next item of the key, which is to be worked on now; None if none waits.
        """
        self._count -= 1
        if waiting := self._waiting[key]:
            return waiting.popleft()
        del self._waiting[key]
        return None


class WorkQueue(Generic[T]):
    """Items for workers, who take a place with each piece of work.

    A worker goes on to its next piece of work as soon as it has done one. The place is given back
    later, when the outcome is on disk: so the places bound what would be repeated after a crash.

    Args:
        places: how many pieces of work may have a place.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._items: deque[T] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._paused = False

    def put(self, item: T) -> None:
        """Put an item at the end."""
        self._items.append(item)
        self._wake()

    @property
    def ready(self) -> bool:
        """Whether there are an item and a place for it now."""
        return bool(self._items and self._free and not self._paused)

    def pause(self) -> None:
        """Give out nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._wake()

    def give_back(self) -> None:
        """Give a place back."""
        self._free += 1
        self._wake()

    def _wake(self) -> None:
        """Wake one worker if there is something for it; a cancelled one cannot be woken."""
        while self._items and self._free and self._idle and not self._paused:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def get(self, most: Callable[[T], int], alike: Callable[[T, T], bool]) -> list[T]:
        """Wait for an item and a place, and take both.

        Args:
            most: how many items may go with the first one, itself included.
            alike: whether another item may go with the first one.

        Returns:
            At least one item; none once the queue is closed.
        """
        while not (self._closed or self.ready):
            # A worker that is not idle may take the item before the woken one runs: look again.
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._wake()  # another worker takes what this one may have been woken for
                raise
        if self._closed:
            return []
        items = [self._items.popleft()]
        limit = most(items[0])
        while len(items) < limit and self._items and alike(items[0], self._items[0]):
            items.append(self._items.popleft())
        self._free -= 1
        self._wake()  # this worker may be busy for long
        return items

    def close(self) -> None:
        """Give out nothing more; every worker gets no items, which ends its work."""
        self._closed = True
        for waiter in self._idle:
            if not waiter.done():  # else its worker was cancelled
                waiter.set_result(None)
        self._idle.clear()
