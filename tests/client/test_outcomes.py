"""What every fault means to every method, and how often the gateway got the request."""

import asyncio
import errno
import os
import re
import socket
import threading

import httpx
import pytest

from infobip_async import (
    Endpoints,
    GatewayRefusedError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    TextMessage,
)
from infobip_async.protocol.exchange import HttpReply, HttpRequest

ROWS = b"OK\n385911234567;OK;lookup-1\n385911234568;FAILED;"  # without a line feed at its end


async def test_a_fault_makes_the_outcome_unknown_and_no_second_copy(  # noqa: PLR0917 - a matrix
    gateway, connect, kind, call, fault, reused
) -> None:
    """Whatever happens after the request began to leave, it is made once and reported honestly."""
    client = connect(kind)
    if reused:
        await call.make(client)
    before = len(gateway.received)
    gateway.fault = fault
    with pytest.raises(call.error(fault)) as caught:
        await call.make(client)
    assert len(gateway.received) - before == call.copies(fault)
    assert len(gateway.partial) == 1 - call.copies(fault)
    assert gateway.connections == 1
    assert getattr(caught.value, "message_ids", ()) == call.message_ids


async def test_the_unusual_is_read(gateway, connect, kind, call, oddity) -> None:
    """Twice, since an unusual reply must not spoil the next one."""
    client = connect(kind)
    gateway.fault = oddity
    for _ in range(2):
        assert call.result in repr(await call.make(client))
    assert len(gateway.received) == 2
    assert gateway.connections == (1 if oddity.then == "keep" else 2)


async def test_nothing_is_sent_where_nobody_listens(gateway, connect, kind, call, reused) -> None:
    """A refused connection proves that no byte left."""
    client = connect(kind)
    if reused:
        await call.make(client)
    before = len(gateway.received)
    await gateway.refuse()
    with pytest.raises(NotSentError, match="nothing was sent"):
        await call.make(client)
    assert len(gateway.received) == before
    assert not gateway.partial


