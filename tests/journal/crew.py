"""Several receivers on one port and one journal, as a server with workers has them.

The first line of the input is an order, as JSON, and the second one lets it begin. Workers are
forked; each prints its process id, and a new one takes the place of each that dies. At the end of
the input all are told to stop.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from typing import Any

from aiohttp import web

from infobip_async import Endpoints, HlrLookups, InfobipClient
from infobip_async.journal import HandlerSettings, SqliteJournal
from infobip_async.models.events import HlrReport, InboundSms
from infobip_async.router import Router
from infobip_async.webhook import webhook_app

SECRET = "a-secret-of-the-tests"


async def work(order: dict[str, Any], listener: socket.socket) -> None:
    """Receive until SIGTERM; look numbers up if there is a gateway."""
    chance = random.Random(os.getpid())
    handled = os.open(order["handled"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    router = Router()

    @router.on(InboundSms)
    async def receive(sms: InboundSms) -> None:
        await asyncio.sleep(chance.random() * 0.002)
        os.write(handled, f"{os.getpid()} {sms.sender} {sms.text}\n".encode())

    @router.on(HlrReport)
    async def report(event: HlrReport) -> None:
        os.write(handled, f"{os.getpid()} {event.destination} {event.lookup_id}\n".encode())

    settings = HandlerSettings(in_flight=order["in_flight"])
    journal = SqliteJournal(order["path"], settings=settings)
    runner = web.AppRunner(webhook_app(router, secret=SECRET, journal=journal))
    await runner.setup()
    await web.SockSite(runner, listener).start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    os.write(1, b"pid %d\n" % os.getpid())
    if order["gateway"]:
        await look_up(router, order["gateway"])
    await stopped.wait()
    while (await journal.counts()).waiting:  # noqa: ASYNC110 - whoever handles
        await asyncio.sleep(0.01)
    await runner.cleanup()


async def look_up(router: Router, gateway: str) -> None:
    """Look numbers up, and print what became of them."""
    client = InfobipClient("user", "password", endpoints=Endpoints.at(gateway))
    numbers = [f"38598{os.getpid() % 10_000:04}{n:02}" for n in range(10)]
    async with client, HlrLookups(client, router) as lookups:
        results = await asyncio.gather(*(lookups.lookup(one, timeout=60) for one in numbers))
    line = " ".join(f"{one.destination}:{one.outcome.value}" for one in results)
    os.write(1, f"results {line}\n".encode())


def fork(order: dict[str, Any], listener: socket.socket) -> int:
    """Start a worker."""
    if child := os.fork():
        return child
    asyncio.run(work(order, listener))
    os._exit(0)


def main() -> None:
    """Keep so many workers running until the input ends."""
    order = json.loads(sys.stdin.readline())
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    os.write(1, b"port %d\n" % listener.getsockname()[1])
    sys.stdin.readline()  # when the gateway knows the port
    workers = {fork(order, listener) for _ in range(order["workers"])}
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that select is interrupted
    os.set_blocking(0, False)
    while sys.stdin.buffer.raw.read(1) is None:
        ended = [pid for pid in workers if os.waitpid(pid, os.WNOHANG)[0]]
        workers -= set(ended)
        for pid in ended:
            os.write(1, b"end %d\n" % pid)
            workers.add(fork(order, listener))
        signal.sigtimedwait({signal.SIGCHLD}, 0.005)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    for pid in workers:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
