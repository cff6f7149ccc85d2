"""Lookups of processes that get no posts themselves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from infobip_async import Endpoints, HlrLookups, InfobipClient, Router
from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream import ConnectOptions, NatsJournal, ReportFeed
from infobip_async.journal import SpoolJournal, SqliteJournal
from infobip_async.protocol.exchange import CallbackUrls
from infobip_async.simulator import Simulator
from infobip_async.simulator.policies import in_network
from infobip_async.webhook import callback_urls, webhook_app
from scale import scaled
from tests.jetstream.conftest import FIRST, LIMIT, Server, until


@pytest.fixture
async def receiver(access: ConnectOptions, tmp_path: Path) -> AsyncIterator[CallbackUrls]:
    """A receiver that takes posts in, also while the broker is away."""
    spool = SqliteJournal(tmp_path / "spool.db")
    journal = SpoolJournal(NatsJournal(access, handles=False), spool)
    runner = web.AppRunner(webhook_app(Router(), secret=None, journal=journal), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield callback_urls(f"http://127.0.0.1:{runner.addresses[0][1]}", secret=None)
    await runner.cleanup()


async def test_reports_find_the_client_that_asked(
    server: Server, access: ConnectOptions, receiver: CallbackUrls
) -> None:
    """Though another process got them, and the broker is killed while they are awaited."""
    numbers, router = [str(FIRST + number) for number in range(20)], Router()
    async with (
        Simulator(callbacks=receiver) as simulator,
        InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url)) as client,
        ReportFeed(access, router) as feed,
        HlrLookups(client, router, batch_size=5, window=5) as lookups,
    ):
        found = []
        async for result in lookups.stream(numbers, timeout=LIMIT):
            found.append(result)
            if len(found) == 10:
                await server.kill()
                await until(lambda: not feed._connection.ready)
                await server.start()
    assert sorted(one.destination for one in found) == numbers
    assert all(one.report.imsi == in_network(one.destination).imsi for one in found)


@pytest.mark.proof
async def test_reports_find_the_process_that_asked(
    server: Server, programs, gateway_on_sockets: Simulator
) -> None:
    """All right, none wrong, none timed out, though the broker is killed several times."""
    count = scaled(4_000)
    firsts = [FIRST, FIRST + 10**6]
    clients = [
        programs("client", server.url, gateway_on_sockets.base_url, one, count) for one in firsts
    ]
    await asyncio.gather(*(client.start() for client in clients))
    for kill in range(scaled(3)):
        share = count * (kill + 1) // scaled(6)
        await until(lambda: min(len(client.lines) for client in clients) >= share)  # noqa: B023 - over before the next
        await server.kill()
        await asyncio.sleep(0.2)
        await server.start()
    killed_within = [len(client.lines) for client in clients]
    async with asyncio.timeout(scaled(LIMIT)):
        await asyncio.gather(*(client.ended() for client in clients))
    print("results when the last kill was over:", killed_within)  # noqa: T201 - the figure
    for first, client in zip(firsts, clients, strict=True):
        *results, end = client.lines
        assert end == "end"
        expected = {str(first + i): in_network(str(first + i)).imsi for i in range(count)}
        assert len(results) == count
        for line in results:
            number, outcome, imsi = line.split()
            assert (outcome, imsi) == ("REPORTED", expected.pop(number))
        assert not expected
    assert min(killed_within) < count
    assert all(push.status == 200 for push in gateway_on_sockets.pushes)


async def test_a_feed_needs_a_place_to_begin_at(server: Server, hasty: ConnectOptions) -> None:
    """It does not let lookups begin whose reports it would miss."""
    await server.kill()
    with pytest.raises(StorageUnavailableError):
        await ReportFeed(hasty, Router()).__aenter__()
