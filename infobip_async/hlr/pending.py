"""Which lookups wait for their report: plain data, with an injected clock.

A query is one batch. A number of it waits from the reply, which gives it an id, until the report
with that id is pushed, or the batch's deadline passes. Reports may come before the reply; they
are kept for a while, as long as a query is in flight that could claim them.
"""

import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs

from infobip_async.errors import (
    InfobipError,
    InvalidDestinationError,
    LookupTimeoutError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.results import HlrOutcome, HlrResult, Stats
from infobip_async.models.events import HlrReport
from infobip_async.models.receipts import HlrSubmission

_Key = str | tuple[str, str]

Answer = Callable[["Batch", int, HlrResult], None]
"""Takes a batch, the position of a number in it, and the result of that number."""

LATE_IDS: Final = 100_000
"""Ids of lookups past their deadline by which a late report is told from a stranger's."""

MAX_BATCH: Final = 10_000
"""The most numbers of one query."""

# Positions are shared, not made anew: that would cost each waiting number 28 octets.
_POSITIONS: Final = tuple(range(MAX_BATCH))

_FEW_DEADLINES: Final = 64

_REPORTED: Final = HlrOutcome.REPORTED  # an enum's attribute is slow to look up per report


def _nothing(batch: "Batch") -> None:
    """For batches that nobody waits for."""


def _nobody(batch: "Batch", position: int, result: HlrResult) -> None:
    """For batches whose numbers all have their result."""


@attrs.define(eq=False)
class Batch:
    """The numbers of one query.

    Attributes:
        destinations: the numbers, in order; empty once all have their result.
        answer: is told the result of each number, once.
        done: is called with the batch when that has happened to all of them.
        sequences: where each number stands in its source, for those who need to know.
        deadline: when the numbers that still wait time out; None until the query goes out.
        since: when the query went out last; None where another run has made it.
        repeated: whether an earlier query with these numbers may have been carried out.
        replied: whether the reply has been read, or will not be any more.
        pending: the numbers that wait for their report: lookup id to position.
    """

    destinations: Sequence[str]
    answer: Answer
    done: Callable[["Batch"], None] = _nothing
    sequences: Sequence[int] = ()
    deadline: float | None = attrs.field(default=None, init=False)
    since: float | None = attrs.field(default=None, init=False)
    repeated: bool = attrs.field(default=False, init=False)
    replied: bool = attrs.field(default=False, init=False)
    pending: dict[str, int] = attrs.field(factory=dict, init=False)

    @property
    def waits(self) -> bool:
        """Whether the query is out, and some of its numbers have no result."""
        return self.deadline is not None and bool(self.destinations)

    def split(self, count: int) -> "Batch":
        """Keep the first numbers, while no query is out, and give the others in a new batch."""
        rest = Batch(self.destinations[count:], self.answer, self.done, self.sequences[count:])
        rest.deadline, rest.repeated = self.deadline, self.repeated
        self.destinations = self.destinations[:count]
        self.sequences = self.sequences[:count]
        return rest

    def release_if_done(self) -> None:
        """Free the memory of a batch in which nothing waits; its deadline may be far away."""
        if not self.pending:
            done = self.done
            self.destinations, self.answer, self.done, self.sequences = (), _nobody, _nothing, ()
            self.pending = {}  # a dict does not shrink by deletions
            done(self)


def _fits(report: HlrReport, destination: str) -> bool:
    """Whether the report's destination is this number, or empty (§5)."""
    return not report.destination or report.destination == destination.strip()


@attrs.define
class LookupTable:
    """The lookups that are under way.

    Attributes:
        clock: gives the time in seconds.
        grace: most seconds that a report is kept for a reply that is under way.
        early_limit: most reports that are kept; the oldest is dropped first.
        heard_until: the time up to which reports that nobody waits for are kept for `adopt`: a
            receiver may have started before the job of an earlier run is opened.
        stats: what has been counted.
        timed: is given the seconds from each query to each of its reports; None where nobody asks.
    """

    clock: Callable[[], float]
    grace: float
    early_limit: int
    heard_until: float = attrs.field(default=-math.inf, init=False)
    stats: Stats = attrs.field(factory=Stats, init=False)
    timed: Callable[[float], None] | None = attrs.field(default=None, init=False, repr=False)
    _waiting: dict[str, Batch] = attrs.field(factory=dict, init=False, repr=False)
    _deadlines: list[tuple[float, int, Batch]] = attrs.field(factory=list, init=False, repr=False)
    _many_deadlines: int = attrs.field(default=_FEW_DEADLINES, init=False, repr=False)
    _tie: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False)
    # Queries in flight, numbered as they went out; early reports have the number of the last one.
    _in_flight: dict[Batch, int] = attrs.field(factory=dict, init=False, repr=False)
    _number: int = attrs.field(default=0, init=False, repr=False)
    # By id; where another number was first, by id and number.
    _early: OrderedDict[_Key, tuple[int, float, HlrReport]] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )
    _heard: dict[str, HlrReport] = attrs.field(factory=dict, init=False, repr=False)
    _expired: OrderedDict[str, None] = attrs.field(factory=OrderedDict, init=False, repr=False)

    def begin(self, batch: Batch, timeout: float) -> None:
        """The query of a batch goes out, or goes out again.

        Args:
            batch: its numbers.
            timeout: seconds from now until those that still wait time out.
        """
        if batch.deadline is None:
            self.stats.submitted += len(batch.destinations)
        batch.repeated = batch.repeated or batch.deadline == math.inf  # see `hold`
        batch.since = self.clock()
        batch.deadline = batch.since + timeout
        if len(self._deadlines) >= self._many_deadlines:
            self._forget_done()
        heapq.heappush(self._deadlines, (batch.deadline, next(self._tie), batch))
        self._number += 1
        self._in_flight[batch] = self._number

    def _forget_done(self) -> None:
        """Let go of batches that are done and whose deadlines are far away."""
        self._deadlines = [entry for entry in self._deadlines if entry[2].waits]
        heapq.heapify(self._deadlines)
        self._many_deadlines = max(_FEW_DEADLINES, 2 * len(self._deadlines))

    def accept(self, batch: Batch, rows: Sequence[HlrSubmission]) -> None:
        """The reply came: a number is refused, or already reported, or waits from now on."""
        if batch.replied:  # too late: its numbers have their results
            self._remember(row.lookup_id for row in rows if row.lookup_id)
        elif len(rows) != len(batch.destinations):
            reason = f"{len(rows)} rows for {len(batch.destinations)} numbers"
            self.fail(batch, HlrOutcome.UNKNOWN, OutcomeUnknownError(reason))
        else:
            self._accept_rows(batch, rows)

    def _accept_rows(self, batch: Batch, rows: Sequence[HlrSubmission]) -> None:
        batch.replied = True
        waiting, pending = self._waiting, batch.pending
        for position, row in zip(_POSITIONS, rows, strict=False):
            lookup_id = row.lookup_id
            if row.accepted and lookup_id and lookup_id not in waiting:
                waiting[lookup_id] = batch
                pending[lookup_id] = position
            else:
                self._reject(batch, position, row)
        if self._early:
            numbers = batch.destinations
            keys = [key for one, at in pending.items() for key in (one, (one, numbers[at]))]
            for key in [key for key in keys if key in self._early]:
                self.stats.early_kept -= 1
                self.report(self._early.pop(key)[2])
        batch.release_if_done()

    def _reject(self, batch: Batch, position: int, row: HlrSubmission) -> None:
        if not row.accepted:
            refusal = InvalidDestinationError(
                f"the gateway does not look it up: status {row.raw_status!r}",
                code="FAILED",
                name="FAILED",
                operation="lookup",
                destination=row.destination,
            )
            self._answer(batch, position, HlrOutcome.REFUSED, refusal)
        elif row.lookup_id:
            doubt = OutcomeUnknownError("the gateway gave its id to another number, too")
            self._answer(batch, position, HlrOutcome.UNKNOWN, doubt, row.lookup_id)
        else:
            doubt = OutcomeUnknownError("accepted without an id")
            self._answer(batch, position, HlrOutcome.UNKNOWN, doubt)

    def withdraw(self, batch: Batch) -> None:
        """The query of a batch did not leave, and is to go out later."""
        if batch.deadline is not None and not batch.replied:
            self.stats.submitted -= len(batch.destinations)
            batch.deadline = None

    def hold(self, batch: Batch) -> None:
        """The query of a batch may have been carried out, and is to go out again later.

        Until then its numbers wait for no report, and so do not time out.
        """
        batch.deadline = math.inf

    def adopt(self, batch: Batch, lookup_ids: Sequence[str], timeout: float) -> None:
        """Wait for the reports of a batch whose query another run has made.

        Args:
            batch: its numbers.
            lookup_ids: of each.
            timeout: seconds from now until those that still wait time out.
        """
        self.begin(batch, timeout)
        batch.since = None
        self.query_ended(batch)
        rows = [
            HlrSubmission(number, True, lookup_id, "OK")
            for number, lookup_id in zip(batch.destinations, lookup_ids, strict=True)
        ]
        heard = [self._heard.pop(one) for one in lookup_ids if one in self._heard]
        self._accept_rows(batch, rows)
        for report in heard:
            self.stats.unclaimed -= 1
            self.report(report)

    def fail(self, batch: Batch, outcome: HlrOutcome, error: InfobipError) -> None:
        """All numbers of a batch end the same way, since its reply was not read."""
        if batch.replied:
            return
        batch.replied = True
        if outcome is HlrOutcome.NOT_SENT and batch.deadline is not None:
            self.stats.submitted -= len(batch.destinations)
        for position in range(len(batch.destinations)):
            self._answer(batch, position, outcome, error)
        batch.release_if_done()

    def query_ended(self, batch: Batch) -> None:
        """The query of a batch is over; drop the early reports that no other query can claim."""
        self._in_flight.pop(batch, None)
        oldest = next(iter(self._in_flight.values()), self._number + 1)
        while self._early and next(iter(self._early.values()))[0] < oldest:
            self._drop_early()

    def report(self, report: HlrReport) -> bool:
        """A report was pushed: it ends a lookup, or is kept for a reply, or is counted.

        Returns:
            Whether it is kept, and `next_deadline` may be sooner than before.
        """
        lookup_id = report.lookup_id
        batch = self._waiting.pop(lookup_id, None)
        if batch is None:
            return self._without_lookup(report)
        position = batch.pending.pop(lookup_id)
        destination = batch.destinations[position]
        if report.destination != destination and not _fits(report, destination):
            self._waiting[lookup_id] = batch
            batch.pending[lookup_id] = position
            self.stats.unclaimed += 1
            return False
        self.stats.reported += 1
        if self.timed is not None and batch.since is not None:
            self.timed(self.clock() - batch.since)
        result = HlrResult(
            destination, _REPORTED, lookup_id, report, possibly_repeated=batch.repeated
        )
        batch.answer(batch, position, result)
        if not batch.pending:
            batch.release_if_done()
        return False

    def _without_lookup(self, report: HlrReport) -> bool:
        """Keep or count a report that no lookup waits for; returns whether it is kept."""
        lookup_id = report.lookup_id
        if lookup_id in self._expired:
            del self._expired[lookup_id]
            self.stats.late += 1
        elif self._in_flight and (key := self._free_key(report)) is not None:
            self._keep(key, report)
            return True
        else:
            self.stats.unclaimed += 1
            self._hear(report)
        return False

    def _hear(self, report: HlrReport) -> None:
        """Keep a report for a job that may be opened yet."""
        if self.clock() >= self.heard_until:
            self._heard.clear()
        elif len(self._heard) < self.early_limit:
            self._heard.setdefault(report.lookup_id, report)

    def _free_key(self, report: HlrReport) -> _Key | None:
        """The key to keep an early report under; None if the same report came before."""
        first = self._early.get(report.lookup_id)
        if first is None:
            return report.lookup_id
        key = (report.lookup_id, report.destination)
        return None if key in self._early or first[2].destination == report.destination else key

    def _keep(self, key: _Key, report: HlrReport) -> None:
        self._early[key] = (self._number, self.clock() + self.grace, report)
        self.stats.early_kept += 1
        if len(self._early) > self.early_limit:
            self._drop_early()

    def _drop_early(self) -> None:
        self._early.popitem(last=False)
        self.stats.early_kept -= 1
        self.stats.unclaimed += 1

    @property
    def next_deadline(self) -> float | None:
        """When `expire` may have something to do; None where nothing is kept."""
        while self._deadlines and not self._deadlines[0][2].destinations:
            heapq.heappop(self._deadlines)
        early = next(iter(self._early.values()))[1] if self._early else None
        batch = self._deadlines[0][0] if self._deadlines else None
        return min((due for due in (early, batch) if due is not None), default=None)

    def expire(self) -> None:
        """Drop early reports, and end lookups, whose time is over."""
        now = self.clock()
        while self._early and next(iter(self._early.values()))[1] <= now:
            self._drop_early()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, batch = heapq.heappop(self._deadlines)
            if batch.deadline == deadline:  # else the query went out again, with a later deadline
                self.end(batch)

    def end(self, batch: Batch) -> None:
        """Give the numbers of a batch that wait their result, as at its deadline."""
        if batch.deadline is None:
            self.fail(batch, HlrOutcome.NOT_SENT, NotSentError("stopped before it was sent"))
        else:
            doubt = OutcomeUnknownError("no reply to the query in time")
            self.fail(batch, HlrOutcome.UNKNOWN, doubt)
        pending, batch.pending = batch.pending, {}
        self._remember(pending)
        for lookup_id, position in pending.items():
            del self._waiting[lookup_id]
            late = LookupTimeoutError(
                "no report in time",
                lookup_id=lookup_id,
                destination=batch.destinations[position],
            )
            self._answer(batch, position, HlrOutcome.TIMED_OUT, late, lookup_id)
        batch.release_if_done()

    def _answer(
        self,
        batch: Batch,
        position: int,
        outcome: HlrOutcome,
        error: InfobipError,
        lookup_id: str | None = None,
    ) -> None:
        name = outcome.name.lower()
        setattr(self.stats, name, getattr(self.stats, name) + 1)
        number = batch.destinations[position]
        result = HlrResult(
            number, outcome, lookup_id, None, error, str(error), possibly_repeated=batch.repeated
        )
        batch.answer(batch, position, result)

    def _remember(self, lookup_ids: Iterable[str]) -> None:
        """Know these ids again when their reports come late."""
        self._expired.update(dict.fromkeys(lookup_ids))
        while len(self._expired) > LATE_IDS:
            self._expired.popitem(last=False)
