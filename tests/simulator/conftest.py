"""A gateway's peer of hand-written octets, and a receiver that keeps what it is sent."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from http import HTTPStatus

import attrs
import pytest
from aiohttp import web

from infobip_async.protocol.exchange import CallbackUrls
from infobip_async.simulator import Gateway, ManualClock, Simulator
from ports import reserved_port

USERNAME = "user"
PASSWORD = "p4ss"
FORM = "application/x-www-form-urlencoded"


@attrs.frozen
class Reply:
    """What the gateway answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@attrs.define
class Wire:
    """A connection of a client that knows nothing of this package."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, method: str, target: str, body: bytes = b"", kind: str = FORM) -> None:
        """Write one request."""
        head = f"{method} {target} HTTP/1.1\r\nHost: gateway\r\n"
        if method == "POST":
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)
        await self.writer.drain()

    async def read(self) -> Reply:
        """Read one reply."""
        status_line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = await self.reader.readexactly(int(headers["Content-Length"]))
        return Reply(int(status_line.split()[1]), headers, body)

    async def ask(self, method: str, target: str, body: bytes = b"", kind: str = FORM) -> Reply:
        """Write one request and read its reply."""
        await self.send(method, target, body, kind)
        return await self.read()


@attrs.frozen
class Push:
    """A request that the gateway made."""

    method: str
    target: str
    content_type: str | None
    body: bytes


@attrs.define
class Sink:
    """A receiver that keeps what it gets, and answers as it is told.

    A status of 0 closes the connection without an answer.
    """

    port: int = 0
    pushes: list[Push] = attrs.field(factory=list)
    statuses: deque[int] = attrs.field(factory=deque)
    held: asyncio.Event | None = None
    at_once: int = 0
    most_at_once: int = 0

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            body = await request.content.read()
            kind = request.headers.get("Content-Type")
            self.pushes.append(Push(request.method, request.raw_path, kind, body))
            if self.held:
                await self.held.wait()
            status = self.statuses.popleft() if self.statuses else HTTPStatus.OK
            if not status:
                request.transport.close()
            return web.Response(status=status or HTTPStatus.OK)
        finally:
            self.at_once -= 1

    @property
    def urls(self) -> CallbackUrls:
        """The addresses to enter."""
        base = f"http://127.0.0.1:{self.port}"
        return CallbackUrls(f"{base}/dlr", f"{base}/hlr", f"{base}/in?who=%sender%&what=%text%")


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """A receiver on a port of its own."""
    sink = Sink()
    runner = web.ServerRunner(web.Server(sink.take, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.port = runner.addresses[0][1]
    yield sink
    if sink.held:  # a request whose client has gone would wait for ever, and be in no cleanup
        sink.held.set()
    await runner.cleanup()


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nobody listens but who is told of it."""
    with reserved_port() as port:
        yield port


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
async def simulator(clock: ManualClock) -> AsyncIterator[Simulator]:
    """A running simulator with an account of 100 credits and no callbacks."""
    async with Simulator(
        username=USERNAME, password=PASSWORD, credits=Decimal(100), clock=clock
    ) as simulator:
        yield simulator


@pytest.fixture
async def wire(simulator: Simulator) -> AsyncIterator[Wire]:
    """A connection to the simulator."""
    wire = await _connect(simulator)
    yield wire
    wire.writer.close()


@pytest.fixture
def gateway() -> Gateway:
    """A gateway without a socket, with an account of 100 credits."""
    gateway = Gateway()
    gateway.open_account(USERNAME, PASSWORD, Decimal(100))
    return gateway


async def _connect(simulator: Simulator) -> Wire:
    port = int(simulator.base_url.rpartition(":")[2])
    return Wire(*await asyncio.open_connection("127.0.0.1", port))


@pytest.fixture
def connect() -> Callable[[Simulator], Awaitable[Wire]]:
    """Opens a connection to a simulator of the test's own; the test closes it."""
    return _connect


@pytest.fixture
def ask() -> Callable[..., Awaitable[Reply]]:
    """Makes one request to a simulator of the test's own, on a fresh connection."""

    async def exchange(simulator: Simulator, method: str, target: str, body: bytes = b"") -> Reply:
        wire = await _connect(simulator)
        try:
            return await wire.ask(method, target, body)
        finally:
            wire.writer.close()

    return exchange


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Lets the loop run until something is so."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)

    return wait
