"""What an ASGI server shows of a request, and what it is told to answer."""

import asyncio
import tracemalloc

import pytest

from infobip_async.asgi import Limits
from infobip_async.journal import SqliteJournal
from infobip_async.protocol.exchange import PushKind
from infobip_async.receiver.probe import Probe, octets_in
from jumping import jump, turns

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
KIND = PushKind.INBOUND_SMS
PLAIN = {"content-type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize(
    ("request_line", "body", "answer"),
    [
        ("POST dlr", REPORT, (200, b"OK")),
        ("POST hlr", b"dlr=1;2;DELIVRD;;;0", (200, b"OK")),
        ("GET inbound?sender=1&text=x", b"", (200, b"")),
        ("POST dlr", b"<unreadable", (400, b"400: Bad Request")),
        ("HEAD inbound?sender=1&text=x", b"", (405, b"405: Method Not Allowed")),
        ("PUT dlr", REPORT, (405, b"405: Method Not Allowed")),
        ("POST nothing", REPORT, (404, b"404: Not Found")),
    ],
)
async def test_answers(client, secret, request_line, body, answer):
    """They are short and fixed, and the connection of a request that is not read is closed."""
    method, tail = request_line.split()
    reply = await client.request(method, f"/{secret}/{tail}", body)

    assert (reply.status, reply.body) == answer
    assert reply.headers.items() >= (PLAIN | {"content-length": str(len(reply.body))}).items()
    assert ("connection" in reply.headers) == (reply.status in {404, 405})
    assert len(client.events) == (reply.status == 200)


async def test_the_right_method_is_told(client, secret):
    """To whoever knows the secret."""
    assert (await client.request("PUT", f"/{secret}/dlr")).headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("", "/{}/dlr"),
        ("/infobip", "/infobip/{}/dlr"),  # the specification, and Starlette since 0.33
        ("/infobip", "/{}/dlr"),  # Litestar, and Starlette before
        ("/api/infobip", "/infobip/{}/dlr"),  # behind a proxy that takes a prefix away
        ("/api/infobip/", "/api/infobip/{}/dlr"),
        ("/a/a", "/a/a/{}/dlr"),
    ],
)
async def test_mount_points(client, secret, root, path):
    """Hosts disagree on what a mounted application is shown."""
    path = path.format(secret)

    assert (await client.request("POST", path, REPORT, root_path=root)).status == 200
    assert (await client.request("POST", path + "/x", REPORT, root_path=root)).status == 404


@pytest.mark.parametrize("path", ["//{}/dlr", "/x/{}/dlr", "/infobipx/{}/dlr", "/", "/infobip"])
async def test_what_is_no_mount_point(client, secret, path):
    """A path that only looks like one of ours is not."""
    path = path.format(secret)

    assert (await client.request("POST", path, REPORT, root_path="/infobip")).status == 404


async def test_a_slash_that_the_host_adds(client, secret):
    """Litestar does. One that was sent makes another path."""
    path, raw = f"/{secret}/dlr/", f"/infobip/{secret}/dlr".encode()

    assert (await client.request("POST", path, REPORT, raw_path=raw)).status == 200
    assert (await client.request("POST", path, REPORT, raw_path=raw + b"/")).status == 404
    assert (await client.request("POST", path, REPORT, raw_path=None)).status == 404


async def test_a_path_that_is_decoded_into_ours(client, secret):
    """It is another one, as far as the server tells."""
    path, raw = f"/{secret}/dlr", f"/{secret}%2Fdlr".encode()

    assert (await client.request("POST", path, REPORT, raw_path=raw)).status == 404
    assert (await client.request("POST", path, REPORT, raw_path=None)).status == 200
    assert (await client.request("POST", path, REPORT, raw_path=f"{path}?x".encode())).status == 200


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"sender=1&text=*123#", "*123#"),
        (b"sender=1&text=\xc5\xa1", "š"),
        (b"sender=1&text=a b", "a b"),
    ],
)
async def test_queries_that_are_not_encoded(client, secret, query, text):
    """A query is read as it came."""
    reply = await client.request("GET", f"/{secret}/inbound?".encode() + query)

    assert (reply.status, client.events[0].text) == (200, text)


async def test_a_query_that_is_too_long(make, secret):
    """It is refused, whatever the server takes."""
    client = make(limits=Limits(query_bytes=15))

    for query, status in (("sender=1&text=x", 200), ("sender=1&text=xy", 414)):
        assert (await client.request("GET", f"/{secret}/inbound?{query}")).status == status


async def test_a_body_in_pieces(client):
    """It may come in several messages, empty ones included, and without a length."""
    reply = await client.post("dlr", REPORT[:20], b"", REPORT[20:], headers={})

    assert (reply.status, len(client.events)) == (200, 1)


async def test_the_size_of_a_body(make):
    """It is refused by what is announced, and by what has come."""
    client = make(limits=Limits(body_bytes=len(REPORT)))

    assert (await client.post("dlr", REPORT)).status == 200
    assert (await client.post("dlr", headers={"content-length": "99"})).status == 413
    assert (await client.post("dlr", REPORT, b" ", headers={})).status == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": f"{len(REPORT):05000}"},
        {"content-length": "999", "transfer-encoding": "chunked"},
    ],
    ids=["zeros", "chunks"],
)
async def test_odd_lengths(client, headers):
    """Zeros in front count for nothing, and of a body in chunks no length is believed."""
    assert (await client.post("dlr", REPORT, headers=headers)).status == 200


