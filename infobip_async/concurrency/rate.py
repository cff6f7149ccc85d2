"""An even rate: so many units a second, with no burst, and with late wake-ups made up."""

import asyncio
import math
from collections import deque
from typing import Final

import attrs

_BURST: Final = 0.1
"""Seconds' worth of the rate that may go out at once: the most that one piece of work takes, and
the most lost time that is made up for."""

_LEAST_LAG: Final = 0.02
"""Seconds of lost time that are made up even where one unit takes longer than the burst."""


def _finite(rate: float | None) -> float | None:
    """An infinite rate is no limit."""
    return None if rate is not None and math.isinf(rate) else rate


@attrs.define(eq=False)
class RateLimiter:
    """Spaces work out over time, first come first served.

    In any w seconds at most ``rate * (w + 0.1)`` units start. Where one piece of work has more than
    0.08 seconds' worth, at most ``rate * (w + 0.02)`` and one piece do. A timer that rings late,
    because other tasks hold the event loop, costs nothing: what could have started meanwhile starts
    together.

    Attributes:
        rate: units per second, above 0; None for no limit.
    """

    rate: float | None = attrs.field(converter=_finite)
    _next_at: float = attrs.field(default=float("-inf"), init=False, repr=False)
    _most: int = attrs.field(default=0, init=False, repr=False)
    _waiting: "deque[tuple[int, asyncio.Future[None]]]" = attrs.field(
        factory=deque, init=False, repr=False
    )
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False, repr=False)

    @property
    def largest(self) -> int | None:
        """Units that one piece of work should have at most; None where there is no limit."""
        return None if self.rate is None else max(1, int(self.rate * _BURST / 2))

    async def wait(self, units: int) -> None:
        """Wait until work of so many units may start; a cancelled caller takes no time up."""
        if self.rate is None:
            return
        loop = asyncio.get_running_loop()
        if not self._waiting and loop.time() >= self._next_at:
            self._take(units, loop.time())
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append((units, turn))
        if self._timer is None:
            self._arm()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back(units)
            elif (units, turn) in self._waiting:  # else its turn came in this very step
                self._waiting.remove((units, turn))
                self._arm()
            raise

    def give_back(self, units: int) -> None:
        """Return the time of work that had its turn and did not start."""
        if self.rate is not None:
            self._next_at -= units / self.rate
            self._arm()

    def _take(self, units: int, now: float) -> None:
        assert self.rate is not None  # noqa: S101 - for the type checker
        self._most = max(self._most, units, self.largest or 0)
        lag = max(_BURST - self._most / self.rate, _LEAST_LAG)
        self._next_at = max(self._next_at, now - lag) + units / self.rate

    def _arm(self) -> None:
        """Have the timer ring for the first one that waits, if there is one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._next_at, self._let_go, self._next_at)

    def _let_go(self, due: float) -> None:
        """Start everything whose turn has come: a round of a busy event loop may take long."""
        self._timer = None
        now = max(asyncio.get_running_loop().time(), due)  # a timer may ring a moment early
        while self._waiting and now >= self._next_at:
            units, turn = self._waiting.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                self._take(units, now)
        self._arm()
