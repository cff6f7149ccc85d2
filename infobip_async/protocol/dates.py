"""Dates as the gateway writes them: ``2005/7/19 22:0:0``, without padding and zone (§3.1)."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

_DATE = re.compile(
    r"([0-9]{4})[/-]([0-9]{1,2})[/-]([0-9]{1,2})[ T]+"
    r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.[0-9]+)?)?"
)

_LONGEST = 64


@lru_cache(8192)  # dates repeat within a push, and a hit costs a twentieth of a parse
def decode(text: str, zone: tzinfo | None = None) -> datetime | None:
    """Read a date; None where it is empty or a zero date.

    Raises:
        ValueError: it is in no form that gateways are known to use.
    """
    if len(text) > _LONGEST:  # a hostile push must not fill the cache with long texts
        raise ValueError("too long for a date")
    stripped = text.strip()
    if not stripped or not stripped.strip("0/-: T."):
        return None
    match = _DATE.fullmatch(stripped)
    if not match:
        raise ValueError("not a date of the form yyyy/mm/dd hh:mm:ss")
    return datetime(*(int(part or 0) for part in match.groups()), tzinfo=zone)  # type: ignore[misc, arg-type]


def in_order(earlier: datetime, later: datetime) -> tuple[datetime, datetime]:
    """Give two dates of one zone so that their order and their difference are right.

    Where clocks are put back, an hour comes twice: then the later date is taken to be in the second
    one if it would be the earlier one otherwise. Python takes the difference of two dates in one
    zone without regard to its offset; so dates with two offsets get those in place of the zone.
    """
    if later < earlier and later.replace(fold=1).timestamp() >= earlier.timestamp():
        later = later.replace(fold=1)
    if earlier.utcoffset() == later.utcoffset():
        return earlier, later
    return _with_offset(earlier), _with_offset(later)


def _with_offset(date: datetime) -> datetime:
    return date.replace(tzinfo=timezone(date.utcoffset() or timedelta()))


def encode(date: datetime | None) -> str:
    """Write a date as in the document's example; None becomes the empty text."""
    if date is None:
        return ""
    return f"{date.year}/{date.month}/{date.day} {date.hour}:{date.minute}:{date.second}"
