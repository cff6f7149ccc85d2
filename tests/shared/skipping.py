"""An event loop that skips waiting."""

import asyncio
import selectors
from typing import Any


class _Selector(selectors.SelectSelector):
    """Waits for nothing: it puts the clock forward instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Give what is ready, or the time that nothing was."""
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits, and nothing will happen any more")
        if not events:
            self.now += timeout or 0.0
        return events


class SkippingLoop(asyncio.SelectorEventLoop):
    """Has a time that passes only while nothing else is to be done."""

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        """Seconds since the start."""
        return self.selector.now
