"""A message and its reports as one awaitable, with a store of each kind."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from deliveries_support import HELLO, NUMBER, Client, Clock, report
from infobip_async import (
    AlreadySentError,
    AuthenticationError,
    Deliveries,
    DeliveryCounts,
    DeliveryStatus,
    DeliveryTimeoutError,
    InfobipError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    Router,
    SendOutcome,
    SqliteDeliveryStore,
    StorageUnavailableError,
    TextMessage,
)

SENT, UNKNOWN = SendOutcome.SENT, SendOutcome.UNKNOWN


@pytest.fixture
async def deliveries(make) -> AsyncIterator[Deliveries]:
    """Deliveries that are entered."""
    async with make() as deliveries:
        yield deliveries


async def test_send_and_wait(deliveries: Deliveries, router: Router) -> None:
    """A message is accepted, then delivered."""
    (delivery,) = await deliveries.send(HELLO, NUMBER, key="order-17")
    assert (delivery.key, delivery.msisdn, delivery.outcome) == ("order-17", NUMBER, SENT)
    assert (delivery.status, delivery.is_final, delivery.delivered) == (None, False, None)
    assert delivery.part_ids == (delivery.message_id,)
    waiting = asyncio.create_task(deliveries.wait(delivery.message_id, timeout=60))
    await asyncio.sleep(0)
    one = report(delivery.message_id)
    await router.dispatch([one])
    final = await waiting
    assert (final.status, final.is_final, final.delivered) == (DeliveryStatus.DELIVERED, True, True)
    assert final.reports == {delivery.message_id: one}
    assert await deliveries.wait(key="order-17") == final
    assert await deliveries.get(key="order-17") == final


async def test_a_report_before_the_reply(
    deliveries: Deliveries, router: Router, client: Client
) -> None:
    """It finds its message, and proves that it was sent."""

    async def push(recipients) -> None:
        await router.dispatch([report(recipients[0].message_id)])
        early = await deliveries.get(recipients[0].message_id)
        assert (early.outcome, early.delivered) == (SENT, True)

    client.meanwhile = push
    (delivery,) = await deliveries.send(HELLO, NUMBER)
    assert (delivery.outcome, delivery.delivered) == (SENT, True)


async def test_parts_are_folded(deliveries: Deliveries, router: Router, client: Client) -> None:
    """The reports come on ids of parts; the message arrived when all have."""
    client.parts = 3
    (delivery,) = await deliveries.send(HELLO, NUMBER)
    assert delivery.part_ids == tuple(f"{delivery.message_id}-{part}" for part in (1, 2, 3))
    for part, (is_final, status) in zip(
        delivery.part_ids,
        [(False, "UNKNOWN"), (False, "UNKNOWN"), (True, "DELIVERED")],
        strict=True,
    ):
        await router.dispatch([report(part)])
        now = await deliveries.get(part)
        assert (now.message_id, now.is_final) == (delivery.message_id, is_final)
        assert now.status is DeliveryStatus[status]


FAILURES = [
    (AuthenticationError("no"), SendOutcome.NOT_SENT, True),
    (NotSentError("away"), SendOutcome.NOT_SENT, True),
    (OutcomeUnknownError("lost"), UNKNOWN, False),
    (LocalProtocolError("a rule"), SendOutcome.REFUSED, True),
]


@pytest.mark.parametrize(("error", "outcome", "is_final"), FAILURES)
async def test_what_is_known_of_a_failed_send_stays(
    deliveries: Deliveries, client: Client, error: InfobipError, outcome, is_final
) -> None:
    """It raises what the client raises."""
    client.answer = error
    with pytest.raises(type(error)) as caught:
        await deliveries.send(HELLO, NUMBER, key="order-17")
    assert caught.value is error
    known = await deliveries.get(key="order-17")
    assert (known.outcome, known.is_final, known.reason) == (outcome, is_final, str(error))
    assert known.delivered is (False if is_final else None)


async def test_fewer_accepted_than_sent(deliveries: Deliveries, client: Client) -> None:
    """The gateway does not say which, so all are in doubt."""
    client.answer = 1
    several = await deliveries.send(HELLO, [NUMBER, "41793026727"])
    assert [one.outcome for one in several] == [UNKNOWN] * 2


async def test_a_report_settles_an_unknown_outcome(
    deliveries: Deliveries, router: Router, client: Client
) -> None:
    """It proves that the message was sent."""
    client.answer = OutcomeUnknownError("lost")
    with pytest.raises(OutcomeUnknownError):
        await deliveries.send(HELLO, NUMBER, key="order-17")
    known = await deliveries.get(key="order-17")
    await router.dispatch([report(known.message_id, "NOT_SENT")])
    assert (await deliveries.get(key="order-17")).outcome is SENT


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, OutcomeUnknownError("lost")])
async def test_a_known_key_is_not_sent_again(deliveries: Deliveries, client: Client, error) -> None:
    """Whether it was sent for certain or perhaps."""
    client.answer = error
    try:
        await deliveries.send(HELLO, NUMBER, key="order-17")
    except OutcomeUnknownError:
        """It may have been sent."""
    with pytest.raises(AlreadySentError) as caught:
        await deliveries.send(HELLO, NUMBER, key="order-17")
    (again,) = await deliveries.send(HELLO, NUMBER, key="order-17", if_known="return")
    assert again == caught.value.delivery == await deliveries.get(key="order-17")
    assert len(client.sent) == 1


@pytest.mark.parametrize("error", [NotSentError("away"), AuthenticationError("no")])
async def test_what_was_not_sent_can_be_sent_again(
    deliveries: Deliveries, client: Client, error
) -> None:
    """Under another id, since the first attempt had one."""
    client.answer = error
    with pytest.raises(type(error)):
        await deliveries.send(HELLO, NUMBER, key="order-17")
    first = await deliveries.get(key="order-17")
    client.answer = None
    (second,) = await deliveries.send(HELLO, NUMBER, key="order-17")
    assert second.outcome is SENT
    assert await deliveries.get(first.message_id) is None


async def test_a_key_stands_for_one_message(deliveries: Deliveries) -> None:
    """Another message under a known key is a mistake, which must not look like a success."""
    await deliveries.send(HELLO, NUMBER, key="order-17")
    for message, number in ((TextMessage("Bye", "Friend"), NUMBER), (HELLO, "41793026727")):
        with pytest.raises(AlreadySentError, match="another message or number"):
            await deliveries.send(message, number, key="order-17", if_known="return")


async def test_a_message_id_goes_out_once(deliveries: Deliveries, client: Client) -> None:
    """Nothing of the call is sent, nor known afterwards."""
    await deliveries.send(HELLO, Recipient(NUMBER, "mine"))
    with pytest.raises(AlreadySentError) as caught:
        await deliveries.send(HELLO, [Recipient("41793026727", "new"), Recipient("3851", "mine")])
    assert caught.value.delivery.message_id == "mine"
    assert await deliveries.get("new") is None
    assert len(client.sent) == 1


async def test_two_sends_of_a_key_at_once(deliveries: Deliveries, client: Client) -> None:
    """One of them is sent, whichever comes first."""
    sends = [deliveries.send(HELLO, NUMBER, key="order-17") for _ in range(5)]
    ended = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(one) for one in ended].count(AlreadySentError) == 4
    assert len(client.sent) == 1


MISTAKES = [
    ({"recipients": [NUMBER, "41793026727"], "key": "k"}, "a key goes with one recipient"),
    ({"recipients": "+385"}, "recipients"),
    ({"recipients": []}, "no destination"),
    ({"recipients": NUMBER, "if_known": "send"}, "if_known"),
    ({"recipients": NUMBER, "key": 17}, "key: is not a string"),
    ({"recipients": NUMBER, "key": "\ud800"}, "key: has a lone surrogate"),
]


@pytest.mark.parametrize(("arguments", "why"), MISTAKES)
async def test_mistakes_store_nothing(deliveries: Deliveries, arguments, why: str) -> None:
    """They are raised before anything is known of a message."""
    with pytest.raises(LocalProtocolError, match=why):
        await deliveries.send(HELLO, **arguments)
    assert await deliveries.counts() == DeliveryCounts()


async def test_looking_into_an_empty_file_leaves_it_empty(tmp_path) -> None:
    """It holds nothing, and may have been made for something else."""
    path = tmp_path / "empty.db"
    path.touch()
    async with Deliveries(None, Router(), store=SqliteDeliveryStore(path)) as deliveries:
        assert await deliveries.counts() == DeliveryCounts()
        assert [one async for one in deliveries.pending()] == []
    assert path.read_bytes() == b""


# --- waiting ----------------------------------------------------------------------------------


async def test_no_report_in_time(deliveries: Deliveries) -> None:
    """The error has what is known; the report may come later."""
    (delivery,) = await deliveries.send(HELLO, NUMBER)
    with pytest.raises(DeliveryTimeoutError) as caught:
        await deliveries.wait(delivery.message_id, timeout=0)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.delivery == delivery


async def test_the_time_to_wait_is_that_of_the_clock_given(make) -> None:
    """As for everything else: no other clock has to go on."""
    naps: dict[float, asyncio.Event] = defaultdict(asyncio.Event)

    async def sleep(seconds: float) -> None:
        await naps[seconds].wait()

    async with make(sleep=sleep) as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        waiting = asyncio.create_task(deliveries.wait(delivery.message_id, timeout=3600))
        async with asyncio.timeout(60):
            while 3600 not in naps:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        assert not waiting.done()
        naps[3600].set()
        with pytest.raises(DeliveryTimeoutError):
            await waiting


async def test_waiting_for_a_stranger(deliveries: Deliveries) -> None:
    """It would never end."""
    with pytest.raises(LocalProtocolError, match="no such delivery"):
        await deliveries.wait("id-17")


async def test_a_store_that_is_away_is_waited_for(
    deliveries: Deliveries, router: Router, store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits need not know that a store was away meanwhile; at the end of the time they do."""
    (delivery,) = await deliveries.send(HELLO, NUMBER)
    await router.dispatch([report(delivery.message_id)])
    update, away = store.update, 2

    async def flaky(changes):
        nonlocal away
        if away:
            away -= 1
            raise StorageUnavailableError("away")
        return await update(changes)

    monkeypatch.setattr(store, "update", flaky)
    monkeypatch.setattr(f"{Deliveries.__module__}._RETRY_SECONDS", 0)
    with pytest.raises(StorageUnavailableError):
        await deliveries.wait(delivery.message_id, timeout=0)
    assert (await deliveries.wait(delivery.message_id, timeout=60)).delivered
    assert away == 0


