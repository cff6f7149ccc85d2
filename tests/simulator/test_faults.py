"""When faults strike, and what they make of reports."""

import pytest

from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    HlrReport,
    HlrStatus,
    UnreadableRow,
)
from infobip_async.protocol import dlr_xml, hlr_dlr
from infobip_async.protocol.exchange import HttpReply
from infobip_async.simulator import Fault, Faults, Operation
from infobip_async.simulator.faults import REPLY_FAULTS
from infobip_async.simulator.records import Exchange

REPORTS = tuple(HlrReport(f"38598{n}", f"id-{n}", HlrStatus.DELIVRD, "DELIVRD") for n in range(5))


def exchange(operation: Operation = Operation.SUBMIT_HLR) -> Exchange:
    """A query of five numbers."""
    return Exchange(operation, HttpReply(200, b""), "user", (), REPORTS)


def draws(faults: Faults, operation: Operation, times: int) -> list[Fault | None]:
    """What strikes so many requests."""
    rules = [faults.draw(REPLY_FAULTS, operation) for _ in range(times)]
    return [rule and rule.fault for rule in rules]


def test_a_fault_strikes_once_unless_told_otherwise() -> None:
    """Without times and rate it is used up by the first request."""
    faults = Faults()
    faults.add(Fault.HANG)
    faults.add(Fault.SLOW, times=2)
    assert draws(faults, Operation.SEND, 4) == [Fault.HANG, Fault.SLOW, Fault.SLOW, None]


def test_a_fault_of_one_operation_spares_the_others() -> None:
    """It waits for a request of its own."""
    faults = Faults()
    faults.add("cut-before-reply", operation="send")
    assert draws(faults, Operation.CREDITS, 1) == [None]
    assert draws(faults, Operation.SEND, 2) == [Fault.CUT_BEFORE_REPLY, None]


def test_a_rate_strikes_its_share_and_can_be_repeated() -> None:
    """The same seed strikes the same requests; another seed others."""

    def struck(seed: int) -> list[Fault | None]:
        faults = Faults(seed)
        faults.add(Fault.HANG, rate=0.1)
        return draws(faults, Operation.SEND, 1000)

    assert struck(1) == struck(1) != struck(2)
    assert 70 < struck(1).count(Fault.HANG) < 130


@pytest.mark.parametrize(("rate", "count"), [(0.0, 0), (1.0, 50)])
def test_the_ends_of_a_rate(rate: float, count: int) -> None:
    """None and all; a rate alone has no limit."""
    faults = Faults()
    faults.add(Fault.HANG, rate=rate)
    assert draws(faults, Operation.SEND, 50).count(Fault.HANG) == count


def test_a_rate_with_a_limit() -> None:
    """Both count."""
    faults = Faults()
    faults.add(Fault.HANG, rate=0.5, times=3)
    assert draws(faults, Operation.SEND, 100).count(Fault.HANG) == 3


def test_cleared_faults_strike_no_more() -> None:
    """What they struck stays on record."""
    faults = Faults()
    faults.add(Fault.LOST_REPORT, rate=1)
    faults.timetable(exchange())
    faults.clear()
    assert faults.timetable(exchange()).later == REPORTS
    assert faults.struck(Fault.LOST_REPORT) == ("id-0", "id-1", "id-2", "id-3", "id-4")


@pytest.mark.parametrize("wrong", [{"fault": "bug"}, {"fault": "hang", "operation": "sing"}])
def test_unknown_names_are_refused(wrong: dict[str, str]) -> None:
    """A fault that would never strike is a mistake of the test's."""
    with pytest.raises(ValueError, match=r"bug|sing"):
        Faults().add(**wrong)


def test_without_faults_reports_follow_in_order() -> None:
    """All after the reply."""
    timetable = Faults().timetable(exchange())
    assert (timetable.early, timetable.later) == ((), REPORTS)


@pytest.mark.parametrize(
    ("fault", "early", "later"),
    [
        (Fault.LOST_REPORT, "", "1234"),
        (Fault.DUPLICATE_REPORT, "", "012340"),
        (Fault.REORDERED_REPORTS, "", "43210"),
        (Fault.REPORT_BEFORE_REPLY, "0", "1234"),
        (Fault.HANG, "", "01234"),
    ],
)
def test_what_faults_do_to_the_order(fault: Fault, early: str, later: str) -> None:
    """Each once, on the reports of one query."""
    faults = Faults()
    faults.add(fault)
    timetable = faults.timetable(exchange())
    assert [report.lookup_id for report in timetable.early] == [f"id-{n}" for n in early]
    assert [report.lookup_id for report in timetable.later] == [f"id-{n}" for n in later]


def test_faults_of_reports_keep_to_their_operation() -> None:
    """Lookups may lose reports while messages do not."""
    faults = Faults()
    faults.add(Fault.LOST_REPORT, rate=1, operation="send")
    assert faults.timetable(exchange()).later == REPORTS
    assert faults.timetable(exchange(Operation.SEND)).later == ()


def test_one_report_cannot_be_reordered() -> None:
    """The fault waits for a request with several."""
    faults = Faults()
    faults.add(Fault.REORDERED_REPORTS)
    one = Exchange(Operation.SEND, HttpReply(200, b""), "user", (), REPORTS[:1])
    assert faults.timetable(one).later == REPORTS[:1]
    assert faults.timetable(exchange()).later == REPORTS[::-1]
    assert faults.struck(Fault.REORDERED_REPORTS) == ("id-4", "id-3", "id-2", "id-1", "id-0")


def test_a_malformed_row_costs_only_itself() -> None:
    """One row of a post cannot be read, its neighbours can."""
    faults = Faults()
    faults.add(Fault.MALFORMED_ROW)
    rows = hlr_dlr.decode_push(hlr_dlr.encode_push(faults.timetable(exchange()).later))
    assert isinstance(rows[0], UnreadableRow)
    assert rows[1:] == list(REPORTS[1:])
    assert faults.struck(Fault.MALFORMED_ROW) == ("id-0",)


def test_a_malformed_delivery_report() -> None:
    """It lacks its id."""
    faults = Faults()
    faults.add(Fault.MALFORMED_ROW)
    good = DeliveryReport("a", DeliveryStatus.SENT, "SENT")
    sent = Exchange(Operation.SEND, HttpReply(200, b""), "user", (), (good, good))
    rows = dlr_xml.decode_push(dlr_xml.encode_push(faults.timetable(sent).later))
    assert isinstance(rows[0], UnreadableRow)
    assert rows[1] == good


def test_the_record_can_be_bounded() -> None:
    """The latest ids are kept."""
    faults = Faults(keep=2)
    faults.add(Fault.DUPLICATE_REPORT, rate=1)
    faults.timetable(exchange())
    assert faults.struck("duplicate-report") == ("id-3", "id-4")
    assert faults.struck(Fault.HANG) == ()
