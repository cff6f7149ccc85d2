"""Whether a receiver is well, for whoever watches it: a load balancer, an orchestrator."""

from http import HTTPStatus
from time import monotonic, time
from typing import Final

import attrs

from infobip_async.journal.base import Counted
from infobip_async.redaction import SparseLogger, logger_of_faults

_logger = logger_of_faults("infobip_async.receiver")

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks into a journal: anybody may ask."""


@attrs.define
class Health:
    """Answers whether what was acknowledged is being handled.

    Attributes:
        path: where it is asked for, below the mount point, without its slash.
        max_waiting: seconds that a push may wait.
        journal: is asked; one that cannot count is taken to be well.
    """

    path: str
    max_waiting: float
    journal: object
    _status: HTTPStatus = attrs.field(init=False, default=HTTPStatus.OK)
    _until: float = attrs.field(init=False, default=-1.0)
    _lines: SparseLogger = attrs.field(init=False, factory=lambda: SparseLogger(_logger))

    async def status(self) -> HTTPStatus:
        """200, or 503 where a push has waited for too long or the journal cannot be read."""
        if monotonic() >= self._until:
            self._until = monotonic() + _LOOK_EVERY
            self._status = HTTPStatus.OK if await self._well() else HTTPStatus.SERVICE_UNAVAILABLE
        return self._status

    async def _well(self) -> bool:
        if not isinstance(self.journal, Counted):
            return True
        try:
            oldest = (await self.journal.counts()).oldest
        except Exception as fault:  # noqa: BLE001 - whatever it is, nobody can look into it
            self._lines.error("the journal cannot be counted: %s", fault)
            return False
        return oldest is None or time() - oldest <= self.max_waiting
