"""Asking about messages whose outcome is unknown."""

import pytest

from infobip_async import (
    DeliveryReport,
    DeliveryStatus,
    OutcomeUnknownError,
    Router,
    SendOutcome,
    TextMessage,
)
from infobip_async.bulk.groups import Entry
from infobip_async.bulk.items import Outgoing
from infobip_async.bulk.job import SendJob, settle_doubts
from infobip_async.client.reports import IDS_AT_ONCE, ReportQueue
from infobip_async.models.messages import Recipient
from infobip_async.protocol.exchange import Credentials

COUNT = 2 * IDS_AT_ONCE + 1
IDS = [f"id-{number}" for number in range(COUNT)]


def report_on(message_id: str) -> DeliveryReport:
    """That it was delivered."""
    return DeliveryReport(message_id, DeliveryStatus.DELIVERED, "DELIVERED")


class Pulled(ReportQueue):
    """Pulls from a list, each report once, and fails when it is told to."""

    def __init__(self, *message_ids: str) -> None:
        super().__init__(None, "", Credentials("", ""), None)
        self.there = {message_id: report_on(message_id) for message_id in message_ids}
        self.asked: list[tuple[str, ...]] = []
        self.fails_at = 0

    async def pull(self, message_ids: tuple[str, ...] = (), router: Router | None = None) -> None:
        """Bring what was asked about."""
        self.asked.append(message_ids)
        if len(self.asked) == self.fails_at:
            raise OutcomeUnknownError("lost")
        found = (self.there.pop(message_id, None) for message_id in message_ids)
        self.waiting.extend(filter(None, found))


async def test_ids_stand_in_urls() -> None:
    """So not too many are asked about at once; one is one, and none is not everything."""
    pulled = Pulled(*IDS)
    assert list(await pulled.reconcile(iter(IDS), None)) == IDS
    assert [len(ids) for ids in pulled.asked] == [IDS_AT_ONCE, IDS_AT_ONCE, 1]
    pulled.asked.clear()
    await pulled.reconcile("id-1", None)
    await pulled.reconcile([], None)
    assert pulled.asked == [("id-1",)]


async def test_a_pull_that_fails_loses_nothing() -> None:
    """What the pulls before it brought is there for the next call."""
    pulled = Pulled(*IDS)
    pulled.fails_at = 3
    with pytest.raises(OutcomeUnknownError):
        await pulled.reconcile(IDS, None)
    assert list(await pulled.reconcile(IDS, None)) == IDS
    assert not pulled.waiting


async def test_a_handler_that_fails_gets_its_reports_again() -> None:
    """There is no other copy."""
    pulled, router, faults = Pulled(*IDS), Router(), [RuntimeError("not now")]
    handled = []

    @router.on(DeliveryReport)
    async def handle(report: DeliveryReport) -> None:
        if report.message_id == IDS[-1] and faults:
            raise faults.pop()
        handled.append(report.message_id)

    with pytest.raises(ExceptionGroup):
        await pulled.reconcile(IDS, router)
    assert list(await pulled.reconcile(IDS, router)) == IDS
    assert set(handled) == set(IDS)


async def test_a_job_is_asked_about_page_by_page(tmp_path) -> None:
    """An item is proven when each of its parts is; whatever fails, nothing is lost."""
    pulled = Pulled(*IDS, "two-1", "two-2", "half-1")
    items = [((message_id,), message_id) for message_id in IDS]
    items += [(("two-1", "two-2"), "two"), (("half-1", "half-2"), "half"), (("lost",), "lost")]
    message = TextMessage("Hello", "Friend")
    entries = [
        Entry(Outgoing(message, "3851", key), key, Recipient("3851", key), ids)
        for ids, key in items
    ]
    async with SendJob(tmp_path / "job", "user") as job:
        await job.meet([(entry.key, entry.item) for entry in entries])
        await job.intend(entries)
        await job.record(["lost"], SendOutcome.UNKNOWN, "a fault", answered=False)

    proven: dict[str, DeliveryReport] = {}

    async def ask(message_ids):
        return await pulled.reconcile(message_ids, None)

    pulled.fails_at = 3
    with pytest.raises(OutcomeUnknownError):
        await settle_doubts(tmp_path / "job", ask, proven)
    await settle_doubts(tmp_path / "job", ask, proven)
    assert proven.keys() == {*IDS, "two-1", "two-2", "half-1"}
    async with SendJob(tmp_path / "job", "user") as job:
        records, _ = await job.meet([(entry.key, entry.item) for entry in entries])
        known = {entry.key: record for entry, record in zip(entries, records, strict=True)}
        assert [list(page) for page in [page async for page in job.in_doubt()]] == [
            ["half", "lost"]
        ]
    assert all(known[key].outcome is SendOutcome.SENT for key in (*IDS, "two"))
    assert all(known[key].answered for key in (*IDS, "two"))
    assert known["half"].outcome is None
    assert known["lost"].reason == "a fault"
