"""Callers that are cancelled, and clients that are closed, while exchanges are under way."""

import asyncio
import logging
import random
import re
from collections import Counter

import pytest

from infobip_async import NotSentError, OutcomeUnknownError, Recipient, TextMessage
from jumping import jump, turns

TEXT = TextMessage("Hello", "Friend")
LONG = TextMessage("ж" * 150, "Friend")  # in three parts
NUMBER = "385911234567"


def tasks_of(client) -> int:
    """How many exchanges are under way."""
    return len(client._outcomes.in_flight)


async def leave_a_send(gateway, client, under_way) -> None:
    """Cancel a send that the gateway holds up, and let the send come to its end."""
    sending = asyncio.create_task(client.send(TEXT, Recipient(NUMBER, "an-id")))
    await gateway.until(under_way)
    sending.cancel()
    gateway.gate.set()
    await gateway.until(lambda: not tasks_of(client))
    await asyncio.sleep(0)


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.proof)])
async def test_a_storm_of_cancellations_costs_no_slot_and_doubles_nothing(
    gateway, connect, count
) -> None:
    """Sends that are each cancelled after a random number of rounds of the event loop."""
    chance = random.Random(2)
    client = connect(concurrency=8, stop_timeout=10)
    before = asyncio.all_tasks()

    async def cancelled(number: int) -> None:
        sending = asyncio.create_task(client.send(TEXT, Recipient(NUMBER, f"id-{number}")))
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    async def worker(numbers: range) -> None:
        for number in numbers:
            await cancelled(number)

    await asyncio.gather(*(worker(range(first, count, 20)) for first in range(20)))
    await gateway.until(lambda: not tasks_of(client))

    copies = Counter(request.body for request in gateway.received)
    assert max(copies.values()) == 1
    assert 0 < len(copies) < count
    assert not gateway.partial

    gateway.gate.clear()
    sends = [asyncio.create_task(client.send(TEXT, NUMBER)) for _ in range(8)]
    await gateway.until(lambda: gateway.busy == 8)
    gateway.gate.set()
    assert all(receipt.accepted == 2 for receipt in await asyncio.gather(*sends))

    await client.aclose()
    await gateway.until(lambda: not gateway.open)
    assert asyncio.all_tasks() <= before


async def test_a_cancelled_send_is_made_once(gateway, connect, kind, call) -> None:
    """What is under way goes on by itself, and the connection can be used again."""
    gateway.gate.clear()
    client = connect(kind)
    sending = asyncio.create_task(call.make(client))
    await gateway.until(lambda: gateway.busy)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert tasks_of(client) == 1
    gateway.gate.set()
    await gateway.until(lambda: not tasks_of(client))
    assert call.result in repr(await call.make(client))
    assert len(gateway.received) == 2
    assert gateway.connections == 1


async def test_a_send_that_waits_for_its_turn_never_goes_out(gateway, connect) -> None:
    """The next one in the queue takes the turn."""
    gateway.gate.clear()
    client = connect(concurrency=1)
    sends = [asyncio.create_task(client.send(TEXT, NUMBER)) for _ in range(3)]
    await gateway.until(lambda: gateway.busy)
    sends[1].cancel()
    gateway.gate.set()
    _, cancelled, _ = await asyncio.gather(*sends, return_exceptions=True)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert len(gateway.received) == 2


@pytest.mark.parametrize("granted_first", [True, False])
async def test_a_turn_that_comes_with_the_cancellation_is_passed_on(
    gateway, connect, granted_first
) -> None:
    """In the same round of the event loop: nothing goes out, and the slot is free."""
    client = connect(concurrency=1)
    slots = client._outcomes.in_flight._slots
    await slots.acquire()
    sending = asyncio.create_task(client.send(TEXT, NUMBER))
    await asyncio.sleep(0)
    for step in (slots.release, sending.cancel)[:: 1 if granted_first else -1]:
        step()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert not gateway.received
    await client.send(TEXT, NUMBER)


async def test_a_message_in_parts_is_finished(gateway, connect, caplog) -> None:
    """A handset that misses a part shows nothing, or half of it."""
    gateway.gate.clear()
    client = connect()
    sending = asyncio.create_task(client.send(LONG, NUMBER))
    await gateway.until(lambda: gateway.busy)
    sending.cancel()
    with caplog.at_level(logging.INFO):
        gateway.gate.set()
        await gateway.until(lambda: not tasks_of(client))
        await asyncio.sleep(0)
    assert len(gateway.received) == 3
    (record,) = [one for one in caplog.records if "caller was cancelled" in one.getMessage()]
    assert re.search(r" ended well \(message ids: [\w-]+, [\w-]+, [\w-]+\)$", record.getMessage())
    assert record.levelname == "INFO"


