"""What a request may cost: size, time, encoding; and what happens to the connection."""

import asyncio
import threading
import zlib
from contextlib import suppress

import pytest
from aiohttp import http_parser, web, web_protocol

from infobip_async import dispatch
from infobip_async.webhook import Limits
from jumping import PATIENCE, jump, turns, until

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'


def padded(size: int) -> bytes:
    """A good report of that many octets."""
    return REPORT + b" " * (size - len(REPORT))


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *lines, "", "")).encode()


def chunk(octets: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(octets), octets)


@pytest.fixture
def path(secret: str) -> str:
    """The route of delivery reports."""
    return f"/{secret}/dlr"


@pytest.fixture
def refusal(reply_of):
    """Send what is never a whole request; the status of the answer, once the peer hung up."""

    async def refusal(receiver, *raw: bytes, slow: bool = False) -> int:
        reader, writer = await receiver.connect()
        for piece in raw:
            writer.write(piece)
            await turns()
        replying = asyncio.create_task(reply_of(reader))
        while slow and not replying.done():
            await jump(600)
        reply = await replying
        assert reply.headers["Connection"] == "close"
        assert reply.body.startswith(f"{reply.status}: ".encode())
        assert await reader.read() == b""
        return reply.status

    return refusal


def of_size(client_max_size: int):
    """Mount the application into one that has a limit of its own."""

    def mount(app: web.Application) -> web.Application:
        root = web.Application(client_max_size=client_max_size)
        root.add_subapp("/sms", app)
        return root

    return mount


@pytest.mark.parametrize("others", [10, 1024**3])
async def test_the_size_of_a_body(start, path, others):
    """Our own limit counts, whichever way the host's limit differs."""
    receiver = await start(mount=of_size(others), limits=Limits(body_bytes=500))

    replies = [
        await receiver.request("POST", f"/sms{path}", padded(size)) for size in (499, 500, 501)
    ]

    assert [reply.status for reply in replies] == [200, 200, 413]
    assert len(receiver.events) == 2


@pytest.mark.parametrize("lines", [("Content-Length: 10485760",), ("Transfer-Encoding: chunked",)])
async def test_ten_mebibytes(receiver, path, refusal, lines):
    """A body that is too big is refused before its end, and by its announced size at once."""
    body = b"" if "Length" in lines[0] else chunk(bytes(65536)) * 33

    assert await refusal(receiver, head(path, *lines) + body) == 413
    assert receiver.events == []


async def test_a_small_chunked_body_that_is_too_big(start, path):
    """The limit counts for a body of unannounced size that came with its head, too."""
    receiver = await start(limits=Limits(body_bytes=len(REPORT)))
    lines = head(path, "Transfer-Encoding: chunked")

    for body, status in ((REPORT, 200), (REPORT + b" ", 413)):
        assert (await receiver.send(lines + chunk(body) + chunk(b""))).status == status


async def test_a_body_in_pieces(receiver, path, reply_of):
    """A body may come in several pieces."""
    reader, writer = await receiver.connect()
    writer.write(head(path, f"Content-Length: {len(REPORT)}"))
    for at in range(0, len(REPORT), 20):
        await turns()
        writer.write(REPORT[at : at + 20])

    assert (await reply_of(reader)).status == 200
    assert len(receiver.events) == 1


async def test_a_slow_body(start, path, refusal, warnings_of):
    """A body that does not arrive in time is not waited for, and the log tells of it."""
    receiver = await start(limits=Limits(read_seconds=600))
    lines = head(path, "Content-Length: 1000")

    assert await refusal(receiver, lines + REPORT, slow=True) == 408
    assert receiver.events == []
    assert warnings_of() == ["refused a request: 408 Request Timeout"]


async def test_others_are_served_meanwhile(receiver, path, reply_of):
    """While one client sends slowly, others are served."""
    reader, writer = await receiver.connect()
    writer.write(head(path, f"Content-Length: {len(REPORT)}") + REPORT[:10])

    assert (await receiver.post("dlr", REPORT)).status == 200

    writer.write(REPORT[10:])
    assert (await reply_of(reader)).status == 200


@pytest.mark.parametrize(
    "codings",
    [["gzip"], ["deflate"], ["br"], ["zstd"], ["GZIP"], ["identity, gzip"], ["identity", "x"]],
)
async def test_content_encodings(receiver, path, refusal, codings):
    """A body that is encoded in any way is refused unread."""
    lines = head(path, *(f"Content-Encoding: {coding}" for coding in codings), "Content-Length: 9")

    assert await refusal(receiver, lines) == 415


@pytest.mark.parametrize("coding", ["identity", " Identity ", ""])
async def test_no_content_encoding(receiver, coding):
    """A body that says that it is not encoded is read."""
    assert (await receiver.post("dlr", REPORT, Content_Encoding=coding)).status == 200


