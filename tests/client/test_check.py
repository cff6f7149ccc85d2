"""What stands between the gateway and a receiver, as a check of its public address tells."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from infobip_async import (
    DeliveryReport,
    HlrReport,
    InboundSms,
    LocalProtocolError,
    Router,
    UnreadableRow,
    check_receiver,
)
from infobip_async.client import check
from infobip_async.webhook import listening, webhook_app
from ports import reserved_port

SECRET = "a-secret-of-the-tests"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def events() -> list[object]:
    """What reached a handler."""
    return []


@pytest.fixture
def app(events) -> web.Application:
    """A receiver below ``/sms``."""
    router = Router()

    async def note(event: object) -> None:
        events.append(event)

    for kind in (DeliveryReport, HlrReport, InboundSms, UnreadableRow):
        router.on(kind)(note)
    app = web.Application(handler_args={"max_line_size": 65536})
    app.add_subapp("/sms", webhook_app(router, secret=SECRET))
    return app


@asynccontextmanager
async def in_front(answer: Handler) -> AsyncIterator[str]:
    """Something that answers for the receiver."""
    app = web.Application(client_max_size=2**30, handler_args={"max_line_size": 65536})
    app.router.add_route("*", "/{tail:.*}", answer)
    async with listening(app) as base_url:
        yield base_url


async def problems(base_url: str, **settings: object) -> list[str]:
    """What stands in the way of each kind of probe."""
    results = await check_receiver(f"{base_url}/sms", **({"secret": SECRET} | settings))
    assert all(result.arrived == (result.problem == "") for result in results)
    return [result.problem for result in results]


@pytest.mark.parametrize("secret", [SECRET, [SECRET, "another"]])
async def test_everything_arrives(app, events, secret):
    """No handler hears of it."""
    async with listening(app) as base_url:
        assert await problems(base_url, secret=secret) == [""] * 5
        results = await check_receiver(f"{base_url}/sms/", secret=secret)
    assert [result.kind for result in results] == ["dlr", "dlr", "hlr", "inbound", "inbound"]
    assert {result.status for result in results} == {200}
    assert events == []


async def test_a_receiver_without_a_secret():
    """It can be asked, too, with parameters of any name."""
    names = {"who": "sender", "what": "text"}
    app = webhook_app(Router(), secret=None, inbound=names)
    async with listening(app) as base_url:
        results = await check_receiver(base_url, secret=None, inbound=names)
    assert all(result.arrived for result in results)


async def test_a_wrong_secret(app, events):
    """It cannot be told from a wrong prefix."""
    async with listening(app) as base_url:
        told = await problems(base_url, secret="another-secret")
        elsewhere = await check_receiver(base_url, secret=SECRET)
    assert told == [result.problem for result in elsewhere]
    assert all(one.startswith("HTTP 404: nobody serves this path") for one in told)
    assert "another-secret" not in str(elsewhere) + str(told)
    assert events == []


async def test_a_middleware_that_asks_for_a_login(app):
    """It runs before the receiver, which is mounted below it."""

    @web.middleware
    async def login(request: web.Request, handler: Handler) -> web.StreamResponse:
        raise web.HTTPUnauthorized

    app.middlewares.append(login)
    async with listening(app) as base_url:
        assert all(one.startswith("HTTP 401: ") for one in await problems(base_url))


async def test_a_middleware_that_takes_the_body_away(app, events):
    """The receiver says what arrived."""

    @web.middleware
    async def thief(request: web.Request, handler: Handler) -> web.StreamResponse:
        await request.content.read()
        return await handler(request)

    app.middlewares.append(thief)
    async with listening(app) as base_url:
        one, many, rows, *messages = await problems(base_url)
    assert one.startswith("33 octets of body were sent and 0 arrived: a middleware has")
    assert "1048577 octets of body were sent and 0 arrived" in many
    assert "and 0 arrived" in rows
    assert messages == ["", ""]
    assert events == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (web.Response(text="hello"), "HTTP 200, but not of the receiver"),
        (web.Response(status=301, headers={"Location": "/x"}), "it is redirected"),
        (web.Response(status=403), "HTTP 403: something in front forbids"),
        (web.Response(status=418), "HTTP 418: something in front answers"),
    ],
)
async def test_what_answers_for_the_receiver(answer, problem):
    """Each status has a meaning, and something to do about it."""

    async def give(_: web.Request) -> web.Response:
        return web.Response(status=answer.status, text=answer.text, headers=answer.headers)

    async with in_front(give) as base_url:
        told = await problems(base_url)
    assert [one for one in told if not one.startswith(problem)] == []


async def test_a_proxy_that_changes_things(app):
    """Each octet counts."""
    async with listening(app) as behind:

        async def pass_on(request: web.Request) -> web.Response:
            body = (await request.read()).replace(b"%0A", b"\n")
            async with httpx.AsyncClient(verify=False) as http:
                reply = await http.request(request.method, behind + request.raw_path, content=body)
            return web.Response(status=reply.status_code, text=reply.text)

        async with in_front(pass_on) as base_url:
            told = await problems(base_url)
    assert [bool(one) for one in told] == [False, False, True, False, False]
    assert "304 octets of body were sent and 104 arrived" in told[2]


async def test_nobody_is_there():
    """The name, the port or a firewall."""
    with reserved_port() as port:
        told = await problems(f"http://127.0.0.1:{port}")
    assert all(one.startswith("nobody can be connected to there") for one in told)


async def test_a_connection_that_is_cut():
    """Something in front hangs up."""

    async def hang_up(request: web.Request) -> web.Response:
        request.transport.abort()
        return web.Response()

    async with in_front(hang_up) as base_url:
        told = await problems(base_url)
    assert all(one.startswith("the connection ended without an answer") for one in told)


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (httpx.ConnectTimeout(""), "nobody can be connected to there"),
        (httpx.ReadTimeout(""), "no answer came in time"),
        (httpx.WriteTimeout(""), "no answer came in time"),
        (httpx.ReadError(""), "the connection ended without an answer"),
    ],
)
def test_no_answer(raised, problem):
    """Why there is none."""
    assert check._unreached(raised).startswith(problem)


async def endless(reply: web.StreamResponse) -> None:
    """Go on for ever, and fast."""
    while True:
        await reply.write(bytes(65536))


async def trickling(reply: web.StreamResponse) -> None:
    """Go on for ever, in so small pieces that the timeout for a piece never comes."""
    while True:
        await reply.write(b".")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("body", "problem"), [(endless, check._ANOTHER), (trickling, "in time")])
async def test_answers_without_an_end(body, problem):
    """They cost neither time nor memory."""

    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        await body(reply)
        return reply

    async with asyncio.timeout(60), in_front(answer) as base_url:
        told = await problems(base_url, timeout=0.5)
    assert all(problem in one for one in told)


ODD_HEADS = [
    {"Content-Type": "text/plain; charset=hex"},
    {"Content-Type": "text/plain; charset=idna"},
    {"Content-Encoding": "gzip"},
    {"Set-Cookie": "a=\xff"},
]


@pytest.mark.parametrize("head", ODD_HEADS)
async def test_odd_answers(head):
    """Whatever is in front, it is told, and nothing is raised."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff", headers=head)

    async with in_front(answer) as base_url:
        assert await problems(base_url) == [check._ANOTHER] * 5


