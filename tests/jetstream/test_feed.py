"""A feed of reports in one process."""

import asyncio
import time
from functools import partial

import pytest

from infobip_async import HlrLookups
from infobip_async.concurrency.tasks import cancel
from infobip_async.jetstream import NatsJournal, ReportFeed
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.consumers import OrderedConsumer, PullConsumer
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission
from infobip_async.protocol import hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.router import Router
from tests.jetstream.conftest import LIMIT, until


def post(*numbers: str) -> RawPush:
    """A post of HLR reports."""
    rows = [HlrReport(one, f"id-{one}", HlrStatus.DELIVRD, "DELIVRD") for one in numbers]
    return RawPush(PushKind.HLR_REPORTS, "", hlr_dlr.encode_push(rows), time.time())


@pytest.fixture
async def journal(access):
    """What a receiver has."""
    journal = NatsJournal(access, handles=False)
    async with journal.serve(Router(), lambda _: ()):
        yield journal


async def test_a_feed_begins_where_it_is_opened_and_goes_on(access, journal, caplog) -> None:
    """What failed, and what cannot be read, does not stop it."""
    got: list[str] = []
    router = Router()

    @router.on(HlrReport)
    async def take(report: HlrReport) -> None:
        got.append(report.destination)
        if report.destination == "2":
            raise RuntimeError("as it is to be")

    await journal.put(post("1"))
    async with ReportFeed(access, router) as feed:
        await journal.put(post("2", "3"))
        await journal.put(RawPush(PushKind.HLR_REPORTS, "", b"\xff", 0.0))
        await journal.put(RawPush(PushKind.DELIVERY_REPORTS, "", b"<DeliveryReport/>", 0.0))
        await journal.put(post("4"))
        await until(lambda: "4" in got)
        assert feed.dispatched == 3
    assert got == ["2", "3", "4"]
    assert "handlers failed on reports of the feed" in caplog.text


async def test_a_handler_cannot_end_a_feed(access, journal, caplog) -> None:
    """Another task goes on, behind the report."""
    got: list[str] = []
    router = Router()

    @router.on(HlrReport)
    async def take(report: HlrReport) -> None:
        got.append(report.destination)
        if report.destination == "1":
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    async with ReportFeed(access, router):
        for number in ("1", "2"):
            await journal.put(post(number))
        await until(lambda: "2" in got)
    assert got == ["1", "2"]
    assert "it is begun again" in caplog.text


async def test_a_feed_reads_on_through_the_death_of_the_broker(access, journal, server) -> None:
    """Every report, once: its place is its own."""
    got: list[str] = []
    router = Router()

    @router.on(HlrReport)
    async def take(report: HlrReport) -> None:
        got.append(report.destination)

    async with ReportFeed(access, router) as feed:
        for number in range(3):
            await journal.put(post(str(number)))
            await until(lambda: len(got) == number + 1)  # noqa: B023 - it is over before the next
            await server.kill()
            await until(lambda: not feed._connection.ready and not journal._connection.ready)
            await server.start()
            await until(lambda: journal._connection.ready)
        await journal.put(post("3"))
        await until(lambda: "3" in got)
    assert got == ["0", "1", "2", "3"]


async def test_an_ordered_consumer_notices_a_gap(
    access, journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was sent and did not arrive is asked for again."""
    got: list[int] = []
    lost: list[int] = []
    read = PullConsumer._next

    async def lose_one(self, messages):
        message = await read(self, messages)
        if not lost and not message.headers.get("Status") and message.metadata.sequence.stream == 2:
            lost.append(2)
            return await read(self, messages)
        return message

    async def take(message) -> None:
        got.append(message.metadata.sequence.stream)

    monkeypatch.setattr(PullConsumer, "_next", lose_one)
    async with Connection(access, lambda _: asyncio.sleep(0)) as connection:
        consumer = OrderedConsumer(connection, "infobip", "infobip.push.*")
        reading = asyncio.create_task(consumer.run(take))
        for number in range(4):
            await journal.put(post(str(number)))
        await until(lambda: 4 in got)
        await cancel([reading])
    assert got == [1, 2, 3, 4]


async def test_a_report_that_comes_before_the_reply_is_found(access, journal) -> None:
    """Though it came through the broker, among those of others."""
    router = Router()
    lookups: HlrLookups

    class Client:
        async def submit_hlr(self, destinations, /):
            await journal.put(post(*destinations, "1"))
            await until(lambda: lookups.stats.early_kept == 2)
            return [HlrSubmission(one, True, f"id-{one}", "OK") for one in destinations]

    async with ReportFeed(access, router), HlrLookups(Client(), router) as lookups:
        result = await lookups.lookup("38598514674", timeout=LIMIT)
    assert result.report.destination == "38598514674"
    assert (lookups.stats.early_kept, lookups.stats.unclaimed) == (0, 1)


async def test_a_broker_that_forgot_everything_is_read_from_its_start(
    access, journal, caplog
) -> None:
    """And that is said, since it promised otherwise."""
    got: list[str] = []
    router = Router()
    router.on(HlrReport)(partial(_note, got))
    await journal.put(post("1"))
    await journal.put(post("2"))
    async with ReportFeed(access, router) as feed:
        await journal._connection.call(lambda js: js.delete_stream("infobip"))
        await feed._declare(feed._connection)
        await journal.put(post("3"))
        await until(lambda: got == ["3"])
    assert "has lost pushes" in caplog.text


async def _note(got: list[str], report: HlrReport) -> None:
    got.append(report.destination)