async def test_leaving_lets_go_who_waits(make) -> None:
    """They learn that it is not over."""
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        waiting = asyncio.create_task(deliveries.wait(delivery.message_id))
        while not deliveries._ledger.waiting._ends:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
    with pytest.raises(DeliveryTimeoutError):
        await waiting


async def test_sent_is_final_and_may_become_delivered(
    deliveries: Deliveries, router: Router
) -> None:
    """Of a route without reports nobody waits for one."""
    (delivery,) = await deliveries.send(HELLO, NUMBER)
    await router.dispatch([report(delivery.message_id, "SENT")])
    final = await deliveries.wait(delivery.message_id)
    assert (final.is_final, final.delivered) == (True, None)
    await router.dispatch([report(delivery.message_id)])
    assert (await deliveries.get(delivery.message_id)).delivered is True


async def test_what_is_late_is_final_and_not_known(
    deliveries: Deliveries, clock: Clock, router: Router
) -> None:
    """After three days nobody waits any more; a report that comes still counts."""
    (delivery,) = await deliveries.send(HELLO, NUMBER)
    clock.now += 72 * 3600
    assert not (await deliveries.get(delivery.message_id)).is_final
    clock.now += 1
    final = await deliveries.wait(delivery.message_id)
    assert (final.is_final, final.delivered, final.status) == (True, None, None)
    await router.dispatch([report(delivery.message_id)])
    assert (await deliveries.get(delivery.message_id)).delivered is True


