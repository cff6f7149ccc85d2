"""The table of waiting lookups, with a clock that is set by hand."""

import gc
import tracemalloc
from collections.abc import Sequence

import attrs
import pytest

from infobip_async.errors import (
    GatewayFailureError,
    InfobipError,
    InvalidDestinationError,
    LookupTimeoutError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr import pending as module
from infobip_async.hlr.pending import Batch, LookupTable, Stats
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission

NUMBERS = ["38591", "38592", "38593"]


def ok(destination: str, lookup_id: str | None) -> HlrSubmission:
    """A row that accepts a number."""
    return HlrSubmission(destination, True, lookup_id, "OK")


def failed(destination: str) -> HlrSubmission:
    """A row that refuses a number."""
    return HlrSubmission(destination, False, None, "FAILED")


def report(destination: str, lookup_id: str, imsi: str | None = None) -> HlrReport:
    """A pushed report."""
    return HlrReport(destination, lookup_id, HlrStatus.DELIVRD, "DELIVRD", imsi)


@attrs.define
class Bench:
    """A table, its clock, and what it settled."""

    grace: float = 60.0
    early_limit: int = 100
    now: float = 1000.0
    table: LookupTable = attrs.field(init=False)
    results: list[tuple[int, HlrResult]] = attrs.field(factory=list, init=False)
    errors: list[InfobipError | None] = attrs.field(factory=list, init=False)
    settled: list[Batch] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.table = LookupTable(lambda: self.now, self.grace, self.early_limit)

    def batch(self, destinations: Sequence[str] = NUMBERS) -> Batch:
        """A batch that is not out."""
        return Batch(list(destinations), self._answer, self.settled.append)

    def out(self, destinations: Sequence[str] = NUMBERS, timeout: float = 30.0) -> Batch:
        """A batch whose query is in flight."""
        batch = self.batch(destinations)
        self.table.begin(batch, timeout)
        return batch

    def replied(self, *rows: HlrSubmission, timeout: float = 30.0) -> Batch:
        """A batch whose reply has been read."""
        batch = self.out([row.destination for row in rows], timeout)
        self.reply(batch, *rows)
        return batch

    def reply(self, batch: Batch, *rows: HlrSubmission) -> None:
        """The reply to a query in flight."""
        self.table.accept(batch, rows)
        self.table.query_ended(batch)

    def pass_time(self, seconds: float) -> None:
        """Put the clock forward, and let go what is due."""
        self.now += seconds
        self.table.expire()

    def _answer(self, batch: Batch, position: int, result: HlrResult) -> None:
        assert result.destination == batch.destinations[position]
        assert result.error is None or result.reason == str(result.error)
        self.results.append((position, attrs.evolve(result, error=None)))
        self.errors.append(result.error)

    @property
    def outcomes(self) -> list[tuple[int, HlrOutcome]]:
        """Positions and outcomes so far."""
        return [(position, result.outcome) for position, result in self.results]


@pytest.fixture
def bench() -> Bench:
    """A table with nothing in it."""
    return Bench()


def emptied(table: LookupTable) -> bool:
    """Whether a table keeps nothing, but for the ids of late reports."""
    return not (table._waiting or table._early or table._in_flight) and table.next_deadline is None


def test_report_ends_its_lookup(bench: Bench) -> None:
    """A report with the id and the number of a row is the result of that row."""
    batch = bench.replied(ok("38591", "a"), ok("38592", "b"))
    answer = report("38592", "b", "21901")
    assert bench.table.report(answer) is False
    assert bench.results == [(1, HlrResult("38592", HlrOutcome.REPORTED, "b", answer))]
    assert bench.settled == []
    bench.table.report(report("38591", "a"))
    assert bench.settled == [batch]
    assert bench.table.stats == Stats(submitted=2, reported=2)
    assert emptied(bench.table)


def test_rows_are_refused_one_by_one(bench: Bench) -> None:
    """A FAILED row ends its number, with its status in the reason, and no other."""
    bench.replied(ok("38591", "a"), failed("38592"), ok("38593", "c"))
    reason = "the gateway does not look it up: status 'FAILED'"
    assert bench.results == [(1, HlrResult("38592", HlrOutcome.REFUSED, reason=reason))]
    (refusal,) = bench.errors
    assert isinstance(refusal, InvalidDestinationError)
    assert (refusal.code, refusal.name, refusal.destination) == ("FAILED", "FAILED", "38592")
    assert refusal.operation == "lookup"
    assert bench.table.stats == Stats(submitted=3, refused=1)
    assert bench.table.stats.in_flight == 2


def test_refused_row_with_an_id(bench: Bench) -> None:
    """The status decides, not the id: of a refused number no report will come."""
    bench.replied(HlrSubmission("38591", False, "a", "REJECTD"))
    assert bench.outcomes == [(0, HlrOutcome.REFUSED)]
    bench.table.report(report("38591", "a"))
    assert bench.table.stats == Stats(submitted=1, refused=1, unclaimed=1)


def test_reply_that_refuses_all_settles_the_batch(bench: Bench) -> None:
    """A batch without any accepted row is over with its reply."""
    batch = bench.replied(failed("38591"), failed("38592"))
    assert bench.settled == [batch]
    assert emptied(bench.table)


def test_accepted_without_an_id(bench: Bench) -> None:
    """No report can be told for a row without an id, so its outcome is unknown."""
    bench.replied(ok("38591", None), ok("38592", "b"))
    assert bench.results == [
        (0, HlrResult("38591", HlrOutcome.UNKNOWN, reason="accepted without an id"))
    ]
    assert isinstance(bench.errors[0], OutcomeUnknownError)


def test_same_id_twice_in_a_reply(bench: Bench) -> None:
    """Of two numbers with one id, the second is unknown, and the report goes to the first alone."""
    bench.replied(ok("38591", "a"), ok("38592", "a"))
    ((position, unknown),) = bench.results
    assert (position, unknown.outcome, unknown.lookup_id) == (1, HlrOutcome.UNKNOWN, "a")
    assert "another number" in (unknown.reason or "")
    bench.table.report(report("38592", "a"))
    assert bench.table.stats.unclaimed == 1
    bench.table.report(report("38591", "a"))
    assert bench.outcomes[1:] == [(0, HlrOutcome.REPORTED)]


def test_same_id_in_two_queries(bench: Bench) -> None:
    """An id that another query's number waits under is not given to a second one."""
    first = bench.replied(ok("38591", "a"))
    second = bench.replied(ok("38592", "a"))
    assert bench.settled == [second]
    bench.table.report(report("38591", "a"))
    assert bench.settled == [second, first]


@pytest.mark.parametrize("rows", [[], [ok("38591", "a")], [ok("38591", "a"), ok("38592", "b")] * 2])
def test_wrong_number_of_rows(bench: Bench, rows: list[HlrSubmission]) -> None:
    """A reply with fewer or more rows than numbers leaves the whole batch unknown, and says why."""
    batch = bench.out(["38591", "38592"])
    bench.reply(batch, *rows)
    assert bench.outcomes == [(0, HlrOutcome.UNKNOWN), (1, HlrOutcome.UNKNOWN)]
    assert bench.results[0][1].reason == f"{len(rows)} rows for 2 numbers"
    bench.table.report(report("38591", "a"))
    assert bench.table.stats == Stats(submitted=2, unknown=2, unclaimed=1)


def test_report_of_another_number(bench: Bench) -> None:
    """A report with a waiting id and another number ends nothing, and the right one still does."""
    bench.replied(ok("38591", "a"))
    assert bench.table.report(report("38592", "a")) is False
    assert bench.results == []
    bench.table.report(report("38591", "a"))
    assert bench.outcomes == [(0, HlrOutcome.REPORTED)]
    assert bench.table.stats == Stats(submitted=1, reported=1, unclaimed=1)


def test_report_without_a_number(bench: Bench) -> None:
    """Any field of a report may be empty (§5): the id is enough."""
    bench.replied(ok("38591", "a"))
    bench.table.report(report("", "a"))
    assert bench.outcomes == [(0, HlrOutcome.REPORTED)]


def test_number_with_blanks_around_it(bench: Bench) -> None:
    """A number is compared as it comes back, without the blanks it was given with."""
    bench.replied(ok(" 38591 ", "a"))
    bench.table.report(report("38591", "a"))
    assert [result.destination for _, result in bench.results] == [" 38591 "]


def test_duplicate_report(bench: Bench) -> None:
    """The second of two equal reports ends nothing."""
    bench.replied(ok("38591", "a"))
    bench.table.report(report("38591", "a"))
    bench.table.report(report("38591", "a"))
    assert len(bench.results) == 1
    assert bench.table.stats == Stats(submitted=1, reported=1, unclaimed=1)


def test_unknown_id(bench: Bench) -> None:
    """A report that nobody asked for is counted where no query could claim it."""
    assert bench.table.report(report("38591", "x")) is False
    assert bench.table.stats == Stats(unclaimed=1)


def test_report_before_the_reply(bench: Bench) -> None:
    """A report that comes while its query is in flight is kept, and claimed by the reply."""
    batch = bench.out(["38591", "38592"])
    assert bench.table.report(report("38592", "b")) is True
    assert bench.table.stats.early_kept == 1
    bench.reply(batch, ok("38591", "a"), ok("38592", "b"))
    assert bench.outcomes == [(1, HlrOutcome.REPORTED)]
    assert bench.table.stats == Stats(submitted=2, reported=1)


def test_all_reports_before_the_reply(bench: Bench) -> None:
    """A batch can be over with its reply."""
    batch = bench.out(["38591", "38592"])
    bench.table.report(report("38592", "b"))
    bench.table.report(report("38591", "a"))
    bench.reply(batch, ok("38591", "a"), ok("38592", "b"))
    assert bench.settled == [batch]
    assert emptied(bench.table)


def test_early_report_of_another_number(bench: Bench) -> None:
    """An early report with a number other than the row's is not attributed to that row."""
    batch = bench.out(["38591"])
    bench.table.report(report("38592", "a"))
    bench.reply(batch, ok("38591", "a"))
    assert bench.results == []
    assert bench.table.stats == Stats(submitted=1, unclaimed=1)
    bench.table.report(report("38591", "a"))
    assert bench.outcomes == [(0, HlrOutcome.REPORTED)]


def test_early_reports_that_share_an_id(bench: Bench) -> None:
    """A stranger's that came first does not hide the right one (§5 has one id for two numbers)."""
    batch = bench.out(["38591"])
    bench.table.report(report("999", "a"))
    assert bench.table.report(report("38591", "a")) is True
    assert bench.table.report(report("38591", "a")) is False
    bench.reply(batch, ok("38591", "a"))
    assert bench.outcomes == [(0, HlrOutcome.REPORTED)]
    assert bench.table.stats == Stats(submitted=1, reported=1, unclaimed=2)
    assert emptied(bench.table)


def test_early_report_twice(bench: Bench) -> None:
    """A repeated early report is kept once."""
    batch = bench.out(["38591"])
    assert bench.table.report(report("38591", "a")) is True
    assert bench.table.report(report("38591", "a")) is False
    bench.reply(batch, ok("38591", "a"))
    assert bench.table.stats == Stats(submitted=1, reported=1, unclaimed=1)


def test_early_reports_go_with_the_last_query_that_could_claim_them(bench: Bench) -> None:
    """A report is kept while a query is in flight that was out before it, and no longer."""
    first, second = bench.out(["38591"]), bench.out(["38592"])
    bench.table.report(report("38593", "stranger"))
    third = bench.out(["38593"])
    bench.reply(second, ok("38592", "b"))
    assert bench.table.stats.early_kept == 1
    bench.reply(first, ok("38591", "a"))
    assert bench.table.stats.early_kept == 0
    bench.reply(third, ok("38593", "stranger"))
    assert bench.results == []


def test_early_report_for_the_last_query(bench: Bench) -> None:
    """It outlives the queries that were out before its own."""
    first, second = bench.out(["38591"]), bench.out(["38592"])
    bench.table.report(report("38592", "b"))
    bench.reply(first, ok("38591", "a"))
    bench.reply(second, ok("38592", "b"))
    assert bench.outcomes == [(0, HlrOutcome.REPORTED)]


def test_early_reports_are_bounded_by_count() -> None:
    """Beyond the limit the oldest early report goes."""
    bench = Bench(early_limit=2)
    batch = bench.out(["38591", "38592", "38593"])
    for number, lookup_id in (("38591", "a"), ("38592", "b"), ("38593", "c")):
        bench.table.report(report(number, lookup_id))
    assert bench.table.stats.early_kept == 2
    bench.reply(batch, ok("38591", "a"), ok("38592", "b"), ok("38593", "c"))
    assert bench.outcomes == [(1, HlrOutcome.REPORTED), (2, HlrOutcome.REPORTED)]
    assert bench.table.stats == Stats(submitted=3, reported=2, unclaimed=1)


def test_early_reports_are_bounded_by_time() -> None:
    """An early report goes after the grace, though its query is still in flight."""
    bench = Bench(grace=5)
    batch = bench.out(["38591"], timeout=30)
    bench.pass_time(1)
    bench.table.report(report("38591", "a"))
    assert bench.table.next_deadline == 1006
    bench.pass_time(4.9)
    assert bench.table.stats.early_kept == 1
    bench.pass_time(0.1)
    assert bench.table.stats.early_kept == 0
    bench.reply(batch, ok("38591", "a"))
    assert bench.results == []


def test_no_early_reports() -> None:
    """With a limit of none, a report before its reply is lost."""
    bench = Bench(early_limit=0)
    bench.out(["38591"])
    bench.table.report(report("38591", "a"))
    assert bench.table.stats == Stats(submitted=1, unclaimed=1)


def test_deadline(bench: Bench) -> None:
    """What waits at the deadline times out, with its id; what was reported does not."""
    batch = bench.replied(ok("38591", "a"), ok("38592", "b"), timeout=30)
    bench.table.report(report("38591", "a"))
    bench.pass_time(29.9)
    assert len(bench.results) == 1
    bench.pass_time(0.1)
    assert bench.results[1:] == [
        (1, HlrResult("38592", HlrOutcome.TIMED_OUT, "b", reason="no report in time"))
    ]
    late = bench.errors[1]
    assert isinstance(late, LookupTimeoutError)
    assert (late.lookup_id, late.destination) == ("b", "38592")
    assert bench.settled == [batch]
    assert bench.table.stats == Stats(submitted=2, reported=1, timed_out=1)
    assert emptied(bench.table)


def test_deadlines_of_several_batches(bench: Bench) -> None:
    """Each batch has its own deadline, and the next one is known."""
    late, soon = bench.replied(ok("38591", "a"), timeout=30), bench.replied(ok("1", "b"), timeout=9)
    assert bench.table.next_deadline == 1009
    bench.pass_time(9)
    assert bench.settled == [soon]
    assert bench.table.next_deadline == 1030
    bench.table.report(report("38591", "a"))
    assert bench.settled == [soon, late]
    assert bench.table.next_deadline is None


def test_late_report(bench: Bench) -> None:
    """A report after its deadline is counted as late, once."""
    bench.replied(ok("38591", "a"))
    bench.pass_time(30)
    bench.table.report(report("38591", "a"))
    bench.table.report(report("38591", "a"))
    assert len(bench.results) == 1
    assert bench.table.stats == Stats(submitted=1, timed_out=1, late=1, unclaimed=1)


def test_late_reports_are_remembered_within_bounds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of lookups that timed out, so many ids are kept; the oldest goes first."""
    monkeypatch.setattr(module, "LATE_IDS", 2)
    bench.replied(ok("38591", "a"), ok("38592", "b"), ok("38593", "c"))
    bench.pass_time(30)
    bench.table.report(report("38591", "a"))
    assert (bench.table.stats.unclaimed, bench.table.stats.late) == (1, 0)
    bench.table.report(report("38592", "b"))
    bench.table.report(report("38593", "c"))
    assert (bench.table.stats.unclaimed, bench.table.stats.late) == (1, 2)


def test_deadline_before_the_reply(bench: Bench) -> None:
    """A query without a reply at the deadline is unknown; what the reply brings later is late."""
    batch = bench.out(["38591"])
    bench.pass_time(30)
    assert bench.results == [
        (0, HlrResult("38591", HlrOutcome.UNKNOWN, reason="no reply to the query in time"))
    ]
    bench.reply(batch, ok("38591", "a"))
    bench.table.report(report("38591", "a"))
    assert len(bench.results) == 1
    assert bench.table.stats == Stats(submitted=1, unknown=1, late=1)
    assert emptied(bench.table)


def test_query_goes_out_again(bench: Bench) -> None:
    """A query that is made again has its time from then, and its numbers count once."""
    batch = bench.out(["38591"], timeout=30)
    bench.pass_time(20)
    bench.table.query_ended(batch)
    bench.table.begin(batch, 30)
    bench.pass_time(20)
    assert bench.results == []
    assert bench.table.stats == Stats(submitted=1)
    bench.pass_time(10)
    assert bench.outcomes == [(0, HlrOutcome.UNKNOWN)]
    assert bench.table.stats == Stats(submitted=1, unknown=1)


def test_query_that_waits_to_go_out_again(bench: Bench) -> None:
    """One of unknown outcome does not time out meanwhile, and cannot become unsent."""
    batch = bench.out(["38591", "38592"], timeout=30)
    bench.table.query_ended(batch)
    bench.table.hold(batch)
    rest = batch.split(1)
    bench.pass_time(300)
    assert bench.results == []
    bench.table.begin(batch, 30)
    bench.reply(batch, ok("38591", "a"))
    bench.pass_time(30)
    bench.table.end(rest)
    assert bench.outcomes == [(0, HlrOutcome.TIMED_OUT), (0, HlrOutcome.UNKNOWN)]
    assert bench.results[0][1].possibly_repeated
    assert bench.table.stats == Stats(submitted=2, timed_out=1, unknown=1)
    assert emptied(bench.table)


def test_query_that_did_not_leave(bench: Bench) -> None:
    """Its numbers do not count as submitted, wait for nothing, and can go out in two queries."""
    batch = bench.out(["38591", "38592"], timeout=30)
    bench.table.query_ended(batch)
    for _ in range(2):
        bench.table.withdraw(batch)
        assert bench.table.stats == Stats()
    rest = batch.split(1)
    bench.pass_time(300)
    assert bench.table.stats == Stats()
    assert (batch.destinations, rest.destinations) == (["38591"], ["38592"])
    bench.table.end(batch)
    bench.table.end(rest)
    assert bench.outcomes == [(0, HlrOutcome.NOT_SENT)] * 2
    assert bench.table.stats == Stats(not_sent=2)
    assert emptied(bench.table)


def test_lookups_of_an_earlier_run(bench: Bench) -> None:
    """Their reports end them; those without one time out."""
    batch = bench.batch(["38591", "38592"])
    bench.table.adopt(batch, ["a", "b"], 30)
    bench.table.report(report("38591", "a"))
    bench.pass_time(30)
    assert bench.outcomes == [(0, HlrOutcome.REPORTED), (1, HlrOutcome.TIMED_OUT)]
    assert bench.settled == [batch]
    assert emptied(bench.table)


def test_reports_before_their_lookups_are_adopted() -> None:
    """So many are kept, up to a time, and the first ones of them."""
    bench = Bench(early_limit=2)
    bench.table.heard_until = bench.now + 10
    for number, lookup_id in (("38591", "a"), ("38592", "b"), ("38593", "c")):
        bench.table.report(report(number, lookup_id))
    bench.table.adopt(bench.batch(), ["a", "b", "c"], 30)
    assert bench.outcomes == [(0, HlrOutcome.REPORTED), (1, HlrOutcome.REPORTED)]
    assert bench.table.stats == Stats(submitted=3, reported=2, unclaimed=1)
    bench.pass_time(10)
    bench.table.report(report("38594", "d"))
    bench.table.adopt(bench.batch(["38594"]), ["d"], 30)
    assert len(bench.results) == 2


def test_seconds_to_a_report(bench: Bench) -> None:
    """They are told of each report whose query this run has made."""
    seconds: list[float] = []
    bench.table.timed = seconds.append
    bench.replied(ok("38591", "a"))
    bench.table.adopt(bench.batch(["38592"]), ["b"], 30)
    bench.pass_time(7)
    bench.table.report(report("38592", "b"))
    bench.table.report(report("38591", "a"))
    assert seconds == [7]


@pytest.mark.parametrize(
    ("outcome", "stats"),
    [
        (HlrOutcome.REFUSED, Stats(submitted=3, refused=3)),
        (HlrOutcome.UNKNOWN, Stats(submitted=3, unknown=3)),
        (HlrOutcome.NOT_SENT, Stats(not_sent=3)),
    ],
)
def test_query_that_fails(bench: Bench, outcome: HlrOutcome, stats: Stats) -> None:
    """All numbers of a failed query end the same way; what was not sent does not count as sent."""
    batch = bench.out()
    refusal = GatewayFailureError("because")
    bench.table.fail(batch, outcome, refusal)
    bench.table.fail(batch, HlrOutcome.UNKNOWN, OutcomeUnknownError("again"))
    bench.table.query_ended(batch)
    assert bench.results == [
        (position, HlrResult(number, outcome, reason="because"))
        for position, number in enumerate(NUMBERS)
    ]
    assert bench.errors == [refusal] * 3
    assert bench.table.stats == stats
    assert bench.table.stats.in_flight == 0
    assert bench.settled == [batch]


def test_batch_that_never_goes_out(bench: Bench) -> None:
    """A batch that ends before its query is not submitted."""
    bench.table.end(bench.batch(["38591"]))
    reason = "stopped before it was sent"
    assert bench.results == [(0, HlrResult("38591", HlrOutcome.NOT_SENT, reason=reason))]
    assert isinstance(bench.errors[0], NotSentError)
    assert bench.table.stats == Stats(not_sent=1)


def test_end_is_final(bench: Bench) -> None:
    """Ending a batch twice settles nothing twice, and a report afterwards is late."""
    batch = bench.replied(ok("38591", "a"))
    bench.table.end(batch)
    bench.table.end(batch)
    bench.pass_time(100)
    bench.table.report(report("38591", "a"))
    assert bench.outcomes == [(0, HlrOutcome.TIMED_OUT)]
    assert bench.settled == [batch]
    assert bench.table.stats == Stats(submitted=1, timed_out=1, late=1)


def test_batch_waits(bench: Bench) -> None:
    """A batch waits from when it is out until all of it is settled."""
    batch = bench.batch(["38591"])
    assert not batch.waits
    bench.table.begin(batch, 30)
    assert batch.waits
    bench.reply(batch, ok("38591", "a"))
    assert batch.waits
    bench.table.report(report("38591", "a"))
    assert not batch.waits


def test_settled_batch_holds_nothing(bench: Bench) -> None:
    """A batch whose deadline is far away holds no number and no callback once it is settled."""
    batch = bench.replied(ok("38591", "a"), timeout=1e6)
    bench.table.report(report("38591", "a"))
    assert (len(batch.destinations), len(batch.pending)) == (0, 0)
    assert "Bench" not in repr((batch.answer, batch.done))


@pytest.mark.parametrize(("count", "settled"), [(0, 100), (100, 10_000)])
def test_settled_batches_do_not_pile_up(bench: Bench, count: int, settled: int) -> None:
    """Of many settled batches whose deadlines are far away few are held; the others stay timed."""
    waiting = [bench.replied(ok("38591", f"w{number}"), timeout=1e6) for number in range(count)]
    for number in range(settled):
        bench.replied(ok("38592", f"s{number}"), timeout=1e6)
        bench.table.report(report("38592", f"s{number}"))
    assert len(bench.table._deadlines) <= max(64, 2 * count)
    bench.pass_time(1e6)
    assert bench.settled[settled:] == waiting


def test_batch_without_anyone_to_tell() -> None:
    """A batch needs nobody who waits for its end."""
    table = LookupTable(lambda: 0.0, 60, 100)
    told: list[HlrResult] = []
    batch = Batch(["38591"], lambda _, __, result: told.append(result))
    table.begin(batch, 30)
    table.fail(batch, HlrOutcome.UNKNOWN, OutcomeUnknownError("lost"))
    assert [one.outcome for one in told] == [HlrOutcome.UNKNOWN]


def test_octets_per_waiting_lookup() -> None:
    """A waiting lookup takes at most three times what a dict of id to number takes for it."""
    numbers = [str(385980000000 + number) for number in range(50_000)]
    rows = tuple(ok(number, f"121c0a6b752-1-{number}") for number in numbers)

    def size(make: object) -> int:
        gc.collect()
        tracemalloc.start()
        kept = make()  # type: ignore[operator]
        octets = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert kept
        return octets

    def waiting() -> LookupTable:
        table = LookupTable(lambda: 0.0, 60, 100)
        for start in range(0, len(numbers), 1000):
            batch = Batch(numbers[start : start + 1000], lambda *_: None)
            table.begin(batch, 30)
            table.accept(batch, rows[start : start + 1000])
            table.query_ended(batch)
        return table

    plain = size(lambda: {row.lookup_id: row.destination for row in rows})
    assert size(waiting) <= 3 * plain