@pytest.mark.parametrize(("name", "body"), [("send_one", b"0"), ("submit_hlr", ROWS)])
async def test_a_reply_without_a_length_may_have_been_cut_short(
    gateway, connect, calls, name, body
) -> None:
    """A connection that ends well proves nothing; the end of a chunked reply does."""
    gateway.once(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    client = connect()
    with pytest.raises(OutcomeUnknownError, match=r"cut short|not ended"):
        await calls[name].make(client)
    gateway.once(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        "keep",
    )
    if name == "send_one":
        with pytest.raises(GatewayRefusedError):
            await calls[name].make(client)
    else:
        assert len(await calls[name].make(client)) == 2


@pytest.mark.parametrize("octets", [10, 100_000])
async def test_a_big_reply_does_not_hold_up_what_else_goes_on(connect, gateway, octets) -> None:
    """It is read in another thread: it can take seconds."""
    gateway.bodies["command.aspx"] = bytes(octets)
    places: list[int] = []

    def decode(reply: HttpReply) -> int:
        places.append(threading.get_ident())
        return len(reply.body)

    request = HttpRequest("GET", f"{gateway.url}/command.aspx")
    outcomes = connect()._outcomes
    assert await outcomes.read("credits", lambda: request, decode) == octets
    assert await outcomes.submit("send", 1, [lambda: request], decode) == [octets]
    elsewhere = [place != threading.get_ident() for place in places]
    assert elsewhere == [octets > 65_536] * 2


async def test_an_idle_connection_that_was_closed_is_replaced(gateway, connect, kind, call) -> None:
    """The end of the connection is seen before the request is written."""
    client = connect(kind)
    await call.make(client)
    await gateway.hang_up()
    await call.make(client)
    assert len(gateway.received) == 2


async def test_a_host_without_address(connect, kind, call, monkeypatch) -> None:
    """Nobody was there to be sent anything."""

    async def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    endpoints = Endpoints.at("https://gateway.invalid")
    with pytest.raises(NotSentError, match=r"nothing was sent .*cannot be resolved"):
        await call.make(connect(kind, endpoints=endpoints))


async def test_a_request_of_which_nothing_left_is_repeated(gateway, connect, call, kind) -> None:
    """As often as the option says; it goes out once."""
    await gateway.refuse()
    attempts = 0

    async def send(request: httpx.Request) -> httpx.Response:
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            await gateway.start()
        return await dispatch(request)

    client = connect(kind, connect_retries=2)
    dispatch = client._outcomes.sender.dispatch
    object.__setattr__(client._outcomes.sender, "dispatch", send)
    assert call.result in repr(await call.make(client))
    assert attempts == 3
    assert len(gateway.received) == 1


async def test_without_retries_it_is_not_repeated(gateway, connect, calls) -> None:
    """One attempt, and the error."""
    await gateway.refuse()
    client = connect(connect_retries=0)
    with pytest.raises(NotSentError):
        await calls["send"].make(client)


async def test_an_unknown_outcome_is_not_retried(gateway, connect, calls, kind) -> None:
    """However many retries there are."""
    gateway.bodies["XMLInput.aspx"] = b""
    client = connect(kind, connect_retries=5)
    with pytest.raises(OutcomeUnknownError):
        await calls["send"].make(client)
    assert len(gateway.received) == 1


async def test_a_transport_that_traces_nothing_proves_nothing(call, connect) -> None:
    """Not even an error that says that nobody could be reached."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        client = connect(http=http)
        with pytest.raises(OutcomeUnknownError) as caught:
            await call.make(client)
    assert caught.value.message_ids == call.message_ids
    assert "nobody" not in repr(caught.value)


async def test_a_client_of_yours_that_is_closed_sends_nothing(gateway, call, connect) -> None:
    """Whatever its transport traces: it is looked at first."""
    http = httpx.AsyncClient()
    client = connect(http=http)
    await call.make(client)
    await http.aclose()
    with pytest.raises(NotSentError, match="given as http is closed") as caught:
        await call.make(client)
    assert caught.value.final
    assert len(gateway.received) == 1


async def test_a_client_of_yours_whose_headers_cannot_be_written(gateway, call, connect) -> None:
    """They are refused before anything is written."""
    async with httpx.AsyncClient(headers={"X-Shop": "a\nb"}) as http:
        with pytest.raises(NotSentError, match=r"\(LocalProtocolError\)"):
            await call.make(connect(http=http))
    assert not gateway.received
    assert not gateway.partial


def test_a_client_that_is_not_asynchronous_is_refused(connect) -> None:
    """It would send, and fail only then."""
    with httpx.Client() as http, pytest.raises(LocalProtocolError, match="AsyncClient") as caught:
        connect(http=http)
    assert caught.value.field == "http"


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
async def test_the_reason_is_what_the_system_said(connect, link) -> None:
    """However far behind the failure it stands; not what a library says, which may be a URL."""

    def fail(_: httpx.Request) -> httpx.Response:
        fault, between = httpx.ReadError("secret"), ValueError("secret")
        setattr(fault, link, between)
        setattr(between, link, OSError(errno.ECONNRESET, "secret"))
        raise fault

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        with pytest.raises(OutcomeUnknownError) as caught:
            await connect(http=http).credits()
    assert str(caught.value).endswith(f"(ReadError: {os.strerror(errno.ECONNRESET)})")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (httpx.Response(404, html="<h1>Not Found</h1>"), "HTTP 404 from {}: is the address right"),
        (httpx.Response(429, text="slower"), "HTTP 429 from {}: is the rate too high"),
        (httpx.Response(200, html="<h1>Welcome</h1>"), ".*, from {}: is the address right"),
    ],
    ids=["404", "429", "a page"],
)
async def test_what_is_no_answer_names_the_address(connect, call, reply, told) -> None:
    """An address may be wrong, so it is told: without the query, which is secret.

    Where nothing was ordered, nothing is in doubt.
    """
    endpoints = Endpoints.at("https://gateway.invalid:8443/sms")
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: reply)) as http:
        with pytest.raises(call.unanswered) as caught:
            await call.make(connect(http=http, endpoints=endpoints))
    place = r"https://gateway\.invalid:8443/sms/[^?@]*"
    assert re.search(rf"{told.format(place)}\?$", str(caught.value))


async def test_a_failure_without_a_reason_of_the_system(connect) -> None:
    """Has the name of its class."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("secret") from OSError("an error without a number")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        with pytest.raises(OutcomeUnknownError, match=r"\(ReadError\)$"):
            await connect(http=http).credits()


OK = b"<RESPONSE><status>1</status></RESPONSE>"
LONG = TextMessage("ж" * 150, "Friend")  # in three parts


@pytest.mark.parametrize(
    ("replies", "sent", "text"),
    [
        ((b"", b"", b""), 1, "the outcome is unknown"),
        ((OK, b"", b""), 2, "1 of several parts were sent, then: no readable status"),
        ((OK, OK, b"<RESPONSE><status>-3</status></RESPONSE>"), 3, "2 of .* NOT_ENOUGH_CREDITS"),
    ],
)
async def test_a_part_that_fails_leaves_the_message_in_doubt(
    gateway, connect, replies, sent, text
) -> None:
    """Later parts are not sent, and the ids of all of them are named."""
    gateway.answer(*replies)
    with pytest.raises(OutcomeUnknownError, match=text) as caught:
        await connect().send(LONG, Recipient("385911234567", "id"))
    assert caught.value.message_ids == ("id-1", "id-2", "id-3")
    assert len(gateway.received) == sent


async def test_a_first_part_that_is_refused_refuses_the_message(gateway, connect) -> None:
    """Nothing was sent, and that is known."""
    gateway.bodies["XMLInput.aspx"] = b"<RESPONSE><status>-3</status></RESPONSE>"
    with pytest.raises(NotEnoughCreditsError):
        await connect().send(LONG, "385911234567")
    assert len(gateway.received) == 1


async def test_a_request_that_httpx_cannot_make_is_the_callers_mistake(connect, kind) -> None:
    """A URL has an end; nothing is unknown about it."""
    with pytest.raises(LocalProtocolError, match="InvalidURL") as caught:
        await connect(kind).pull_reports(f"id-{number:020}" for number in range(4_000))
    assert caught.value.field == "url"


async def test_a_mistake_in_a_later_part_leaves_the_outcome_unknown(gateway, connect) -> None:
    """The parts in front of it were sent."""
    client = connect()

    def mistake() -> HttpRequest:
        raise LocalProtocolError("no such sender")

    parts = [lambda: HttpRequest("GET", client._endpoints.command), mistake]
    with pytest.raises(OutcomeUnknownError, match="1 of several parts were sent") as caught:
        await client._outcomes.submit("send", 1, parts, lambda reply: reply.body, ("id-1",))
    assert caught.value.message_ids == ("id-1",)
    assert isinstance(caught.value.__cause__, LocalProtocolError)
