"""One thing at a time for each key, and so many at a time of all."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Items by key: the first of each key may be worked on, the others wait behind it."""

    def __init__(self) -> None:
        # A key that is worked on, and what waits behind; no queue is made where nothing does.
        self._behind: dict[Hashable, deque[T] | None] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, key: Hashable, item: T, *, first: bool = False) -> bool:
        """Let an item in.

        Args:
            key: its lane.
            item: the item.
            first: it goes before all that wait, though not before what is worked on.

        Returns:
            Whether it may be worked on at once.
        """
        self._count += 1
        if key not in self._behind:
            self._behind[key] = None
            return True
        waiting = self._behind[key]
        if waiting is None:
            waiting = self._behind[key] = deque()
        if first:
            waiting.appendleft(item)
        else:
            waiting.append(item)
        return False

    def leave(self, key: Hashable) -> T | None:
        """Let out what was worked on.

        Returns:
            The next item of the lane, to be worked on now; None where none waits.
        """
        self._count -= 1
        if waiting := self._behind[key]:
            return waiting.popleft()
        del self._behind[key]
        return None


class Line(Generic[T]):
    """Items that may be begun, for workers who need a place for each.

    Args:
        places: how many there are. A place is taken with an item and given back later, perhaps
            long after the worker went on.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._items: deque[T] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def put(self, item: T) -> None:
        """Put an item at the end."""
        self._items.append(item)
        self._wake()

    def give_back(self) -> None:
        """Give a place back."""
        self._free += 1
        self._wake()

    def _wake(self) -> None:
        """Wake one worker, where there is something for it; a cancelled one cannot be woken."""
        while self._items and self._free and self._idle:
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
            One item or more; none when the line is closed.
        """
        while not (self._closed or (self._items and self._free)):
            # Whoever is woken may come too late.
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
        return items

    def close(self) -> None:
        """Give out nothing more, and send the workers home."""
        self._closed = True
        for waiter in self._idle:
            if not waiter.done():  # else its worker was cancelled
                waiter.set_result(None)
        self._idle.clear()
