"""An ASGI server without sockets: it calls an application as the specification says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from infobip_async.asgi import AsgiReceiver, asgi_app
from infobip_async.concurrency.tasks import cancel
from infobip_async.models.events import DeliveryReport, Event, HlrReport, InboundSms
from infobip_async.router import Router
from infobip_async.webhook import Limits
from jumping import PATIENCE, JumpingLoop

SECRET = "a-secret-of-the-tests"


@attrs.frozen
class Reply:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@attrs.define
class Exchange:
    """One request, whose body the test sends, and what was answered."""

    received: asyncio.Queue[dict[str, Any]] = attrs.field(factory=asyncio.Queue)
    sent: list[dict[str, Any]] = attrs.field(factory=list)

    async def send(self, message: dict[str, Any]) -> None:
        """Take what the application sends."""
        self.sent.append(message)

    def body(self, *pieces: bytes, ends: bool = True) -> None:
        """Send pieces of the body."""
        for piece in pieces:
            self.received.put_nowait({"type": "http.request", "body": piece, "more_body": True})
        if ends:
            self.received.put_nowait({"type": "http.request"})

    def hang_up(self) -> None:
        """Go away."""
        self.received.put_nowait({"type": "http.disconnect"})

    def reply(self) -> Reply:
        """Give the answer, which must be a whole one."""
        start, body = self.sent
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], headers, body["body"])


def scope_of(method: str, target: bytes, headers: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """The scope of a request, as a server makes it."""
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    } | more


@attrs.frozen
class Client:
    """Makes requests to an application."""

    app: Callable[..., Any]
    receiver: AsgiReceiver
    router: Router
    events: list[Event]

    async def request(
        self,
        method: str,
        target: str | bytes,
        *pieces: bytes,
        headers: Mapping[str, str] | None = None,
        **scope: Any,
    ) -> Reply:
        """Make a request, with the length of its body unless other headers are given."""
        if headers is None:
            headers = {"Content-Length": str(sum(map(len, pieces)))}
        octets = target if isinstance(target, bytes) else target.encode()
        exchange = Exchange()
        exchange.body(*pieces)
        await self.app(
            scope_of(method, octets, headers, **scope), exchange.received.get, exchange.send
        )
        return exchange.reply()

    async def post(self, name: str, *pieces: bytes, **settings: Any) -> Reply:
        """Post to one of the routes, with the right secret."""
        return await self.request("POST", f"/{SECRET}/{name}", *pieces, **settings)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Start the application, and stop it, as a server does; gives what it said of that."""
        told, sent = asyncio.Queue[dict[str, Any]](), list[dict[str, Any]]()
        spoke = asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            spoke.set()

        task = asyncio.create_task(self.app({"type": "lifespan"}, told.get, send))
        told.put_nowait({"type": "lifespan.startup"})
        await asyncio.wait_for(spoke.wait(), PATIENCE)
        yield sent
        told.put_nowait({"type": "lifespan.shutdown"})
        await task


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """No test waits for a limit."""
    return {"jumping": JumpingLoop}


@pytest.fixture
def secret() -> str:
    """The secret of every receiver that is not given another."""
    return SECRET


@pytest.fixture
def exchange() -> Callable[[], Exchange]:
    """Make exchanges, whose bodies the test sends piece by piece."""
    return Exchange


@pytest.fixture
def scope() -> Callable[..., dict[str, Any]]:
    """Make scopes of requests."""
    return scope_of


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Client]]:
    """Make receivers, which the first request starts, and stop them after the test."""
    made: list[Client] = []

    def make(
        mount: Callable[[AsgiReceiver], Any] = lambda receiver: receiver, **settings
    ) -> Client:
        router, events = Router(), []

        async def keep(event: Event) -> None:
            events.append(event)

        for event in (DeliveryReport, HlrReport, InboundSms):
            router.on(event)(keep)
        usual = {"secret": SECRET, "limits": Limits(read_seconds=PATIENCE)}
        receiver = asgi_app(router, **(usual | settings))
        made.append(Client(mount(receiver), receiver, router, events))
        return made[-1]

    yield make
    started = [client.receiver._untold for client in made]
    loop = asyncio.get_running_loop()
    await cancel(task for task in started if task and task.get_loop() is loop)


@pytest.fixture
async def client(make: Callable[..., Client]) -> AsyncIterator[Client]:
    """A receiver that serves."""
    client = make()
    async with client.receiver.serving():
        yield client
