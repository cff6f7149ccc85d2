"""What becomes of a number that is looked up."""

from enum import Enum

import attrs

from infobip_async.errors import InfobipError
from infobip_async.models import HlrReport


class HlrOutcome(Enum):
    """How the lookup of one number ended."""

    REPORTED = "reported"
    """The report arrived."""
    REFUSED = "refused"
    """The gateway did not accept the number; or no query can carry it."""
    TIMED_OUT = "timed out"
    """Accepted, and no report in time."""
    NOT_SENT = "not sent"
    """No byte of its query left this machine, or the run ended before its turn."""
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
        error: the error behind the outcome, where this run met one.
        reason: in words, why there is no report.
        resumed: the outcome stands in the job since an earlier run.
    """

    destination: str
    outcome: HlrOutcome
    lookup_id: str | None = None
    report: HlrReport | None = None
    error: InfobipError | None = None
    reason: str | None = None
    resumed: bool = False
