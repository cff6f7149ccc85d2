"""A gateway on loopback that counts what arrives and misbehaves on demand, and clients of it."""

import asyncio
import gzip
import itertools
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs
import pytest

from infobip_async import Endpoints, InfobipClient, Recipient, TextMessage
from infobip_async.errors import OutcomeUnknownError, RemoteProtocolError
from jumping import PATIENCE, JumpingLoop, jump, until
from ports import reserved_port

PASSWORD = "pä&<\"'%+ \\/S3cr3tM4rk;=?#"
"""In every spelling of it the letters and digits stand as they are."""

TEXT = TextMessage("Hello", "Friend")

# What the gateway answers where nothing is wrong, by the last segment of the path.
GOOD = {
    "XMLInput.aspx": b"<RESPONSE><status>2</status><credits>98.5</credits></RESPONSE>",
    "SendSMS.aspx": b"020711151112345678",
    "command.aspx": b"7.16",
    "dlrpull": b'<DeliveryReport><message id="id-1" status="DELIVERED"/></DeliveryReport>',
    "query.aspx": b"OK\n385911234567;OK;lookup-1\n385911234568;FAILED;\n",
}


def http(body: bytes, *headers: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    """The octets of a whole reply."""
    lines = [f"HTTP/{version} {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes) -> bytes:
    """The octets of a reply in two chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:2], body[2:]))
    return head + b"".join(chunks) + b"0\r\n\r\n"


@attrs.frozen
class Received:
    """A request as it arrived, complete."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def service(self) -> str:
        """The last segment of its path."""
        return urlsplit(self.target).path.rsplit("/", 1)[-1]


Stage = Literal["connect", "headers", "request"]
Then = Literal["keep", "close", "reset", "hang", "wait"]


@attrs.frozen
class Fault:
    """One way to misbehave.

    Attributes:
        name: what it does.
        stage: when: at the first octets, after the headers, or after the whole request.
        reply: from the good body and the request to the octets that go out.
        then: what becomes of the connection. Where it hangs, time passes in leaps, so that
            clients give up; where it waits, nothing more happens.
        read: whether HTTP is all right, and only the status or the content is no answer.
    """

    name: str
    reply: Callable[[bytes, Received], bytes] = lambda _body, _request: b""
    then: Then = "close"
    stage: Stage = "request"
    read: bool = False


def _same(octets: bytes) -> Callable[[bytes, Received], bytes]:
    return lambda _body, _request: octets


FAULTS = (
    Fault("closes at the first octet", stage="connect"),
    Fault("resets at the first octet", stage="connect", then="reset"),
    Fault("closes after the headers", stage="headers"),
    Fault("closes after the request"),
    Fault("resets after the request", then="reset"),
    Fault("hangs", then="hang"),
    Fault("cuts inside the status line", _same(b"HTTP/1.1 2")),
    Fault("cuts inside the headers", _same(b"HTTP/1.1 200 OK\r\nContent-Le")),
    Fault("cuts inside the body", lambda body, _: http(body + b"...")[:-3]),
    Fault("cuts inside a chunk", lambda body, _: chunked(body)[:-9]),
    Fault("resets inside a body without length", lambda body, _: b"HTTP/1.0 200 OK\r\n\r\n" + body,
          then="reset"),
    Fault("hangs inside the body", lambda body, _: http(body + b"...")[:-3], then="hang"),
    Fault("sends garbage", _same(b"\x00\xff\r\nno HTTP at all\r\n\r\n")),
    Fault("repeats the request as its reply", lambda _, request: request.raw),
    Fault("repeats the request in its body", lambda _, request: http(request.raw), "keep",
          read=True),
    Fault("repeats the request in a big body",
          lambda _, request: http(request.raw + b" " * 100_000), "keep", read=True),
    Fault("repeats the request in its headers",
          lambda _, request: http(b"", f"Location: {request.raw!r}", status="302 Found"), "keep",
          read=True),
    Fault("repeats the request in a broken header",
          lambda _, request: b"HTTP/1.1 302 Found\r\nX \x00: " + repr(request.raw).encode()
          + b"\r\n\r\n"),
    Fault("repeats the request as the reason phrase",
          lambda _, request: http(b"", status=f"500 {request.raw!r}"), read=True),
    Fault("redirects", _same(http(b"", "Location: /AddOn/SMSService/XML/XMLInput.aspx",
                                  status="307 Temporary Redirect")), "keep", read=True),
    Fault("answers 500", lambda body, _: http(body, status="500 Oops"), "keep", read=True),
    Fault("answers 407", _same(http(b"", status="407 Proxy Authentication Required")), "keep",
          read=True),
    Fault("switches protocols", _same(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")),
    Fault("sends a page", _same(http(b"<html><body>Down for maintenance</body></html>",
                                     "Content-Type: text/html")), "keep", read=True),
    Fault("sends broken gzip", _same(http(b"no gzip", "Content-Encoding: gzip")), "keep"),
    Fault("sends endless headers", _same(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000)),
)  # fmt: skip

# What is unusual, and right.
ODDITIES = (
    Fault("chunked", lambda body, _: chunked(body), "keep"),
    Fault("HTTP/1.0", lambda body, _: http(body, version="1.0")),
    Fault("without a length", lambda body, _: b"HTTP/1.1 200 OK\r\n\r\n" + body),
    Fault("after an informational reply",
          lambda body, _: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + http(body), "keep"),
    Fault("gzip though it was not asked for",
          lambda body, _: http(gzip.compress(body), "Content-Encoding: gzip"), "keep"),
    Fault("then closed without notice", lambda body, _: http(body)),
    Fault("then closed with notice", lambda body, _: http(body, "Connection: close")),
    Fault("with a cookie", lambda body, _: http(body, "Set-Cookie: session=1"), "keep"),
)  # fmt: skip


@attrs.define(eq=False, repr=False)  # it has seen passwords
class FakeGateway:
    """Answers as the document says, or as the fault at hand does.

    Attributes:
        port: where it listens.
        fault: what is wrong now.
        script: faults of the next requests, None for none; then `fault` rules again.
        bodies: what is answered, by the last segment of the path.
        gate: requests are answered while it is set.
        received: complete requests, in order.
        partial: what arrived of those that were not read to their end.
        connections: how many were accepted.
        busy: requests that wait for their answer, now and at the most.
    """

    port: int
    fault: Fault | None = None
    script: deque[Fault | None] = attrs.field(factory=deque)
    bodies: dict[str, bytes] = attrs.field(factory=lambda: dict(GOOD))
    tls: ssl.SSLContext | None = None
    tunnel_status: str = "200 Connected"
    received: list[Received] = attrs.field(factory=list)
    partial: list[bytes] = attrs.field(factory=list)
    connections: int = 0
    busy: int = 0
    busiest: int = 0
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = attrs.field(factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    @property
    def listening(self) -> asyncio.trsock.TransportSocket:
        """The socket that connections come from, and have their settings of."""
        assert self._server is not None
        return self._server.sockets[0]

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, ssl=self.tls, backlog=1000
        )
        self.gate.set()

    async def refuse(self) -> None:
        """Close all connections and let nobody connect."""
        assert self._server is not None
        self._server.close()
        await self.hang_up()

    def answer(self, *bodies: bytes) -> None:
        """Answer the next requests with these."""
        for body in bodies:
            self.once(http(body), "keep")

    def once(self, octets: bytes = b"", then: Then = "close", stage: Stage = "request") -> None:
        """Answer the next request with these octets."""
        self.script.append(Fault("", _same(octets), then, stage))

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the event loop run until something holds."""
        await until(condition)

    async def hang_up(self) -> None:
        """Close all connections."""
        for writer in list(self._open):
            writer.close()
        await self.until(lambda: not self._open)

    async def stop(self) -> None:
        """Leave nothing behind."""
        self.gate.set()
        await self.refuse()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self._open.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether the connection can have another."""
        raw = await reader.read(1)
        if not raw:
            return False
        fault = self.script.popleft() if self.script else self.fault
        stage = fault.stage if fault else None
        if stage != "connect":
            raw += await self._read(reader, raw, body=stage != "headers")
        request = _parsed(raw)
        if request is None:
            self.partial.append(raw)
            return bool(fault) and await self._end(writer, fault)
        if request.method == "CONNECT":
            return await self._tunnel(request, writer)
        self.received.append(request)
        await self._turn()
        body = self.bodies[request.service]
        writer.write(fault.reply(body, request) if fault else http(body))
        await writer.drain()
        return not fault or await self._end(writer, fault)

    async def _read(self, reader: asyncio.StreamReader, raw: bytes, *, body: bool) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _headers(raw + head).get("content-length", "0")
            return head + (await reader.readexactly(int(length)) if body else b"")
        except asyncio.IncompleteReadError as cut:
            self.partial.append(raw + cut.partial)
            raise

    async def _turn(self) -> None:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        await self.gate.wait()
        self.busy -= 1

    async def _end(self, writer: asyncio.StreamWriter, fault: Fault) -> bool:
        if fault.then == "hang":
            while not writer.is_closing():
                await jump(24 * 3600)
        if fault.then == "wait":
            await writer.wait_closed()
        if fault.then == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        return fault.then == "keep"

    async def _tunnel(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        """As a proxy: carry on as the host that was asked for."""
        self.received.append(request)
        writer.write(f"HTTP/1.1 {self.tunnel_status}\r\n\r\n".encode())
        await writer.drain()
        if not self.tunnel_status.startswith("200") or self.tls is None:
            return False
        await writer.start_tls(self.tls)
        return True


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def _parsed(raw: bytes) -> Received | None:
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end or len(body) < int(_headers(head).get("content-length", "0")):
        return None
    method, target, _ = head.decode().split("\r\n")[0].split(" ")
    return Received(method, target, _headers(head), body, raw)


@attrs.frozen
class Call:
    """One method of the client, called with good arguments.

    Attributes:
        name: of the method.
        make: calls it.
        service: the last segment of the path that it asks.
        result: what comes of `GOOD`, shortened.
        get: whether it is a GET, whose headers are the whole request.
        orders: whether it does something at the gateway.
        message_ids: what can settle its outcome.
    """

    name: str
    make: Callable[[InfobipClient], Awaitable[object]]
    service: str
    result: object
    get: bool = True
    orders: bool = False
    message_ids: tuple[str, ...] = ()

    def error(self, fault: Fault) -> type[Exception]:
        """What it raises."""
        return self.unanswered if fault.read else OutcomeUnknownError

    @property
    def unanswered(self) -> type[Exception]:
        """What it raises where something answers, and not as the gateway does."""
        return OutcomeUnknownError if self.orders else RemoteProtocolError

    def copies(self, fault: Fault) -> int:
        """How many complete requests the gateway has got."""
        return int(fault.stage == "request" or (self.get and fault.stage == "headers"))


NUMBERS = ("385911234567", "385911234568")
RECIPIENTS = (Recipient(NUMBERS[0], "id-1"), Recipient(NUMBERS[1], "id-2"))

CALLS = (
    Call("send", lambda client: client.send(TEXT, RECIPIENTS), "XMLInput.aspx", "accepted=2",
         get=False, orders=True, message_ids=("id-1", "id-2")),
    Call("send_one", lambda client: client.send_one(TEXT, NUMBERS[0]), "SendSMS.aspx",
         "020711151112345678", orders=True),
    Call("credits", lambda client: client.credits(), "command.aspx", "7.16"),
    Call("pull_reports", lambda client: client.pull_reports(), "dlrpull", "id-1"),
    Call("submit_hlr", lambda client: client.submit_hlr(NUMBERS), "query.aspx", "lookup-1",
         get=False, orders=True),
    Call("submit_hlr by GET", lambda client: client.submit_hlr(NUMBERS, method="GET"),
         "query.aspx", "lookup-1", orders=True),
)  # fmt: skip


# Clients with a transport of their own, or with a client of one of these libraries.
KINDS = ("default", *(library for library in ("httpx", "httpx2") if find_spec(library)))


def _named(value: object) -> str:
    if isinstance(value, bool):
        return "reused" if value else "fresh"
    return str(getattr(value, "name", value)).replace(" ", "-")


# What tests are run with, by the names of their arguments, the most first; in one order for all
# processes.
EVERY: dict[str, Sequence[object]] = {
    "fault": FAULTS,
    "oddity": ODDITIES,
    "call": CALLS,
    "kind": KINDS,
    "reused": (False, True),
    "marked": (*KINDS, "proxy"),
}
ROUNDS = 3

# What httpx trusts without it takes longer to read than most tests.
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def covering(
    rounds: int, first: Sequence[object], *others: Sequence[object]
) -> list[tuple[object, ...]]:
    """Some combinations: each value of the first with as many of each other as there are rounds.

    These are far apart, so that every fault meets a call that does something and one that asks.
    """
    return [
        (
            value,
            *(
                values[(at // 2**place + turn * max(1, len(values) // rounds)) % len(values)]
                for place, values in enumerate(others)
            ),
        )
        for turn in range(rounds)
        for at, value in enumerate(first)
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with everything that it names; where that is much, most of it is a proof."""
    names = [name for name in EVERY if name in metafunc.fixturenames]
    if not names:
        return
    dimensions = [EVERY[name] for name in names]
    every = list(itertools.product(*dimensions))
    marker = metafunc.definition.get_closest_marker("rounds")
    rounds = marker.args[0] if marker else ROUNDS
    usual = every if len(names) == 1 else covering(rounds, *dimensions)
    if metafunc.config.option.markexpr == "not proof":
        every = [case for case in every if case in usual]  # to collect the rest takes a second
    cases = [
        pytest.param(
            *case,
            id="-".join(map(_named, case)),
            marks=() if case in usual else pytest.mark.proof,
        )
        for case in every
    ]
    metafunc.parametrize(names, cases, indirect=[name for name in names if name == "marked"])


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """No test waits for a timeout."""
    return {"jumping": JumpingLoop}


class IdleTime:
    """What time it is for connections that are idle."""

    now = 0.0

    def monotonic(self) -> float:
        """As the function of the standard library."""
        return self.now


@pytest.fixture
def idle_time(monkeypatch: pytest.MonkeyPatch) -> IdleTime:
    """The clock by which httpcore tells how long a connection was idle."""
    clock = IdleTime()
    monkeypatch.setattr("httpcore._async.http11.time", clock)
    return clock


@pytest.fixture
def calls() -> dict[str, Call]:
    """The methods of the client by name."""
    return {call.name: call for call in CALLS}


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    """A gateway that listens."""
    with reserved_port() as port:
        gateway = FakeGateway(port)
        await gateway.start()
        yield gateway
        await gateway.stop()


@pytest.fixture
async def connect(gateway: FakeGateway) -> AsyncIterator[Callable[..., InfobipClient]]:
    """Makes clients of the gateway that are closed after the test."""
    async with AsyncExitStack() as stack:

        def make(kind: str = "default", **options: object) -> InfobipClient:
            if kind != "default":
                options["http"] = import_module(kind).AsyncClient(verify=False, trust_env=False)
                stack.push_async_callback(options["http"].aclose)
            usual = {"endpoints": Endpoints.at(gateway.url), "connect_timeout": PATIENCE}
            if "proxy" in options and "ca_file" not in options:
                usual["ssl_context"] = NO_AUTHORITIES
            options = usual | {"stop_timeout": 0.0} | options
            client = InfobipClient("user", PASSWORD, **options)
            stack.push_async_callback(client.aclose)
            return client

        yield make
