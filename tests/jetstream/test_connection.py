"""A connection to a broker, without one."""

import asyncio

import pytest

from infobip_async.concurrency.tasks import cancel
from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.options import ConnectOptions

NOWHERE = ConnectOptions(servers=("nats://127.0.0.1:1",), timeout=0.1)


async def declare(_: Connection) -> None:
    """Nothing is needed."""


async def test_a_cancellation_that_is_swallowed_cancels_all_the_same() -> None:
    """As nats-py swallows it while it writes."""
    waits, goes_on = asyncio.Event(), False

    async def ask() -> None:
        nonlocal goes_on
        async with Connection(NOWHERE, declare).within(60):
            try:
                waits.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
        goes_on = True

    task = asyncio.create_task(ask())
    await waits.wait()
    await cancel([task])
    assert task.cancelled()
    assert not goes_on


async def test_a_task_that_is_cancelled_can_still_ask() -> None:
    """It may have to clean up."""
    waits, cleaned = asyncio.Event(), False

    async def work() -> None:
        nonlocal cleaned
        try:
            waits.set()
            await asyncio.Event().wait()
        finally:
            async with Connection(NOWHERE, declare).within(60):
                await asyncio.sleep(0)
            cleaned = True

    task = asyncio.create_task(work())
    await waits.wait()
    await cancel([task])
    assert cleaned


async def test_without_a_broker_nothing_can_be_asked() -> None:
    """It is said at once, and nothing is left of the attempt to connect."""
    connection = Connection(NOWHERE, declare)
    with pytest.raises(StorageUnavailableError):
        await connection.connect()
    with pytest.raises(StorageUnavailableError):
        await connection.request("anything")
    with pytest.raises(StorageUnavailableError):
        await connection.publish("anything")
    with pytest.raises(StorageUnavailableError):
        async with connection.subscribe("anything"):
            pass
