"""Deliveries in a bucket of a real broker."""

import asyncio
from pathlib import Path

import pytest

from deliveries_support import HELLO, NUMBER, Client, report
from delivery_processes import check_kills
from infobip_async import (
    Deliveries,
    Delivery,
    LocalProtocolError,
    Router,
    StorageUnavailableError,
)
from infobip_async.jetstream import NatsDeliveryStore
from infobip_async.testing import STORE_CHECKS, StoreCheck
from scale import scaled


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_the_store_is_fit(check: StoreCheck, server) -> None:
    """As those in memory and in SQLite are."""
    await check(lambda: NatsDeliveryStore(server.url))


async def test_any_process_sends_and_any_other_receives(server) -> None:
    """The one waits, the other has the handlers."""
    router, given, client = Router(), asyncio.Queue(), Client(parts=2)

    @router.on(Delivery)
    async def changed(delivery: Delivery) -> None:
        await given.put(delivery.delivered)

    async with (
        asyncio.timeout(60),
        Deliveries(client, Router(), store=NatsDeliveryStore(server.url)) as sender,
        Deliveries(None, router, store=NatsDeliveryStore(server.url)),
    ):
        (delivery,) = await sender.send(HELLO, NUMBER, key="order-17")
        assert await given.get() is None
        waiting = asyncio.create_task(sender.wait(delivery.message_id))
        await router.dispatch([report(part) for part in delivery.part_ids])
        assert (await waiting).delivered
        assert [await given.get(), await given.get()] == [None, True]
        assert (await sender.counts()).delivered == 1


async def test_a_broker_that_is_away(server) -> None:
    """Nothing is sent whose id could not be stored."""
    client = Client()
    async with Deliveries(client, Router(), store=NatsDeliveryStore(server.url)) as deliveries:
        await server.kill()
        with pytest.raises(StorageUnavailableError):
            await deliveries.send(HELLO, NUMBER)
    assert client.sent == []


async def test_the_name_of_a_bucket() -> None:
    """It is a part of subjects."""
    with pytest.raises(LocalProtocolError, match="bucket"):
        NatsDeliveryStore("nats://127.0.0.1:1", bucket="a.b")


@pytest.mark.proof(long=True)
async def test_kills_of_the_broker_too(server, tmp_path: Path) -> None:
    """Every delivery is final and right; each change was an event, and nothing else was."""

    async def other() -> None:
        await server.kill()
        await server.start()

    await check_kills(
        tmp_path,
        lambda: NatsDeliveryStore(server.url),
        server.url,
        count=scaled(500),
        kills=scaled(10),
        other=other,
    )
