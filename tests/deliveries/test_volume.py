"""A list sent with a store, against what the simulator itself has counted."""

from collections import Counter
from pathlib import Path

import pytest

from infobip_async import (
    Deliveries,
    Endpoints,
    InfobipClient,
    Router,
    SqliteDeliveryStore,
    TextMessage,
)
from infobip_async.simulator import Fault, Simulator
from infobip_async.webhook import callback_urls, listening, webhook_app
from scale import scaled

SECRET = "long-random-string"
STATUSES = ("DELIVERED", "DELIVERED", "DELIVERED", "NOT_DELIVERED", "SENT", "REJECTED")


def ending(number: str) -> str:
    """What becomes of a message to a number."""
    return STATUSES[int(number) % len(STATUSES)]


@pytest.mark.parametrize("count", [30, pytest.param(scaled(2_000), marks=pytest.mark.proof)])
async def test_a_list_with_a_store(tmp_path: Path, count: int) -> None:
    """Each message is counted as the gateway has ended it, though some replies are lost."""
    router, store = Router(), SqliteDeliveryStore(tmp_path / "deliveries.db")
    items = (
        (TextMessage("š" * 100 if number % 5 == 0 else "Hello", "Friend"), f"385{number:09}")
        for number in range(count)
    )
    async with (
        listening(webhook_app(router, secret=SECRET)) as base_url,
        Simulator(credits=10 * count, delivery=ending) as simulator,
        InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url)) as client,
        Deliveries(client, router, store=store) as deliveries,
    ):
        simulator.callbacks = callback_urls(base_url, secret=SECRET)
        simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send", rate=0.01)
        simulator.faults.add(Fault.REPORT_BEFORE_REPLY, rate=0.1)
        async for _ in deliveries.send_many(items, run="may"):
            """Each has its outcome."""
        await simulator.settled()
        counts = await deliveries.counts()
        sent = Counter({one.msisdn: one.status for one in simulator.messages}.values())
        parts = Counter(one.msisdn for one in simulator.messages)
        known = [one async for one in deliveries.stored(run="may")]
    cut_short = [one for one in known if parts[one.msisdn] < len(one.part_ids)]
    missing = Counter(ending(one.msisdn) for one in cut_short)
    assert counts.total == len(known) == count
    assert counts.delivered == sent["DELIVERED"] - missing["DELIVERED"]
    assert counts.not_known == sent["SENT"] - missing["SENT"]
    assert counts.failed == {name: sent[name] for name in ("NOT_DELIVERED", "REJECTED")}
