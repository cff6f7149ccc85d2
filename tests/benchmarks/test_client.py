"""What a send costs in processor time, against the same request through bare HTTP clients.

Run with ``pytest tests/benchmarks/test_client.py --benchmark-only``. The gateway is a process of
its own that answers without looking, so the time is the client's alone; what is compared takes
turns, round by round. Nothing here fails: the ratios are printed, and kept in the record.

What remains of a send, as ``python -m cProfile`` has it: httpcore and h11, which write and read
the HTTP, take a half; httpx's request and response a fifth; the rest is the task that keeps the
exchange from being cancelled, the XML, and the event loop.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module

import aiohttp
import httpx
import pytest

from infobip_async import Endpoints, InfobipClient, TextMessage

pytest.importorskip("pytest_benchmark")

ROUNDS = 5
REPLY = b"<RESPONSE><status>1</status><credits>98.00</credits></RESPONSE>"
TEXT = TextMessage("Hello", "Friend")
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}

Once = Callable[[], Awaitable[object]]
Way = Callable[[str, int], AbstractAsyncContextManager[Once]]


class Gateway(asyncio.Protocol):
    """Answers whatever is complete."""

    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep it."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count the octets of the body."""
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split()[0]):
            self.received = b""
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
            self.transport.write(head % len(REPLY) + REPLY)


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Gateway, "127.0.0.1", 0, backlog=1000)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """Its base URL."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:  # noqa: S603 - ours
        yield process.stdout.readline().strip()
        process.stdin.close()


@asynccontextmanager
async def ours(base: str, concurrent: int) -> AsyncIterator[Once]:
    """`InfobipClient.send`."""
    endpoints = Endpoints.at(base)
    async with InfobipClient("u", "p", endpoints=endpoints, concurrency=concurrent) as client:
        yield lambda: client.send(TEXT, "385911234567")


def injected(library: str) -> Way:
    """The same through a client of httpx's, or of one like it."""

    @asynccontextmanager
    async def way(base: str, concurrent: int) -> AsyncIterator[Once]:
        module = import_module(library)
        limits = module.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
        async with module.AsyncClient(limits=limits, timeout=60) as http:
            endpoints = Endpoints.at(base)
            client = InfobipClient("u", "p", endpoints=endpoints, concurrency=concurrent, http=http)
            yield lambda: client.send(TEXT, "385911234567")

    return way


def body() -> bytes:
    """As many octets as a send has."""
    return b"XML=" + b"x" * 420


@asynccontextmanager
async def bare_aiohttp(base: str, concurrent: int) -> AsyncIterator[Once]:
    """A post through aiohttp's client, and its reply read."""
    connector = aiohttp.TCPConnector(limit=concurrent)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def once() -> bytes:
            async with session.post(base, data=body(), headers=HEADERS) as reply:
                return await reply.read()

        yield once


@asynccontextmanager
async def bare_httpx(base: str, concurrent: int) -> AsyncIterator[Once]:
    """A post through httpx's client and its own pool."""
    limits = httpx.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:

        async def once() -> bytes:
            return (await http.post(base, content=body(), headers=HEADERS)).content

        yield once


async def cost(way: Way, base: str, concurrent: int, count: int) -> float:
    """Processor time per call of so many concurrent ones, once all connections are there."""
    async with way(base, concurrent) as once:

        async def work(turns: Iterator[int]) -> None:
            for _ in turns:
                await once()

        async def drive(count: int) -> None:
            turns = iter(range(count))
            await asyncio.gather(*(work(turns) for _ in range(concurrent)))

        await drive(2 * concurrent)
        start = time.process_time()
        await drive(count)
        return (time.process_time() - start) / count


PAIRS = {
    "client.send, 1 at a time, against httpx": (ours, bare_httpx, 1, 300, "-"),
    "client.send, 10 concurrent, against aiohttp": (ours, bare_aiohttp, 10, 500, "<= 6"),
    "client.send, 100 concurrent, against aiohttp": (ours, bare_aiohttp, 100, 500, "<= 6"),
    "client.send, 500 concurrent, against aiohttp": (ours, bare_aiohttp, 500, 1_000, "<= 6"),
    "httpx's pool, 100 concurrent, against client.send": (bare_httpx, ours, 100, 100, ">= 6"),
    "an injected httpx, 10 concurrent": (injected("httpx"), ours, 10, 300, "-"),
    "an injected httpx2, 10 concurrent": (injected("httpx2"), ours, 10, 300, "-"),
}


@pytest.mark.parametrize("path", PAIRS)
def test_send(benchmark, bench, gateway: str, path: str) -> None:
    """One against the other, in turns."""
    way, other, concurrent, count, target = PAIRS[path]
    if "httpx2" in path:
        pytest.importorskip("httpx2")
    times: tuple[list[float], list[float]] = ([], [])

    def turn() -> None:
        for one, taken in zip((way, other), times, strict=True):
            taken.append(asyncio.run(cost(one, gateway, concurrent, count)))

    benchmark.pedantic(turn, rounds=2 if way is bare_httpx else ROUNDS)
    record(benchmark, bench, path, times, target)


def test_send_with_uvloop(benchmark, bench, gateway: str) -> None:
    """What it brings."""
    uvloop = pytest.importorskip("uvloop")
    times: tuple[list[float], list[float]] = ([], [])

    def turn() -> None:
        for make, taken in zip((uvloop.new_event_loop, None), times, strict=True):
            with asyncio.Runner(loop_factory=make) as runner:
                taken.append(runner.run(cost(ours, gateway, 100, 500)))

    benchmark.pedantic(turn, rounds=ROUNDS)
    path = "client.send, 100 concurrent, uvloop against asyncio"
    record(benchmark, bench, path, times, "-")


def record(
    benchmark, bench, path: str, times: tuple[list[float], list[float]], target: str
) -> None:
    """Into the table, and into the benchmark's record."""
    bench.add(path, *times, target)
    ratios = [one / other for one, other in zip(*times, strict=True)]
    benchmark.extra_info["ratio"] = round(statistics.median(ratios), 2)


if __name__ == "__main__":
    asyncio.run(serve())
