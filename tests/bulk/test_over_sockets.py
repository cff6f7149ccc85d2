"""Bulk sends against a gateway that misbehaves, which counts the copies itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from infobip_async import (
    DeliveryReport,
    Endpoints,
    InfobipClient,
    Router,
    SendOutcome,
    SendResult,
    StorageUnavailableError,
    TextMessage,
)
from infobip_async.concurrency.breaker import Breaker
from infobip_async.simulator import Fault, Simulator
from jumping import jump, until
from scale import scaled

HELLO = TextMessage("Hello", "Friend")

LOSSES = (
    Fault.CUT_BEFORE_REPLY,
    Fault.CUT_INSIDE_REPLY,
    Fault.UNREADABLE_REPLY,
    Fault.STATUS_500,
    Fault.STATUS_307,
)
"""Faults after which nobody knows here what the gateway carried out."""


@pytest.fixture
async def simulator():
    """A gateway for which nobody runs out of credits."""
    async with Simulator(credits=1_000_000) as simulator:
        yield simulator


@pytest.fixture
async def client(simulator: Simulator):
    """A client of it."""
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "password", endpoints=endpoints) as client:
        yield client


def items(count: int):
    """So many items with numbers of their own, most with one message and some with another."""
    for at in range(count):
        message = HELLO if at % 500 else TextMessage(f"Hello {at}", "Friend")
        yield message, f"385{at:08}"


async def take(stream: AsyncIterator[SendResult]) -> list[SendResult]:
    """All results of a bulk send."""
    return [result async for result in stream]


def numbers_of(results: list[SendResult], outcome: SendOutcome) -> set[str]:
    """The numbers of the items with an outcome."""
    return {str(one.item.recipient) for one in results if one.outcome is outcome}


def ids_of(results: list[SendResult], outcome: SendOutcome) -> list[str]:
    """The message ids of the items with an outcome."""
    return [an_id for one in results if one.outcome is outcome for an_id in one.message_ids]


@pytest.mark.parametrize("count", [500, pytest.param(scaled(10_000), marks=pytest.mark.proof)])
async def test_faults_make_no_copies(
    simulator: Simulator, client: InfobipClient, count: int
) -> None:
    """Of many items none arrives twice, and every outcome is what the gateway has seen."""
    for fault in (*LOSSES, Fault.REFUSE):
        simulator.faults.add(fault, operation="send", rate=0.1, times=4)
    simulator.faults.add(Fault.SLOW, operation="send", rate=0.05, seconds=0.01)
    simulator.faults.add(Fault.HANG, operation="send")
    stream = client.send_many(items(count), batch_size=count // 200)
    taking = asyncio.create_task(take(stream))
    await until(lambda: simulator.faults.struck(Fault.HANG))
    await jump(61)  # the client gives up
    results = await taking
    received = Counter(message.msisdn for message in simulator.messages)
    assert len(results) == len({one.item.recipient for one in results}) == count
    assert set(received.values()) == {1}
    sent, unknown = (numbers_of(results, one) for one in (SendOutcome.SENT, SendOutcome.UNKNOWN))
    assert len(sent) + len(unknown) == count
    assert sent <= received.keys()
    assert unknown & received.keys()
    assert unknown - received.keys()


async def test_a_gateway_that_is_down_for_a_while(
    simulator: Simulator, client: InfobipClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be sent meanwhile is sent afterwards, once."""
    missed = asyncio.Event()
    unreached = Breaker.unreached

    def note(breaker: Breaker, now: float) -> bool:
        missed.set()
        return unreached(breaker, now)

    monkeypatch.setattr(Breaker, "unreached", note)
    async with simulator.down():
        stream = client.send_many(items(500), batch_size=10)
        taking = asyncio.create_task(anext(stream))
        await missed.wait()
    results = [await taking, *await take(stream)]
    assert len(numbers_of(results, SendOutcome.SENT)) == 500
    assert len(simulator.messages) == 500


async def test_reports_settle_what_is_unknown(simulator: Simulator, client: InfobipClient) -> None:
    """A pull proves what was carried out, and nothing else; handlers get the reports."""
    simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send", times=2)
    simulator.faults.add(Fault.REFUSE, operation="send", times=1)
    stream = client.send_many(items(1_000), batch_size=50, concurrency=1)
    results = await take(stream)
    router, handled = Router(), []

    @router.on(DeliveryReport)
    async def handle(report: DeliveryReport) -> None:
        handled.append(report.message_id)

    unknown = ids_of(results, SendOutcome.UNKNOWN)
    proven = await client.reconcile(unknown, router=router)
    carried_out = simulator.faults.struck(Fault.CUT_BEFORE_REPLY)
    assert len(unknown) > len(carried_out) > 0
    assert proven.keys() == set(carried_out)
    assert sorted(handled) == sorted(carried_out)
    assert await client.reconcile(unknown, router=router) == {}  # the gateway gives them once
    others = {report.message_id for report in await client.pull_reports()}
    assert others == set(ids_of(results, SendOutcome.SENT))


async def test_a_job_remembers_what_was_proven(
    simulator: Simulator, client: InfobipClient, tmp_path
) -> None:
    """Its unknown items are asked about, and those that were sent are from then on."""
    job = tmp_path / "job"
    simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send", times=1)
    simulator.faults.add(Fault.REFUSE, operation="send", times=1)

    async def run() -> list[tuple[SendOutcome, bool]]:
        stream = client.send_many(items(3), job=job, concurrency=1, batch_size=1)
        return [(one.outcome, one.resumed) async for one in stream]

    sent, unknown = SendOutcome.SENT, SendOutcome.UNKNOWN
    assert await run() == [(unknown, False), (unknown, False), (sent, False)]
    proven = await client.reconcile(job=job)
    assert tuple(proven) == simulator.faults.struck(Fault.CUT_BEFORE_REPLY)
    assert await run() == [(sent, True), (unknown, True), (sent, True)]
    assert len(simulator.messages) == 2


async def test_reports_are_kept_for_the_next_call_when_the_job_fails(
    simulator: Simulator, client: InfobipClient, tmp_path
) -> None:
    """They were pulled, and the gateway gives them once."""
    receipt = await client.send(HELLO, "38598514674")
    message_id = str(receipt.recipients[0].message_id)
    with pytest.raises(StorageUnavailableError):
        await client.reconcile([message_id], job=tmp_path)
    assert [report.message_id for report in await client.pull_reports()] == [message_id]
