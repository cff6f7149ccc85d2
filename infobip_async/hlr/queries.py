"""Batches of numbers on their way out, and what is left of them when nothing goes out any more."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Final, Protocol

import attrs

from infobip_async.concurrency.tasks import cancel
from infobip_async.errors import (
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    OutcomeUnknownError,
)
from infobip_async.hlr.deadlines import Deadlines
from infobip_async.hlr.pending import Answer, Batch
from infobip_async.hlr.results import HlrOutcome
from infobip_async.models import HlrSubmission
from infobip_async.runs.gate import ClosedError, Gate
from infobip_async.runs.outcomes import outcome_of

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


class AccountClient(HlrClient, Protocol):
    """A client that knows its account, too."""

    @property
    def username(self) -> str:
        """Of the account."""

    async def credits(self) -> Decimal:
        """The balance of the account."""


class Ledger(Protocol):
    """Where the queries of a job are written down, before and after."""

    async def intend(self, sequences: Sequence[int]) -> None:
        """Write down that numbers are about to be submitted."""

    async def accept(
        self, sequences: Sequence[int], rows: Sequence[HlrSubmission], seconds: float
    ) -> None:
        """Write down the ids of the lookups that were accepted."""


@attrs.define(eq=False)
class _Query:
    """A batch, and what is to be made of its failures.

    Attributes:
        batch: the numbers.
        timeout: seconds from the query to the last report that is waited for.
        repetitions: times that it may still be made again where its outcome is unknown.
        doubt: why its outcome is unknown: later attempts that fail do not undo this.
        refused: whether its numbers were part of a query that was refused as a whole.
    """

    batch: Batch
    timeout: float
    repetitions: int = 0
    doubt: InfobipError | None = None
    refused: bool = False

    def of(self, batch: Batch) -> "_Query":
        """A query of other numbers, to be treated likewise."""
        return _Query(batch, self.timeout, self.repetitions, refused=self.refused)


def _pass(_: BaseException) -> None:
    """Nobody wants to know."""


class Queries:
    """The queries of one origin: a stream, or the single lookups of an `HlrLookups`.

    A task owns a batch until its reply; after that only the table holds the batch.

    Args:
        client: submits them.
        deadlines: has the table that keeps what waits.
        gate: lets them out.
        ledger: is told of each before and after; None where nothing is written down.
        failed: is told of what is no outcome, such as a ledger that cannot be written.
    """

    def __init__(
        self,
        client: HlrClient,
        deadlines: Deadlines,
        gate: Gate,
        ledger: Ledger | None = None,
        failed: Callable[[BaseException], None] = _pass,
    ) -> None:
        self._client = client
        self._deadlines = deadlines
        self._table = deadlines.table
        self._gate = gate
        self._ledger = ledger
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
        while not batch.replied:
            try:
                count = await self._gate.enter(len(batch.destinations))
            except ClosedError as closed:
                outcome = HlrOutcome.UNKNOWN if query.doubt else HlrOutcome.NOT_SENT
                self._table.fail(batch, outcome, query.doubt or closed.fault)
                return
            if batch.replied:  # its deadline passed while it waited to go out again
                self._gate.leave(LocalProtocolError("it is not made"), count)
                return
            if count < len(batch.destinations):
                self._start(query.of(batch.split(count)))
            if not self._goes_out_again(query, await self._submit(query)):
                return

    def _goes_out_again(self, query: _Query, fault: Exception | None) -> bool:
        """Decide after an attempt; what does not go out again has its results then."""
        if fault is None:
            return False
        if isinstance(fault, GatewayRefusedError) and not self._gate.lenient:
            return self._asks_once_more(query, fault)
        outcome = outcome_of(fault)
        if outcome == "NOT_SENT" and not (self._gate.lenient or self._gate.closed):
            self._table.withdraw(query.batch)
            return True
        if outcome == "UNKNOWN":
            query.doubt = _error(fault)
            if query.repetitions and not self._gate.closed:
                query.repetitions -= 1
                _logger.warning("an HLR query is made again: %s", fault)
                return True
        self._fail(query, query.doubt or _error(fault))
        return False

    def _asks_once_more(self, query: _Query, refusal: GatewayRefusedError) -> bool:
        """Decide on a query that was refused as a whole, which does not say why (§4).

        It goes out once more, and since the gate lets one number at a time out then, one number
        shows whether the refusal is about the account: then the gate is closed. Else it is about
        the numbers that are refused again.
        """
        self._table.withdraw(query.batch)
        if not (query.refused or self._gate.closed):
            query.refused = True
            return True
        outcome = HlrOutcome.NOT_SENT if self._gate.closed else HlrOutcome.REFUSED
        self._table.fail(query.batch, outcome, refusal)
        return False

    async def _submit(self, query: _Query) -> Exception | None:
        """Submit a batch once; a failure is given back."""
        batch = query.batch
        units = len(batch.destinations)
        sequences = batch.sequences
        fault: Exception | None = LocalProtocolError("it was not made")
        try:
            if self._ledger is not None:
                await self._ledger.intend(sequences)
            fault = await self._ask(query)
        finally:
            self._gate.leave(fault, units)
            self._table.query_ended(batch)
        return fault

    async def _ask(self, query: _Query) -> Exception | None:
        batch = query.batch
        sequences = batch.sequences
        self._table.begin(batch, query.timeout)
        self._deadlines.arm()
        try:
            rows = await self._client.submit_hlr(batch.destinations)
        except Exception as fault:  # no number may wait because a client has a bug
            if not isinstance(fault, InfobipError):
                _logger.exception("the client failed in a way that it should not")
            return fault
        self._table.accept(batch, rows)
        if self._ledger is not None:
            await self._ledger.accept(sequences, rows, query.timeout)
        return None

    def _fail(self, query: _Query, error: InfobipError) -> None:
        self._table.fail(query.batch, HlrOutcome[outcome_of(error)], error)

    async def stop(self, wait: float) -> None:
        """Wait for what is out, up to so many seconds, then give the rest its result as it is."""
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


def _error(fault: Exception) -> InfobipError:
    """The failure as one of ours; a client's bug leaves the outcome unknown."""
    if isinstance(fault, InfobipError):
        return fault
    return OutcomeUnknownError(str(fault) or repr(fault))
