"""An even pace: so many units a second, without a burst at the start."""

import asyncio

import attrs


@attrs.define
class RateLimiter:
    """Spaces work out over time, first come first served.

    Attributes:
        rate: units per second; None for no limit.
    """

    rate: float | None
    _free_at: float = attrs.field(default=0.0, init=False, repr=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    async def wait(self, units: int) -> None:
        """Wait until work of so many units may start; whoever is cancelled takes no time up."""
        if self.rate is None:
            return
        async with self._turn:
            now = asyncio.get_running_loop().time()
            start = max(now, self._free_at)
            await asyncio.sleep(start - now)
            self._free_at = start + units / self.rate


@attrs.define
class Backoff:
    """Slows down while something keeps failing, and recovers.

    Attributes:
        first: seconds of the pause after the first failure; each further one doubles it.
        longest: seconds of a pause at the most.
    """

    first: float = 0.1
    longest: float = 30.0
    _pause: float = attrs.field(default=0.0, init=False, repr=False)
    _until: float = attrs.field(default=0.0, init=False, repr=False)

    def failed(self) -> None:
        """Pause, twice as long as before. Failures during a pause do not lengthen it."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._pause = min(max(self.first, 2 * self._pause), self.longest)
            self._until = now + self._pause

    def succeeded(self) -> None:
        """Make the next pause half as long as the last one."""
        self._pause /= 2

    async def wait(self) -> None:
        """Wait until the pause is over."""
        now = asyncio.get_running_loop().time()
        if now < self._until:
            await asyncio.sleep(self._until - now)
