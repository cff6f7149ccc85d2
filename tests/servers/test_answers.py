"""One receiver, any server: the same requests get the same answers, but for a table."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.proof

SECRET = "MARKED-secret.of_the-webhook"
NUMBER = "38598514674"
REPORT = b'<DeliveryReport><message id="%s" status="SENT"/></DeliveryReport>'

SERVERS = (
    *(
        "run_receiver",
        "run_app",
        "gunicorn-aiohttp",
        "gunicorn-uvicorn",
        "uvicorn-h11",
        "uvicorn-httptools",
    ),
    *("hypercorn", "granian", "daphne"),
)


def request(line: str, body: bytes = b"", *headers: str, version: str = "1.1") -> bytes:
    """A request; its path is below the prefix and the secret."""
    method, _, tail = line.partition(" ")
    length = () if any("encoding: chunked" in one for one in headers) else (len(body),)
    fields = ["Host: x", *(f"Content-Length: {octets}" for octets in length), *headers]
    head = "\r\n".join((f"{method} /infobip/{tail} HTTP/{version}", *fields, "", ""))
    return head.encode("latin-1") + body


def push(line: str, body: bytes = b"", *headers: str, **more: str) -> bytes:
    """A request that knows the secret."""
    method, _, tail = line.partition(" ")
    return request(f"{method} {SECRET}/{tail}", body, *headers, **more)


def chunked(body: bytes, size: int) -> bytes:
    """A chunked body."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


OK, EMPTY = (200, b"OK", False), (200, b"", False)
NOT_FOUND = (404, b"404: Not Found", True)
NO_METHOD = (405, b"405: Method Not Allowed", True)
TOO_LARGE = (413, b"413: Request Entity Too Large", True)

UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
"""What Java's client, among others, asks for over plain HTTP."""

ANY = object()
"""What differs from run to run, or says nothing."""

CASES = {
    "report": (push("POST dlr", REPORT % b"report"), OK),
    "rows": (push("POST hlr", b"dlr=1;2;DELIVRD;;;0"), OK),
    "sms": (push(f"GET inbound?sender={NUMBER}&text=private"), EMPTY),
    "HTTP/1.0": (push("POST dlr", REPORT % b"old", version="1.0"), (200, b"OK", True)),
    "chunks": (
        push("POST dlr", chunked(REPORT % b"chunks", 7), "transfer-encoding: chunked"),
        OK,
    ),
    "case of headers": (push("POST dlr", REPORT % b"case", "CONTENT-ENCODING: Identity"), OK),
    "upgrade": (push("POST dlr", REPORT % b"h2c", *UPGRADE), OK),
    "upgrade in chunks": (
        push("POST dlr", chunked(REPORT % b"2", 9), *UPGRADE, "transfer-encoding: chunked"),
        OK,
    ),
    "100-continue": (push("POST dlr", REPORT % b"asks", "Expect: 100-continue"), OK),
    "number sign": (push("GET inbound?sender=1&text=private*123#"), EMPTY),
    "raw octets": (push("GET inbound?sender=1&text=private\xc5\xa1"), EMPTY),
    "long query": (push(f"GET inbound?sender=1&text={'%D0%96' * 5000}"), EMPTY),
    "longer query": (push(f"GET inbound?sender=1&text={'%D0%96' * 12000}"), ANY),
    "quotes": (push('PUT inbound?sender=1&text=it\'s%20"private"'), ANY),
    "mistyped": (push("GET inbound/?sender=1&text=private"), ANY),
    "no chunk": (push("POST dlr", b"private", "transfer-encoding: chunked"), ANY),
    "unreadable": (push("POST dlr", b"<private"), (400, b"400: Bad Request", False)),
    "no secret": (request("POST dlr", REPORT), NOT_FOUND),
    "wrong secret": (request("POST wrong/dlr", REPORT), NOT_FOUND),
    "wrong path": (push("POST nothing", REPORT), NOT_FOUND),
    "encoded slash": (request(f"POST {SECRET}%2Fdlr", REPORT), NOT_FOUND),
    "method": (push("PUT dlr", REPORT), NO_METHOD),
    "HEAD": (push("HEAD inbound?text=private"), (405, b"", True)),
    "gzip": (
        push("POST dlr", b"x" * 100, "Content-Encoding: gzip"),
        (415, b"415: Unsupported Media Type", True),
    ),
    "announced size": (
        push("POST dlr", b"", "Content-Length: 99999999").replace(b"Content-Length: 0\r\n", b""),
        TOO_LARGE,
    ),
    "size": (
        push("POST dlr", chunked(bytes(3_000_000), 60_000), "transfer-encoding: chunked"),
        TOO_LARGE,
    ),
    "slow body": (
        push("POST dlr", b"<private", "Content-Length: 99").replace(b"Content-Length: 8\r\n", b""),
        (408, b"408: Request Timeout", True),
    ),
    "WebSocket": (
        push(
            *("GET dlr?text=private", b"", "Upgrade: websocket", "Connection: Upgrade"),
            *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
        ),
        ANY,
    ),
    "no HTTP": (b"GET /infobip/%s/inbound?text=private text\r\n\r\n" % SECRET.encode(), ANY),
}
"""Requests, and what each server answers: status, body, and whether it closes the connection."""

