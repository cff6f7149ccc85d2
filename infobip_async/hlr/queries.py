"""Queries: batches of numbers go out, are repeated where that is wanted, and get their outcome."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable

import attrs

from infobip_async.concurrency.tasks import cancel
from infobip_async.errors import (
    GatewayRefusedError,
    InfobipError,
    OutcomeUnknownError,
)
from infobip_async.hlr.deadlines import Deadlines
from infobip_async.hlr.job import HlrJobFile
from infobip_async.hlr.pending import Answer, Batch
from infobip_async.hlr.results import HlrOutcome
from infobip_async.models.receipts import HlrSubmission
from infobip_async.runs.flow_control import ClosedError, FlowControl
from infobip_async.runs.outcomes import NOT_MADE, outcome_of

REPETITIONS: Final = 3
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


@runtime_checkable
class AccountClient(HlrClient, Protocol):
    """A client that knows its account, too."""

    @property
    def username(self) -> str:
        """Of the account."""

    async def credits(self) -> Decimal:
        """The balance of the account."""


@attrs.define(eq=False)
class _Query:
    """A batch, and how its failures are treated.

    Attributes:
        batch: the numbers.
        timeout: seconds from the query to the last report that is waited for.
        repetitions: how often the query may still be repeated where its outcome is unknown.
        doubt: why the outcome is unknown: later attempts that fail do not undo this.
        refused: whether its numbers were part of a query that was refused as a whole.
    """

    batch: Batch
    timeout: float
    repetitions: int = 0
    doubt: InfobipError | None = None
    refused: bool = False


def _pass(_: BaseException) -> None:
    """Nobody wants to know."""


class Queries:
    """The queries of one origin: a stream, or the single lookups of an `HlrLookups`.

    A task owns a batch until its reply; after that only the table holds the batch.

    Args:
        client: submits them.
        deadlines: has the table of lookups that wait for their report.
        flow: lets them out.
        job: is told of each before and after; None where nothing is written down.
        failed: is told of faults other than outcomes, such as a job that cannot be written.
    """

    def __init__(
        self,
        client: HlrClient,
        deadlines: Deadlines,
        flow: FlowControl,
        job: HlrJobFile | None = None,
        failed: Callable[[BaseException], None] = _pass,
    ) -> None:
        self._client = client
        self._deadlines = deadlines
        self._table = deadlines.table
        self._flow = flow
        self._job = job
        self._failed = failed
        self._running: dict[asyncio.Task[None], Batch] = {}
        self._open: set[Batch] = set()
        self._idle = asyncio.Event()

    def start(
        self,
        destinations: Sequence[str],
        answer: Answer,
        *,
        timeout: float,
        repeat: bool = False,
        sequences: Sequence[int] = (),
    ) -> None:
        """Look a batch up.

        Args:
            destinations: the numbers.
            answer: is told the result of each.
            timeout: seconds from the query to the last report that is waited for.
            repeat: make a query of unknown outcome again.
            sequences: where each number stands in its source.
        """
        batch = Batch(destinations, answer, self._batch_done, sequences)
        self._start(_Query(batch, timeout, REPETITIONS if repeat else 0))

    def adopt(
        self,
        destinations: Sequence[str],
        lookup_ids: Sequence[str],
        answer: Answer,
        *,
        timeout: float,
        sequences: Sequence[int],
    ) -> None:
        """Wait for the reports of lookups that an earlier run has made; as `start`."""
        batch = Batch(destinations, answer, self._batch_done, sequences)
        self._open.add(batch)
        self._table.adopt(batch, lookup_ids, timeout)
        self._deadlines.arm()

    def _start(self, query: _Query) -> None:
        self._open.add(query.batch)
        task = asyncio.create_task(self._run(query))
        self._running[task] = query.batch
        task.add_done_callback(self._ended)

    def _batch_done(self, batch: Batch) -> None:
        self._open.discard(batch)
        if not self._open:
            self._idle.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step never runs.
        # What has no reply by now was not sent, or is in doubt.
        batch = self._running.pop(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._failed(fault)
        if not batch.replied:
            self._table.end(batch)

    async def _run(self, query: _Query) -> None:
        """Submit a batch until its outcome is known, or shall be left unknown."""
        batch = query.batch
        try:
            while not batch.replied:
                count = await self._flow.enter(len(batch.destinations))
                if count < len(batch.destinations):
                    self._start(attrs.evolve(query, batch=batch.split(count)))
                if not self._goes_out_again(query, await self._submit(query)):
                    return
        except ClosedError as closed:
            self._fail(query, HlrOutcome.NOT_SENT, closed.fault)

    def _goes_out_again(self, query: _Query, fault: Exception | None) -> bool:
        """Decide after an attempt; a query that does not go out again gets its results here."""
        if fault is None or query.batch.replied:
            return False
        outcome = HlrOutcome[outcome_of(fault)]
        if outcome is HlrOutcome.UNKNOWN:
            query.doubt = _error(fault)
        if self._is_repeated(query, fault, outcome):
            if query.doubt is None:
                self._table.withdraw(query.batch)
            else:
                self._table.hold(query.batch)
            return True
        if isinstance(fault, GatewayRefusedError) and self._flow.closed and self._flow.opaque:
            outcome = HlrOutcome.NOT_SENT  # the refusal may be about the account
        self._fail(query, outcome, _error(fault))
        return False

    def _is_repeated(self, query: _Query, fault: Exception, outcome: HlrOutcome) -> bool:
        """Whether a query that failed goes out again, when the flow control lets it."""
        if self._flow.closed or self._flow.lenient:
            return False
        if isinstance(fault, GatewayRefusedError):
            # Refused as a whole, which does not say why (§4). The flow control lets one number out
            # until one is accepted: then a second refusal is about these numbers.
            again, query.refused = query.refused, True
            return not again
        if outcome is HlrOutcome.UNKNOWN and query.repetitions:
            query.repetitions -= 1
            _logger.warning("an HLR query is made again: %s", fault)
            return True
        return outcome is HlrOutcome.NOT_SENT

    async def _submit(self, query: _Query) -> Exception | None:
        """Submit a batch once; a failure is given back."""
        batch = query.batch
        units = len(batch.destinations)
        sequences = batch.sequences
        fault: Exception | None = NOT_MADE
        try:
            if self._job is not None:
                await self._job.intend(sequences)
            fault = await self._ask(query, sequences)
            if self._job is not None and not (query.doubt or _may_have_left(fault)):
                await self._job.forget(sequences)
        except Exception as unwritten:
            self._failed(unwritten)  # before `leave` lets the next query out
            raise
        finally:
            self._flow.leave(fault, units)
            self._table.query_ended(batch)
        return fault

    async def _ask(self, query: _Query, sequences: Sequence[int]) -> Exception | None:
        batch = query.batch
        self._table.begin(batch, query.timeout)
        self._deadlines.arm()
        try:
            rows = await self._client.submit_hlr(batch.destinations)
        except Exception as fault:  # no number may wait because a client has a bug
            if not isinstance(fault, InfobipError):
                _logger.exception("the client failed in a way that it should not")
            return fault
        self._table.accept(batch, rows)
        if self._job is not None:
            await self._job.accept(sequences, rows, query.timeout)
        return None

    def _fail(self, query: _Query, outcome: HlrOutcome, error: InfobipError) -> None:
        """Give the numbers of a query their outcome: unknown, if an earlier attempt is in doubt."""
        if query.doubt is not None:
            outcome, error = HlrOutcome.UNKNOWN, query.doubt
        self._table.fail(query.batch, outcome, error)

    async def stop(self, wait: float) -> None:
        """Wait for lookups that are out, up to so many seconds, then end those that are left."""
        try:
            if self._open:
                self._idle.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._idle.wait()
        finally:
            await cancel(self._running)
            for batch in tuple(self._open):
                self._table.end(batch)


def _may_have_left(fault: Exception | None) -> bool:
    """Whether the gateway carried a query out, or may have."""
    return fault is None or outcome_of(fault) == "UNKNOWN"


def _error(fault: Exception) -> InfobipError:
    """The failure as one of ours; a client's bug leaves the outcome unknown."""
    if isinstance(fault, InfobipError):
        return fault
    return OutcomeUnknownError(str(fault) or repr(fault))