async def test_logs(app, caplog):
    """The HTTP library logs each URL, and the receiver's secret is in the path."""
    caplog.set_level(logging.DEBUG)

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(str(request.url))

    async with listening(app) as base_url, in_front(redirect) as another:
        await problems(base_url)
        await problems(another)
        await problems("http://127.0.0.1:1")
    assert "HTTP Request: POST" in caplog.text
    assert SECRET not in caplog.text
    before = len(caplog.records)
    logging.getLogger("httpx").info(SECRET)
    assert caplog.records[before].getMessage() == SECRET


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://x:y", "http://x:99999", "http://a b", "http://x/\n", "http://a..b"],
)
async def test_what_is_no_address(url):
    """It is the caller's mistake."""
    with pytest.raises(LocalProtocolError, match="not an http"):
        await check_receiver(url, secret=SECRET)


async def test_tls(app):
    """A port that does not speak TLS."""
    async with listening(app) as base_url:
        told = await problems(base_url.replace("http", "https"))
    assert all(one.startswith("TLS: no agreement") for one in told)


async def test_what_cannot_be_asked():
    """An address that is none, or a secret that no path can have."""
    for settings in ({"public_url": "sms.example.com"}, {"secret": "a/b"}):
        with pytest.raises(LocalProtocolError):
            await check_receiver(**({"public_url": "http://x", "secret": SECRET} | settings))


async def test_an_answer_that_a_big_push_loses():
    """A server that refuses a body unread resets the connection, so the smaller push explains."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if (request.content_length or 0) <= 2**20:
            raise web.HTTPNotFound
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with in_front(answer) as base_url:
        small, big, *_ = await check_receiver(base_url, secret=SECRET)
    assert (big.name, big.status, big.problem) == ("many delivery reports", 404, small.problem)
