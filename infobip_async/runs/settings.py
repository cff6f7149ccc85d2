"""How a run over many items is made: the settings that all kinds of runs have."""

import math
from decimal import Decimal
from typing import Literal, get_args

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.runs.hours import Hours

OnUnknown = Literal["report", "repeat"]
"""Whether an item of unknown outcome is reported as unknown, or tried again."""


@attrs.frozen(kw_only=True)
class RunSettings:
    """How a run is made.

    Attributes:
        batch_size: items that share a request, at most.
        batch_age: seconds that an item waits for others to share its request.
        concurrency: requests in flight at most.
        window: items that have been read and whose results have not been taken, at most.
        rate: parts or numbers per second, evenly; None for no limit.
        most: parts or numbers in all that may go out; None for no limit.
        min_credits: what must be left of the balance; None for no limit.
        unreachable_timeout: seconds that a gateway which cannot be connected to is waited for.
        hours: in which requests go out; None for all day.
        on_unknown: what becomes of an item whose outcome is unknown.
        stop_timeout: seconds that a stop waits for requests in flight.
    """

    batch_size: int
    batch_age: float
    concurrency: int = 8
    window: int
    rate: float | None = None
    most: int | None = None
    min_credits: Decimal | None = None
    unreachable_timeout: float = 300.0
    hours: Hours | None = None
    on_unknown: OnUnknown = "report"
    stop_timeout: float = 30.0

    def check(self, *, largest_batch: int, most: str) -> None:
        """Refuse settings that are out of their range.

        Args:
            largest_batch: items that one request can carry.
            most: what the caller calls `most`.

        Raises:
            LocalProtocolError: naming the setting.
        """
        check_range("batch_size", self.batch_size, 1, largest_batch)
        for name in ("concurrency", "window"):
            check_range(name, getattr(self, name), 1)
        for name in ("batch_age", "stop_timeout", "unreachable_timeout"):
            check_range(name, getattr(self, name), 0)
        if self.rate is not None:
            check_positive("rate", self.rate)
        if self.most is not None:
            check_range(most, self.most, 0)
        if self.on_unknown not in get_args(OnUnknown):
            raise LocalProtocolError(f"{self.on_unknown!r} is none", field="on_unknown")


def check_range(field: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a setting outside its range, or that is no number.

    Raises:
        LocalProtocolError: naming the setting.
    """
    if not least <= value <= most:
        limits = f"from {least} to {most}" if most < math.inf else f"{least} or more"
        raise LocalProtocolError(f"must be {limits}", field=field)


def check_positive(field: str, value: float) -> None:
    """Refuse a setting that is not above 0.

    Raises:
        LocalProtocolError: naming the setting.
    """
    if not value > 0:
        raise LocalProtocolError("must be above 0", field=field)
