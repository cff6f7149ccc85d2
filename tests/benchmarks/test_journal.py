"""The cost of a push with a journal, until its events were handled.

It is told against the same receiver without a journal, against one commit for each push, and
against a program by hand. Each receiver is a process of its own; what is measured is the time that
the process takes on all its threads.
"""

import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

SECRET = "long-random-string"
ROUNDS = 5
POSTS = {(1, 1): 150, (10, 1): 100, (100, 1): 50, (1, 64): 1_920, (10, 64): 960, (100, 64): 256}
"""Posts in a round, by rows of a post and senders."""

numbers = itertools.count()


async def serve(kind: str) -> None:
    """Receive until standard input ends: without a journal, with one, in one of several ways."""
    from aiohttp import web  # noqa: PLC0415 - in the server's process only
    from journal_by_hand import application  # noqa: PLC0415

    from infobip_async import HlrReport, Router  # noqa: PLC0415
    from infobip_async.concurrency import sqlite_thread  # noqa: PLC0415
    from infobip_async.journal import SqliteJournal  # noqa: PLC0415
    from infobip_async.webhook import webhook_app  # noqa: PLC0415

    router = Router()
    handled = 0
    waits: dict[int, asyncio.Event] = {}

    @router.on(HlrReport)
    async def count(_: HlrReport) -> None:
        nonlocal handled
        handled += 1
        if handled in waits:
            waits.pop(handled).set()

    async def wait(request: web.Request) -> web.Response:
        number = int(request.query["handled"])
        if number > handled:
            await waits.setdefault(number, asyncio.Event()).wait()
        return web.Response(headers={"Used": f"{time.process_time():.6f}"})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posts.db"
        app = web.Application()
        app.router.add_get("/wait", wait)
        if kind == "by hand":
            app.add_subapp(f"/infobip/{SECRET}", application(path, count))
        else:
            journal = None if kind == "plain" else SqliteJournal(path)
            if journal and kind == "single":
                sqlite_thread.GROUP = 1
                journal._storage.put = lambda push: journal._storage._insert([push])
            app.add_subapp("/infobip", webhook_app(router, secret=SECRET, journal=journal))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


def post(rows: int) -> bytes:
    """A post of rows that never came before."""
    ids = (next(numbers) for _ in range(rows))
    several = (f"38598{one};121c0a6b752-1-{one};DELIVRD;2019011231213;38598;0" for one in ids)
    body = f"dlr={'%0A'.join(several)}".encode()
    head = f"POST /infobip/{SECRET}/hlr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Receiver:
    """A receiver that runs beside the test."""

    def __init__(self, kind: str) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), kind]
        self.process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)  # noqa: S603 - ours
        self.port = int(self.process.stdout.readline())
        self.handled = 0

    def close(self) -> None:
        """Stop it."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def cost(self, rows: int, senders: int) -> float:
        """Seconds that a post takes, until its events were handled."""
        count = POSTS[rows, senders]
        self.handled += count * rows
        posts = iter([post(rows) for _ in range(count)])
        return asyncio.run(self._send(posts, senders)) / count

    async def _send(self, posts: Iterator[bytes], senders: int) -> float:
        connections = [
            await asyncio.open_connection("127.0.0.1", self.port) for _ in range(senders)
        ]

        async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for raw in posts:
                writer.write(raw)
                assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
            writer.close()

        before = await self._used(0)
        await asyncio.gather(*(exchange(*connection) for connection in connections))
        return await self._used(self.handled) - before

    async def _used(self, handled: int) -> float:
        """Wait until so many events were handled; give the processor time taken until then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET /wait?handled={handled} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return float(head.split(b"Used: ")[1].split()[0])


@pytest.fixture(scope="module")
def receivers() -> Iterator[dict[str, Receiver]]:
    """One of each kind."""
    found = {kind: Receiver(kind) for kind in ("plain", "journal", "single", "by hand")}
    yield found
    for receiver in found.values():
        receiver.close()


@pytest.mark.parametrize(("rows", "senders"), POSTS)
@pytest.mark.parametrize("other", ["plain", "single", "by hand"])
def test_throughput(bench, receivers, rows, senders, other):
    """At so many rows and senders."""
    ours, floor = (partial(receivers[kind].cost, rows, senders) for kind in ("journal", other))
    ours()
    floor()
    against = {"plain": "none", "single": "a commit a post", "by hand": "a program by hand"}[other]
    target = "2" if (other, rows, senders) == ("by hand", 100, 64) else "-"
    path = f"a journal against {against}, {rows} rows, {senders} senders"
    bench.measure(path, ours, floor, target, rounds=ROUNDS)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
