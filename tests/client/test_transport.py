"""Connections: reused, replaced, bounded, never mixed up, and let go."""

import asyncio
import gc
import gzip
import socket
import tracemalloc
import zlib

import httpx
import pytest

from infobip_async import (
    Endpoints,
    InfobipClient,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    TextMessage,
)
from infobip_async.client.connections import SlotTransport
from infobip_async.client.transport import HttpSender
from infobip_async.protocol.exchange import HttpRequest
from jumping import jump, turns
from tests.client.conftest import chunked, http

TEXT = TextMessage("Hello", "Friend")
NUMBER = "385911234567"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n<RESPONSE><status>1</status></RESPONSE>  "


@pytest.fixture
async def transport():
    """A transport that is closed after the test."""
    transport = SlotTransport()
    yield transport
    await transport.aclose()


def get(gateway, service: str = "command.aspx") -> httpx.Request:
    """A request as httpx has it."""
    return httpx.Request("GET", f"{gateway.url}/{service}")


async def test_one_connection_serves_one_call_after_the_other(gateway, connect, call) -> None:
    """And calls of every method, since they share a host."""
    client = connect()
    for _ in range(3):
        await call.make(client)
        await client.credits()
    assert gateway.connections == 1


async def test_many_concurrent_calls_share_few_connections(gateway, connect) -> None:
    """200 sends over 50 slots: each arrives once, and each caller gets an answer."""
    gateway.gate.clear()
    client = connect(concurrency=50)
    sends = [
        asyncio.create_task(client.send(TEXT, Recipient(NUMBER, f"id-{number}")))
        for number in range(200)
    ]
    await gateway.until(lambda: gateway.busy == 50)
    gateway.gate.set()
    receipts = await asyncio.gather(*sends)
    assert [receipt.recipients[0].message_id for receipt in receipts] == [
        f"id-{number}" for number in range(200)
    ]
    assert gateway.busiest == gateway.connections == 50
    assert len({request.body for request in gateway.received}) == len(gateway.received) == 200


async def test_idle_connections_are_let_go_after_a_burst(gateway, connect, idle_time) -> None:
    """One with each later call, though that never uses them."""
    gateway.gate.clear()
    client = connect(concurrency=10)
    burst = [asyncio.create_task(client.credits()) for _ in range(10)]
    await gateway.until(lambda: gateway.busy == 10)
    gateway.gate.set()
    await asyncio.gather(*burst)
    idle_time.now = 3.0
    await client.credits()
    assert gateway.open == 10
    idle_time.now = 6.0
    for left in range(9, 0, -1):
        await client.credits()
        await gateway.until(lambda left=left: gateway.open == left)
    await client.credits()
    assert gateway.connections == 10


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "by proxy"])
async def test_a_connection_that_was_idle_too_long_is_not_used(
    gateway, connect, idle_time, proxied
) -> None:
    """For four seconds it is kept; many a server closes it after five."""
    elsewhere = {"endpoints": Endpoints.at("http://gateway.example"), "allow_insecure": True}
    client = connect(proxy=gateway.url, **elsewhere) if proxied else connect()
    await client.credits()
    idle_time.now = 3.9
    await client.credits()
    assert gateway.connections == 1
    idle_time.now = 8.0
    await client.credits()
    assert gateway.connections == 2
    await gateway.until(lambda: gateway.open == 1)


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "by proxy"])
@pytest.mark.parametrize(
    "octets",
    [
        2 * REPLY,
        2 * chunked(REPLY[-41:]),
        REPLY + b"\r\n",
        REPLY + b"junk",
        REPLY.replace(b"\r\n", b"\n") + REPLY,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + 2 * REPLY,
    ],
    ids=["two", "two in chunks", "line feed", "junk", "bare line feeds", "informational"],
)
async def test_what_comes_behind_a_reply_does_not_answer_the_next_request(
    gateway, connect, calls, octets, proxied
) -> None:
    """It is found before the next request is written, which goes over another connection."""
    send = calls["send"].make
    elsewhere = {"endpoints": Endpoints.at("http://gateway.example"), "allow_insecure": True}
    client = connect(proxy=gateway.url, **elsewhere) if proxied else connect()
    gateway.once(octets, "keep")
    assert (await send(client)).accepted == 1
    assert (await send(client)).accepted == 2
    assert (await send(client)).accepted == 2
    assert gateway.connections == 2
    assert len(gateway.received) == 3


