"""What becomes of a number that is looked up."""

from enum import Enum

import attrs

from infobip_async.models import HlrReport


class HlrOutcome(Enum):
    """How the lookup of one number ended."""

    REPORTED = "reported"
    """The report arrived."""
    REFUSED = "refused"
    """The gateway did not accept the number, or its query as a whole; or no query can carry it."""
    TIMED_OUT = "timed out"
    """Accepted, and no report in time."""
    NOT_SENT = "not_sent"
    """Not sent: no byte of its query left this machine."""
    UNKNOWN = "unknown"
    """Sent, and the reply was lost or cannot be read: it may have been accepted."""


@attrs.frozen
class HlrResult:
    """What became of one number (§4, §5).

    Attributes:
        destination: the number as it was given.
        outcome: how it ended.
        lookup_id: the gateway's id of the lookup, where it gave one.
        report: the report, where it arrived.
        reason: in words, why there is none.
    """

    destination: str
    outcome: HlrOutcome
    lookup_id: str | None = None
    report: HlrReport | None = None
    reason: str | None = None
