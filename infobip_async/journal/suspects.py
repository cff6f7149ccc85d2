"""Events that were being handled when a process died, and are handled while nothing else is."""

import asyncio
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Final

from infobip_async.concurrency.keyed_queue import WorkQueue
from infobip_async.journal.items import Item

MOST_DEATHS: Final = 3
"""Deaths of its process while it is handled alone that make an event a dead letter."""

KILLED: Final = f"its process died {MOST_DEATHS} times while nothing else was handled"
"""Why it is one."""


class Suspects:
    """Holds the other events up until no suspect is left.

    Those with the fewest deaths come first, and among them a random one: an innocent event must
    not die again and again because it waits behind the one that kills.

    Args:
        queues: have the other events.
        chance: gives a number from 0 to 1.

    Attributes:
        others: how many workers have other events now.
        alone: the suspect that is being handled.
    """

    def __init__(self, queues: Iterable[WorkQueue[Item]], chance: Callable[[], float]) -> None:
        self.alone: Item | None = None
        self._others = 0
        self._queues = tuple(queues)
        self._chance = chance
        self._waiting: list[tuple[int, float, int, Item]] = []
        self._turns = count()
        self._news = asyncio.Event()
        self._closed = False

    @property
    def others(self) -> int:  # noqa: D102 - in the class
        return self._others

    @others.setter
    def others(self, number: int) -> None:
        self._others = number
        if not number and self._waiting:
            self._news.set()

    def put(self, item: Item) -> None:
        """Add a suspect, and hold all others up."""
        heappush(self._waiting, (item.deaths, self._chance(), next(self._turns), item))
        for queue in self._queues:
            queue.pause()
        self._news.set()

    async def get(self) -> Item | None:
        """Wait for a suspect, and until nothing else is handled.

        Returns:
            The suspect; None once this is closed.
        """
        while not (self._closed or (self._waiting and not self._others)):
            if not self._waiting:
                for queue in self._queues:
                    queue.resume()
            self._news.clear()
            await self._news.wait()
        return None if self._closed else heappop(self._waiting)[-1]

    def close(self) -> None:
        """Give out nothing more: neither suspects nor the others."""
        self._closed = True
        self._news.set()
        for queue in self._queues:
            queue.close()


class Numbers:
    """Gives out the lowest numbers that nobody has.

    Attributes:
        known: how many numbers, from 0, were given out so far.
    """

    def __init__(self) -> None:
        self.known: int = 0
        self._free: list[int] = []

    def take(self) -> int:
        """Take a number."""
        if self._free:
            return heappop(self._free)
        self.known += 1
        return self.known - 1

    def give_back(self, number: int) -> None:
        """Give a number back."""
        heappush(self._free, number)
