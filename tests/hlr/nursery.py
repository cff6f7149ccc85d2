"""Jobs of lookups in processes of their own, which can be killed.

It reads orders, one JSON object on each line. For each it forks a child that looks numbers up with
a job, prints the child's process id, and when the child has ended its exit status.
"""

import asyncio
import json
import os
import signal
import sys
from io import FileIO
from typing import Any

from aiohttp import web

from infobip_async import Endpoints, HlrLookups, InfobipClient, Router, Run
from infobip_async.hlr.job import HlrJobFile
from infobip_async.webhook import webhook_app

POINTS = {
    "intent": (HlrJobFile, "intend"),
    "query": (InfobipClient, "submit_hlr"),
    "ids": (HlrJobFile, "accept"),
    "result": (HlrJobFile, "record"),
}
"""After what a child can kill itself: an intent is kept, a query answered, ids or a result kept."""

PROTECTIONS = {"intent": "intend", "ids": "accept", "wait for reports": "open_lookups"}
"""What can be taken away, and the method of jobs that it is."""


def die_after(point: str, calls: int) -> None:
    """Kill this process as soon as a method has returned so many times."""
    owner, name = POINTS[point]
    method = getattr(owner, name)
    left = iter(range(calls - 1))

    async def call(*args: Any, **kwargs: Any) -> object:
        result = await method(*args, **kwargs)
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def take_away(protection: str) -> None:
    """Do nothing where a job protects."""

    async def nothing(*_: Any, **__: Any) -> list[object]:
        return []

    setattr(HlrJobFile, PROTECTIONS[protection], nothing)


async def receive(router: Router, run: Run[Any], port: int) -> web.AppRunner:
    """Take pushes, from when the run knows which lookups of earlier runs it waits for."""
    while not run.stats.read:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    app = webhook_app(router, secret=None)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def look_up(order: dict[str, Any], outcomes: FileIO) -> None:
    """Look numbers up, and write each outcome to a file at once."""
    numbers = (f"385{number:08}" for number in range(order["items"]))
    endpoints, router = Endpoints.at(order["base_url"]), Router()
    async with (
        InfobipClient("user", "password", endpoints=endpoints) as client,
        HlrLookups(client, router, **order["lookups"]) as lookups,
    ):
        run = lookups.stream(numbers, **order["stream"])
        receiving = asyncio.create_task(receive(router, run, order["port"]))
        async for result in run:
            line = [result.destination, result.outcome.name]
            outcomes.write(json.dumps(line).encode() + b"\n")
        await (await receiving).cleanup()


def main() -> None:
    """Fork a child for each order."""
    for line in sys.stdin:
        order = json.loads(line)
        if child := os.fork():
            os.write(1, b"%d\n" % child)
            os.write(1, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            continue
        if order["without"]:
            take_away(order["without"])
        if order["point"]:
            die_after(order["point"], order["calls"])
        asyncio.run(look_up(order, FileIO(order["outcomes"], "w")))
        os._exit(0)


if __name__ == "__main__":
    main()
