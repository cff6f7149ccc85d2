"""Batches of numbers on their way out, and what is left of them when the way is closed."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from infobip_async.concurrency.rate import Backoff, RateLimiter
from infobip_async.errors import (
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    NotSentError,
)
from infobip_async.hlr.deadlines import Deadlines
from infobip_async.hlr.pending import Batch, Settle
from infobip_async.hlr.results import HlrOutcome
from infobip_async.models import HlrSubmission

RESUBMISSIONS: Final = 3
"""Times that a query of unknown outcome is made again, where that is wanted."""

_logger = logging.getLogger("infobip_async.hlr")


class HlrClient(Protocol):
    """What submits queries: `InfobipClient`, or something in its place."""

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Submit numbers (§4); a row for each, in the order given.

        Raises:
            NotSentError: no byte left this machine.
            GatewayRefusedError: the gateway refuses the query as a whole.
            OutcomeUnknownError: anything else.
        """


class Queries:
    """The queries of one origin: a stream, or the single lookups of an `HlrLookups`.

    A batch has a task until the reply to its query; then the table alone knows of it.

    Args:
        client: submits them.
        timekeeper: has the table that keeps what waits.
        pace: the numbers per second, of all origins together.
        limit: queries in flight at the most.
        backoff: the pauses after queries that failed.

    Attributes:
        stopping: whether nothing is sent any more.
    """

    def __init__(
        self,
        client: HlrClient,
        timekeeper: Deadlines,
        pace: RateLimiter,
        *,
        limit: int,
        backoff: Backoff,
    ) -> None:
        self.stopping = False
        self._client = client
        self._timekeeper = timekeeper
        self._table = timekeeper.table
        self._pace = pace
        self._slots = asyncio.Semaphore(limit)
        self._running: dict[asyncio.Task[None], Batch] = {}
        self._open: set[Batch] = set()
        self._idle = asyncio.Event()
        self._backoff = backoff

    def start(
        self, destinations: Sequence[str], settle: Settle, *, timeout: float, resubmit: bool = False
    ) -> None:
        """Look a batch up.

        Args:
            destinations: the numbers.
            settle: is told the result of each.
            timeout: seconds from the query to the last report that is waited for.
            resubmit: make a query of unknown outcome again.
        """
        batch = Batch(destinations, settle, self._settled)
        self._open.add(batch)
        task = asyncio.create_task(self._run(batch, timeout, RESUBMISSIONS if resubmit else 0))
        self._running[task] = batch
        task.add_done_callback(self._ended)

    def _settled(self, batch: Batch) -> None:
        self._open.discard(batch)
        if not self._open:
            self._idle.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step never runs.
        # What is open by now was not sent, or is in doubt.
        batch = self._running.pop(task)
        if not batch.replied:
            self._table.end(batch)

    async def _run(
        self,
        batch: Batch,
        timeout: float,  # noqa: ASYNC109 - a deadline of the table, not of this coroutine
        resubmissions: int,
    ) -> None:
        """Submit a batch until its outcome is known, or shall be left unknown."""
        doubt: Exception | None = None
        async with self._slots:
            while True:
                await self._backoff.wait()
                await self._pace.wait(len(batch.destinations))
                if batch.replied or self.stopping:
                    return
                fault = await self._submit(batch, timeout)
                if fault is None:
                    return
                if _outcome(fault) is HlrOutcome.UNKNOWN:
                    doubt = fault  # for good: a later attempt that fails does not undo this one
                if not (doubt and resubmissions):
                    self._fail(batch, doubt or fault)
                    return
                resubmissions -= 1
                _logger.warning("an HLR query is to be made again: %s", doubt)

    async def _submit(
        self,
        batch: Batch,
        timeout: float,  # noqa: ASYNC109 - as above
    ) -> Exception | None:
        """Submit a batch once; a failure is given back."""
        self._table.begin(batch, timeout)
        self._timekeeper.arm()
        try:
            rows = await self._client.submit_hlr(batch.destinations)
            self._table.accept(batch, rows)
        except Exception as fault:
            if not isinstance(fault, InfobipError):
                _logger.exception("the client failed in a way that it should not")
            self._backoff.failed()
            return fault
        else:
            self._backoff.succeeded()
            return None
        finally:
            self._table.land(batch)

    def _fail(self, batch: Batch, fault: Exception) -> None:
        refusal = fault if isinstance(fault, GatewayRefusedError) else None
        self._table.fail(batch, _outcome(fault), str(fault) or repr(fault), refusal)

    def refuse(self) -> None:
        """Send nothing more: what has not gone out by now is settled as not submitted."""
        self.stopping = True
        for task, batch in self._running.items():
            if not batch.waits:
                task.cancel()

    async def stop(self, wait: float) -> None:
        """Wait for what is out, up to so many seconds, then settle the rest as it stands."""
        self.refuse()
        try:
            if self._open:
                self._idle.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._idle.wait()
        finally:
            running = tuple(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for batch in tuple(self._open):
                self._table.end(batch)


def _outcome(fault: Exception) -> HlrOutcome:
    """What a failed query means for its numbers."""
    match fault:
        case NotSentError() | LocalProtocolError():
            return HlrOutcome.NOT_SENT
        case GatewayRefusedError():
            return HlrOutcome.REFUSED
        case _:
            return HlrOutcome.UNKNOWN
