"""Which lookups wait for their report: plain data, with the time as an argument.

A query is one batch. A number of it waits from the reply, which gives it an id, until the report
with that id is pushed, or the batch's deadline passes. Reports may come before the reply; they
are kept for a while, if any query is under way that could claim them.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs

from infobip_async.errors import InfobipError
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models import HlrReport, HlrSubmission

Settle = Callable[[int, HlrResult, InfobipError | None], None]
"""Takes the position of a number in its batch, its result, and the error behind that, if any."""

REMEMBERED: Final = 100_000
"""Ids of lookups past their deadline by which a late report is told from a stranger's."""

MAX_BATCH: Final = 10_000
"""Numbers of one query at the most."""

# Positions are shared, not made anew: that would cost each waiting number 28 octets.
_POSITIONS: Final = tuple(range(MAX_BATCH))


@attrs.define
class Stats:
    """Counts since the start, and the two that are levels now.

    Attributes:
        submitted: numbers that went out in a query.
        refused: numbers that the gateway did not accept.
        reported: numbers whose report arrived in time.
        timed_out: numbers whose report did not.
        unknown: numbers of queries whose reply was lost or cannot be read.
        unsubmitted: numbers that were not sent.
        late: reports that came after their number had timed out.
        unclaimed: reports that no lookup of this process had asked for, and repeated ones.
        in_flight: numbers that are in a query or wait for their report, now.
        early_kept: reports kept for a reply that may be under way, now.
    """

    submitted: int = 0
    refused: int = 0
    reported: int = 0
    timed_out: int = 0
    unknown: int = 0
    unsubmitted: int = 0
    late: int = 0
    unclaimed: int = 0
    in_flight: int = 0
    early_kept: int = 0


def _nothing() -> None:
    """For batches that nobody waits for."""


@attrs.define(eq=False)
class Batch:
    """The numbers of one query.

    Attributes:
        destinations: the numbers, in order.
        settle: is told the result of each number, once.
        settled: is called when that has happened to all of them.
        sent: whether the query has gone out.
        replied: whether the reply has been read, or will not be any more.
        pending: the numbers that wait for their report: lookup id to position.
    """

    destinations: Sequence[str]
    settle: Settle
    settled: Callable[[], None] = _nothing
    sent: bool = attrs.field(default=False, init=False)
    replied: bool = attrs.field(default=False, init=False)
    pending: dict[str, int] = attrs.field(factory=dict, init=False)

    def release_if_settled(self) -> None:
        """Free the memory of a batch of which nothing waits; its deadline may be far away."""
        if self.destinations and not self.pending:
            self.pending = {}  # a dict does not shrink by deletions
            self.destinations = ()
            self.settled()


