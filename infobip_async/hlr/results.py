"""What becomes of numbers that are looked up."""

from collections.abc import Sequence
from enum import Enum

import attrs

from infobip_async.errors import InfobipError
from infobip_async.models.events import HlrReport, HlrStatus


class HlrOutcome(Enum):
    """How the lookup of one number ended."""

    REPORTED = "reported"
    """Final. The report arrived: see `HlrResult.report`."""
    REFUSED = "refused"
    """Final. The gateway did not accept the number; or no query can carry it."""
    TIMED_OUT = "timed out"
    """Accepted, and no report in time. A later one still reaches the router's handlers."""
    NOT_SENT = "not sent"
    """No byte of its query left this machine, or the run ended before its turn. The next run of a
    job submits it."""
    UNKNOWN = "unknown"
    """Sent, and the reply was lost or cannot be read: it may have been accepted. A report may still
    reach the router's handlers."""


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
        possibly_repeated: the number may have been looked up more than once: an earlier query with
            it may have been carried out, and it was submitted again.
    """

    destination: str
    outcome: HlrOutcome
    lookup_id: str | None = None
    report: HlrReport | None = None
    error: InfobipError | None = None
    reason: str | None = None
    resumed: bool = False
    possibly_repeated: bool = False


def facts_of(report: HlrReport | None) -> tuple[str | None, ...]:
    """What a report says beside its number and its id, to be kept; None for each without one."""
    if report is None:
        return (None,) * 5
    return (
        report.status.value,
        report.raw_status,
        report.imsi,
        report.serving_msc,
        report.error_code,
    )


def report_of(destination: str, lookup_id: str, facts: Sequence[str | None]) -> HlrReport | None:
    """Make a report of its facts; None where these are of none."""
    status, raw_status, *rest = facts
    if status is None or raw_status is None:
        return None
    return HlrReport(destination, lookup_id, HlrStatus(status), raw_status, *rest)


@attrs.define
class Stats:
    """Counts since the start, and two levels.

    Attributes:
        submitted: numbers that went out in a query, once each.
        refused: numbers that the gateway did not accept.
        reported: numbers whose report arrived in time.
        timed_out: numbers whose report did not.
        unknown: numbers of queries whose reply was lost or cannot be read.
        not_sent: numbers that were to go out, and did not.
        invalid: numbers that no query can carry; their outcome is a refusal.
        late: reports that came after their number had timed out.
        unclaimed: reports that no lookup of this process had asked for, and repeated ones.
        early_kept: reports kept for replies that are under way, now.
    """

    submitted: int = 0
    refused: int = 0
    reported: int = 0
    timed_out: int = 0
    unknown: int = 0
    not_sent: int = 0
    invalid: int = 0
    late: int = 0
    unclaimed: int = 0
    early_kept: int = 0

    @property
    def in_flight(self) -> int:
        """Numbers that are in a query or wait for their report, now."""
        return self.submitted - self.refused - self.reported - self.timed_out - self.unknown
