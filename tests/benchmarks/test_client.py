"""What a send costs in processor time, against the same request through bare HTTP clients.

The gateway is a process of its own that answers without looking, so the time is the client's alone.

What remains of a send: httpcore and h11, which write and read the HTTP, take a half; httpx's
request and response a fifth; the rest is the task that keeps the exchange from being cancelled,
the XML, and the event loop. With many at once all of it grows by what the processor's caches no
longer hold, for aiohttp as for the library.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module

import aiohttp
import httpx
import pytest

from infobip_async import Endpoints, InfobipClient, Recipient, TextMessage
from infobip_async.models.messages import Submission
from infobip_async.protocol import send_xml
from infobip_async.protocol.exchange import Credentials

ROUNDS = 7
TEXT = TextMessage("Hello", "Friend")
NUMBER = "385911234567"
REQUEST = send_xml.encode_request(
    "",
    Credentials("u", "p"),
    Submission(sender="Friend", text="Hello"),
    [Recipient(NUMBER, "a" * 16 + "-1")],
)
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}

Once = Callable[[], Awaitable[object]]
Way = Callable[[str, int], AbstractAsyncContextManager[Once]]


@asynccontextmanager
async def ours(base: str, concurrent: int) -> AsyncIterator[Once]:
    """`InfobipClient.send`."""
    endpoints = Endpoints.at(base)
    async with InfobipClient("u", "p", endpoints=endpoints, concurrency=concurrent) as client:
        yield lambda: client.send(TEXT, NUMBER)


def injected(library: str) -> Way:
    """The same through a client of httpx's, or of one like it."""

    @asynccontextmanager
    async def way(base: str, concurrent: int) -> AsyncIterator[Once]:
        module = import_module(library)
        limits = module.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
        async with module.AsyncClient(limits=limits, timeout=60) as http:
            endpoints = Endpoints.at(base)
            client = InfobipClient("u", "p", endpoints=endpoints, concurrency=concurrent, http=http)
            yield lambda: client.send(TEXT, NUMBER)

    return way


@asynccontextmanager
async def bare_aiohttp(base: str, concurrent: int) -> AsyncIterator[Once]:
    """A post of the same octets through aiohttp's client, and its reply read."""
    connector = aiohttp.TCPConnector(limit=concurrent)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def once() -> bytes:
            async with session.post(base, data=REQUEST.body, headers=HEADERS) as reply:
                return await reply.read()

        yield once


@asynccontextmanager
async def bare_httpx(base: str, concurrent: int) -> AsyncIterator[Once]:
    """The same through httpx's client and its own pool."""
    limits = httpx.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:

        async def once() -> bytes:
            return (await http.post(base, content=REQUEST.body, headers=HEADERS)).content

        yield once


async def drive(way: Way, base: str, concurrent: int, count: int) -> float:
    """Processor time per call of so many concurrent ones, once all connections are there."""
    async with way(base, concurrent) as once:

        async def work(turns: Iterator[int]) -> None:
            for _ in turns:
                await once()

        async def calls(count: int) -> None:
            turns = iter(range(count))
            await asyncio.gather(*(work(turns) for _ in range(concurrent)))

        await calls(2 * concurrent)
        start = time.process_time()
        await calls(count)
        return (time.process_time() - start) / count


@pytest.fixture
def cost(gateway):
    """Makes what measures a way of sending."""

    def make(way: Way, concurrent: int, count: int = 1_000, loop=None) -> Callable[[], float]:
        def measure() -> float:
            with asyncio.Runner(loop_factory=loop) as runner:
                return runner.run(drive(way, gateway, concurrent, count))

        return measure

    return make


@pytest.mark.parametrize("concurrent", [10, 100, 500])
def test_send(bench, cost, concurrent):
    """Against aiohttp's client."""
    path = f"client.send, {concurrent} concurrent, against bare aiohttp"
    both = cost(ours, concurrent), cost(bare_aiohttp, concurrent)
    bench.measure(path, *both, "<= 6", rounds=ROUNDS)


def test_send_with_many_at_once(bench, cost):
    """The cost does not grow with concurrency."""
    path = "client.send, 500 concurrent, against 10"
    bench.measure(path, cost(ours, 500, 2_000), cost(ours, 10, 2_000), "<= 1.5", rounds=ROUNDS)


def test_send_beside_httpx(bench, cost):
    """Against httpx's client and its own pool."""
    path = "client.send, 100 concurrent, against httpx's own pool"
    bench.measure(path, cost(ours, 100, 300), cost(bare_httpx, 100, 100), "<= 0.167", rounds=3)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_send_through_an_injected_client(bench, cost, library):
    """Whose pool decides about connections."""
    pytest.importorskip(library)
    path = f"client.send through {library}.AsyncClient, 10 concurrent"
    bench.measure(path, cost(injected(library), 10, 300), cost(ours, 10, 300), rounds=ROUNDS)


def test_send_with_uvloop(bench, cost):
    """What it brings."""
    uvloop = pytest.importorskip("uvloop")
    path = "client.send, 100 concurrent, uvloop against asyncio"
    both = cost(ours, 100, loop=uvloop.new_event_loop), cost(ours, 100)
    bench.measure(path, *both, rounds=ROUNDS)
