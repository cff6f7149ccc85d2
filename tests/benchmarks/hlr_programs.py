"""Programs that look numbers up over sockets, each to be run in a process of its own.

``python hlr_programs.py PROGRAM COUNT GATEWAY LOOP`` prints the seconds of processor time that
each number took, and the most octets of memory that the process held.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import aiohttp
from aiohttp import web

from infobip_async import (
    Endpoints,
    HlrLookups,
    HlrOutcome,
    HlrReport,
    HlrResult,
    HlrStatus,
    InfobipClient,
    Router,
)
from infobip_async.protocol.form import CONTENT_TYPE
from infobip_async.webhook import webhook_app

BATCH = 1_000
WINDOW = 20_000


def numbers(count: int) -> Iterator[str]:
    """Numbers that no two are the same of."""
    return (str(385980000000 + number) for number in range(count))


@asynccontextmanager
async def serving(app: web.Application):
    """Serve, and give the port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def stream(count: int, gateway: str, **settings: bool) -> None:
    """The library."""
    router = Router()
    taken = 0
    async with serving(webhook_app(router, secret="secret")) as port:
        endpoints = Endpoints.at(f"{gateway}/{port}")
        async with (
            InfobipClient("u", "p", endpoints=endpoints) as client,
            HlrLookups(client, router, batch_size=BATCH, window=WINDOW) as lookups,
        ):
            async for result in lookups.stream(numbers(count), **settings):
                taken += result.report is not None
    assert taken == count


async def simplest(count: int, gateway: str, *, values: bool = True) -> None:  # noqa: C901 - one program, read from top to bottom
    """A dict and eight workers: no checks, no deadlines, nothing for what goes wrong.

    Args:
        count: of numbers.
        gateway: its base URL.
        values: make the same values of each report, and yield them one by one; else leave it at
            lists of fields.
    """
    waiting: dict[str, str] = {}
    room = asyncio.Semaphore(WINDOW // BATCH)
    ready: asyncio.Queue[list[object]] = asyncio.Queue()

    def result(fields: list[str]) -> object:
        lookup_id = fields[1]
        destination = waiting.pop(lookup_id)
        if not values:
            return destination, fields
        status = HlrStatus(fields[2])
        report = HlrReport(fields[0], lookup_id, status, fields[2], *fields[3:])
        return HlrResult(destination, HlrOutcome.REPORTED, lookup_id, report)

    async def reported(request: web.Request) -> web.Response:
        form = await request.post()
        ready.put_nowait([result(row.split(";")) for row in form["dlr"].splitlines()])
        return web.Response(text="OK")

    async def results() -> AsyncIterator[object]:
        taken = 0
        while taken < count:
            for one in await ready.get():
                taken += 1
                if taken % BATCH == 0:
                    room.release()
                yield one

    app = web.Application()
    app.router.add_post("/secret/hlr", reported)
    source = numbers(count)
    async with serving(app) as port, aiohttp.ClientSession() as session:

        async def work() -> None:
            headers = {"Content-Type": CONTENT_TYPE}
            while batch := list(itertools.islice(source, BATCH)):
                await room.acquire()
                body = "user=u&pass=p&destinations=" + "%3B".join(batch)
                async with session.post(f"{gateway}/{port}/", data=body, headers=headers) as reply:
                    for row in (await reply.text()).splitlines()[1:]:
                        destination, _, lookup_id = row.split(";")
                        waiting[lookup_id] = destination

        workers = [asyncio.create_task(work()) for _ in range(8)]
        async for _ in results():
            pass
        await asyncio.gather(*workers)


PROGRAMS: dict[str, Callable[[int, str], Awaitable[None]]] = {
    "stream": stream,
    "ordered": lambda *of: stream(*of, ordered=True),
    "share": lambda *of: stream(*of, share=True),
    "simplest": simplest,
    "lists": lambda *of: simplest(*of, values=False),
}


async def main(program: str, count: int, gateway: str) -> None:
    """Run one."""
    await PROGRAMS[program](BATCH, gateway)
    start = time.process_time()
    await PROGRAMS[program](count, gateway)
    taken = (time.process_time() - start) / count
    status = Path("/proc/self/status").read_text(encoding="ascii")  # noqa: ASYNC240 - at the end
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    sys.stdout.write(f"{taken} {peak}\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=import_module(sys.argv[4]).new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
