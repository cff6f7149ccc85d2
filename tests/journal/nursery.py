"""Receivers with a journal in processes of their own, which can be killed.

It reads orders, one JSON object on each line. For each it forks a child that receives, prints the
child's process id, and when the child has ended its exit status; the child prints its port.
"""

import asyncio
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Sequence
from typing import Any

import attrs
from aiohttp import web

from infobip_async.concurrency.sqlite_file import SqliteFile
from infobip_async.journal import HandlerSettings, SqliteJournal, StoredPush
from infobip_async.journal.base import State
from infobip_async.journal.sqlite_storage import SqliteStorage
from infobip_async.models.events import DeliveryReport, Event, HlrReport, InboundSms
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router
from infobip_async.webhook import webhook_app

SECRET = "a-secret-of-the-tests"

POINTS = {
    "kept": (SqliteJournal, "put"),
    "read": (SqliteStorage, "claim"),
    "handled": (Router, "dispatch"),
    "marked": (SqliteStorage, "record"),
}
"""After what a child can kill itself: a post is on disk and not answered, its events are about to
be handled, one was handled and is not marked, and it was marked."""


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
    """Do without a protection."""
    if protection == "commit before answer":
        later: list[RawPush] = []

        async def put_later(_: SqliteJournal, push: RawPush) -> None:
            later.append(push)  # its commit is still to come when the process dies

        SqliteJournal.put = put_later
    elif protection == "duplicates":

        async def claim(_: object, claims: Sequence[object]) -> list[frozenset[int]]:
            return [frozenset()] * len(claims)

        SqliteStorage.claim = claim
    elif protection == "marks":

        async def record(*_: object) -> None:
            pass

        SqliteStorage.record = record
    else:
        assert protection == "FULL"
        open_file = SqliteFile._open

        def unsafe(file: SqliteFile, *, writes: bool) -> Any:
            connection = open_file(file, writes=writes)
            connection.execute("pragma synchronous = off")
            return connection

        SqliteFile._open = unsafe


def held(post: StoredPush) -> bool:
    """Whether all that a post waits for is other parts of its message."""
    return {one.state for one in post.states.values()} == {State.HELD}


async def receive(order: dict[str, Any]) -> None:
    """Receive until SIGTERM, and then handle all that waits but parts that wait for others."""
    asyncio.get_running_loop().add_reader(0, os._exit, 1)  # the end of the input: the test is dead
    logging.getLogger("infobip_async.journal").setLevel(logging.ERROR)  # handlers are to fail
    chance = random.Random(order["seed"])
    handled = os.open(order["handled"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    router = Router()

    async def handle(event: Event) -> None:
        if order["idle"]:
            await asyncio.Event().wait()
        if isinstance(event, DeliveryReport) and event.message_id.startswith("killer"):
            os.kill(os.getpid(), signal.SIGKILL)
        if chance.random() < 0.1:
            raise RuntimeError("at random")
        await asyncio.sleep(chance.random() * 0.002)
        os.write(handled, json.dumps(attrs.astuple(event)[:3], default=str).encode() + b"\n")

    router.on(DeliveryReport)(handle)
    router.on(HlrReport)(handle)
    router.on(InboundSms, whole=True)(handle)
    delays = {"first_delay": order["delay"], "longest_delay": 10 * order["delay"]}
    settings = HandlerSettings(in_flight=order["in_flight"], **delays)
    journal = SqliteJournal(order["path"], settings=settings)
    runner = web.AppRunner(webhook_app(router, secret=SECRET, journal=journal))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    os.write(1, f"port {runner.addresses[0][1]}\n".encode())
    await stopped.wait()
    while [post async for post in journal.waiting() if not held(post)]:
        pass  # another turn of the file is all the time that it needs
    await runner.cleanup()


def main() -> None:
    """Fork a child for each order."""
    for line in sys.stdin:
        order = json.loads(line)
        if child := os.fork():
            os.write(1, b"pid %d\n" % child)
            os.write(1, b"end %d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            continue
        if order["without"]:
            take_away(order["without"])
        if order["point"]:
            die_after(order["point"], order["calls"])
        asyncio.run(receive(order))
        os._exit(0)


if __name__ == "__main__":
    main()
