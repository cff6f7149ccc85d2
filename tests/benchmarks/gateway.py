"""A gateway for measurements: it answers posts without looking, and pushes reports of HLR queries.

A query to a path that starts with a port, ``/8080/...``, has its reports pushed there, 100 rows a
post, over a few connections that are kept.
"""

import asyncio
import itertools
import sys
from urllib.parse import quote, unquote

RESPONSE = b"<RESPONSE><status>1</status><credits>98.00</credits></RESPONSE>"
POST = (
    b"POST /secret/hlr HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
)
PUSHERS = 4
ROWS = 100
DELAY = 0.05  # from the reply to the first report: the simplest program knows no early ones

ids = itertools.count()
pushers: dict[int, "asyncio.Queue[bytes]"] = {}
tasks: list[asyncio.Task[None]] = []


async def push(port: int, posts: "asyncio.Queue[bytes]") -> None:
    """Post one after the other, until the receiver is gone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        writer.write(await posts.get())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        except (OSError, asyncio.IncompleteReadError):
            break
    writer.close()
    pushers.pop(port, None)


def queue_of(port: int) -> "asyncio.Queue[bytes]":
    """Where posts to a receiver are put."""
    if port not in pushers:
        pushers[port] = posts = asyncio.Queue()
        tasks[:] = [task for task in tasks if not task.done()]
        tasks.extend(asyncio.create_task(push(port, posts)) for _ in range(PUSHERS))
    return pushers[port]


def look_up(port: int, body: bytes) -> bytes:
    """The reply to a query; its reports are on their way."""
    destinations = unquote(body.rpartition(b"destinations=")[2].decode()).split(";")
    rows = [(number, f"121c0a6b752-1-{next(ids)}") for number in destinations]
    later = asyncio.get_running_loop().call_later
    for several in (rows[at : at + ROWS] for at in range(0, len(rows), ROWS)):
        lines = "".join(f"{to};{key};DELIVRD;2190112345678;385980501;0\n" for to, key in several)
        form = b"dlr=" + quote(lines, safe="").encode()
        later(DELAY, queue_of(port).put_nowait, POST % len(form) + form)
    return "".join(["OK\n", *(f"{number};OK;{key}\n" for number, key in rows)]).encode()


class Connection(asyncio.Protocol):
    """Answers whatever is complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport
        self.received = bytearray()

    def data_received(self, data: bytes) -> None:
        """Count the octets of the body."""
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split()[0]):
            self.received.clear()
            first = head.split(b"/", 2)[1]
            reply = look_up(int(first), bytes(body)) if first.isdigit() else RESPONSE
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
            self.transport.write(head % len(reply) + reply)


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1000)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
