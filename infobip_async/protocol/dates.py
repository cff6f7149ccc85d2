"""Dates as the gateway writes them: ``2005/7/19 22:0:0``, without padding and zone (§3.1)."""

import re
from datetime import datetime, tzinfo
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


def encode(date: datetime | None) -> str:
    """Write a date as in the document's example; None becomes the empty text."""
    if date is None:
        return ""
    return f"{date.year}/{date.month}/{date.day} {date.hour}:{date.minute}:{date.second}"