async def test_a_reply_behind_one_without_a_body_is_nobodys(gateway, connect, calls) -> None:
    """The head tells that there is none."""
    send = calls["send"].make
    client = connect()
    gateway.once(b"HTTP/1.1 204 No Content\r\n\r\n" + REPLY, "keep")
    with pytest.raises(OutcomeUnknownError, match="no readable status"):
        await send(client)
    assert (await send(client)).accepted == 2
    assert gateway.connections == 2


async def test_blank_lines_in_a_body_do_not_end_it(gateway, connect) -> None:
    """Nor does the length in its head, where the body comes in chunks."""
    client = connect()
    blank = b"<DeliveryReport>\r\n\r\n\n\n</DeliveryReport>\n\n"
    for body in (http(blank), chunked(blank)):
        gateway.once(body.replace(b"\r\nTransfer", b"\r\nX-Content-Length: 1\r\nTransfer"), "keep")
        assert await client.pull_reports() == ()
    assert gateway.connections == 1


async def test_what_comes_unasked_spoils_the_connection(gateway, connect, calls) -> None:
    """It is seen before the next request is written, which goes over another one."""
    client = connect()
    assert (await calls["send"].make(client)).accepted == 2
    (writer,) = gateway._open
    writer.write(REPLY)
    assert (await calls["send"].make(client)).accepted == 2
    assert gateway.connections == 2


async def test_a_flood_of_unasked_octets_is_not_taken_in(gateway, connect) -> None:
    """The connection stops reading at the second piece of it."""
    client = connect()
    await client.credits()
    (writer,) = gateway._open
    writer.transport.set_write_buffer_limits(high=0)
    writer.write(b"x" * 50_000_000)
    flood = asyncio.create_task(writer.drain())
    await turns(500)
    assert not flood.done()
    await client.credits()
    assert gateway.connections == 2
    await asyncio.gather(flood, return_exceptions=True)


async def test_a_reply_closed_early_costs_its_connection(gateway, transport) -> None:
    """Unread, half read, or read: only what was read to its end can be used again."""
    gateway.bodies["command.aspx"] = b"x" * 1_000_000
    unread = await transport.handle_async_request(get(gateway))
    await unread.aclose()
    half = await transport.handle_async_request(get(gateway))
    async for _ in half.aiter_raw():
        break
    await half.aclose()
    assert gateway.connections == 2
    for _ in range(2):
        response = await transport.handle_async_request(get(gateway))
        assert len(await response.aread()) == 1_000_000
        await response.aclose()
    assert gateway.connections == 3
    await gateway.until(lambda: gateway.open == 1)


async def test_closing_a_reply_can_be_cancelled(gateway, transport) -> None:
    """Its connection is closed all the same."""
    for rounds in range(6):
        response = await transport.handle_async_request(get(gateway))
        closing = asyncio.create_task(response.aclose())
        for _ in range(rounds):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        if not rounds:
            await response.aclose()  # the first one never began
    await gateway.until(lambda: not gateway.open)


async def test_a_cancelled_request_costs_its_connection(gateway, transport) -> None:
    """It is closed, wherever the request stood."""
    for rounds in range(30):
        request = asyncio.create_task(transport.handle_async_request(get(gateway)))
        for _ in range(rounds):
            await asyncio.sleep(0)
        request.cancel()
        (response,) = await asyncio.gather(request, return_exceptions=True)
        if isinstance(response, httpx.Response):
            await response.aread()
    await transport.aclose()
    await gateway.until(lambda: not gateway.open)
    gc.collect()  # a socket that was not closed would warn


