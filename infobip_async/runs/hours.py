"""The hours of the day in which the requests of a run may go out."""

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from datetime import time as time_of_day
from typing import Final, Self
from zoneinfo import ZoneInfo

import attrs

from infobip_async.errors import LocalProtocolError

Between = str | tuple[time_of_day, time_of_day]
"""From when to when in a day, such as ``"09:00-20:00"``, or as two times without a zone."""

_SPAN: Final = re.compile(r"\s*(\d{1,2}:\d\d)\s*[-–]\s*(\d{1,2}:\d\d)\s*", re.ASCII)  # noqa: RUF001 - people write the dash, too

_SHORTEST: Final = 1.0
"""Seconds of the shortest wait: where clocks go back, an hour may seem to begin in the past."""


@attrs.frozen
class Hours:
    """So much of each day, by the clock on the wall.

    Attributes:
        start: when it begins.
        end: when it is over; before `start`, it is over on the next day.
        zone: whose clock; None for this machine's.
        clock: gives the seconds since the epoch.
    """

    start: time_of_day
    end: time_of_day
    zone: tzinfo | None = None
    clock: Callable[[], float] = attrs.field(default=time.time, repr=False)

    @classmethod
    def of(cls, between: Between | None, zone: str | tzinfo | None) -> Self | None:
        """Read hours as callers give them; None where there are none.

        Raises:
            LocalProtocolError: `between` is no span of hours, or there is no such zone.
        """
        if between is None:
            if zone is not None:
                raise LocalProtocolError("goes with between", field="between_zone")
            return None
        start, end = _span(between) if isinstance(between, str) else between
        if start == end or start.tzinfo or end.tzinfo:
            why = "begins when it ends" if start == end else "has a zone, which is between_zone"
            raise LocalProtocolError(why, field="between")
        return cls(start, end, _zone(zone) if isinstance(zone, str) else zone)

    def seconds_until_open(self) -> float:
        """How long nothing may go out; 0 within the hours."""
        seconds = self.clock()
        now = datetime.fromtimestamp(seconds, self.zone)
        at, start, end = now.time(), self.start, self.end
        if start <= at < end or (end < start and not end <= at < start):
            return 0.0
        day = now.date() + timedelta(days=at >= start)
        opens = datetime.combine(day, start, self.zone)
        return max(opens.timestamp() - seconds, _SHORTEST)


def _span(between: str) -> tuple[time_of_day, time_of_day]:
    match = _SPAN.fullmatch(between)
    try:
        if match is not None:
            start, end = (_time(text) for text in match.groups())
            return start, end
    except ValueError:
        pass
    raise LocalProtocolError(f"{between!r} is no span such as 09:00-20:00", field="between")


def _time(text: str) -> time_of_day:
    hour, minute = map(int, text.split(":"))
    return time_of_day(hour % 24 if (hour, minute) == (24, 0) else hour, minute)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # there is none; it is no name; it is a directory
        pass
    raise LocalProtocolError(
        f"{name!r} is no time zone that this machine knows, such as Europe/Zagreb",
        field="between_zone",
    )
