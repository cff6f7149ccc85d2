"""How the reports of a message are folded into one state, whatever their order (§3.1).

Of one id, the heaviest report counts. From the lightest:

=========================  =====================================================================
UNKNOWN, NOT_SENT          Not final: the gateway itself does not know the end yet.
SENT                       Final, and nobody will know: the route has no delivery reports.
REJECTED                   Final, though not of the document: the gateway refused it.
NOT_DELIVERED, ...         A failure says more than SENT. Of two failures, the later in the
                           document's list counts: NOT_DELIVERED, its first, names no cause.
DELIVERED                  The handset has it. No failure, such as of another route, undoes that.
=========================  =====================================================================

Of several parts, one failure fails the message, since nobody can read the rest. Otherwise the
lightest part speaks for all, a part without a report being UNKNOWN: the message is DELIVERED when
every part is, and SENT when every part is DELIVERED or SENT.

Final reports on one id that differ contradict each other. Each is kept, once for each status.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final

import attrs

from infobip_async.bulk.items import SendOutcome
from infobip_async.models.events import DeliveryReport, DeliveryStatus

_REJECTED: Final = "REJECTED"
_LIGHTEST_FIRST: Final = (
    "UNKNOWN",
    "NOT_SENT",
    "SENT",
    _REJECTED,
    "NOT_DELIVERED",
    "NOT_ALLOWED",
    "INVALID_DESTINATION_ADDRESS",
    "INVALID_SOURCE_ADDRESS",
    "ROUTE_NOT_AVAILABLE",
    "NOT_ENOUGH_CREDITS",
    "INVALID_MESSAGE_FORMAT",
    "DELIVERED",
)
_WEIGHTS: Final = {name: weight for weight, name in enumerate(_LIGHTEST_FIRST)}
_STATUSES: Final = tuple(
    DeliveryStatus.__members__.get(name, DeliveryStatus.UNKNOWN) for name in _LIGHTEST_FIRST
)
_SENT: Final = _WEIGHTS["SENT"]
_DELIVERED: Final = _WEIGHTS["DELIVERED"]
_NO_TIME: Final = datetime.min  # noqa: DTZ901 - compared with times whose zone was taken off


@attrs.frozen
class State:
    """What is known of a message as a whole.

    Attributes:
        outcome: of its request, as proven by reports; None while it is under way.
        status: folded from its reports; None before the first one.
        is_final: nothing more is waited for.
        delivered: whether every part arrived; None where that is not known, or will not be.
    """

    outcome: SendOutcome | None
    status: DeliveryStatus | None
    is_final: bool
    delivered: bool | None

    @property
    def label(self) -> str:
        """A word for it, by which deliveries are counted."""
        if self.delivered:
            return "delivered"
        if not self.is_final:
            return _OPEN.get(self.outcome, "waiting")
        if self.delivered is None:
            return "not known"
        if self.status is None:
            return "not sent" if self.outcome is None else self.outcome.value
        return f"failed: {self.status.value if self.status.is_final else _REJECTED}"


_OPEN: Final = {None: "under way", SendOutcome.UNKNOWN: "unknown"}
_NEVER_OUT: Final = {SendOutcome.NOT_SENT, SendOutcome.REFUSED}


def _weight(report: DeliveryReport) -> int:
    if report.status is DeliveryStatus.UNKNOWN and report.raw_status.strip().upper() == _REJECTED:
        return _WEIGHTS[_REJECTED]
    return _WEIGHTS[report.status.value]


def _at(moment: datetime | None) -> datetime:
    """A moment that can be compared with one of another zone, or of none."""
    return _NO_TIME if moment is None else moment.replace(tzinfo=None)


def _rank(report: DeliveryReport) -> tuple[object, ...]:
    """An order of reports on one id in which no two different ones are equal."""
    extras = sorted(report.extras.items())
    times = _at(report.done_at), _at(report.sent_at)
    return _weight(report), *times, report.raw_status, repr(extras)


def keep(known: Sequence[DeliveryReport], report: DeliveryReport) -> Sequence[DeliveryReport]:
    """Add a report to those that are kept of a message: of each id, each verdict once.

    The result does not depend on the order in which reports are added, nor on repetitions.

    Returns:
        `known` itself where the report adds nothing.
    """
    same = [one for one in known if one.message_id == report.message_id]
    weight = _weight(report)
    heaviest = max(map(_weight, same), default=-1)
    if weight <= _SENT < heaviest:
        return known
    # A failure or DELIVERED stays beside another verdict; everything else gives way to the heavier.
    rivals = [one for one in same if _weight(one) == weight or min(weight, _weight(one)) <= _SENT]
    if any(_rank(one) >= _rank(report) for one in rivals):
        return known
    kept = [one for one in known if one not in rivals]
    return tuple(sorted([*kept, report], key=lambda one: (one.message_id, _rank(one))))


def heaviest(known: Iterable[DeliveryReport]) -> dict[str, DeliveryReport]:
    """The report that counts of each id, of reports that `keep` has ordered."""
    return {one.message_id: one for one in known}


def fold(
    part_ids: Sequence[str],
    known: Sequence[DeliveryReport],
    outcome: SendOutcome | None,
    *,
    expired: bool = False,
) -> State:
    """Fold what is known of a message into its state.

    Args:
        part_ids: the ids under which it is reported.
        known: its reports, as `keep` gives them.
        outcome: of its request, as the reply said; None where there is none.
        expired: no final report came in time.
    """
    counting = heaviest(known)
    proven = _proven(outcome, len(counting), len(part_ids))
    if not counting:
        never_out = proven in _NEVER_OUT
        return _state(proven, None, never_out or expired, False if never_out else None)
    weights = [_weight(counting[one]) if one in counting else 0 for one in part_ids]
    failures = [weight for weight in weights if _SENT < weight < _DELIVERED]
    whole = max(failures) if failures else min(weights)
    delivered = whole == _DELIVERED if whole > _SENT else None
    return _state(proven, _STATUSES[whole], whole >= _SENT or expired, delivered)


def _proven(outcome: SendOutcome | None, reported: int, parts: int) -> SendOutcome | None:
    """The outcome of a request of whose parts some were reported: a report proves its part."""
    if reported and reported == parts:
        return SendOutcome.SENT
    return SendOutcome.UNKNOWN if reported and outcome in _NEVER_OUT else outcome


def done_at(counting: Mapping[str, DeliveryReport]) -> datetime | None:
    """When the last of the reports that count was made; None where none says."""
    return max((one.done_at for one in counting.values() if one.done_at), key=_at, default=None)


@cache
def _state(
    outcome: SendOutcome | None,
    status: DeliveryStatus | None,
    is_final: bool,
    delivered: bool | None,
) -> State:
    """Make a state, or give the one that is equal: millions of messages have few states."""
    return State(outcome, status, is_final, delivered)