async def test_a_giant_reply_is_not_read_to_its_end(gateway, connect, call, monkeypatch) -> None:
    """Its connection is given up; nothing else is left of it."""
    monkeypatch.setattr("infobip_async.client.transport.MAX_REPLY", 1_000_000)
    gateway.bodies[call.service] = b"x" * 3_000_000
    client = connect()
    before = asyncio.all_tasks()
    with pytest.raises(OutcomeUnknownError, match="OverflowError"):
        await call.make(client)
    await gateway.until(lambda: not gateway.open and asyncio.all_tasks() <= before)
    assert len(gateway.received) == 1


async def test_a_reply_of_the_limit_is_read(gateway, connect, monkeypatch) -> None:
    """One with an octet more is not."""
    monkeypatch.setattr("infobip_async.client.transport.MAX_REPLY", 4)
    assert str(await connect().credits()) == "7.16"
    gateway.bodies["command.aspx"] = b"77.16"
    with pytest.raises(OutcomeUnknownError, match="OverflowError"):
        await connect().credits()


async def test_a_client_that_is_given_reads_no_more_either(monkeypatch) -> None:
    """The limit holds while a reply is read, not behind its end."""
    monkeypatch.setattr("infobip_async.client.transport.MAX_REPLY", 10)
    read = []

    async def body():
        while len(read) < 1000:
            read.append(b"7.16")
            yield read[-1]

    given = httpx.MockTransport(lambda _: httpx.Response(200, content=body()))
    async with (
        httpx.AsyncClient(transport=given) as http,
        InfobipClient("u", "p", http=http) as client,
    ):
        with pytest.raises(OutcomeUnknownError, match="OverflowError"):
            await client.credits()
    assert len(read) == 3


async def test_a_zip_bomb_is_not_unpacked_to_its_end(gateway, connect, monkeypatch) -> None:
    """The limit is of what is unpacked, and holds for each piece of it."""
    monkeypatch.setattr("infobip_async.client.transport.MAX_REPLY", 1_000_000)
    gateway.once(http(gzip.compress(bytes(100_000_000)), "Content-Encoding: gzip"), "keep")
    client = connect()
    tracemalloc.start()
    try:
        with pytest.raises(OutcomeUnknownError, match="OverflowError"):
            await client.credits()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20_000_000


@pytest.mark.parametrize(
    "encoding", ["gzip", "x-gzip", "GZIP", "deflate", "identity", "", "utf-8", "none", "br"]
)
async def test_a_reply_that_is_packed_is_read(gateway, connect, encoding) -> None:
    """Though nobody asked for that; in pieces, if it is long. What is no packing is read past."""
    body = b" " * 3_000_000 + b"7.16"
    gzipped = "gzip" in encoding.lower()
    pack = gzip.compress if gzipped else zlib.compress if encoding == "deflate" else bytes
    gateway.once(http(pack(body), f"Content-Encoding: {encoding}"), "keep")
    client = connect()
    assert str(await client.credits()) == "7.16"
    assert str(await client.credits()) == "7.16"
    assert gateway.connections == 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"7.16")[:-1]),
        ("gzip", gzip.compress(b"7.16") + b"7"),
    ],
    ids=["cut short", "goes on"],
)
async def test_a_packed_reply_is_read_as_a_whole_or_not_at_all(
    gateway, connect, encoding, body
) -> None:
    """A part of it could pass for an answer."""
    gateway.once(http(body, f"Content-Encoding: {encoding}"), "keep")
    with pytest.raises(OutcomeUnknownError, match="DecodingError"):
        await connect().credits()