async def test_all_that_change(deliveries: Deliveries, router: Router) -> None:
    """Each is given as it is when its turn comes, until the context is left."""
    changes = aiter(deliveries)
    sent = [(await deliveries.send(HELLO, f"385{number}"))[0] for number in range(3)]
    for delivery in (sent[2], sent[0]):
        await router.dispatch([report(delivery.message_id)])
    given = [await anext(changes) for _ in sent]
    assert [(one.message_id, one.delivered) for one in given] == [
        (sent[1].message_id, None),
        (sent[2].message_id, True),
        (sent[0].message_id, True),
    ]


async def test_iterating_ends_with_the_context(make) -> None:
    """What waits is given before."""
    async with make() as deliveries:
        changes = aiter(deliveries)
        await deliveries.send(HELLO, NUMBER)
    assert [one.outcome async for one in changes] == [SENT]


# --- what is known ----------------------------------------------------------------------------


async def test_pending_and_counts(
    deliveries: Deliveries, router: Router, client: Client, clock: Clock
) -> None:
    """Those that wait, by age, and how many are in which state."""
    (old,) = await deliveries.send(HELLO, NUMBER)
    clock.now += 100
    (new,) = await deliveries.send(HELLO, NUMBER)
    for status in ("DELIVERED", "NOT_DELIVERED", "REJECTED", "SENT"):
        (one,) = await deliveries.send(HELLO, NUMBER)
        await router.dispatch([report(one.message_id, "NOT_DELIVERED"[: 3 * (status == "SENT")])])
        await router.dispatch([report(one.message_id, status)])
    await router.dispatch([report(one.message_id, "NOT_ALLOWED"), report(one.message_id)])
    client.answer = NotSentError("away")
    with pytest.raises(NotSentError):
        await deliveries.send(HELLO, NUMBER)
    pending = [one.message_id async for one in deliveries.pending()]
    assert pending == [old.message_id, new.message_id]
    old_ones = [one.message_id async for one in deliveries.pending(older_than=50)]
    assert old_ones == [old.message_id]
    assert await deliveries.counts() == DeliveryCounts(
        total=7,
        waiting=2,
        delivered=2,
        failed={"NOT_DELIVERED": 1, "REJECTED": 1},
        not_sent=1,
        contradictions=1,
    )


