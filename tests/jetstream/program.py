"""What the tests run in processes of their own, to kill them."""

import asyncio
import os
import sys
from functools import partial

from aiohttp import web

from infobip_async import Endpoints, HlrLookups, InfobipClient, Router
from infobip_async.jetstream import ConnectOptions, HlrJob, NatsJournal, ReportFeed
from infobip_async.journal import HandlerSettings, Journal, SqliteJournal
from infobip_async.journal.spool import SpoolJournal
from infobip_async.models.events import HlrReport
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.webhook import webhook_app

QUICK = HandlerSettings(first_delay=0.1, stop_timeout=1)

CHUNK = 100


def say(*words: object) -> None:
    """Write a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def journal_at(url: str, *, handles: bool, ack_wait: float = 5) -> NatsJournal:
    """The journal of all processes."""
    access = ConnectOptions(servers=(url,), timeout=60.0)
    return NatsJournal(access, handles=handles, settings=QUICK, ack_wait=ack_wait)


async def receiver(url: str, port: str, spool: str = "") -> None:
    """Take posts in; with a spool, also while the broker is away."""
    journal: Journal = journal_at(url, handles=False)
    if spool:
        journal = SpoolJournal(journal, SqliteJournal(spool))
    app = webhook_app(Router(), secret=None, journal=journal)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    say("ready")
    await asyncio.Event().wait()


async def worker(url: str) -> None:
    """Handle posts, and say which."""
    router = Router()

    @router.on(HlrReport)
    async def handle(report: HlrReport) -> None:
        say(report.destination)

    async with journal_at(url, handles=True).serve(router, partial(decode, settings=PushFormat())):
        say("ready")
        await asyncio.Event().wait()


async def fragile(url: str, deadly: str) -> None:
    """Handle posts, say which, and die of one number."""
    router = Router()

    @router.on(HlrReport)
    async def handle(report: HlrReport) -> None:
        if report.destination == deadly:
            os._exit(1)
        say(report.destination)

    say("ready")
    journal = journal_at(url, handles=True, ack_wait=1)
    async with journal.serve(router, partial(decode, settings=PushFormat())):
        await asyncio.Event().wait()


async def client(url: str, gateway: str, first: str, count: str) -> None:
    """Look numbers up, whose reports are posted to others, and say what came of each."""
    router = Router()
    endpoints = Endpoints.at(gateway)
    numbers = (str(int(first) + number) for number in range(int(count)))
    async with (
        InfobipClient("user", "password", endpoints=endpoints) as gateway_client,
        ReportFeed(ConnectOptions(servers=(url,), timeout=60.0), router),
        HlrLookups(gateway_client, router, batch_size=50, concurrency=4, window=1_000) as lookups,
    ):
        say("ready")
        async for result in lookups.stream(numbers, timeout=60):
            say(result.destination, result.outcome.name, result.report and result.report.imsi)
    say("end")


async def look_up(url: str, gateway: str, name: str) -> None:
    """Work on a job until it is done."""
    router = Router()
    access = ConnectOptions(servers=(url,), timeout=60.0)
    async with (
        InfobipClient("user", "password", endpoints=Endpoints.at(gateway)) as gateway_client,
        ReportFeed(access, router),
        HlrJob(access, name) as job,
    ):
        say("ready")
        say(await job.work(gateway_client, router, concurrency=2, ack_wait=1.5))


async def load(url: str, name: str, first: str, count: str) -> None:
    """Load a job."""
    async with HlrJob(ConnectOptions(servers=(url,), timeout=60.0), name) as job:
        say("ready")
        numbers = (str(int(first) + number) for number in range(int(count)))
        say((await job.load(numbers, chunk_size=CHUNK)).chunks)


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
