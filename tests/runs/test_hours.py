"""The hours of the day in which requests go out, by a clock of the test's own."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from infobip_async import HlrLookups, LocalProtocolError, TextMessage
from infobip_async.runs.hours import Hours

ZAGREB = ZoneInfo("Europe/Zagreb")


def seconds_at(moment: str, between: object, zone: object = "Europe/Zagreb") -> float:
    """How long nothing may go out at a moment of Zagreb."""
    hours = Hours.of(between, zone)
    assert hours is not None
    now = datetime.fromisoformat(moment)
    now = now if now.tzinfo else now.replace(tzinfo=ZAGREB)
    return Hours(hours.start, hours.end, hours.zone, now.timestamp).seconds_until_open()


@pytest.mark.parametrize(
    ("between", "moment", "hours"),
    [
        ("09:00-20:00", "2026-11-28 08:00", 1),
        ("09:00-20:00", "2026-11-28 09:00", 0),
        ("09:00-20:00", "2026-11-28 19:59:59", 0),
        ("09:00-20:00", "2026-11-28 20:00", 13),
        ("9:00 \u2013 20:00", "2026-11-28 23:00", 10),
        ("22:00-06:00", "2026-11-28 23:00", 0),
        ("22:00-06:00", "2026-11-28 05:59", 0),
        ("22:00-06:00", "2026-11-28 06:00", 16),
        ("18:00-24:00", "2026-11-28 23:59", 0),
        ("18:00-24:00", "2026-11-28 00:00", 18),
        ("00:00-06:00", "2026-11-28 00:00", 0),
        ((time(9), time(20)), "2026-12-31 21:00", 12),
        # the night when clocks go forward is an hour shorter, the other one an hour longer
        ("09:00-20:00", "2026-03-28 20:00", 12),
        ("09:00-20:00", "2026-10-24 20:00", 14),
    ],
)
def test_how_long_until_they_begin(between, moment, hours) -> None:
    """0 within them; the end is no part of them."""
    assert seconds_at(moment, between) == hours * 3600


def test_another_zone() -> None:
    """The hours are those of the zone, wherever this machine is."""
    assert seconds_at("2026-11-28 08:00", "09:00-20:00", "Asia/Tokyo") == 0
    assert seconds_at("2026-11-28 08:00", "09:00-20:00", UTC) == 2 * 3600


def test_this_machine_s_zone() -> None:
    """Where none is given."""
    here = datetime(2026, 11, 28, 8, 0).astimezone()
    assert seconds_at(here.isoformat(), "09:00-20:00", None) == 3600


def test_an_hour_that_comes_twice() -> None:
    """A wait is never shorter than a second, or nothing else would have its turn."""
    assert seconds_at("2026-10-25 02:10+01:00", "02:30-02:40") == 1.0


@pytest.mark.parametrize(
    ("between", "zone", "field"),
    [
        *((text, None, "between") for text in ("", "9-20", "09:00", "25:00-26:00", "09:60-10:00")),
        ("09:00-09:00", None, "between"),
        ("00:00-24:00", None, "between"),
        ("09:00-20:00-21:00", None, "between"),
        ("0\u0669:00-20:00", None, "between"),
        ((time(9, tzinfo=UTC), time(20)), None, "between"),
        ("09:00-20:00", "Europe/Nowhere", "between_zone"),
        ("09:00-20:00", "../../etc/passwd", "between_zone"),
        ("09:00-20:00", "Europe", "between_zone"),
        ("09:00-20:00", "", "between_zone"),
        (None, "Europe/Zagreb", "between_zone"),
    ],
)
def test_what_is_no_span(between, zone, field) -> None:
    """Is refused, and named."""
    with pytest.raises(LocalProtocolError) as caught:
        Hours.of(between, zone)
    assert caught.value.field == field


# --- of both kinds of runs ---


async def test_runs_have_hours(place) -> None:
    """Outside them they read, and send nothing, until they are stopped."""
    soon = datetime.now(UTC) + timedelta(hours=2)
    between = soon.time(), (soon + timedelta(hours=1)).time()
    items = [(TextMessage("Hello", "Friend"), "385980000001")]
    async with place.client() as client, HlrLookups(client, place.counting.router) as lookups:
        for run in (
            client.send_many(items, between=between, between_zone="UTC"),
            lookups.stream(["385980000001"], between=between, between_zone=UTC),
        ):
            taking = asyncio.create_task(anext(run))
            await asyncio.sleep(60)
            assert run.stats.paused
            await run.stop()
            assert (await taking).outcome.value == "not sent"
    assert not place.counting.tries


async def test_runs_with_hours_that_are_none(place) -> None:
    """Are refused before anything is read."""
    async with place.client() as client, HlrLookups(client, place.counting.router) as lookups:
        for make in (client.send_many, lookups.stream):
            with pytest.raises(LocalProtocolError, match="between: "):
                make([], between="from nine to eight")
