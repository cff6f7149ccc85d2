"""A bell: whoever waits is woken by the next change."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class Bell:
    """Wakes all who wait, each time that something has changed."""

    _rung: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    def ring(self) -> None:
        """Wake all who wait now."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def until(self, look: Callable[[], T | None], timeout: float) -> T | None:  # noqa: ASYNC109 - a limit, not an error
        """Look now and after every change, until there is something to be seen.

        Args:
            look: gives None as long as there is nothing.
            timeout: seconds; then the answer is None.
        """
        try:
            async with asyncio.timeout(timeout):
                while (seen := look()) is None:
                    await self._rung.wait()
        except TimeoutError:
            return None
        return seen
