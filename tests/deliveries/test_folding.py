"""Reports are folded into one state, whatever their order: exhaustively, against a short model."""

from datetime import UTC, datetime
from itertools import combinations_with_replacement, permutations, product

import pytest

from infobip_async import DeliveryStatus, SendOutcome
from infobip_async.deliveries.folding import State, done_at, fold, heaviest, keep
from infobip_async.models.events import DeliveryReport

ORDER = (
    *("WHATEVER", "NOT_SENT", "SENT", "REJECTED", "NOT_DELIVERED", "NOT_ALLOWED"),
    *("INVALID_DESTINATION_ADDRESS", "INVALID_SOURCE_ADDRESS", "ROUTE_NOT_AVAILABLE"),
    *("NOT_ENOUGH_CREDITS", "INVALID_MESSAGE_FORMAT", "DELIVERED"),
)
"""Each outweighs those in front of it."""

FEW = ("NOT_SENT", "SENT", "NOT_DELIVERED", "NOT_ALLOWED", "DELIVERED")
"""One of each kind, and two failures."""


def report(part: str, raw: str, done: datetime | None = None) -> DeliveryReport:
    """A report as it is read from a push."""
    status = DeliveryStatus.__members__.get(raw, DeliveryStatus.UNKNOWN)
    return DeliveryReport(part, status, raw, None, done)


def model(parts: int, reports) -> tuple[str | None, bool, bool | None]:
    """The status, whether it is final, and whether it was delivered."""
    if not reports:
        return None, False, None
    of_part = [[ORDER.index(raw) for at, raw in reports if at == part] for part in range(parts)]
    best = [max(weights, default=0) for weights in of_part]
    failures = [weight for weight in best if 2 < weight < 11]
    whole = max(failures) if failures else min(best)
    return ORDER[whole], whole >= 2, {True: whole == 11}.get(whole > 2)


def folded(parts: int, reports) -> tuple[State, tuple[DeliveryReport, ...]]:
    """Take reports in as they come."""
    known = ()
    for part, raw in reports:
        known = tuple(keep(known, report(f"id-{part}", raw)))
    return fold([f"id-{part}" for part in range(parts)], known, None), known


def agree(state: State, parts: int, reports) -> bool:
    """Whether a state is the model's."""
    raw, is_final, delivered = model(parts, reports)
    status = raw and DeliveryStatus.__members__.get(raw, DeliveryStatus.UNKNOWN)
    return (state.status and state.status.value, state.is_final, state.delivered) == (
        status and status.value,
        is_final,
        delivered,
    )


@pytest.mark.parametrize(
    ("parts", "statuses", "most"),
    [
        (1, ORDER, 2),
        (2, FEW, 2),
        (3, ("SENT", "NOT_DELIVERED", "DELIVERED"), 3),
        (4, ("NOT_DELIVERED", "DELIVERED"), 3),
        pytest.param(1, ORDER, 4, marks=pytest.mark.proof),
        pytest.param(2, FEW, 4, marks=pytest.mark.proof),
        pytest.param(3, FEW, 4, marks=pytest.mark.proof),
        pytest.param(4, ("SENT", "NOT_DELIVERED", "DELIVERED"), 4, marks=pytest.mark.proof),
    ],
)
def test_every_order_ends_in_one_state(parts: int, statuses: tuple[str, ...], most: int) -> None:
    """All reports in all orders, repeated ones among them: the same state, and the model's."""
    rows = list(product(range(parts), statuses))
    for count in range(most + 1):
        for reports in combinations_with_replacement(rows, count):
            ends = {folded(parts, order) for order in set(permutations(reports))}
            assert len(ends) == 1
            [(state, _)] = ends
            assert agree(state, parts, reports)


