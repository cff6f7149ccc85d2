"""Pulls that go on though the gateway refuses, or the store is away, for a while."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from infobip_async import (
    AuthenticationError,
    DeliveryReport,
    DeliveryStatus,
    NotSentError,
    Router,
    StorageUnavailableError,
)
from infobip_async.client.reports import ReportQueue
from infobip_async.deliveries.polling import Polling
from infobip_async.protocol.exchange import Credentials, HttpReply

REPORT = DeliveryReport("id-1", DeliveryStatus.DELIVERED, "DELIVERED")
ROW = b'<message id="id-1" status="DELIVERED"/>'


class Gateway:
    """Answers pulls as it is told to: with reports, or a refusal; then the client is closed.

    Attributes:
        pulls: how many reports each pull brings, or the error that it raises.
        slow: seconds that a refusal takes.
        pauses: seconds between two pulls.
    """

    def __init__(self, *pulls: int | Exception, slow: float = 0.0) -> None:
        self.pulls = list(pulls)
        self.slow = slow
        self.now = 0.0
        self.pauses: list[float] = []
        self.queue = ReportQueue(self, "https://gateway.example", Credentials("u", "p"), None)

    async def read(
        self, name: str, encode: Callable[[], object], decode: Callable[[HttpReply], None]
    ) -> None:
        """In place of `Outcomes.read`."""
        assert name == "pull_reports"
        assert encode()
        answer = self.pulls.pop(0)
        if not self.pulls:
            self.queue.close()
        if isinstance(answer, Exception):
            self.now += self.slow
            raise answer
        reports = b"<DeliveryReport>%b</DeliveryReport>" % (answer * ROW)
        decode(HttpReply(200, reports if answer else b"NO_DATA"))

    async def sleep(self, seconds: float) -> None:
        """Take no time."""
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def polling(self, router: Router) -> Polling:
        """The polling of this gateway."""
        return Polling(self.queue, router, self.sleep)


NO = AuthenticationError("no")


@pytest.fixture
def seen(router: Router) -> list[DeliveryReport]:
    """What the handlers got."""
    seen: list[DeliveryReport] = []

    @router.on(DeliveryReport)
    async def reported(report: DeliveryReport) -> None:
        seen.append(report)

    return seen


@pytest.mark.parametrize("slow", [0.0, 1000.0])
async def test_a_refusal_is_told_once_and_asked_about_less_often(
    router, seen, caplog, slow
) -> None:
    """Until the gateway answers: then the pauses are short, and the next refusal is told.

    However long a refusal takes to come back.
    """
    gateway = Gateway(*[NO] * 8, 1, 0, 1, NO, NO, 0, slow=slow)
    await gateway.polling(router).keep_on(60)
    refused = [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert gateway.pauses[: len(refused)] == refused
    assert gateway.pauses[len(refused) :][:5] == [60, 60, 60, 60, 120]
    assert seen == [REPORT] * 2
    assert caplog.messages == ["the gateway refuses to give reports: AuthenticationError"] * 2


async def test_a_gateway_that_is_away_has_not_answered(router, seen, caplog) -> None:
    """The refusals before and after that are one."""
    gateway = Gateway(NO, NotSentError("away"), NO, 0)
    await gateway.polling(router).keep_on(60)
    assert [text for text in caplog.messages if "refuses" in text] == [
        "the gateway refuses to give reports: AuthenticationError"
    ]


async def test_pauses_are_no_shorter_than_the_interval(router, seen, caplog) -> None:
    """However long it is."""
    gateway = Gateway(NO, NO, 0)
    await gateway.polling(router).keep_on(7200)
    assert gateway.pauses[:2] == [7200, 7200]
    assert len(caplog.messages) == 1


async def test_a_report_is_held_while_the_store_is_away(router, caplog) -> None:
    """The gateway gives a report once."""
    tries = 0

    @router.on(DeliveryReport)
    async def store(_: DeliveryReport) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StorageUnavailableError("away")

    gateway = Gateway(1)
    await gateway.polling(router).poll(60)
    assert tries == 3
    assert not gateway.queue.waiting
    assert gateway.pauses[:2] == [60, 60]


@pytest.mark.parametrize("closed", [False, True])
async def test_a_report_that_is_held_is_not_lost_where_the_poll_is_left(
    router, caplog, closed
) -> None:
    """The client keeps it for the next poll; a client that is closed says that it has it."""
    away = asyncio.Event()

    @router.on(DeliveryReport)
    async def store(_: DeliveryReport) -> None:
        away.set()
        raise StorageUnavailableError("away")

    gateway = Gateway(2, *[] if closed else [0])
    work: Coroutine[Any, Any, None] = gateway.polling(router).keep_on(60)
    polling = asyncio.create_task(work)
    await away.wait()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    assert list(gateway.queue.waiting) == [REPORT] * 2
    told = "2 delivery reports were pulled and not taken"
    assert (told in caplog.messages) is closed
