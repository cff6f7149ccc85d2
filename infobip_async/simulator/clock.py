"""Time as the simulator sees it: the system's, or one that a test moves by hand."""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol

import attrs


class Clock(Protocol):
    """What the simulator asks of a clock."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Come back when so much time has passed on this clock."""


@attrs.define
class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Come back after so many real seconds."""
        await asyncio.sleep(seconds)


@attrs.define
class ManualClock:
    """A clock that stands still until a test moves it on, one appointment after the other.

    Attributes:
        start: where it stands at first, in seconds since the epoch.
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
        """Come back when the clock has been moved so far."""
        waker = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), waker))
        await waker

    def watch(self, finished: Callable[[], Awaitable[None]]) -> None:
        """Wait for this before time goes on, so that each moment's work is done in it.

        Args:
            finished: comes back when all work of the present moment is done.
        """
        self._work.append(finished)

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its time and waiting for what it then does.

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