@pytest.mark.parametrize("path", ["/sms/a-secret-of-the-tests/dlr", "/sms/a-wrong-secret/dlr"])
async def test_a_gzip_bomb(start, path, monkeypatch, reply_of):
    """Of a mebibyte that unpacks to a gibibyte at most what came with the head is unpacked."""
    bomb = zlib.compress(bytes(2**24), wbits=31) * 64
    unpacked = []
    feed = http_parser.DeflateBuffer.feed_data

    def counting(buffer, octets, *args):
        unpacked.append(len(octets))
        return feed(buffer, octets[:1000], *args)

    monkeypatch.setattr(http_parser.DeflateBuffer, "feed_data", counting)
    receiver = await start(mount=of_size(1024))
    reader, writer = await receiver.connect()
    writer.write(head(path, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}"))
    writer.write(bomb)

    assert (await reply_of(reader)).status in {415, 404}
    with suppress(ConnectionError):  # the peer does not wait for what it will not read
        assert await reader.read() == b""
    assert sum(unpacked) < len(bomb) / 2


async def test_nothing_is_unpacked_alone(receiver, path, monkeypatch, refusal):
    """Where the application runs alone, not an octet is unpacked."""
    monkeypatch.setattr(http_parser.DeflateBuffer, "feed_data", None)
    lines = head(path, "Content-Encoding: gzip", "Content-Length: 1000")

    assert await refusal(receiver, lines + zlib.compress(REPORT, wbits=31)) == 415


@pytest.fixture(params=[web_protocol.HttpRequestParser, http_parser.HttpRequestParserPy])
def parser(request, monkeypatch):
    """The usual parser of aiohttp's, and the one in Python."""
    monkeypatch.setattr(web_protocol, "HttpRequestParser", request.param)


@pytest.mark.parametrize("body", [b"zz\r\n", chunk(REPORT) + b"zz\r\n"])
async def test_a_malformed_body(parser, start, path, refusal, body):
    """What is no chunked body is refused, at once or, where aiohttp keeps it to itself, in time."""
    receiver = await start(limits=Limits(read_seconds=600))
    lines = head(path, "Transfer-Encoding: chunked")

    assert await refusal(receiver, lines, body, slow=True) in {400, 408}
    assert receiver.events == []


async def test_a_client_that_goes_away(receiver, path, caplog):
    """A body that ends in the middle is no push, and no error of the server's."""
    _, writer = await receiver.connect()
    writer.write(head(path, f"Content-Length: {len(REPORT)}") + REPORT[:30])
    await turns()
    writer.transport.abort()
    await receiver.idle()

    assert receiver.events == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_no_content_length(receiver, path):
    """A POST without a length has no body, and no report in it; a GET needs none."""
    assert (await receiver.send(head(path))).status == 400
    query = path.replace("dlr", "inbound?text=x")
    assert (await receiver.send(head(query, method="GET"))).status == 200


async def test_a_get_with_a_body(receiver, secret, refusal):
    """The limits count for an inbound SMS, which has no use for a body, too."""
    lines = head(f"/{secret}/inbound?text=x", "Content-Length: 99999999", method="GET")

    assert await refusal(receiver, lines) == 413


async def test_expect_continue(receiver, path, reply_of):
    """A client that asks before it sends its body is told to send it."""
    reader, writer = await receiver.connect()
    length = f"Content-Length: {len(REPORT)}"
    writer.write(head(path, length, "Expect: 100-Continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(REPORT)

    assert (await reply_of(reader)).status == 200


@pytest.mark.parametrize(
    ("where", "status"), [("/wrong-secret/dlr", 404), ("/{}/inbound", 405), ("/{}/dlr", 413)]
)
async def test_expect_continue_in_vain(receiver, secret, refusal, where, status):
    """A client that asks before it sends what nobody wants is told so at once."""
    lines = head(where.format(secret), "Content-Length: 99999999", "Expect: 100-continue")

    assert await refusal(receiver, lines) == status


@pytest.mark.parametrize(
    ("old", "new"), [(b"HTTP/1.1", b"HTTP/1.0"), (b"100-continue", b"miracles")]
)
async def test_other_expectations(receiver, path, old, new):
    """What need not be met is passed over (RFC 9110, 10.1.1)."""
    lines = head(path, f"Content-Length: {len(REPORT)}", "Expect: 100-continue")

    assert (await receiver.send(lines.replace(old, new) + REPORT)).status == 200


async def test_pipelined_requests(receiver, path, reply_of):
    """Requests sent at once are answered in order, until one is refused."""
    good = head(path, f"Content-Length: {len(REPORT)}") + REPORT
    bad = good.replace(b"POST", b"PUT")
    reader, writer = await receiver.connect()
    writer.write(good + good.replace(b"<message", b"&message") + good + bad + good)

    statuses = [(await reply_of(reader)).status for _ in range(4)]

    assert statuses == [200, 400, 200, 405]
    assert await reader.read() == b""
    assert len(receiver.events) == 2


async def test_rows(start):
    """A post with more rows than the limit is refused as a whole."""
    receiver = await start(limits=Limits(rows=2))

    replies = [
        await receiver.post("hlr", b"dlr=" + b"\n".join([b"1;2;DELIVRD;;;0"] * rows))
        for rows in (2, 3)
    ]

    assert [reply.status for reply in replies] == [200, 400]
    assert len(receiver.events) == 2


async def test_big_bodies_are_decoded_aside(receiver, monkeypatch):
    """The event loop is not held by what takes long to decode."""
    threads = []
    decode = dispatch.decode

    def noting(push, settings):
        threads.append(threading.current_thread() is threading.main_thread())
        return decode(push, settings)

    monkeypatch.setattr(dispatch, "decode", noting)

    for size in (65536, 65537):
        assert (await receiver.post("dlr", padded(size))).status == 200
    assert threads == [True, False]


async def test_a_hundred_thousand_rows(receiver, monkeypatch):
    """As many rows reach no handler, and others are served while they are counted."""
    counting, served = threading.Event(), threading.Event()
    decode = dispatch.decode

    def waiting(push, settings):
        if len(push.body) > len(REPORT):
            counting.set()
            assert served.wait(PATIENCE)
        return decode(push, settings)

    monkeypatch.setattr(dispatch, "decode", waiting)
    body = b"<DeliveryReport>" + b"<a/>" * 100_000 + b"</DeliveryReport>"
    big = asyncio.create_task(receiver.post("dlr", body))
    await until(counting.is_set)

    assert (await receiver.post("dlr", REPORT)).status == 200
    assert not big.done()
    served.set()
    assert (await big).status == 400
    assert len(receiver.events) == 1