@attrs.define
class LookupTable:
    """The lookups that are under way.

    Attributes:
        grace: seconds that a report is kept for a reply that may be under way.
        early_limit: reports kept at the most; the oldest goes first.
        stats: what has been counted.
        queries: queries in flight, whose replies early reports are kept for.
    """

    grace: float
    early_limit: int
    stats: Stats = attrs.field(factory=Stats, init=False)
    queries: int = attrs.field(default=0, init=False)
    _waiting: dict[str, Batch] = attrs.field(factory=dict, init=False, repr=False)
    _deadlines: list[tuple[float, int, Batch]] = attrs.field(factory=list, init=False, repr=False)
    _tie: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False)
    _early: OrderedDict[str, tuple[float, HlrReport]] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )
    _expired: OrderedDict[str, None] = attrs.field(factory=OrderedDict, init=False, repr=False)

    def admit(self, batch: Batch) -> None:
        """Take a batch in, before its query goes out."""
        self.stats.in_flight += len(batch.destinations)

    def begin(self, batch: Batch, deadline: float) -> None:
        """Its query goes out.

        Args:
            batch: admitted before.
            deadline: when the numbers that still wait time out.
        """
        batch.sent = True
        self.stats.submitted += len(batch.destinations)
        heapq.heappush(self._deadlines, (deadline, next(self._tie), batch))

    def accept(self, batch: Batch, rows: Sequence[HlrSubmission]) -> None:
        """The reply came: a number is refused, or already reported, or waits from now on."""
        if batch.replied:  # too late: its numbers are settled
            self._remember(row.lookup_id for row in rows if row.lookup_id)
            return
        batch.replied = True
        for position, row in zip(_POSITIONS, rows, strict=False):
            self._accept_row(batch, position, row)
        for lookup_id in [key for key in batch.pending if key in self._early]:
            self._claim(self._early.pop(lookup_id)[1])
            self.stats.early_kept -= 1
        batch.release_if_settled()

    def _accept_row(self, batch: Batch, position: int, row: HlrSubmission) -> None:
        lookup_id = row.lookup_id
        if not row.accepted:
            self._settle(batch, position, HlrOutcome.REFUSED, None, f"status {row.raw_status!r}")
        elif lookup_id is None:
            self._settle(batch, position, HlrOutcome.UNKNOWN, None, "accepted without an id")
        elif lookup_id in self._waiting:
            reason = "the gateway gave its id to another number, too"
            self._settle(batch, position, HlrOutcome.UNKNOWN, lookup_id, reason)
        else:
            self._waiting[lookup_id] = batch
            batch.pending[lookup_id] = position

    def fail(self, batch: Batch, outcome: HlrOutcome, fault: InfobipError) -> None:
        """The query failed as a whole, and with it all of its numbers."""
        self._give_up(batch, outcome, str(fault), fault)

    def report(self, report: HlrReport, now: float) -> None:
        """A report was pushed: it ends a lookup, or is kept for a reply, or is counted."""
        if self._claim(report):
            return
        if report.lookup_id in self._expired:
            del self._expired[report.lookup_id]
            self.stats.late += 1
        elif self.queries and report.lookup_id not in self._early:
            self._keep(report, now)
        else:
            self.stats.unclaimed += 1

    def _claim(self, report: HlrReport) -> bool:
        """End the lookup that a report is of; the number must be the same, if it has one."""
        lookup_id = report.lookup_id
        batch = self._waiting.get(lookup_id)
        if batch is None:
            return False
        position = batch.pending[lookup_id]
        destination = batch.destinations[position]
        if report.destination and report.destination != destination.strip():
            return False
        del self._waiting[lookup_id], batch.pending[lookup_id]
        self.stats.in_flight -= 1
        self.stats.reported += 1
        result = HlrResult(destination, HlrOutcome.REPORTED, lookup_id, report)
        batch.settle(position, result, None)
        batch.release_if_settled()
        return True

    def _keep(self, report: HlrReport, now: float) -> None:
        self._early[report.lookup_id] = (now + self.grace, report)
        self.stats.early_kept += 1
        if len(self._early) > self.early_limit:
            self._drop_early()

    def _drop_early(self) -> None:
        self._early.popitem(last=False)
        self.stats.early_kept -= 1
        self.stats.unclaimed += 1

    def expire(self, now: float) -> None:
        """Let go what is past its time: early reports, and the numbers of batches."""
        while self._early and next(iter(self._early.values()))[0] <= now:
            self._drop_early()
        while self._deadlines and self._deadlines[0][0] <= now:
            self.end(heapq.heappop(self._deadlines)[2])

    def end(self, batch: Batch) -> None:
        """Settle what is open of a batch, as at its deadline."""
        if batch.sent:
            self._give_up(batch, HlrOutcome.UNKNOWN, "no reply to the query in time", None)
        else:
            self._give_up(batch, HlrOutcome.UNSUBMITTED, "stopped before it was sent", None)
        pending, batch.pending = batch.pending, {}
        self._remember(pending)
        for lookup_id, position in pending.items():
            del self._waiting[lookup_id]
            reason = "no report in time"
            self._settle(batch, position, HlrOutcome.TIMED_OUT, lookup_id, reason)
        batch.release_if_settled()

    @property
    def next_deadline(self) -> float | None:
        """When `expire` may have something to do; None where nothing is kept."""
        early = [next(iter(self._early.values()))[0]] if self._early else []
        return min(early + [entry[0] for entry in self._deadlines[:1]], default=None)

    def _give_up(
        self, batch: Batch, outcome: HlrOutcome, reason: str, fault: InfobipError | None
    ) -> None:
        """Settle all numbers of a batch whose reply was not read."""
        if batch.replied:
            return
        batch.replied = True
        for position in range(len(batch.destinations)):
            self._settle(batch, position, outcome, None, reason, fault)
        batch.release_if_settled()

    def _settle(  # noqa: PLR0917 - one call per way to end
        self,
        batch: Batch,
        position: int,
        outcome: HlrOutcome,
        lookup_id: str | None,
        reason: str,
        fault: InfobipError | None = None,
    ) -> None:
        name = outcome.name.lower()
        setattr(self.stats, name, getattr(self.stats, name) + 1)
        self.stats.in_flight -= 1
        destination = batch.destinations[position]
        result = HlrResult(destination, outcome, lookup_id, reason=reason)
        batch.settle(position, result, fault)

    def _remember(self, lookup_ids: Iterable[str]) -> None:
        """Know these ids again when their reports come late."""
        self._expired.update(dict.fromkeys(lookup_ids))
        while len(self._expired) > REMEMBERED:
            self._expired.popitem(last=False)
