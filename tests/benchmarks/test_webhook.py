"""What a push costs the receiver, in processor time, against a handler that only reads the body.

The server is a process of its own, which tells its processor time; both handlers are in it.

What remains of one row, in thousands of instructions that callgrind counts in Python 3.11, without
the kernel's, beside the bare handler's 236: 23 for the mounting, which any sub-application pays (a
line of its own); 55 for the row; 10 each for the router and for the value that a journal would
keep; 40 for the head of the request, the secret, compared in constant time, the limits and the
answer; and 45 for the reading, and for the task that lets handlers finish though the client is
gone. Of a hundred rows, one is 18. A delivery report takes 113 to decode, most of them in the
making of defusedxml's parser. An inbound SMS takes 102: its parameters, of any charset, are kept as
they came beside a value of 14 fields. So a row and an SMS stay above their targets: mounting and
admission alone come to 1.3.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import pytest

SECRET = "long-random-string"
CONNECTIONS = 16
ROUNDS = 7
REQUESTS = 50  # on each connection, in each round
ROW = "23423423232;234234sdfsds-01-01;DELIVRD;2019011231213;385980501;0\n"
REPORT = (
    b'<DeliveryReport><message id="1023012301" sentdate="2005/7/19 22:0:0" '
    b'donedate="2005/7/19 22:0:0" status="DELIVERED" /></DeliveryReport>'
)
INBOUND = "sender=38598514674&receiver=385911&text=Hello+there&datetime=2005%2F7%2F19+22%3A00%3A00"
PUSHES = {
    "one delivery report": ("POST", "/dlr", REPORT, "<= 1.8"),
    "dlr of 1 row": ("POST", "/hlr", b"dlr=" + quote(ROW).encode(), "<= 1.3"),
    "dlr of 100 rows": ("POST", "/hlr", b"dlr=" + quote(ROW * 100).encode(), "<= 6"),
    "one inbound SMS": ("GET", f"/inbound?{INBOUND}", b"", "<= 1.2"),
}


async def serve() -> None:
    """Serve both handlers, and the processor time, until standard input ends."""
    from aiohttp import web  # noqa: PLC0415 - in the server's process only

    from infobip_async import DeliveryReport, HlrReport, InboundSms, Router  # noqa: PLC0415
    from infobip_async.webhook import webhook_app  # noqa: PLC0415

    router = Router()

    async def handle(_: object) -> None: ...

    for event in (DeliveryReport, HlrReport, InboundSms):
        router.on(event)(handle)

    async def bare(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="OK")

    async def clock(_: web.Request) -> web.Response:
        return web.Response(text=repr(time.process_time()))

    app = web.Application()
    app.router.add_route("*", "/bare", bare)
    app.router.add_get("/clock", clock)
    app.add_subapp("/infobip", webhook_app(router, secret=SECRET))
    mounted = web.Application()
    mounted.router.add_route("*", "/{tail:.*}", bare)
    app.add_subapp("/mounted", mounted)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


class Load:
    """Connections to the server, which send as much as it can take."""

    def __init__(self, port: int) -> None:
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]

    def close(self) -> None:
        """Hang up."""
        for connection in self.sockets:
            connection.close()

    def clock(self) -> float:
        """The processor time that the server has used."""
        self.sockets[0].sendall(request("GET", "/clock"))
        return float(self.sockets[0].recv(4096).rpartition(b"\r\n")[2])

    def send(self, raw: bytes) -> None:
        """Send a request many times."""
        for _ in range(REQUESTS):
            for connection in self.sockets:
                connection.sendall(raw)
            for connection in self.sockets:
                assert receive(connection).startswith(b"HTTP/1.1 200 ")

    def cost(self, raw: bytes) -> float:
        """Seconds of the server's processor that one request takes."""
        before = self.clock()
        self.send(raw)
        return (self.clock() - before) / (REQUESTS * CONNECTIONS)


def receive(connection: socket.socket) -> bytes:
    """A reply, without falling asleep for it: what wakes a sleeper is charged to the server."""
    while True:
        with suppress(BlockingIOError):
            return connection.recv(4096, socket.MSG_DONTWAIT)


def request(method: str, target: str, body: bytes = b"") -> bytes:
    """A request as octets."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode() + body


@contextmanager
def load(loop: str) -> Iterator[Load]:
    """Load on a server that runs beside the test, in an event loop of asyncio's or uvloop's."""
    profile = os.environ.get("PROFILE_CHILD", "").split()
    command = [sys.executable, *profile, str(Path(__file__).resolve()), loop]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and file
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        load = Load(int(server.stdout.readline()))
        yield load
        load.close()
        server.stdin.close()
        server.wait()


@pytest.fixture(scope="module")
def usual() -> Iterator[Load]:
    """Load on a server in asyncio's event loop."""
    with load("asyncio") as server:
        yield server


@pytest.mark.parametrize("push", PUSHES)
def test_push(bench, usual, push):
    """Each kind, through the sub-application and past it."""
    method, target, body, ratio = PUSHES[push]
    ours = request(method, f"/infobip/{SECRET}{target}", body)
    bare = request("POST", "/bare", body or INBOUND.encode())
    usual.cost(ours)
    bench.measure(f"webhook, {push}", partial(usual.cost, ours), partial(usual.cost, bare), ratio)


def test_mounting(bench, usual):
    """What a sub-application costs that does nothing of ours."""
    method, target, body, _ = PUSHES["dlr of 1 row"]
    mounted, bare = (request(method, to, body) for to in (f"/mounted/{SECRET}{target}", "/bare"))
    bench.measure("webhook, only mounted", partial(usual.cost, mounted), partial(usual.cost, bare))


def test_push_with_uvloop(bench, usual):
    """What it brings."""
    pytest.importorskip("uvloop")
    method, target, body, _ = PUSHES["one delivery report"]
    ours = request(method, f"/infobip/{SECRET}{target}", body)
    with load("uvloop") as other:
        other.cost(ours)
        path = "webhook, one delivery report, uvloop against asyncio"
        bench.measure(path, partial(other.cost, ours), partial(usual.cost, ours))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=import_module(sys.argv[1]).new_event_loop) as run:
        run.run(serve())
