"""A receiver with a journal as one would write it by hand, for HLR reports alone.

It keeps each push with an fsync before the 200, many pushes in one where they wait together. Then
it remembers a digest for each row, hands rows that are new to a coroutine, and deletes the push. It
has no limits, retries, ordering keys or dead letters, and looks at nothing after a restart.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from time import time

from aiohttp import web

from infobip_async.models.events import HlrReport
from infobip_async.protocol import hlr_dlr

SCHEMA = """
create table pushes (id integer primary key, body blob, at real);
create table seen (digest blob primary key, at real) without rowid;
"""
Work = Callable[[sqlite3.Connection], object]


class File:
    """A thread that writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.works: queue.SimpleQueue[tuple[Work, Future[object]] | None] = queue.SimpleQueue()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Do what waits in one transaction."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.executescript(f"pragma journal_mode=wal; pragma synchronous=full; {SCHEMA}")
        while (first := self.works.get()) is not None:
            group = [first]
            with suppress(queue.Empty):
                while (more := self.works.get_nowait()) is not None:
                    group.append(more)
            connection.execute("begin immediate")
            results = [work(connection) for work, _ in group]
            connection.execute("commit")
            for (_, future), result in zip(group, results, strict=True):
                future.set_result(result)
        connection.close()

    async def do(self, work: Work) -> object:
        """Have something done."""
        future: Future[object] = Future()
        self.works.put((work, future))
        return await asyncio.wrap_future(future)


def application(path: Path, handler: Callable[[HlrReport], Awaitable[None]]) -> web.Application:
    """Make the receiver."""
    file = File(path)
    handling: set[asyncio.Task[None]] = set()

    async def push(request: web.Request) -> web.Response:
        body, now = await request.read(), time()
        push_id = await file.do(
            lambda c: (
                c.execute("insert into pushes (body, at) values (?, ?)", (body, now)).lastrowid
            )
        )
        task = asyncio.create_task(handle(push_id, body, now))
        handling.add(task)
        task.add_done_callback(handling.discard)
        return web.Response(text="OK")

    async def handle(push_id: object, body: bytes, now: float) -> None:
        rows = hlr_dlr.decode_push(body)
        digests = [(blake2b(repr(row).encode(), digest_size=16).digest(), now) for row in rows]

        def claim(connection: sqlite3.Connection) -> list[int]:
            inserted = connection.executemany("insert or ignore into seen values (?, ?)", digests)
            return list(range(len(rows))) if inserted.rowcount == len(rows) else []

        new = await file.do(claim)
        for number in new:
            await handler(rows[number])
        await file.do(lambda c: c.execute("delete from pushes where id = ?", (push_id,)).rowcount)

    app = web.Application()
    app.router.add_post("/hlr", push)
    return app
