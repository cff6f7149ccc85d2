"""Dates as the gateway writes them."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.protocol import dates


def check(text: str, date: datetime) -> None:
    """The text is read so, and so is written."""
    assert dates.decode(text) == date
    assert dates.encode(date) == text


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2005/7/19 22:0:0", datetime(2005, 7, 19, 22)),
        ("2010/8/2 14:55:10", datetime(2010, 8, 2, 14, 55, 10)),
        ("2013/12/20 23:0:50", datetime(2013, 12, 20, 23, 0, 50)),
        ("2012/2/29 0:0:0", datetime(2012, 2, 29)),
    ],
)
def test_literal_pairs(text: str, date: datetime) -> None:
    """Nothing is padded."""
    check(text, date)


@pytest.mark.parametrize(
    "text",
    [
        "2005/07/09 02:03:04",
        "2005/7/9 2:3:4",
        "2005-07-09 02:03:04",
        "2005-07-09T02:03:04",
        "2005/7/9  2:3:4",
        " 2005/7/9 2:3:4\r\n",
        "2005/7/9 2:3:4.567",
    ],
)
def test_other_spellings_are_read(text: str) -> None:
    """Padding, dashes, the T of ISO 8601, white space and fractions do not matter."""
    assert dates.decode(text) == datetime(2005, 7, 9, 2, 3, 4)


def test_seconds_may_be_missing() -> None:
    """A minute is a date, too."""
    assert dates.decode("2005/7/9 2:3") == datetime(2005, 7, 9, 2, 3)


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "0000-00-00 00:00:00", "0000/0/0 0:0:0", "0", "00:00", "0" * 64),
        "0000-00-00T00:00:00.000",
    ],
)
def test_an_empty_or_a_zero_date_is_none(text: str) -> None:
    """Resellers write zeros for what did not happen."""
    assert dates.decode(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "xxxxx",
        "yesterday",
        "2005/7/19",
        "22:0:0",
        "19.7.2005 22:0:0",
        "2005/13/1 0:0:0",
        "2005/2/29 0:0:0",
        "2005/7/19 24:0:0",
        "2005/7/19 22:0:60",
        "0000/7/19 22:0:0",
        "20050/7/19 22:0:0",
        "2005/7/19 22:0:0 CET",
        "2005/7/19 22:0:0+02:00",
        "2005/7/19\n22:0:0",
        "2005/7/1\u0669 22:0:0",
        "0" * 65,
        " " * 65,
        "2005/7/19 22:0:0." + "0" * 65,
    ],
)
def test_what_is_no_date_raises(text: str) -> None:
    """The caller decides what to do with it; nothing is guessed, and nothing long is cached."""
    with pytest.raises(ValueError, match=r"date|range|month|day|hour|second|year"):
        dates.decode(text)


def test_a_zone_is_attached_and_not_converted_to() -> None:
    """The zone is the gateway's own, in which it writes."""
    zone = ZoneInfo("Europe/Zagreb")
    date = dates.decode("2005/7/19 22:0:0", zone)
    assert date == datetime(2005, 7, 19, 20, tzinfo=UTC)
    assert date.tzinfo is zone
    assert dates.encode(date) == "2005/7/19 22:0:0"
    assert dates.decode("2005/7/19 22:0:0") == datetime(2005, 7, 19, 22)


def dated(earlier: str, later: str) -> tuple[datetime, datetime]:
    """Two dates of the gateway's, in order."""
    zone = ZoneInfo("Europe/Zagreb")
    return dates.in_order(*(dates.decode(f"2010/{date}", zone) for date in (earlier, later)))


@pytest.mark.parametrize(
    ("earlier", "later", "minutes"),
    [
        ("10/31 2:50:0", "10/31 2:10:0", 20),  # clocks were put back meanwhile
        ("10/31 2:10:0", "10/31 2:50:0", 40),
        ("10/31 1:50:0", "10/31 3:10:0", 140),
        ("3/28 1:50:0", "3/28 3:10:0", 20),
        ("8/2 14:0:0", "8/2 14:30:0", 30),
        ("8/2 14:30:0", "8/2 14:0:0", -30),
    ],
)
def test_the_difference_of_two_dates_is_right(earlier: str, later: str, minutes: int) -> None:
    """Across a change of the clocks, too; no order is made up where clocks stood still."""
    first, second = dated(earlier, later)
    assert second - first == timedelta(minutes=minutes)
    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(minutes=minutes)


def test_the_second_of_two_equal_hours() -> None:
    """The date says that it is that one, and has the clock's own numbers."""
    _, second = dated("10/31 2:50:0", "10/31 2:10:0")
    assert second == datetime(2010, 10, 31, 1, 10, tzinfo=UTC)
    assert (second.hour, second.fold) == (2, 1)


def test_an_absent_date_is_written_empty() -> None:
    """As in the document's example of `sentdate`."""
    assert dates.encode(None) == ""


@given(st.datetimes().map(lambda date: date.replace(microsecond=0)))
def test_what_is_encoded_is_decoded(date: datetime) -> None:
    """Every whole second survives from the year 1000 on; below, years have no four digits."""
    if date.year >= 1000:
        assert dates.decode(dates.encode(date)) == date
