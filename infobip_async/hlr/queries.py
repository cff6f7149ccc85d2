"""Batches of numbers under way: each a task that submits its query and outlives its reports."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from infobip_async.errors import (
    GatewayRefusedError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.results import HlrOutcome
from infobip_async.hlr.table import Batch, LookupTable, Settle
from infobip_async.models import HlrReport, HlrSubmission
from infobip_async.pace import Pace

RESUBMISSIONS: Final = 3
"""Times that a query of unknown outcome is made again, where that is wanted."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0

_log = logging.getLogger(__name__)


class HlrClient(Protocol):
    """What submits queries: `InfobipClient`, or something in its place."""

    async def submit_hlr(self, destinations: Sequence[str], /) -> tuple[HlrSubmission, ...]:
        """Submit numbers; a row for each, in the order given."""


class Queries:
    """The queries of one `HlrLookups`.

    Args:
        client: submits them.
        table: keeps what waits.
        rate: numbers per second at the most; None for no limit.
    """

    def __init__(self, client: HlrClient, table: LookupTable, rate: float | None) -> None:
        self.table = table
        self._client = client
        self._pace = Pace(rate)
        self._running: dict[asyncio.Task[None], Batch] = {}
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._pause = _FIRST_PAUSE

    def start(
        self,
        destinations: Sequence[str],
        settle: Settle,
        *,
        timeout: float,
        slots: asyncio.Semaphore,
        resubmit: bool = False,
    ) -> asyncio.Task[None]:
        """Look a batch up, in a task that ends when every number of it is settled.

        Args:
            destinations: the numbers.
            settle: is told the result of each.
            timeout: seconds from the query to the last report that is waited for.
            slots: held while the query is in flight.
            resubmit: make a query of unknown outcome again.
        """
        settled = asyncio.Event()
        batch = Batch(destinations, settle, settled.set)
        self.table.admit(batch)
        task = asyncio.create_task(self._run(batch, settled, timeout, slots, resubmit=resubmit))
        self._running[task] = batch
        task.add_done_callback(self._ended)
        if self._stopping:
            task.cancel()
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step never runs.
        self.table.end(self._running.pop(task))

    async def _run(
        self,
        batch: Batch,
        settled: asyncio.Event,
        timeout: float,  # noqa: ASYNC109 - a deadline of the table, not of this coroutine
        slots: asyncio.Semaphore,
        *,
        resubmit: bool,
    ) -> None:
        async with slots:
            await self._pace.wait(len(batch.destinations))
            self.table.begin(batch, asyncio.get_running_loop().time() + timeout)
            self._arm()
            await self._query(batch, RESUBMISSIONS if resubmit else 0)
        await settled.wait()

    async def _query(self, batch: Batch, resubmissions: int) -> None:
        self.table.queries += 1
        try:
            rows = await self._submit(batch.destinations, resubmissions)
        except (NotSentError, LocalProtocolError) as fault:
            self.table.fail(batch, HlrOutcome.UNSUBMITTED, fault)
            # A gateway that is away would otherwise use the whole source up in no time.
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        except GatewayRefusedError as fault:
            self.table.fail(batch, HlrOutcome.REFUSED, fault)
        except OutcomeUnknownError as fault:
            self.table.fail(batch, HlrOutcome.UNKNOWN, fault)
        else:
            self._pause = _FIRST_PAUSE
            self.table.accept(batch, rows)
        finally:
            self.table.queries -= 1

    async def _submit(
        self, destinations: Sequence[str], resubmissions: int
    ) -> tuple[HlrSubmission, ...]:
        for _ in range(resubmissions):
            try:
                return await self._client.submit_hlr(destinations)
            except OutcomeUnknownError as fault:
                _log.warning("an HLR query is made again: %s", fault)
        return await self._client.submit_hlr(destinations)

    async def report(self, report: HlrReport) -> None:
        """Take a pushed report: the handler for `Router.on`."""
        self.table.report(report, asyncio.get_running_loop().time())

    def _arm(self) -> None:
        """Have one timer for whatever is due first."""
        due = self.table.next_deadline
        if due is not None and (self._timer is None or due < self._timer.when()):
            self._disarm()
            self._timer = asyncio.get_running_loop().call_at(due, self._tick)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self.table.expire(asyncio.get_running_loop().time())
        self._arm()

    async def stop(self, wait: float) -> None:
        """Send nothing more, wait for what is out, then settle the rest as it stands."""
        self._stopping = True
        for task, batch in self._running.items():
            if not batch.sent:
                task.cancel()
        if self._running and wait:
            await asyncio.wait(self._running, timeout=wait)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._disarm()
