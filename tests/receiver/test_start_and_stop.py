"""Receivers and what lives beside them: in which order they start and stop, and by when."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from infobip_async import serving
from infobip_async.concurrency.stop_deadline import time_to_stop
from jumping import jump, turns


@pytest.fixture
def events() -> list[str]:
    """What happened, in order."""
    return []


@pytest.fixture
def part(events):
    """A part that takes a while to stop, and stops at the latest when its time is up."""

    @asynccontextmanager
    async def part(name: str, seconds: float = 0):
        events.append(f"{name} starts")
        try:
            yield name
        except ValueError:
            events.append(f"{name} hears of the fault")
            raise
        finally:
            left = time_to_stop(1000)
            events.append(f"{name} stops")
            await asyncio.sleep(min(seconds, left))
            events.append(f"{name} stopped, with {left:.0f} s")

    return part


async def test_the_order(part, events):
    """Those that use another start after it and stop before it; the receiver is there meanwhile."""
    async with serving(
        part("receiver"), part("lookups"), part("deliveries"), part("client"), stop_timeout=100
    ) as served:
        assert served == "receiver"
        assert events == [
            f"{name} starts" for name in ("client", "deliveries", "lookups", "receiver")
        ]
        events.clear()
    assert events == [
        *("lookups stops", "deliveries stops"),
        *("lookups stopped, with 50 s", "deliveries stopped, with 50 s"),
        *("client stops", "client stopped, with 75 s"),
        *("receiver stops", "receiver stopped, with 100 s"),
    ]


async def test_one_deadline(part, events):
    """A part that takes all its time leaves the others theirs."""

    async def run() -> None:
        async with serving(
            part("receiver"), part("lookups", 500), part("client"), stop_timeout=100
        ):
            events.clear()

    stop = asyncio.create_task(run())
    await turns()
    assert events == ["lookups stops"]
    await jump(51)
    await stop
    assert events[1:] == [
        *("lookups stopped, with 50 s", "client stops", "client stopped, with 24 s"),
        *("receiver stops", "receiver stopped, with 49 s"),
    ]


async def test_a_fault_inside(part, events):
    """It is raised, and each is left as by a fault."""

    async def run() -> None:
        async with serving(part("receiver"), part("client")):
            raise ValueError("oops")

    with pytest.raises(ValueError, match="oops"):
        await run()
    assert [event for event in events if "hears" in event] == [
        "client hears of the fault",
        "receiver hears of the fault",
    ]


async def test_a_part_that_cannot_stop(part, events, caplog):
    """It keeps no other from stopping."""

    @asynccontextmanager
    async def broken():
        yield
        raise OSError("the disk is full")

    async with serving(part("receiver"), broken(), part("client")):
        events.clear()
    assert len(events) == 4
    assert "a part of the program cannot be stopped" in caplog.text


async def test_a_start_that_fails(part, events):
    """What was started is stopped."""

    @asynccontextmanager
    async def broken():
        raise OSError("the address is taken")
        yield

    with pytest.raises(OSError, match="taken"):
        async with serving(broken(), part("lookups"), part("client")):
            raise AssertionError
    assert [event.split(",")[0] for event in events] == [
        *("client starts", "lookups starts"),
        *("lookups stops", "lookups stopped", "client stops", "client stopped"),
    ]


async def test_nothing_beside_it(part, events):
    """A receiver may live alone."""
    async with serving(part("receiver")):
        pass
    assert len(events) == 3


async def test_what_stops_alone():
    """It has its own time."""
    assert time_to_stop(7) == 7
