"""A running receiver, and a client that sends octets exactly as they are given."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import attrs
import pytest
from aiohttp import web

from infobip_async.models.events import DeliveryReport, Event, HlrReport, InboundSms
from infobip_async.router import Router
from infobip_async.webhook import Limits, webhook_app
from jumping import PATIENCE, JumpingLoop, until

SECRET = "a-secret-of-the-tests"


@attrs.frozen
class Reply:
    """What the receiver answered."""

    status: int
    headers: dict[str, str]
    body: bytes


async def read_reply(reader: asyncio.StreamReader, *, head_only: bool = False) -> Reply:
    """Read one reply, as far as its own length says."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    length = 0 if head_only else int(headers.get("Content-Length", "0"))
    return Reply(int(status.split(" ")[1]), headers, await reader.readexactly(length))


@attrs.frozen
class Receiver:
    """A receiver that serves on a port of its own and keeps the events that it got."""

    port: int
    app: web.Application
    runner: web.AppRunner
    router: Router
    events: list[Event]
    _writers: list[asyncio.StreamWriter] = attrs.field(factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def idle(self) -> None:
        """Wait until the server has noticed that its connections are gone."""
        await until(lambda: not self.runner.server.connections)

    async def aclose(self) -> None:
        """Close all connections, and stop."""
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await self.runner.cleanup()

    async def send(self, raw: bytes) -> Reply:
        """Send octets over a new connection and read one reply."""
        reader, writer = await self.connect()
        writer.write(raw)
        try:
            return await read_reply(reader, head_only=raw.startswith(b"HEAD"))
        finally:
            writer.close()

    async def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """Send a request with a Content-Length."""
        fields = {"Host": "x", "Content-Length": str(len(body))} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return await self.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    async def post(self, name: str, body: bytes, **headers: str) -> Reply:
        """Post to one of the routes, with the right secret."""
        return await self.request("POST", f"/{SECRET}/{name}", body, **headers)

    async def inbound(self, query: str) -> Reply:
        """Forward an inbound SMS, with the right secret."""
        return await self.request("GET", f"/{SECRET}/inbound?{query}")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """No test waits for a limit."""
    return {"jumping": JumpingLoop}


Start = Callable[..., Awaitable[Receiver]]


@pytest.fixture
def secret() -> str:
    """The secret of every receiver that is not given another."""
    return SECRET


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start receivers, and stop them after the test.

    `mount` puts the application into another, `runner` holds settings of aiohttp's server,
    `handlers` tells whether the events are kept.
    """
    receivers: list[Receiver] = []

    async def start(
        *,
        mount: Callable[[web.Application], web.Application] = lambda app: app,
        runner: dict[str, object] | None = None,
        handlers: bool = True,
        **settings: object,
    ) -> Receiver:
        router = Router()
        events: list[Event] = []

        async def keep(event: Event) -> None:
            events.append(event)

        for event in (DeliveryReport, HlrReport, InboundSms) if handlers else ():
            router.on(event)(keep)
        usual = {"secret": SECRET, "limits": Limits(read_seconds=PATIENCE)}
        app = webhook_app(router, **(usual | settings))
        server = web.AppRunner(mount(app), **(runner or {}))
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        receivers.append(Receiver(server.addresses[0][1], app, server, router, events))
        return receivers[-1]

    yield start
    for each in receivers:
        await each.aclose()


@pytest.fixture
async def receiver(start: Start) -> Receiver:
    """A receiver that runs alone."""
    return await start()


@pytest.fixture
def reply_of() -> Callable[..., Awaitable[Reply]]:
    """Read one reply from a connection."""
    return read_reply


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the receiver warned of, without its details for debugging."""
    caplog.set_level(logging.DEBUG, "infobip_async.receiver")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name == "infobip_async.receiver" and record.levelno >= logging.WARNING
    ]
