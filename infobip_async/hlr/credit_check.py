"""Whether reports that say nothing come of an account without credits."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from infobip_async.concurrency.tasks import TaskSet
from infobip_async.errors import InfobipError, NotEnoughCreditsError
from infobip_async.hlr.queries import AccountClient
from infobip_async.runs.flow_control import FlowControl

if TYPE_CHECKING:
    import asyncio

    from infobip_async.concurrency.window import Window
    from infobip_async.hlr.results import HlrResult

DOUBTFUL: Final = 100
"""Reports of status UNKNOWN in a row after which the balance is asked for: §5 has the status for
"any other error (no credits etc)"."""

_logger = logging.getLogger("infobip_async.hlr")


class CreditCheck:
    """Ends a run whose account has no credits left, which only its reports show.

    Args:
        client: knows the balance.
        flow: of the run.
        window: of the run, which does not end before the balance is known.
        forget: is given the numbers of the reports that said nothing, where there are no credits;
            None where nothing remembers them.
        failed: is told of faults other than outcomes, such as a job that cannot be written.
    """

    def __init__(
        self,
        client: AccountClient,
        flow: FlowControl,
        window: "Window[str, HlrResult]",
        forget: Callable[[Sequence[int]], Awaitable[None]] | None,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._client = client
        self._flow = flow
        self._window = window
        self._forget = forget
        self._failed = failed
        self._checks = TaskSet(self._checked)
        self._row: list[int] = []
        self._empty = False

    def doubt(self, sequence: int) -> None:
        """Take a report of status UNKNOWN on the number at a position of the source."""
        self._row.append(sequence)
        if len(self._row) == DOUBTFUL and not self._empty:
            self._window.hold()
            self._checks.start(self._check(self._row))

    def trust(self) -> None:
        """Take a report of another status: it ends the row."""
        if self._row:
            self._row = []

    async def _check(self, row: list[int]) -> None:
        try:
            left = await self._client.credits()
        except InfobipError as fault:
            _logger.warning("the balance cannot be asked for: %s", fault)
        else:
            if left <= 0:
                self._empty = True
                reason = f"{len(row)} reports in a row have the status UNKNOWN, and"
                reason += f" there are {left} credits"
                self._flow.end(NotEnoughCreditsError(reason, operation="lookup"))
                if self._forget is not None:
                    await self._forget(row)
        if self._row is row:
            self._row = []

    def _checked(self, task: "asyncio.Task[None]") -> None:
        self._window.free()
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._failed(fault)

    async def aclose(self) -> None:
        """Ask no more; numbers that were reported since the end of the run are forgotten, too."""
        await self._checks.cancel()
        if self._empty and self._row and self._forget is not None:
            await self._forget(self._row)
