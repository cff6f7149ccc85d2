"""The table of waiting lookups, with whatever comes in whatever order."""

from collections import Counter

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infobip_async.errors import OutcomeUnknownError
from infobip_async.hlr.pending import Batch, LookupTable
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission


def ok(destination: str, lookup_id: str | None) -> HlrSubmission:
    """A row that accepts a number."""
    return HlrSubmission(destination, True, lookup_id, "OK")


def failed(destination: str) -> HlrSubmission:
    """A row that refuses a number."""
    return HlrSubmission(destination, False, None, "FAILED")


def report(destination: str, lookup_id: str, imsi: str | None = None) -> HlrReport:
    """A pushed report."""
    return HlrReport(destination, lookup_id, HlrStatus.DELIVRD, "DELIVRD", imsi)


def emptied(table: LookupTable) -> bool:
    """Whether a table keeps nothing, but for the ids of late reports."""
    return not (table._waiting or table._early or table._in_flight) and table.next_deadline is None


@attrs.define(eq=False)
class Query:
    """What the model knows of a batch."""

    batch: Batch
    numbers: tuple[str, ...]
    ids: dict[str, int] = attrs.field(factory=dict)
    results: dict[int, HlrResult] = attrs.field(factory=dict)
    flying: bool = False


class Machine(RuleBasedStateMachine):
    """Whatever comes in whatever order: one right result per number, and counts that add up."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.table = LookupTable(lambda: self.now, 5.0, 4)
        self.queries: list[Query] = []
        self.reports = 0
        self.given = 0

    def ended(self) -> Counter[HlrOutcome]:
        """Outcomes so far."""
        every = (result for query in self.queries for result in query.results.values())
        return Counter(result.outcome for result in every)

    @rule(count=st.integers(1, 4), timeout=st.integers(1, 9))
    def begin(self, count: int, timeout: int) -> None:
        """A query goes out."""
        numbers = tuple(f"385{self.given + number}" for number in range(count))
        self.given += count

        def answer(_: Batch, position: int, result: HlrResult) -> None:
            assert position not in query.results
            assert result.destination == numbers[position]
            query.results[position] = result

        query = Query(Batch(numbers, answer), numbers, flying=True)
        self.queries.append(query)
        self.table.begin(query.batch, timeout)

    @precondition(lambda self: any(query.flying for query in self.queries))
    @rule(data=st.data(), kinds=st.lists(st.sampled_from("aaaarnd"), min_size=4, max_size=4))
    def reply(self, data: st.DataObject, kinds: list[str]) -> None:
        """A reply comes, with all sorts of rows."""
        query = data.draw(st.sampled_from([one for one in self.queries if one.flying]))
        at = self.queries.index(query)
        rows = []
        for position, (number, kind) in enumerate(zip(query.numbers, kinds, strict=False)):
            lookup_id = {"n": None, "d": "twice"}.get(kind, f"{at}-{position}")
            rows.append(failed(number) if kind == "r" else ok(number, lookup_id))
        self.table.accept(query.batch, rows)
        self.land(query)

    @precondition(lambda self: any(query.flying for query in self.queries))
    @rule(
        data=st.data(),
        outcome=st.sampled_from([HlrOutcome.REFUSED, HlrOutcome.UNKNOWN, HlrOutcome.NOT_SENT]),
    )
    def fail(self, data: st.DataObject, outcome: HlrOutcome) -> None:
        """A query fails."""
        query = data.draw(st.sampled_from([one for one in self.queries if one.flying]))
        self.table.fail(query.batch, outcome, OutcomeUnknownError("why"))
        self.land(query)

    def land(self, query: Query) -> None:
        """A query is over."""
        self.table.query_ended(query.batch)
        query.flying = False

    @precondition(lambda self: self.queries)
    @rule(data=st.data(), kind=st.sampled_from(["right", "right", "bare", "other", "twice"]))
    def push(self, data: st.DataObject, kind: str) -> None:
        """A report is pushed: of a number in flight, waiting, settled, or of nothing."""
        at = data.draw(st.integers(0, len(self.queries) - 1))
        position = data.draw(st.integers(0, len(self.queries[at].numbers) - 1))
        number = {"bare": "", "other": "999"}.get(kind, self.queries[at].numbers[position])
        self.table.report(report(number, "twice" if kind == "twice" else f"{at}-{position}"))
        self.reports += 1

    @rule(seconds=st.integers(1, 6))
    def pass_time(self, seconds: int) -> None:
        """Time passes."""
        self.now += seconds
        self.table.expire()
        due = self.table.next_deadline
        assert due is None or due > self.now

    @precondition(lambda self: self.queries)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A batch is given up."""
        self.table.end(data.draw(st.sampled_from(self.queries)).batch)

    @invariant()
    def counts_add_up(self) -> None:
        """The counts are those of the results, and each report is counted once."""
        stats, ended = self.table.stats, self.ended()
        assert stats.reported == ended[HlrOutcome.REPORTED]
        assert stats.refused == ended[HlrOutcome.REFUSED]
        assert stats.timed_out == ended[HlrOutcome.TIMED_OUT]
        assert stats.unknown == ended[HlrOutcome.UNKNOWN]
        assert stats.not_sent == ended[HlrOutcome.NOT_SENT]
        assert stats.submitted == self.given - stats.not_sent
        assert stats.in_flight == self.given - ended.total()
        assert self.reports == (stats.reported + stats.late + stats.unclaimed + stats.early_kept)
        assert stats.early_kept == len(self.table._early) <= 4

    @invariant()
    def reports_are_right(self) -> None:
        """No number has the report of another."""
        for at, query in enumerate(self.queries):
            for position, result in query.results.items():
                if result.report:
                    assert result.report.destination in {query.numbers[position], ""}
                    assert result.report.lookup_id in {f"{at}-{position}", "twice"}

    def teardown(self) -> None:
        """In the end everything is settled, and nothing is kept."""
        for query in self.queries:
            self.table.end(query.batch)
            self.land(query)
            assert len(query.results) == len(query.numbers)
        self.counts_add_up()
        assert self.table.stats.in_flight == 0
        assert emptied(self.table)


TestAnyOrder = Machine.TestCase
TestAnyOrder.settings = settings(stateful_step_count=30)


@pytest.mark.proof
class TestMoreOrders(Machine.TestCase):
    """The same, many more times."""

    settings = settings(max_examples=500, stateful_step_count=40)
