"""Who waits for a delivery, and who goes through all that change."""

import asyncio
from collections import defaultdict
from typing import Self
from weakref import WeakSet

from infobip_async.deliveries.records import Delivery, StoredDelivery


class Changes:
    """The deliveries that change, each as it is when its turn comes; an async iterator.

    A consumer that is slower than the changes gets a delivery once for several of its changes. So
    no more wait than there are deliveries.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Delivery] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    def add(self, delivery: Delivery) -> None:
        """Have a delivery given, behind those that changed before it."""
        self._waiting.pop(delivery.message_id, None)
        self._waiting[delivery.message_id] = delivery
        self._wake.set()

    def close(self) -> None:
        """End the iteration behind what waits."""
        self._closed = True
        self._wake.set()


class Waiting:
    """Those who wait for the end of one delivery, and those who go through all."""

    def __init__(self) -> None:
        self._ends: defaultdict[str, set[asyncio.Future[Delivery | None]]] = defaultdict(set)
        self._followers: WeakSet[Changes] = WeakSet()

    def changes(self) -> Changes:
        """Begin to go through the deliveries that change."""
        changes = Changes()
        self._followers.add(changes)
        return changes

    def tell(self, one: StoredDelivery) -> None:
        """Tell whom it concerns that the state of a delivery is another one."""
        waiters = self._ends.get(one.message_id)
        if not waiters and not self._followers:
            return
        delivery = one.view()
        for follower in self._followers:
            follower.add(delivery)
        for waiter in waiters or () if delivery.is_final else ():
            if not waiter.done():
                waiter.set_result(delivery)

    def begin(self, message_id: str) -> "asyncio.Future[Delivery | None]":
        """Begin to wait for the end of a delivery; None comes where `close` is called."""
        waiter: asyncio.Future[Delivery | None] = asyncio.get_running_loop().create_future()
        self._ends[message_id].add(waiter)
        return waiter

    def end(self, message_id: str, waiter: "asyncio.Future[Delivery | None]") -> None:
        """Wait no more."""
        self._ends[message_id].discard(waiter)
        if not self._ends[message_id]:
            del self._ends[message_id]

    def close(self) -> None:
        """Let everybody go."""
        for waiters in self._ends.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        for follower in self._followers:
            follower.close()