async def test_a_slow_body(make, secret, exchange, scope):
    """What does not arrive in time is not waited for."""
    client, slow = make(limits=Limits(read_seconds=600)), exchange()
    slow.body(REPORT, ends=False)
    head = scope("POST", f"/{secret}/dlr".encode(), {})
    request = asyncio.create_task(client.app(head, slow.received.get, slow.send))
    await turns()
    assert slow.sent == []

    await jump(600)
    await request

    assert (slow.reply().status, slow.reply().headers["connection"]) == (408, "close")


async def test_a_client_that_goes_away(client, secret, exchange, scope):
    """A body that ends in the middle is no push."""
    gone = exchange()
    gone.body(REPORT, ends=False)
    gone.hang_up()

    await client.app(scope("POST", f"/{secret}/dlr".encode(), {}), gone.received.get, gone.send)

    assert (gone.reply().status, client.events) == (400, [])


async def test_nobody_listens_any_more(client, secret, exchange, scope):
    """A server may say so when it is told to answer; the push was handled all the same."""
    gone = exchange()
    gone.body(REPORT)

    async def send(_: object) -> None:
        raise OSError

    await client.app(scope("POST", f"/{secret}/dlr".encode(), {}), gone.received.get, send)

    assert len(client.events) == 1


async def test_others_have_their_turn(client, secret, exchange, scope):
    """A body of very many pieces, all there at once, does not hold the loop."""
    many, turns_taken = exchange(), 0
    many.body(REPORT, *[b" "] * 6400)
    request = client.app(scope("POST", f"/{secret}/dlr".encode(), {}), many.received.get, many.send)
    task = asyncio.create_task(request)
    while not task.done():
        turns_taken += 1
        await asyncio.sleep(0)

    assert many.reply().status == 200
    assert turns_taken > 100


@pytest.mark.parametrize("head", [("Content-Length", "100"), ("Transfer-Encoding", "chunked")])
async def test_a_middleware_that_takes_the_body_away(client, caplog, head):
    """The gateway is not told that we have what we have not."""
    for _ in range(3):
        reply = await client.post("dlr", headers=dict([head]))
        assert (reply.status, client.events) == (500, [])
    assert caplog.text.count("taken the body away") == 1


async def test_a_message_in_chunks(client, secret):
    """It has no body, whatever its head says."""
    chunked = {"Transfer-Encoding": "chunked"}
    target = f"/{secret}/inbound?sender=1&text=x"
    assert (await client.request("GET", target, headers=chunked)).status == 200


async def test_http_2(client, secret):
    """It has no header that closes a connection."""
    reply = await client.request("POST", "/wrong/dlr", REPORT, http_version="2")

    assert (reply.status, "connection" in reply.headers) == (404, False)


async def test_other_protocols(client, exchange):
    """A WebSocket is closed before it is accepted; what is unknown is refused."""
    socket = exchange()
    socket.received.put_nowait({"type": "websocket.connect"})

    await client.app({"type": "websocket"}, socket.received.get, socket.send)

    assert socket.sent == [{"type": "websocket.close"}]
    with pytest.raises(NotImplementedError, match="'telepathy'"):
        await client.app({"type": "telepathy"}, socket.received.get, socket.send)


@pytest.mark.parametrize("kind", PushKind)
async def test_probes(client, secret, kind):
    """They are answered with what arrived; nothing is kept, and no handler hears of them."""
    probe, body = Probe.make(kind, secret, "n0nce"), b"" if kind is KIND else bytes(100_000)
    method = "GET" if kind is KIND else "POST"

    reply = await client.request(method, f"/{secret}/{kind.value}?{probe.query}", body)

    assert (reply.status, reply.body.decode()) == (200, probe.answer(body))
    assert client.events == []


async def test_a_probe_whose_body_is_taken_away(client, secret):
    """It tells whoever asks, instead of a mere 500."""
    probe = Probe.make(PushKind.HLR_REPORTS, secret, "n0nce")
    target, length = f"/{secret}/hlr?{probe.query}", {"Content-Length": "100"}

    reply = await client.request("POST", target, headers=length)

    assert octets_in(reply.body.decode()) == (len(probe.query), 0)
    assert (await client.request("POST", target, bytes(2**21 + 1))).status == 413


async def test_health(make, secret, tmp_path):
    """Whoever asks is answered, without a figure; it is not well while it stops."""
    client = make(journal=SqliteJournal(tmp_path / "journal"), health_path="/healthz")
    async with client.receiver.serving():
        assert (await client.request("GET", "/sms/healthz", root_path="/sms")).body == b"OK"
        assert (await client.request("HEAD", "/healthz")).status == 200
        assert (await client.request("GET", f"/{secret}/healthz")).status == 404
    assert (await client.request("GET", "/healthz")).status == 503
    assert (await make().request("GET", "/healthz")).status == 404


@pytest.mark.parametrize("octet", [b" ", b"%", b"<"])
async def test_the_memory_of_a_big_push(client, secret, exchange, scope, octet):
    """Reading a push takes at most four times its size, beside its events."""
    body, pieces = exchange(), [octet * 2**16] * 31
    body.body(REPORT, *pieces)
    head = scope("POST", f"/{secret}/dlr".encode(), {})
    tracemalloc.start()
    try:
        await client.app(head, body.received.get, body.send)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body.reply().status in {200, 400}
    assert most < 4 * 2**21
