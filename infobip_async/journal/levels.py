"""What a journal holds, told to metrics by a process that handles it."""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic, time
from typing import Final

import attrs

from infobip_async.errors import StorageUnavailableError
from infobip_async.journal.base import JournalCounts
from infobip_async.telemetry.watching import Watch

SECONDS_BETWEEN_COUNTS: Final = 10.0
"""Counting reads the whole journal, so it is not done at each collection."""


@attrs.define(eq=False)
class Levels:
    """Counts what is in a journal from time to time, if anybody asks."""

    watch: Watch
    count: Callable[[], Awaitable[JournalCounts]] = attrs.field(repr=False)
    clock: Callable[[], float] = time
    _counts: JournalCounts | None = attrs.field(default=None, init=False)
    _counted: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self.watch.observe(
            self,
            {
                "infobip.journal.events": Levels._events,
                "infobip.journal.age": Levels._age,
                "infobip.journal.size": Levels._size,
            },
        )

    async def look(self) -> None:
        """Count, unless that was done a short time ago, or nobody asks."""
        if self.watch.active and monotonic() - self._counted >= SECONDS_BETWEEN_COUNTS:
            self._counted = monotonic()
            with suppress(StorageUnavailableError):
                self._counts = await self.count()

    def clear(self) -> None:
        """Tell nothing any more, until the next look: another process does."""
        self._counts, self._counted = None, -math.inf

    def _events(self) -> dict[str, float]:
        counts = self._counts
        if counts is None:
            return {}
        return {
            "waiting": counts.waiting,
            "dead": counts.dead,
            "quarantined": counts.quarantined,
        }

    def _age(self) -> dict[str, float]:
        if self._counts is None:
            return {}
        oldest = self._counts.oldest
        return {"": 0.0 if oldest is None else max(0.0, self.clock() - oldest)}

    def _size(self) -> dict[str, float]:
        return {} if self._counts is None else {"": self._counts.octets}