async def test_the_outcome_of_a_cancelled_send_is_logged(gateway, connect, caplog, fault) -> None:
    """With the ids that can settle it; nobody else learns of it."""
    gateway.gate.clear()
    gateway.fault = fault
    client = connect()
    await leave_a_send(gateway, client, lambda: tasks_of(client))
    assert "the outcome of send is unknown (message ids: an-id)" in caplog.text
    assert "(message ids: an-id)" in caplog.text


async def test_the_refusal_of_a_cancelled_send_is_logged(gateway, connect, caplog) -> None:
    """With the reason."""
    gateway.gate.clear()
    gateway.bodies["XMLInput.aspx"] = b"<RESPONSE><status>-3</status></RESPONSE>"
    client = connect()
    await leave_a_send(gateway, client, lambda: gateway.busy)
    assert "failed: the gateway refused the message: -3 NOT_ENOUGH_CREDITS" in caplog.text
    assert "(message ids: an-id)" in caplog.text


async def test_a_cancelled_pull_brings_its_reports_with_the_next(gateway, connect, caplog) -> None:
    """The gateway gives each report once."""
    caplog.set_level(logging.INFO)
    gateway.gate.clear()
    client = connect()
    pulling = asyncio.create_task(client.pull_reports())
    await gateway.until(lambda: gateway.busy)
    pulling.cancel()
    gateway.gate.set()
    await gateway.until(lambda: not tasks_of(client))
    gateway.bodies["dlrpull"] = b"NO_DATA"
    assert [report.message_id for report in await client.pull_reports()] == ["id-1"]
    assert await client.pull_reports() == ()
    assert "(message ids: none)" in caplog.text


# --- closing ---


async def test_closing_waits_for_what_is_under_way(gateway, connect, call) -> None:
    """Its caller gets the result."""
    gateway.gate.clear()
    client = connect(stop_timeout=5)
    calling = asyncio.create_task(call.make(client))
    await gateway.until(lambda: gateway.busy)
    closing = asyncio.create_task(client.aclose())
    await turns()
    assert not closing.done()
    gateway.gate.set()
    await closing
    assert call.result in repr(await calling)
    await gateway.until(lambda: not gateway.open)


async def test_what_takes_longer_than_closing_waits_has_an_unknown_outcome(
    gateway, connect, kind, call
) -> None:
    """Its caller was not cancelled, and is not told so."""
    gateway.gate.clear()
    client = connect(kind, stop_timeout=600, read_timeout=None)
    calling = asyncio.create_task(call.make(client))
    await gateway.until(lambda: gateway.busy)
    closing = asyncio.create_task(client.aclose())
    await turns()
    assert not calling.done()
    await jump(600)
    await closing
    with pytest.raises(OutcomeUnknownError, match="closed") as caught:
        await calling
    assert caught.value.message_ids == call.message_ids


async def test_a_closed_client_sends_nothing(gateway, connect, call) -> None:
    """Neither what waits for its turn, nor what is called later."""
    gateway.gate.clear()
    client = connect(concurrency=1, stop_timeout=5)
    first = asyncio.create_task(client.credits())
    waiting = asyncio.create_task(call.make(client))
    await gateway.until(lambda: gateway.busy)
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    gateway.gate.set()
    await closing
    await first
    for late in (waiting, call.make(client)):
        with pytest.raises(NotSentError, match="closed"):
            await late
    await client.aclose()
    assert len(gateway.received) == 1


async def test_closing_can_be_cancelled(gateway, connect) -> None:
    """Then nothing is waited for, and nothing is left."""
    gateway.gate.clear()
    client = connect(stop_timeout=60)
    before = asyncio.all_tasks()
    idle = asyncio.create_task(client.send(TEXT, NUMBER))
    await gateway.until(lambda: gateway.busy)
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(OutcomeUnknownError):
        await idle
    gateway.gate.set()
    await gateway.until(lambda: not gateway.open)
    assert asyncio.all_tasks() <= before


async def test_a_late_exchange_of_nobody_is_logged(gateway, connect, caplog) -> None:
    """Its caller was cancelled, and then the client was closed."""
    gateway.gate.clear()
    client = connect(stop_timeout=0)
    sending = asyncio.create_task(client.send(TEXT, Recipient(NUMBER, "an-id")))
    await gateway.until(lambda: gateway.busy)
    sending.cancel()
    await asyncio.sleep(0)
    await client.aclose()
    assert "was cancelled when the client closed" in caplog.text
    assert "an-id" in caplog.text
