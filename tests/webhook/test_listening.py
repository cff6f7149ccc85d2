"""Our own runner: strangers that hold connections, signals, and a stop in the right order."""

import asyncio
import logging
import os
import signal

import httpx
import pytest
from aiohttp import web

from infobip_async import DeliveryReport, HlrLookups, InboundSms, InfobipClient, Router
from infobip_async.protocol.exchange import Endpoints
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls, listening, run_receiver, webhook_app
from jumping import PATIENCE, jump, turns, until
from platforms import needs_signals

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
HALF = b"POST /a/dlr HTTP/1.1\r\nHost: x\r\n"


async def post(base_url: str, secret: str) -> int:
    """Push a report over a new connection."""
    async with httpx.AsyncClient(verify=False, timeout=100 * PATIENCE) as http:
        url = callback_urls(base_url, secret=secret).delivery_reports
        return (await http.post(url, content=REPORT)).status_code


@pytest.fixture
async def connect():
    """Open connections, and close what the server has not closed."""
    writers = []

    async def connect(base_url: str, octets: bytes = b"") -> asyncio.StreamReader:
        host, port = base_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writers.append(writer)
        writer.write(octets)
        return reader

    yield connect
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Wait until a connection is closed, with nothing sent."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE) == b""
    except ConnectionError:
        return True


async def test_half_heads_shut_nobody_out(connect, secret):
    """The oldest of too many makes room; who has pushed stays."""
    app = webhook_app(Router(), secret=secret)
    async with listening(app, max_strangers=3, head_seconds=PATIENCE * 10) as base_url:
        known = await connect(base_url, b"POST /%s/dlr HTTP/1.1\r\nHost: x\r\n" % secret.encode())
        half = [await connect(base_url, HALF) for _ in range(2)]
        assert await post(base_url, secret) == 200
        half += [await connect(base_url, HALF) for _ in range(2)]
        assert await closed(known)
        assert await post(base_url, secret) == 200
        assert await closed(half[0])


async def test_a_connection_that_has_pushed_stays(connect, secret):
    """However many strangers come after it."""
    app = webhook_app(Router(), secret=secret)
    head = f"POST /{secret}/dlr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(REPORT)}\r\n\r\n"
    async with listening(app, max_strangers=2) as base_url:
        known = await connect(base_url, head.encode() + REPORT)
        assert b"200" in await known.readline()
        strangers = [await connect(base_url, HALF) for _ in range(5)]
        assert all([await closed(one) for one in strangers[:3]])
        assert not known.at_eof()


async def test_a_head_has_its_time(connect, secret):
    """A connection that sends no whole head is closed, one with a long request is not."""
    router, release = Router(), asyncio.Event()

    @router.on(DeliveryReport)
    async def slow(_: DeliveryReport) -> None:
        await release.wait()

    async with listening(webhook_app(router, secret=secret), head_seconds=600) as base_url:
        half, push = await connect(base_url, HALF), asyncio.create_task(post(base_url, secret))
        running = asyncio.all_tasks()
        await until(lambda: asyncio.all_tasks() - running)
        await turns(100)
        await jump(600)
        assert await closed(half)
        release.set()
        assert await push == 200


async def test_routes_of_the_host(connect, secret):
    """A page of the host's is no push: who asks for one stays a stranger."""
    app = web.Application()
    app.add_subapp("/sms", webhook_app(Router(), secret=secret))
    async with listening(app, max_strangers=1) as base_url:
        first = await connect(base_url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"404" in await first.readline()
        await connect(base_url)
        await first.read()


async def test_a_long_text_below_a_host(secret):
    """Our own runner takes what the limits allow, also where the receiver is mounted."""
    router, texts = Router(), []

    @router.on(InboundSms)
    async def received(sms: InboundSms) -> None:
        texts.append(sms.text)

    app = web.Application()
    app.add_subapp("/sms", webhook_app(router, secret=secret))
    async with (
        listening(app) as base_url,
        httpx.AsyncClient(verify=False, timeout=PATIENCE) as http,
    ):
        url = f"{base_url}/sms/{secret}/inbound?sender=1&text={'%D0%96' * 5000}"
        assert (await http.get(url)).status_code == 200
    assert texts == ["Ж" * 5000]


async def test_lines_that_strangers_provoke(connect, secret, caplog):
    """They are bounded while it listens."""
    loop = logging.getLogger("asyncio")
    async with listening(webhook_app(Router(), secret=secret)) as base_url:
        for _ in range(3):
            reader = await connect(base_url, b"GET /\xff HTTP/1.1\r\n\r\n")
            assert b"400" in await reader.readline()
            loop.error("socket.accept() out of system resource", exc_info=OSError("x"))
    said = [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"]
    assert said == [
        "a request that cannot be parsed: InvalidURLError",
        "connections wait: no descriptors are left here (ulimit -n)",
    ]


async def test_lines_of_faults(connect, secret, caplog):
    """A fault of the host's own is logged each time."""

    async def fail(_: web.Request) -> web.Response:
        raise ValueError("the host's fault")

    app = web.Application()
    app.router.add_get("/", fail)
    async with listening(app) as base_url:
        for _ in range(2):
            reader = await connect(base_url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"500" in await reader.readline()
    assert caplog.text.count("ValueError: the host's fault") == 2


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it(secret, number):
    """What lives beside it is started before it and stopped, too."""
    router = Router()
    async with Simulator(username="user", password="password") as simulator:
        client = InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url))
        lookups, found = HlrLookups(client, router), []

        async def use(base_url: str) -> None:
            simulator.callbacks = callback_urls(base_url, secret=secret)
            found.append(await lookups.lookup("38598514674"))
            os.kill(os.getpid(), number)

        tasks = []
        app = webhook_app(router, secret=secret)
        started = lambda url: tasks.append(asyncio.create_task(use(url)))  # noqa: E731
        await run_receiver(app, lookups, client, port=0, started=started)
        assert found[0].report.destination == "38598514674"
        with pytest.raises(RuntimeError):
            await lookups.lookup("38598514674")


@needs_signals
async def test_a_deploy_hears_the_last_reports(secret):
    """A lookup that is out when the signal comes still gets its report."""
    router = Router()
    async with Simulator(username="user", password="password", report_delay=0.2) as simulator:
        client = InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url))
        lookups, looking = HlrLookups(client, router), []

        async def use(base_url: str) -> None:
            simulator.callbacks = callback_urls(base_url, secret=secret)
            looking.append(asyncio.create_task(lookups.lookup("38598514674")))
            await until(lambda: simulator.lookups)
            os.kill(os.getpid(), signal.SIGTERM)

        tasks = []
        app = webhook_app(router, secret=secret)
        started = lambda url: tasks.append(asyncio.create_task(use(url)))  # noqa: E731
        await run_receiver(app, lookups, client, port=0, started=started)
        assert (await looking[0]).report is not None
