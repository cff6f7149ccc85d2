"""The simulator's time: the system's, or a clock that a test advances by hand."""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol

import attrs


class Clock(Protocol):
    """A source of time for the simulator."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed on this clock."""


@attrs.define
class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many real seconds."""
        await asyncio.sleep(seconds)


@attrs.define
class ManualClock:
    """A clock that stands still until a test advances it; then it wakes its sleepers in order.

    Attributes:
        start: the time at first, in seconds since the epoch.
    """

    start: float = 1_700_000_000.0
    _now: float = attrs.field(init=False)
    _order: "count[int]" = attrs.field(init=False, factory=count, repr=False)
    _sleepers: list[tuple[float, int, asyncio.Future[None]]] = attrs.field(
        init=False, factory=list, repr=False
    )
    _work: list[Callable[[], Awaitable[None]]] = attrs.field(init=False, factory=list, repr=False)

    @_now.default
    def _stand_at_start(self) -> float:
        return self.start

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced so far."""
        waker = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), waker))
        await waker

    def watch(self, finished: Callable[[], Awaitable[None]]) -> None:
        """Register a wait. Time goes on only after it, so that each moment's work is done first.

        Args:
            finished: returns when all work of the present moment is done.
        """
        self._work.append(finished)

    async def advance(self, seconds: float) -> None:
        """Advance the time; wake each sleeper when it is due, and wait for its work.

        Args:
            seconds: how far, 0 or more.
        """
        target = self._now + seconds
        await self._finish()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._now, _, waker = heapq.heappop(self._sleepers)
            if not waker.done():  # a sleeper may have been cancelled
                waker.set_result(None)
                await self._finish()
        self._now = target

    async def _finish(self) -> None:
        await asyncio.sleep(0)  # the woken sleeper takes its first step
        for finished in self._work:
            await finished()
