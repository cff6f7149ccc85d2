"""Deliveries over sockets: the gateway is the simulator, the reports are pushed or pulled."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infobip_async import (
    AuthenticationError,
    Deliveries,
    Endpoints,
    InfobipClient,
    OutcomeUnknownError,
    Router,
    SendOutcome,
    TextMessage,
    UnreadableRow,
)
from infobip_async.simulator import Fault, Simulator
from infobip_async.webhook import callback_urls, listening, webhook_app

HELLO = TextMessage("Hello", sender="Friend")
LONG = TextMessage("šđ" * 60, sender="Friend")
NUMBER = "38598514674"
SECRET = "long-random-string"


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[InfobipClient]:
    """A client of the simulator's account."""
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "password", endpoints=endpoints) as client:
        yield client


async def test_parts_that_are_pushed_before_the_reply(simulator, client, router: Router) -> None:
    """The ids of parts are known before the request: nothing is missed, whatever comes first."""
    simulator.faults.add(Fault.REPORT_BEFORE_REPLY, rate=1)
    async with (
        Deliveries(client, router) as deliveries,
        listening(webhook_app(router, secret=SECRET)) as base_url,
    ):
        simulator.callbacks = callback_urls(base_url, secret=SECRET)
        (delivery,) = await deliveries.send(LONG, NUMBER, key="order-17")
        final = await deliveries.wait(key="order-17", timeout=60)
    assert len(delivery.part_ids) > 1
    assert set(final.reports) == set(delivery.part_ids)
    assert (final.outcome, final.delivered) == (SendOutcome.SENT, True)
    assert final.done_at is not None


async def test_reports_are_pulled(simulator, client, router: Router) -> None:
    """Where the gateway has no URL to push them to."""
    async with Deliveries(client, router, poll_interval=0.05) as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        assert (await deliveries.wait(delivery.message_id, timeout=60)).delivered


async def test_a_pull_that_brings_a_page_is_made_again(
    simulator, client, router: Router, caplog
) -> None:
    """A page of maintenance in place of reports ends nothing, and reaches its handlers."""
    pages: list[UnreadableRow] = []
    handled = asyncio.Event()

    @router.on(UnreadableRow)
    async def unreadable(row: UnreadableRow) -> None:
        pages.append(row)
        if len(pages) == 1:
            raise ValueError
        handled.set()

    simulator.faults.add(Fault.UNREADABLE_REPLY, operation="pull_reports")
    async with Deliveries(client, router, poll_interval=0.05) as deliveries:
        await asyncio.wait_for(handled.wait(), 60)  # a report in such a reply would be lost
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        assert (await deliveries.wait(delivery.message_id, timeout=60)).delivered
    assert not simulator.faults.rules  # it struck
    assert len({row.raw for row in pages}) == 1
    assert len(pages) == 2  # the handler failed once
    assert "handlers failed on what cannot be read" in caplog.text
    assert client.take_unreadable_reports() == ()


async def test_reconcile(simulator, client, router: Router) -> None:
    """A report settles what is in doubt; what has no report stays so."""
    async with Deliveries(client, router) as deliveries:
        simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send")
        with pytest.raises(OutcomeUnknownError):
            await deliveries.send(HELLO, NUMBER, key="sent")
        simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send")
        simulator.faults.add(Fault.LOST_REPORT)
        with pytest.raises(OutcomeUnknownError):
            await deliveries.send(HELLO, NUMBER, key="lost")
        (settled,) = await deliveries.reconcile()
        assert (settled.key, settled.outcome, settled.delivered) == ("sent", SendOutcome.SENT, True)
        assert (await deliveries.get(key="lost")).outcome is SendOutcome.UNKNOWN
        assert await deliveries.reconcile() == ()


async def test_a_wrong_login(simulator, router: Router) -> None:
    """It costs a request, and the message can be sent again."""
    endpoints = Endpoints.at(simulator.base_url)
    async with (
        InfobipClient("user", "wrong", endpoints=endpoints) as client,
        Deliveries(client, router) as deliveries,
    ):
        with pytest.raises(AuthenticationError):
            await deliveries.send(HELLO, NUMBER, key="order-17")
        assert (await deliveries.get(key="order-17")).outcome is SendOutcome.NOT_SENT
        assert await deliveries.reconcile() == ()
