"""The receiver with a journal: what it answers, and what becomes of posts when it stops."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import attrs
import pytest
from aiohttp import web

from infobip_async.journal import SqliteJournal
from infobip_async.models.events import DeliveryReport, UnreadableRow
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.message_ids import tag_message_id
from infobip_async.webhook import Limits, webhook_app

SECRET = "a-secret-of-the-tests"
KEY = "a key of sixteen octets or more"


@attrs.define
class Receiver:
    """A receiver on a port of its own."""

    runner: web.AppRunner
    app: web.Application

    async def request(self, method: str, path: str, body: bytes = b"") -> int:
        """Send a request, and give the status of the reply."""
        reader, writer = await asyncio.open_connection(*self.runner.addresses[0])
        writer.write(
            f"{method} /{SECRET}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        reply = await reader.read()
        writer.close()
        return int(reply.split()[1])

    async def post(self, push: RawPush) -> int:
        """Post delivery reports."""
        return await self.request("POST", "dlr", push.body)


@pytest.fixture
async def start(bench) -> AsyncIterator:
    """Start receivers with a journal, and stop them after the test."""
    receivers: list[Receiver] = []

    async def start(**settings: object) -> Receiver:
        usual = {"secret": SECRET, "journal": bench.journal()}
        app = webhook_app(bench.router, **(usual | settings))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receivers.append(Receiver(runner, app))
        return receivers[-1]

    yield start
    for receiver in receivers:
        await receiver.runner.cleanup()


async def test_it_answers_before_the_handlers_are_done(bench, start):
    """A post is acknowledged when it is kept, whatever its handlers do."""
    got = bench.record(DeliveryReport)
    release = asyncio.Event()
    got.act = lambda _: release.wait()
    receiver = await start()
    assert await receiver.post(bench.reports("a")) == 200
    assert got.events == []
    release.set()
    await got.wait_for(1)


async def test_all_kinds(bench, start):
    """And what cannot be read: it is kept in quarantine."""
    journal = bench.journal()
    receiver = await start(journal=journal)
    assert await receiver.request("POST", "dlr", b"nonsense") == 200
    assert await receiver.request("POST", "hlr", b"dlr=nonsense") == 200
    assert await receiver.request("GET", "inbound?nonsense=1") == 200
    assert await receiver.request("GET", "inbound?sender=1&text=a") == 200
    await bench.emptied(journal)
    assert [kept.push.kind.value async for kept in journal.quarantine()] == [
        "dlr",
        "hlr",
        "inbound",
    ]


async def test_settings_of_the_receiver(bench, start):
    """Names, zone and limits hold for what the journal reads."""
    got = bench.record(DeliveryReport, UnreadableRow)
    receiver = await start(limits=Limits(rows=1))
    await receiver.post(bench.reports("a"))
    await receiver.post(bench.reports("b", "c"))
    await got.wait_for(2)
    assert sorted(got.ids) == ["a", "more than 1 rows"]


async def test_a_journal_that_cannot_keep(bench, start, caplog, monkeypatch):
    """503, until it can again."""
    monkeypatch.setattr("infobip_async.concurrency.sqlite_file._TURN_TIMEOUT", 0.001)
    got = bench.record(DeliveryReport)
    with closing(sqlite3.connect(bench.path)) as another:
        another.execute("begin exclusive")
        receiver = await start()
        assert await receiver.post(bench.reports("a")) == 503
    assert await receiver.post(bench.reports("a")) == 200
    await bench.until(lambda: "cannot be used" in caplog.text)
    bench.time.go_on(1.0)
    await got.wait_for(1)
    assert "pushes are refused" in caplog.text


async def test_a_journal_that_fails(bench, start):
    """What is no fault of the file is a fault of ours."""

    class Failing(SqliteJournal):
        async def put(self, _: RawPush) -> None:
            raise KeyError

    receiver = await start(journal=Failing(bench.path))
    assert await receiver.post(bench.reports("a")) == 500


async def test_a_clean_stop(bench, start):
    """No post is taken any more, handlers in flight finish, and the rest waits in the journal."""
    got = bench.record(DeliveryReport)
    release = asyncio.Event()
    got.act = lambda _: release.wait()
    receiver = await start(journal=bench.journal(concurrency=1))
    assert await receiver.post(bench.reports("a", "b")) == 200
    await bench.until(lambda: got.running)
    await receiver.app.shutdown()
    assert await receiver.post(bench.reports("c")) == 503
    stop = asyncio.create_task(receiver.app.cleanup())
    await asyncio.sleep(0)
    release.set()
    await stop
    assert got.ids == ["a"]
    async with bench.journal() as journal:
        (post,) = await bench.look(journal)
    assert [post.wants(0), post.wants(1)] == [False, True]


async def test_a_journal_serves_one_application(bench, start):
    """The second one does not start."""
    journal = bench.journal()
    await start(journal=journal)
    with pytest.raises(ValueError, match="open already"):
        await start(journal=journal)


@pytest.mark.parametrize("kept", [True, False])
async def test_reports_on_messages_of_ours(bench, start, caplog, kept):
    """Those whose ids have no tag are set aside and not handled; their neighbours are."""
    caplog.set_level(logging.DEBUG)
    got, aside = bench.record(DeliveryReport), bench.record(UnreadableRow)
    receiver = await start(id_key=[KEY, b"x" * 16], journal=bench.journal() if kept else None)
    ours, old = tag_message_id("ours", KEY), tag_message_id("old", b"x" * 16)
    assert await receiver.post(bench.reports(ours, "forged", f"{old}-2")) == 200
    assert await receiver.post(bench.reports("forged")) == (200 if kept else 400)
    await aside.wait_for(1 if kept else 2)
    assert got.ids == [ours, f"{old}-2"]
    assert {row.raw for row in aside.events} == {"forged DELIVERED"}
    assert KEY not in caplog.text
    assert KEY not in repr(receiver.app)
