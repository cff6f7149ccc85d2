"""The deadlines of a table, kept by one timer of the event loop."""

import asyncio

from infobip_async.hlr.pending import LookupTable
from infobip_async.models.events import HlrReport


def loop_time() -> float:
    """The time of the running event loop: the clock of a table that is kept here."""
    return asyncio.get_running_loop().time()


class Deadlines:
    """Has a table expire lookups and early reports when their time is over.

    Args:
        table: its clock is `loop_time`.
    """

    def __init__(self, table: LookupTable) -> None:
        self.table = table
        self._timer: asyncio.TimerHandle | None = None

    async def report(self, report: HlrReport) -> None:
        """Take a pushed report: the handler for `Router.on`."""
        if self.table.report(report):
            self.arm()

    def arm(self) -> None:
        """Set the timer to the next deadline of the table; call this when that may have changed."""
        due = self.table.next_deadline
        if due is not None and (self._timer is None or due < self._timer.when()):
            self.disarm()
            self._timer = asyncio.get_running_loop().call_at(due, self._ring)

    def disarm(self) -> None:
        """Have no timer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self.table.expire()
        self.arm()