def test_of_equal_verdicts_the_latest_is_kept() -> None:
    """By what the gateway says of its time, not by the order in which they came."""
    early, late = (
        report("id", "DELIVERED", datetime(2026, 1, day, tzinfo=zone))
        for day, zone in ((1, UTC), (2, None))
    )
    for order in permutations([early, late, report("id", "DELIVERED")]):
        known = ()
        for one in order:
            known = keep(known, one)
        assert known == (late,)
        assert done_at(heaviest(known)) == late.done_at


def test_contradictions_are_kept() -> None:
    """Final reports that differ stay, once for each status; what is not final does not."""
    order = ["NOT_SENT", "NOT_DELIVERED", "SENT", "DELIVERED", "REJECTED", "NOT_DELIVERED"]
    _, known = folded(1, [(0, raw) for raw in order])
    assert [one.raw_status for one in known] == ["REJECTED", "NOT_DELIVERED", "DELIVERED"]


@pytest.mark.parametrize("raw", ["REJECTED", "rejected ", "Rejected"])
def test_rejected_is_final(raw: str) -> None:
    """The document does not list it, and nothing else comes behind it."""
    state = fold(["id"], (report("id", raw),), SendOutcome.SENT)
    assert (state.status, state.is_final, state.delivered) == (DeliveryStatus.UNKNOWN, True, False)
    assert state.label == "failed: REJECTED"


OUTCOMES = [
    # given, parts reported of two, proven
    (None, 0, None),
    (None, 1, None),
    (None, 2, SendOutcome.SENT),
    (SendOutcome.SENT, 1, SendOutcome.SENT),
    (SendOutcome.UNKNOWN, 1, SendOutcome.UNKNOWN),
    (SendOutcome.UNKNOWN, 2, SendOutcome.SENT),
    (SendOutcome.NOT_SENT, 0, SendOutcome.NOT_SENT),
    (SendOutcome.REFUSED, 1, SendOutcome.UNKNOWN),
    (SendOutcome.REFUSED, 2, SendOutcome.SENT),
]


@pytest.mark.parametrize(("given", "reported", "proven"), OUTCOMES)
def test_a_report_proves_that_its_part_was_sent(given, reported, proven) -> None:
    """Whatever its status, and whatever the reply seemed to say."""
    known = tuple(report(f"id-{part}", "NOT_SENT") for part in range(reported))
    assert fold(["id-0", "id-1"], known, given).outcome is proven


LABELS = [
    (None, (), False, "under way", False, None),
    (SendOutcome.SENT, (), False, "waiting", False, None),
    (SendOutcome.UNKNOWN, (), False, "unknown", False, None),
    (SendOutcome.NOT_SENT, (), False, "not sent", True, False),
    (SendOutcome.REFUSED, (), False, "refused", True, False),
    (SendOutcome.SENT, ("NOT_SENT",), False, "waiting", False, None),
    (SendOutcome.SENT, ("SENT",), False, "not known", True, None),
    (SendOutcome.SENT, (), True, "not known", True, None),
    (None, (), True, "not known", True, None),
    (SendOutcome.SENT, ("DELIVERED",), True, "delivered", True, True),
    (SendOutcome.SENT, ("NOT_ALLOWED",), False, "failed: NOT_ALLOWED", True, False),
]


@pytest.mark.parametrize(
    ("outcome", "statuses", "expired", "label", "is_final", "delivered"), LABELS
)
def test_states(outcome, statuses, expired, label, is_final, delivered) -> None:  # noqa: PLR0917
    """What is counted how, what ends a wait, and what it ends in."""
    known = tuple(report("id", raw) for raw in statuses)
    state = fold(["id"], known, outcome, expired=expired)
    assert (state.label, state.is_final, state.delivered) == (label, is_final, delivered)


def test_a_status_is_final_or_not() -> None:
    """Not final is what the gateway itself does not know the end of."""
    open_ones = [status for status in DeliveryStatus if not status.is_final]
    assert open_ones == [DeliveryStatus.NOT_SENT, DeliveryStatus.UNKNOWN]