async def test_forget(deliveries: Deliveries, router: Router, clock: Clock) -> None:
    """By age those that are final, by number all, in any form of it; and their keys with them."""
    (final,) = await deliveries.send(HELLO, NUMBER, key="a")
    await router.dispatch([report(final.message_id)])
    (waiting,) = await deliveries.send(HELLO, "41793026727", key="b")
    clock.now += 100
    assert await deliveries.forget(older_than=200) == 0
    assert await deliveries.forget(older_than=50) == 1
    assert await deliveries.get(key="a") is None
    assert await deliveries.get(waiting.message_id) == waiting
    assert await deliveries.forget(msisdn="+41 79 302 67 27") == 1
    assert await deliveries.get(waiting.message_id) is None
    await deliveries.send(HELLO, "41793026727", key="b")
    with pytest.raises(LocalProtocolError):
        await deliveries.forget()


# --- life -------------------------------------------------------------------------------------


async def test_a_cancelled_caller_loses_no_outcome(deliveries: Deliveries, client: Client) -> None:
    """The request goes on, and its outcome is stored."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_) -> None:
        begun.set()
        await go_on.wait()

    client.meanwhile = pause
    sending = asyncio.create_task(deliveries.send(HELLO, NUMBER, key="order-17"))
    await begun.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    changes = aiter(deliveries)
    go_on.set()
    assert (await anext(changes)).outcome is SENT


async def test_leaving_waits_for_requests(make, client: Client, store) -> None:
    """What is under way is known afterwards."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_) -> None:
        begun.set()
        await go_on.wait()

    client.meanwhile = pause
    async with make() as deliveries:
        sending = asyncio.create_task(deliveries.send(HELLO, NUMBER, key="order-17"))
        await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert (await sending)[0].outcome is SENT
    with pytest.raises(RuntimeError):
        await deliveries.send(HELLO, NUMBER)


async def test_reports_alone_can_be_followed(router: Router, clock: Clock, store) -> None:
    """Without a client nothing can be sent."""
    async with Deliveries(None, router, store=store, clock=clock) as deliveries:
        await router.dispatch([report("of nobody")])
        assert await deliveries.get("of nobody") is None
        with pytest.raises(LocalProtocolError, match="no client"):
            await deliveries.send(HELLO, NUMBER)


async def test_a_store_is_used_again(make, router: Router) -> None:
    """By the next process, or the next Deliveries in this one."""
    async with make() as first:
        (delivery,) = await first.send(HELLO, NUMBER, key="order-17")
    async with make() as second:
        await router.dispatch([report(delivery.message_id)])
        assert (await second.wait(key="order-17")).delivered
        with pytest.raises(AlreadySentError):
            await second.send(HELLO, NUMBER, key="order-17")


async def test_two_stores_of_nothing(make) -> None:
    """No number is in a repr, which may reach a log."""
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        stored = await deliveries._ledger.get(delivery.message_id)
    assert NUMBER not in repr(delivery) + repr(stored)
