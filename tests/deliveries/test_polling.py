"""Pulls that go on in the background, though the gateway refuses for a while."""

from collections.abc import AsyncIterator

import pytest

from infobip_async import AuthenticationError, DeliveryReport, DeliveryStatus, Router
from infobip_async.deliveries.polling import Polling

REPORT = DeliveryReport("id-1", DeliveryStatus.DELIVERED, "DELIVERED")


class Gateway:
    """A client whose polls end as they are told to; time goes by as it sleeps."""

    def __init__(self, *polls: int | None) -> None:
        self.polls = list(polls)
        self.now = 0.0
        self.pauses: list[float] = []

    async def poll_reports(
        self, *, interval: float, router: Router
    ) -> AsyncIterator[DeliveryReport]:
        """So many reports, one after each interval, then a refusal; None for the end."""
        assert router.handles(DeliveryReport)
        reports = self.polls.pop(0)
        for _ in range(reports or 0):
            yield REPORT
            self.now += interval
        if reports is not None:
            raise AuthenticationError("no")

    async def sleep(self, seconds: float) -> None:
        """Take no time."""
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def seen(router: Router) -> list[DeliveryReport]:
    """What the handlers got."""
    seen: list[DeliveryReport] = []

    @router.on(DeliveryReport)
    async def reported(report: DeliveryReport) -> None:
        seen.append(report)

    return seen


async def _keep_on(gateway: Gateway, router: Router, interval: float) -> None:
    await Polling(gateway, router, gateway.sleep, lambda: gateway.now).keep_on(interval)


async def test_a_refusal_is_told_once_and_asked_about_less_often(router, seen, caplog) -> None:
    """Until the gateway answers: then the pauses are short, and the next refusal is told."""
    gateway = Gateway(*[0] * 8, 2, 0, None)
    await _keep_on(gateway, router, 60)
    assert gateway.pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 60, 120]
    assert seen == [REPORT] * 2
    assert caplog.messages == ["the gateway refuses to give reports: AuthenticationError"] * 2


async def test_pauses_are_no_shorter_than_the_interval(router, seen, caplog) -> None:
    """However long it is."""
    gateway = Gateway(0, 0, None)
    await _keep_on(gateway, router, 7200)
    assert gateway.pauses == [7200, 7200]
    assert len(caplog.messages) == 1
