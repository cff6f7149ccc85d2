"""Spans and metrics: what they tell, and what they never hold."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

import attrs
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry import context
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from infobip_async import (
    Deliveries,
    DeliveryReport,
    DeliveryStatus,
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
from infobip_async.redaction import SparseLogger
from infobip_async.simulator import Fault, Simulator
from infobip_async.telemetry import Telemetry, instruments, watching
from infobip_async.webhook import callback_urls, webhook_app
from watched import Seen

NUMBER = "38598514674"
PASSWORD = "pa55-canary"
SECRET = "secret-canary"
CANARIES = (PASSWORD, SECRET, NUMBER, "text-canary", "sender-can")
MESSAGE = TextMessage("text-canary", "sender-can")


@pytest.fixture
async def gateway() -> AsyncIterator[Simulator]:
    """A gateway whose password can be told from all other words."""
    async with Simulator(username="user", password=PASSWORD) as simulator:
        yield simulator


def make_client(gateway: Simulator, seen: Seen, **options: object) -> InfobipClient:
    """A client of the gateway that is watched."""
    endpoints = Endpoints.at(gateway.base_url)
    return InfobipClient("user", PASSWORD, endpoints=endpoints, telemetry=seen.telemetry, **options)


async def test_each_operation_has_a_span_and_a_duration(gateway: Simulator, seen: Seen) -> None:
    """Their names are those of the client's methods, and counters have the numbers of messages."""
    async with make_client(gateway, seen) as client:
        await client.send(MESSAGE, [NUMBER, "41793026727"])
        await client.send_one(MESSAGE, NUMBER)
        await client.credits()
        await client.pull_reports()
        await client.submit_hlr([NUMBER])
    names = ["send", "send_one", "credits", "pull_reports", "submit_hlr"]
    assert [span.name for span in seen.spans] == names
    assert {span.kind.name for span in seen.spans} == {"CLIENT"}
    durations = seen.points["messaging.client.operation.duration"]
    assert sorted(point["messaging.operation.name"] for point, _ in durations) == sorted(names)
    sent = seen.points["messaging.client.sent.messages"]
    assert sorted(count for _, count in sent) == [1, 2]
    assert [count for _, count in seen.points["infobip.lookups"]] == [1]


@pytest.mark.parametrize(
    ("fault", "outcome", "error"),
    [
        (Fault.CUT_BEFORE_REPLY, "unknown", "OutcomeUnknownError"),
        (None, "accepted", None),
    ],
)
async def test_an_outcome_is_told(
    gateway: Simulator, seen: Seen, fault: Fault | None, outcome: str, error: str | None
) -> None:
    """A metric can be split by what became of the sends; a span without an answer has failed."""
    if fault:
        gateway.faults.add(fault)
    async with make_client(gateway, seen) as client:
        if fault:
            with pytest.raises(InfobipError):
                await client.send(MESSAGE, NUMBER)
        else:
            await client.send(MESSAGE, NUMBER)
    [span] = seen.spans
    assert span.attributes["infobip.outcome"] == outcome
    assert span.attributes.get("error.type") == error
    assert span.status.is_ok is (error is None)
    assert not span.events
    [(attributes, count)] = seen.points["messaging.client.sent.messages"]
    assert (attributes["infobip.outcome"], count) == (outcome, 1)


class _Broken(SpanProcessor):
    """Raises where a span begins, or where it ends."""

    def __init__(self, *, at_start: bool) -> None:
        self._at_start = at_start

    def on_start(self, *_: object, **__: object) -> None:
        if self._at_start:
            raise RuntimeError("text-canary")

    def on_end(self, _: ReadableSpan) -> None:
        raise RuntimeError("text-canary")