HANDLED = {
    "report": ["dlr", "report"],
    "rows": ["hlr", "1"],
    "sms": ["inbound", "private"],
    "HTTP/1.0": ["dlr", "old"],
    "chunks": ["dlr", "chunks"],
    "case of headers": ["dlr", "case"],
    "upgrade": ["dlr", "h2c"],
    "upgrade in chunks": ["dlr", "2"],
    "100-continue": ["dlr", "asks"],
    "number sign": ["inbound", "private*123#"],
    "raw octets": ["inbound", "privateš"],
    "long query": ["inbound", "Ж" * 5000],
}
"""What the handlers get of them."""

RAW = {"raw octets": 400}
HTTPTOOLS = RAW | {"upgrade": 500, "upgrade in chunks": 500}
DIFFERENT = {
    "run_receiver": RAW,
    "run_app": RAW,
    "gunicorn-aiohttp": RAW,
    "gunicorn-uvicorn": HTTPTOOLS,
    "uvicorn-h11": RAW,
    "uvicorn-httptools": HTTPTOOLS,
    "hypercorn": RAW,
    "granian": {},
    "daphne": RAW | {"long query": 0, "announced size": 0, "slow body": 0},
}
"""The cases in which a server itself answers with another status, or (0) hangs up.

With httptools, uvicorn drops the body of a request that asks for an upgrade, which it then ignores.
All parsers but granian's refuse octets above 0x7F in a target. Daphne takes lines of 16 KiB, and
shows a request to an application when it has all of it; it closes after a minute without an octet.
"""

NO_FRAGMENT = {"gunicorn-uvicorn", "uvicorn-httptools", "granian"}
"""Servers that take what is behind a bare number sign away."""

KEPT_OPEN = {"daphne"}
"""Servers that do not close a connection when the receiver asks for that."""


SLOW = pytest.param("daphne", marks=pytest.mark.proof(long=True))


@pytest.fixture(params=[*SERVERS[:-1], SLOW])
def server(request, start):
    """Each server in turn."""
    return start(request.param)


def test_answers(server):
    """Status, body and our headers are the same, and so is what was handled."""
    different = DIFFERENT[server.name]
    slow = {name: CASES[name][0] for name, status in different.items() if status == 0}
    with ThreadPoolExecutor() as pool:  # where the server takes a minute to hang up
        waiting = {name: pool.submit(server.send, octets) for name, octets in slow.items()}
        replies = {name: server.send(CASES[name][0]) for name in CASES if name not in slow}
        replies |= {name: reply.result() for name, reply in waiting.items()}
    code = server.stop()

    assert {name: replies[name].status for name in different} == different
    for name, (_, answer) in CASES.items():
        reply = replies[name]
        if name not in different and answer is not ANY:
            closed = reply.closed or (server.name in KEPT_OPEN and answer[2])
            assert (name, reply.status, reply.body, closed) == (name, *answer)
            assert reply.headers["content-type"] == "text/plain; charset=utf-8"
            assert ("allow" in reply.headers) == (reply.status == 405)
    handled = [event for name, event in HANDLED.items() if name not in different]
    if server.name in NO_FRAGMENT:
        handled[handled.index(HANDLED["number sign"])] = ["inbound", "private*123"]
    assert server.events() == handled
    assert code in {0, -signal.SIGTERM}  # uvicorn ends by the signal itself


def test_logs(server):
    """At their most talkative, they hold no secret, no number and no text."""
    silent = {name for name, status in DIFFERENT[server.name].items() if status == 0}
    for name in CASES.keys() - silent:
        server.send(CASES[name][0])
    server.stop()

    log = server.log()
    assert SECRET.lower() not in log.lower()
    assert NUMBER not in log
    assert "private" not in log
