"""An even pace: so many units a second, without a burst at the start."""

import asyncio

import attrs


@attrs.define
class Pace:
    """Spaces work out over time.

    Attributes:
        rate: units per second; None for no limit.
    """

    rate: float | None
    _free_at: float = attrs.field(default=0.0, init=False, repr=False)

    async def wait(self, units: int) -> None:
        """Wait until work of so many units may start; what comes next waits for it in turn."""
        if self.rate is None:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._free_at)
        self._free_at = start + units / self.rate
        await asyncio.sleep(start - now)