@pytest.mark.parametrize("at_start", [True, False])
async def test_a_broken_processor_changes_no_outcome(
    gateway: Simulator, at_start, caplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent is told as sent."""
    lines = SparseLogger(instruments._sparse_logger.logger)
    monkeypatch.setattr(instruments, "_sparse_logger", lines)
    spans = TracerProvider(shutdown_on_exit=False)
    spans.add_span_processor(_Broken(at_start=at_start))
    broken = Telemetry(tracer_provider=spans)
    endpoints = Endpoints.at(gateway.base_url)
    async with InfobipClient("user", PASSWORD, endpoints=endpoints, telemetry=broken) as client:
        assert (await client.send(MESSAGE, NUMBER)).accepted == 1
    assert "a span or a figure is lost: RuntimeError" in caplog.text
    assert "text-canary" not in caplog.text


async def test_a_refusal_is_told(gateway: Simulator, seen: Seen) -> None:
    """A wrong password is no failure of the network."""
    endpoints = Endpoints.at(gateway.base_url)
    options = {"endpoints": endpoints, "telemetry": seen.telemetry}
    async with InfobipClient("user", "another", **options) as client:
        with pytest.raises(InfobipError):
            await client.send(MESSAGE, NUMBER)
    assert seen.spans[0].attributes["infobip.outcome"] == "refused"


@pytest.mark.parametrize("injected", [False, True])
async def test_no_canary_is_exported(
    gateway: Simulator, seen: Seen, caplog: pytest.LogCaptureFixture, *, injected: bool
) -> None:
    """An instrumentation of httpx makes no span of ours, whose URL would hold the password."""
    caplog.set_level(logging.DEBUG)
    instrumentation = HTTPXClientInstrumentor()
    instrumentation.instrument(tracer_provider=seen.tracers, meter_provider=seen.meters)
    try:
        async with httpx.AsyncClient() as http:
            await http.get(gateway.base_url)  # not ours: it has its span
            async with make_client(gateway, seen, http=http if injected else None) as client:
                await client.send(MESSAGE, NUMBER)
                await client.send_one(MESSAGE, NUMBER)
                await client.credits()
                await client.submit_hlr([NUMBER])
    finally:
        instrumentation.uninstrument()
    assert [span.name for span in seen.spans][1:] == ["send", "send_one", "credits", "submit_hlr"]
    assert seen.spans[0].name == "GET"
    exported = seen.text() + caplog.text
    assert [canary for canary in CANARIES if canary in exported] == []


async def test_a_push_has_a_span_around_those_of_its_handlers(
    gateway: Simulator, seen: Seen
) -> None:
    """What handlers do is part of the trace of the push that they handle."""
    router = Router(telemetry=seen.telemetry)

    @router.on(DeliveryReport)
    async def delivered(_: DeliveryReport) -> None:
        seen.tracers.get_tracer("service").start_span("the service's own").end()

    async with TestServer(webhook_app(router, secret=SECRET)) as server:
        gateway.callbacks = callback_urls(str(server.make_url("")), secret=SECRET)
        async with make_client(gateway, seen) as client:
            await client.send(MESSAGE, NUMBER)
        await gateway.settled()
    own, process, receive = (
        next(span for span in seen.spans if span.name == name)
        for name in ("the service's own", "process DeliveryReport", "receive dlr")
    )
    assert own.parent.span_id == process.context.span_id
    assert process.parent.span_id == receive.context.span_id
    assert receive.attributes["http.response.status_code"] == HTTPStatus.OK
    [(attributes, count)] = seen.points["messaging.client.consumed.messages"]
    assert (attributes["infobip.status"], count) == ("DELIVERED", 1)


async def test_a_journal_keeps_the_trace_of_a_push(
    gateway: Simulator, seen: Seen, tmp_path: Path
) -> None:
    """Handlers belong to the trace of the push, though they run after its answer."""
    router = Router(telemetry=seen.telemetry)
    handled = asyncio.Event()

    @router.on(DeliveryReport)
    async def delivered(_: DeliveryReport) -> None:
        if not handled.is_set():
            handled.set()
            raise ValueError("text-canary")  # so that it is tried again

    settings = HandlerSettings(first_delay=0.001)
    journal = SqliteJournal(tmp_path / "journal", settings=settings)
    async with TestServer(webhook_app(router, secret=SECRET, journal=journal)) as server:
        gateway.callbacks = callback_urls(str(server.make_url("")), secret=SECRET)
        async with make_client(gateway, seen) as client:
            await client.send(MESSAGE, NUMBER)
        await gateway.settled()
        async with asyncio.timeout(60):
            while len(processed := seen.named("process DeliveryReport")) < 2:  # noqa: ASYNC110 - spans end in many places
                await asyncio.sleep(0.01)
            while "infobip.journal.events" not in seen.points:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        events = {
            one["infobip.state"]: level for one, level in seen.points["infobip.journal.events"]
        }
        assert events.keys() == {"waiting", "dead", "quarantined"}
        assert events["dead"] == 0
    [receive] = seen.named("receive dlr")
    assert {span.parent.span_id for span in processed} == {receive.context.span_id}
    [(attributes, count)] = seen.points["infobip.journal.failures"]
    assert (attributes["infobip.state"], count) == ("retried", 1)
    assert [canary for canary in CANARIES if canary in seen.text()] == []


@pytest.mark.parametrize("many", [False, True])
async def test_a_delivery_is_linked_to_its_send(
    gateway: Simulator, seen: Seen, tmp_path: Path, *, many: bool
) -> None:
    """Its span lasts from the send to the final report, which another process may get."""
    router, clock = Router(telemetry=seen.telemetry), [1_000.0]
    path = tmp_path / "deliveries"
    async with (
        make_client(gateway, seen) as client,
        Deliveries(
            client, router, store=SqliteDeliveryStore(path), clock=lambda: clock[0]
        ) as deliveries,
    ):
        if many:
            [_] = [one async for one in deliveries.send_many([(MESSAGE, NUMBER)])]
            [message_id] = [one.message_id async for one in deliveries.stored()]
        else:
            message_id = (await deliveries.send(MESSAGE, NUMBER))[0].message_id
    clock[0] += 25.0
    again = Deliveries(None, router, store=SqliteDeliveryStore(path), clock=lambda: clock[0])
    report = DeliveryReport(message_id, DeliveryStatus.DELIVERED, "DELIVERED")
    async with again:
        for one in (report, report, attrs.evolve(report, message_id="a stranger's")):
            await router.dispatch([one])
    [create], [send], [deliver] = map(seen.named, ("create Delivery", "send", "deliver"))
    assert send.parent.span_id == create.context.span_id
    assert [link.context.span_id for link in deliver.links] == [create.context.span_id]
    assert (deliver.start_time, deliver.end_time) == (1_000 * 10**9, 1_025 * 10**9)
    [(attributes, count)] = seen.points["infobip.delivery.duration"]
    assert (attributes["infobip.state"], attributes["infobip.status"]) == ("delivered", "DELIVERED")
    assert count == 1
    reports = {
        one["infobip.state"]: number for one, number in seen.points["infobip.delivery.reports"]
    }
    assert reports == {"new": 1, "repeated": 1, "uncorrelated": 1}
    assert [canary for canary in (*CANARIES, message_id) if canary in seen.text()] == []


async def test_what_never_went_out_has_no_delivery(gateway: Simulator, seen: Seen) -> None:
    """The span of its request tells all; its time would pass for a quick delivery."""
    router = Router(telemetry=seen.telemetry)
    client = InfobipClient("user", "another", endpoints=Endpoints.at(gateway.base_url))
    async with client, Deliveries(client, router) as deliveries:
        with pytest.raises(InfobipError):
            await deliveries.send(MESSAGE, NUMBER)
    assert seen.named("deliver") == []
    assert "infobip.delivery.duration" not in seen.points


async def test_runs_are_read_while_they_go(gateway: Simulator, seen: Seen) -> None:
    """What a run has counted stays when it is over; its levels go."""
    numbers = [f"3859{number:08}" for number in range(5)]
    items = [(MESSAGE, number) for number in numbers]
    async with make_client(gateway, seen) as client:
        async with client.send_many(items, window=50) as run:
            await anext(run)
            active = {
                one["infobip.state"]: level for one, level in seen.points["infobip.run.active"]
            }
            window = {
                one["infobip.state"]: level for one, level in seen.points["infobip.run.window"]
            }
            assert active == {"going": 1, "waiting": 0, "paused": 0}
            assert window == {"used": 4, "size": 50}
            rest = [one async for one in run]
        assert len(rest) == 4
        assert (await client.credits()) > 0
    split = {"messaging.operation.name": "send_many"}
    assert seen.points["infobip.run.units"] == [(split, 5)]
    assert "infobip.run.active" not in seen.points
    [(account, credits_left)] = seen.points["infobip.credits"]
    assert credits_left > 0
    assert account == {"infobip.account": sha256(b"user").hexdigest()[:8]}


async def test_accounts_have_a_balance_each(seen: Seen) -> None:
    """Clients of one process share an instrument, and its figures are told apart without names."""
    for username in ("first", "second"):
        async with (
            Simulator(username=username, password="password") as one,
            InfobipClient(
                username,
                "password",
                endpoints=Endpoints.at(one.base_url),
                telemetry=seen.telemetry,
            ) as client,
        ):
            await client.credits()
    balances = seen.points["infobip.credits"]
    assert len({split["infobip.account"] for split, _ in balances}) == len(balances) == 2
    assert "first" not in repr(balances)


async def test_rows_that_cannot_be_read_are_counted(
    gateway: Simulator, seen: Seen, tmp_path: Path
) -> None:
    """Wherever they come from, and whether anybody handles them or not."""
    router = Router(telemetry=seen.telemetry)
    journal = SqliteJournal(tmp_path / "journal")
    apps = [webhook_app(router, secret=SECRET, journal=one) for one in (None, journal)]
    rows = f"{NUMBER};1;DELIVRD;2019011231213;385980501;0\nno row"
    for app in apps:
        async with TestServer(app) as server, httpx.AsyncClient() as http:
            for _ in range(2):
                await http.post(f"{server.make_url('/')}{SECRET}/hlr", data={"dlr": rows})
            async with asyncio.timeout(60):
                while app is apps[1] and (await journal.counts()).waiting:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
    counted = {
        one["messaging.destination.name"]: count
        for one, count in seen.points["infobip.rows.unreadable"]
    }
    assert counted == {"hlr": 2, "journal": 1}
    assert seen.points["infobip.journal.repeated"] == [({}, 2)]
    assert [canary for canary in CANARIES if canary in seen.text()] == []


async def test_results_of_lookups_are_read_from_their_stats(gateway: Simulator, seen: Seen) -> None:
    """One place counts, and metrics read it, for as long as the lookups live."""
    router = Router(telemetry=seen.telemetry)
    async with TestServer(webhook_app(router, secret=SECRET)) as server:
        gateway.callbacks = callback_urls(str(server.make_url("")), secret=SECRET)
        async with make_client(gateway, seen) as client, HlrLookups(client, router) as lookups:
            await lookups.lookup(NUMBER)
            results = {
                attributes["infobip.state"]: count
                for attributes, count in seen.points["infobip.lookup.results"]
            }
            assert results["reported"] == 1
            assert not any(count for state, count in results.items() if state != "reported")
            assert seen.points["infobip.lookup.waiting"] == [({}, 0)]
            assert seen.points["infobip.lookup.duration"] == [({}, 1)]
    assert ({"infobip.state": "reported"}, 1) in seen.points["infobip.lookup.results"]
    assert "infobip.lookup.waiting" not in seen.points


async def test_a_failure_of_a_handler_is_told_by_its_class(seen: Seen) -> None:
    """Its text may hold what the event held."""
    router = Router(telemetry=seen.telemetry)

    @router.on(InboundSms)
    async def received(sms: InboundSms) -> None:
        raise ValueError(sms.text)

    with pytest.raises(ExceptionGroup):
        await router.dispatch([InboundSms(sender=NUMBER, text="text-canary")])
    [span] = seen.spans
    assert (span.status.is_ok, span.attributes["error.type"]) == (False, "ValueError")
    assert [canary for canary in CANARIES if canary in seen.text()] == []


async def _aiohttp(router: Router, seen: Seen) -> AsyncIterator[httpx.AsyncClient]:
    """Serve under aiohttp's instrumentation; its host has a page of its own."""
    instrumentation = AioHttpServerInstrumentor()
    instrumentation.instrument(tracer_provider=seen.tracers, meter_provider=seen.meters)
    try:
        app = web.Application()
        app.add_subapp("/infobip", webhook_app(router, secret=SECRET))
        async with (
            TestServer(app) as server,
            httpx.AsyncClient(base_url=str(server.make_url("/"))) as http,
        ):
            yield http
    finally:
        instrumentation.uninstrument()


async def _asgi(router: Router, seen: Seen) -> AsyncIterator[httpx.AsyncClient]:
    """Call an application under the instrumentation of ASGI, as a server would."""
    receiver = asgi_app(router, secret=SECRET)
    app = OpenTelemetryMiddleware(receiver, "/infobip/", tracer_provider=seen.tracers)
    transport = httpx.ASGITransport(app, root_path="/infobip")
    async with (
        receiver.serving(),
        httpx.AsyncClient(transport=transport, base_url="http://service") as http,
    ):
        yield http


@pytest.mark.filterwarnings("ignore:Inheritance class _Instrumented:DeprecationWarning")
@pytest.mark.parametrize("serve", [_aiohttp, _asgi])
async def test_server_instrumentations_can_leave_the_receiver_out(
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., AsyncIterator[httpx.AsyncClient]],
) -> None:
    """The setting that the documentation names keeps the secret out of their spans."""
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "/infobip/")
    router = Router(telemetry=seen.telemetry)

    @router.on(InboundSms)
    async def received(sms: InboundSms) -> None: ...

    target = f"/infobip/{SECRET}/inbound?sender={NUMBER}&text=text-canary"
    async with asynccontextmanager(serve)(router, seen) as http:
        assert (await http.get(target)).status_code == HTTPStatus.OK
    assert [span.name for span in seen.spans] == ["process InboundSms", "receive inbound"]
    assert [canary for canary in CANARIES if canary in seen.text()] == []


def test_the_key_is_the_one_that_instrumentations_honour() -> None:
    """The name is private to the API: a new version may have another one."""
    assert watching._SILENCE == context._SUPPRESS_HTTP_INSTRUMENTATION_KEY


async def test_nothing_is_done_without_opentelemetry(
    gateway: Simulator, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is optional, and so is its use."""
    monkeypatch.setattr(watching, "installed", False)
    async with make_client(gateway, seen) as client:
        await client.send(MESSAGE, NUMBER)
    assert (seen.spans, seen.points) == ((), {})
