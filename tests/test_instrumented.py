"""What is exported and logged while every instrumentation is on: nothing that is secret."""

import asyncio
import logging
import logging.config  # what the instrumentation of logging changes for good is put back
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.instrumentation import logging as logging_instrumentation
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from infobip_async import (
    Deliveries,
    DeliveryReport,
    Endpoints,
    HlrLookups,
    InboundSms,
    InfobipClient,
    InfobipError,
    Router,
    SqliteDeliveryStore,
    SqliteJournal,
    TextMessage,
)
from infobip_async.asgi import asgi_app
from infobip_async.journal import HandlerSettings
from infobip_async.simulator import Fault, Simulator
from infobip_async.webhook import callback_urls, webhook_app
from watched import Seen

PASSWORD, WRONG = "pa55-canary", "wr0ng-canary"
SECRET = "secret-canary"
NUMBER, ANOTHER = "38598514674", "41793026727"
MESSAGE = TextMessage("text-canary", "sender-can")
CANARIES = (PASSWORD, WRONG, SECRET, NUMBER, ANOTHER, "text-canary", "sender-can", "inbound-canary")


class Logged(logging.Handler):
    """Keeps every octet of each record that reaches it, with all attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as the standard library does, and as structured loggers do."""
        self.texts += [logging.Formatter("%(name)s %(message)s").format(record), repr(vars(record))]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logged]:
    """Everything that is logged, at every level, in any room or library."""
    root, handler = logging.getLogger(), Logged()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


@pytest.fixture
def log_exporter(monkeypatch: pytest.MonkeyPatch) -> InMemoryLogRecordExporter:
    """What the instrumentation of logging exports."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(logging_instrumentation, "get_logger_provider", lambda: provider)
    return exporter


@pytest.fixture
def _instrumented(
    seen: Seen, log_exporter: InMemoryLogRecordExporter, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Every instrumentation is on, with the setting that the documentation names."""
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "/infobip/")
    for module, name in (
        (logging, "basicConfig"),
        (logging.config, "dictConfig"),
        (logging.config, "fileConfig"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    several = [
        HTTPXClientInstrumentor(),
        AioHttpClientInstrumentor(),
        AioHttpServerInstrumentor(),
        logging_instrumentation.LoggingInstrumentor(),
    ]
    for one in several:
        one.instrument(
            tracer_provider=seen.tracers, meter_provider=seen.meters, inject_trace_context=True
        )
    yield
    for one in several:
        one.uninstrument()


@pytest.fixture
async def gateway() -> AsyncIterator[Simulator]:
    """A gateway whose password can be told from all other words."""
    async with Simulator(username="user", password=PASSWORD) as simulator:
        yield simulator


def failing_router(seen: Seen) -> Router:
    """Handlers that succeed at the second attempt."""
    router, met = Router(telemetry=seen.telemetry), set[type]()

    async def handle(event: object) -> None:
        if type(event) not in met:
            met.add(type(event))
            raise ValueError("as it is to be")

    for event in (DeliveryReport, InboundSms):
        router.on(event)(handle)
    return router


async def work(gateway: Simulator, router: Router, seen: Seen, folder: Path, page: str) -> None:
    """Do what the library can, well and badly, by one client and one receiver."""
    options = {"endpoints": Endpoints.at(gateway.base_url), "telemetry": seen.telemetry}
    store = SqliteDeliveryStore(folder / "deliveries")
    async with (
        httpx.AsyncClient() as http,
        InfobipClient("user", PASSWORD, **options) as client,
        InfobipClient("user", PASSWORD, http=http, **options) as injected,
        InfobipClient("user", WRONG, **options) as refused,
        HlrLookups(client, router) as lookups,
        Deliveries(client, router, store=store) as deliveries,
    ):
        for one in (client, injected):
            await one.send(MESSAGE, [NUMBER, ANOTHER])
            await one.send_one(MESSAGE, NUMBER)
            await one.credits()
        await deliveries.send(MESSAGE, NUMBER)
        assert [one async for one in deliveries.send_many([(MESSAGE, NUMBER)])]
        await lookups.lookup(NUMBER)
        for fault in (Fault.CUT_BEFORE_REPLY, Fault.UNREADABLE_REPLY, Fault.STATUS_500):
            for call in (client.send, client.send_one):
                gateway.faults.add(fault)
                with pytest.raises(InfobipError):
                    await call(MESSAGE, NUMBER)
        for call in (refused.send(MESSAGE, NUMBER), refused.submit_hlr([NUMBER])):
            with pytest.raises(InfobipError):
                await call
        gateway.faults.add(Fault.MALFORMED_ROW)
        await client.send(MESSAGE, ANOTHER)
        await gateway.inbound(NUMBER, "inbound-canary", receiver=ANOTHER)
        await gateway.settled()
        gateway.callbacks = None
        gateway.faults.add(Fault.MALFORMED_ROW)
        await client.send(MESSAGE, ANOTHER)
        with suppress(InfobipError):
            await client.pull_reports()
        async with aiohttp.ClientSession() as session:  # of the host, who has its spans
            assert (await session.get(page)).status == (await http.get(page)).status_code


async def call_asgi(app: object, path: str, query: str) -> None:
    """Make a request, as a server does."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "headers": [], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent


@pytest.mark.usefixtures("_instrumented")
@pytest.mark.filterwarnings("ignore:Inheritance class _Instrumented:DeprecationWarning")
async def test_no_canary_is_exported_or_logged(
    gateway: Simulator,
    seen: Seen,
    logged: Logged,
    log_exporter: InMemoryLogRecordExporter,
    tmp_path: Path,
) -> None:
    """No password, secret, number or text, by whatever way, at any level."""
    router = failing_router(seen)
    journal = SqliteJournal(tmp_path / "journal", settings=HandlerSettings(first_delay=0.001))
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get("/page", page)
    app.add_subapp("/infobip", webhook_app(router, secret=SECRET, journal=journal))
    async with TestServer(app) as server:
        gateway.callbacks = callback_urls(str(server.make_url("/infobip")), secret=SECRET)
        await work(gateway, router, seen, tmp_path, str(server.make_url("/page")))
        async with asyncio.timeout(60):
            while (await journal.counts()).waiting:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
    receiver = asgi_app(router, secret=SECRET)
    middleware = OpenTelemetryMiddleware(receiver, "/infobip/", tracer_provider=seen.tracers)
    async with receiver.serving():
        query = f"sender={NUMBER}&receiver={ANOTHER}&text=inbound-canary"
        for path in (f"/infobip/{SECRET}/inbound", f"/infobip/{SECRET}/elsewhere"):
            await call_asgi(middleware, path, query)
        await call_asgi(middleware, "/page", "")  # not ours: it has its span
    exported = "".join(one.to_json() for one in log_exporter.get_finished_logs())
    everything = seen.text() + exported + "".join(logged.texts)
    assert [canary for canary in CANARIES if canary in everything] == []
    # All of them were on, and had something to tell.
    scopes = {span.instrumentation_scope.name.rpartition(".")[2] for span in seen.spans}
    assert scopes == {"aiohttp_client", "aiohttp_server", "asgi", "httpx", "infobip_async"}
    assert "otelTraceID" in exported
    assert "the outcome of send is unknown" in exported
