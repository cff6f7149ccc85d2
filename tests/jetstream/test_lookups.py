"""Lookups of processes that get no posts themselves."""

import asyncio

import pytest

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream import ConnectOptions, ReportFeed
from infobip_async.router import Router
from infobip_async.simulator import Simulator
from infobip_async.simulator.policies import at_home
from tests.jetstream.conftest import FIRST, Server


async def test_reports_find_the_process_that_asked(
    server: Server, programs, gateway_on_sockets: Simulator, scale: int
) -> None:
    """All right, none wrong, none timed out, though the broker is killed several times."""
    count = 4_000 * scale
    firsts = [FIRST, FIRST + 10**6]
    clients = [
        programs("client", server.url, gateway_on_sockets.base_url, one, count) for one in firsts
    ]
    await asyncio.gather(*(client.start() for client in clients))
    for _ in range(3 * scale):
        await asyncio.sleep(0.3)
        await server.kill()
        await asyncio.sleep(0.2)
        await server.start()
    killed_within = [len(client.lines) for client in clients]
    async with asyncio.timeout(50 * scale):
        await asyncio.gather(*(client.ended() for client in clients))
    print("results when the last kill was over:", killed_within)  # noqa: T201 - the figure
    for first, client in zip(firsts, clients, strict=True):
        *results, end = client.lines
        assert end == "end"
        expected = {str(first + i): at_home(str(first + i)).imsi for i in range(count)}
        assert len(results) == count
        for line in results:
            number, outcome, imsi = line.split()
            assert (outcome, imsi) == ("REPORTED", expected.pop(number))
        assert not expected
    assert min(killed_within) < count
    assert all(push.status == 200 for push in gateway_on_sockets.pushes)


async def test_a_feed_needs_a_place_to_begin_at(server: Server) -> None:
    """It does not let lookups begin whose reports it would miss."""
    await server.kill()
    with pytest.raises(StorageUnavailableError):
        await ReportFeed(ConnectOptions(servers=(server.url,), timeout=0.3), Router()).__aenter__()