async def test_a_reply_is_closed_whatever_is_wrong_with_it(gateway) -> None:
    """By the time that its outcome is known."""
    stream = httpx.ByteStream(b"no gzip")
    closed = []

    async def aclose() -> None:
        closed.append(True)

    stream.aclose = aclose
    broken = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)
    sender = HttpSender(
        httpx.Request, httpx.MockTransport(lambda _: broken).handle_async_request, {}
    )
    with pytest.raises(OutcomeUnknownError, match="DecodingError"):
        await sender.send(HttpRequest("GET", gateway.url))
    assert closed


async def test_a_request_that_is_not_taken_ends_at_its_timeout(gateway, connect) -> None:
    """The gateway reads one octet of it; how much left is not known."""
    gateway.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    gateway.once(then="hang", stage="connect")
    with pytest.raises(OutcomeUnknownError, match="WriteTimeout"):
        await connect().submit_hlr(str(number) for number in range(10**14, 10**14 + 300_000))
    assert not gateway.received


async def test_it_can_be_given_to_a_client_of_httpx(gateway, transport) -> None:
    """It is a transport like any other."""
    async with httpx.AsyncClient(transport=transport) as http:
        for _ in range(2):
            assert (await http.get(f"{gateway.url}/command.aspx")).text == "7.16"
    assert gateway.connections == 1


async def test_a_connection_leads_to_one_host(gateway, transport) -> None:
    """What is for another host does not go out over it, even where that is the same machine."""
    async with httpx.AsyncClient(transport=transport) as http:
        for host in ("127.0.0.1", "localhost") * 2:
            url = f"http://{host}:{gateway.port}/command.aspx"
            assert (await http.get(url)).text == "7.16"
    assert gateway.connections == 2


async def test_the_host_of_the_url_is_looked_up(gateway, transport, monkeypatch) -> None:
    """And the connection leads to the address that is found."""
    loop = asyncio.get_running_loop()
    look_up, asked = loop.getaddrinfo, []

    async def resolve(host: str, port: int, **options: int) -> list:
        asked.append((host, port))
        return await look_up("127.0.0.1", port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with httpx.AsyncClient(transport=transport) as http:
        url = f"http://gateway.example:{gateway.port}/command.aspx"
        assert (await http.get(url)).text == "7.16"
    assert asked == [("gateway.example", gateway.port)]


async def test_a_reply_that_never_ends_does_not_hold_its_slot() -> None:
    """Each octet comes in time, and another one behind it: the outcome is unknown."""

    async def trickle():
        while True:
            await asyncio.sleep(0)
            yield b"<"

    async def dispatch(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=trickle())

    sender = HttpSender(httpx.Request, dispatch, {"read": 0.01})
    with pytest.raises(OutcomeUnknownError, match="TimeoutError"):
        await sender.send(HttpRequest("GET", "http://gateway.invalid/"))


@pytest.mark.parametrize("tunnelled", [False, True], ids=["direct", "by proxy"])
async def test_informational_replies_without_end_do_not_hold_a_slot(
    connect, calls, tunnelled
) -> None:
    """A reply that never begins ends as one that never ends; and in front of a tunnel, too."""
    closed = asyncio.Event()

    async def inform(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await jump(5)
        writer.close()
        closed.set()

    async with await asyncio.start_server(inform, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        direct = {"endpoints": Endpoints.at(url)}
        proxied = {"proxy": url, "endpoints": Endpoints.at("https://gateway.example")}
        client = connect(**(proxied if tunnelled else direct), connect_retries=0)
        expected = NotSentError if tunnelled else OutcomeUnknownError
        with pytest.raises(expected, match="TimeoutError"):
            await calls["send"].make(client)
        await closed.wait()


async def test_the_time_of_a_reply_does_not_begin_with_its_request(gateway) -> None:
    """A slow network may take its time to get the request."""

    async def dispatch(request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        await trace("http11.send_request_headers.started", {"request": request})
        await jump(1000)
        await trace("http11.receive_response_headers.started", {})
        return httpx.Response(200, content=b"7.16")

    sender = HttpSender(httpx.Request, dispatch, {"read": 60.0})
    assert (await sender.send(HttpRequest("GET", gateway.url))).body == b"7.16"
