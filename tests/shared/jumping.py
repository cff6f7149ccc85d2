"""An event loop whose clock a test puts forward, so that no test waits for a timeout.

It serves real sockets, unlike the one in `skipping`, and so it waits for them.
"""

import asyncio
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds that a busy machine may take for what takes none."""


class JumpingLoop(asyncio.SelectorEventLoop):
    """Has a clock that goes as any other, and jumps."""

    ahead = 0.0

    def time(self) -> float:
        """Seconds, those that were skipped among them."""
        return super().time() + self.ahead


async def turns(count: int = 20) -> None:
    """Let the event loop run so often, in which everything happens that can without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)


async def jump(seconds: float) -> None:
    """Put the clock of the running loop forward, and let happen what is due by then."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    await turns()  # what was begun comes to where it waits
    loop.ahead += seconds
    await turns()


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop run until something holds. Jumps do not count."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        await asyncio.sleep(0)
