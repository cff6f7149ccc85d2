"""Each change of a message as a whole is an event: at least once, in order, and no other."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs
import pytest

from deliveries_support import HELLO, NUMBER, Client, Clock, report
from infobip_async import (
    Deliveries,
    Delivery,
    DeliveryReport,
    DeliveryStatus,
    NotSentError,
    Router,
    SendOutcome,
    SqliteDeliveryStore,
)
from infobip_async.deliveries.outbox import LEASE

SENT = SendOutcome.SENT


async def nothing(_: Delivery) -> None:
    """Handle it."""


@attrs.define(eq=False)
class Handler:
    """What the handlers of one process were given, and what they do."""

    router: Router = attrs.field(factory=Router)
    act: Callable[[Delivery], Awaitable[None]] = nothing
    given: list[tuple[SendOutcome | None, DeliveryStatus | None]] = attrs.field(factory=list)
    _news: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.router.on(Delivery)(self._take)

    async def _take(self, delivery: Delivery) -> None:
        await self.act(delivery)
        self.given.append((delivery.outcome, delivery.status))
        self._news.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many were handled."""
        async with asyncio.timeout(60):
            while len(self.given) < count:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def handler(router: Router) -> Handler:
    """The handler of the test's own router."""
    return Handler(router)


async def test_each_change_is_given_once(make, client: Client, handler: Handler) -> None:
    """The outcome, the first report, the end; repeated reports and further parts change nothing."""
    client.parts = 3
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
        one, two, three = map(report, delivery.part_ids)
        for reports in ([one], [one, two], [two], [three], [one, three]):
            await handler.router.dispatch(reports)
    assert handler.given == [
        (SENT, None),
        (SENT, DeliveryStatus.UNKNOWN),
        (SENT, DeliveryStatus.DELIVERED),
    ]


async def test_all_parts_in_one_push(make, client: Client, handler: Handler) -> None:
    """Its rows are folded one after the other, and the changes given in order."""
    client.parts = 2
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
        await handler.router.dispatch(list(map(report, delivery.part_ids)))
    assert [status for _, status in handler.given] == [
        None,
        DeliveryStatus.UNKNOWN,
        DeliveryStatus.DELIVERED,
    ]


async def test_a_report_before_the_reply_is_the_only_change(
    make, client: Client, handler: Handler
) -> None:
    """It proves the outcome, so that the reply says nothing new."""

    async def push(recipients) -> None:
        await handler.router.dispatch([report(recipients[0].message_id)])

    client.meanwhile = push
    async with make() as deliveries:
        await deliveries.send(HELLO, NUMBER)
    assert handler.given == [(SENT, DeliveryStatus.DELIVERED)]


async def test_a_push_is_acknowledged_after_the_handlers(make, handler: Handler) -> None:
    """A handler that fails makes the push fail; when it comes again, the change is given again."""
    faults = [RuntimeError("as it is to be")]

    async def fail(delivery: Delivery) -> None:
        if delivery.is_final and faults:
            raise faults.pop()

    handler.act = fail
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
        with pytest.raises(ExceptionGroup):
            await handler.router.dispatch([report(delivery.message_id)])
        await handler.router.dispatch([report(delivery.message_id)])
        await handler.router.dispatch([report(delivery.message_id)])
    assert handler.given == [(SENT, None), (SENT, DeliveryStatus.DELIVERED)]


async def test_what_failed_comes_before_what_changed_since(make, handler: Handler) -> None:
    """In order, though the push that brought the first change never comes again."""
    faults = [RuntimeError("as it is to be")]

    async def fail(delivery: Delivery) -> None:
        if delivery.status and faults:
            raise faults.pop()

    handler.act = fail
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
        with pytest.raises(ExceptionGroup):
            await handler.router.dispatch([report(delivery.message_id, "SENT")])
        await handler.router.dispatch([report(delivery.message_id)])
    assert [status for _, status in handler.given] == [
        None,
        DeliveryStatus.SENT,
        DeliveryStatus.DELIVERED,
    ]


async def test_handlers_of_one_message_run_one_after_the_other(make, handler: Handler) -> None:
    """Two reports at once, a slow handler: the second change waits for the first."""
    go_on, running, most = asyncio.Event(), 0, 0

    async def slow(delivery: Delivery) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if delivery.status is DeliveryStatus.SENT:
            await go_on.wait()
        running -= 1

    handler.act = slow
    async with make() as deliveries:
        (delivery,) = await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
        changes = aiter(deliveries)
        pushes = [
            asyncio.create_task(handler.router.dispatch([report(delivery.message_id, status)]))
            for status in ("SENT", "DELIVERED")
        ]
        while not (await anext(changes)).delivered:
            """Both are in the store."""
        go_on.set()
        await asyncio.gather(*pushes)
    assert most == 1
    assert [status for _, status in handler.given[1:]] == [
        DeliveryStatus.SENT,
        DeliveryStatus.DELIVERED,
    ]


async def test_a_bad_delivery_costs_no_neighbour(make, handler: Handler) -> None:
    """The others of its push are given, and the push fails."""

    async def fail(delivery: Delivery) -> None:
        if delivery.status and delivery.key == "bad":
            raise RuntimeError("as it is to be")

    handler.act = fail
    async with make() as deliveries:
        (bad,) = await deliveries.send(HELLO, NUMBER, key="bad")
        (good,) = await deliveries.send(HELLO, NUMBER, key="good")
        await handler.wait_for(2)
        with pytest.raises(ExceptionGroup):
            await handler.router.dispatch([report(bad.message_id), report(good.message_id)])
    assert (SENT, DeliveryStatus.DELIVERED) in handler.given


async def test_a_send_does_not_fail_with_a_handler(make, handler: Handler, caplog) -> None:
    """The message was sent; the change is given again later."""
    given_again = asyncio.Event()
    waits: list[asyncio.Event] = []

    async def sleep(_: float) -> None:
        waits.append(asyncio.Event())
        await waits[-1].wait()

    async def fail(_: Delivery) -> None:
        if not given_again.is_set():
            raise RuntimeError("as it is to be")

    handler.act = fail
    async with make(sleep=sleep) as deliveries:
        await deliveries.send(HELLO, NUMBER)
        async with asyncio.timeout(60):
            while "failed" not in caplog.text or not waits:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.001)
        given_again.set()
        waits[0].set()
        await handler.wait_for(1)
    assert handler.given == [(SENT, None)]


@pytest.mark.parametrize("error", [NotSentError("away")])
async def test_an_end_without_a_report_is_a_change(make, client, handler, error) -> None:
    """What was not sent is final."""
    client.answer = error
    async with make() as deliveries:
        with pytest.raises(NotSentError):
            await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
    assert handler.given == [(SendOutcome.NOT_SENT, None)]


async def test_what_expires_is_a_change(make, handler: Handler, clock: Clock) -> None:
    """Though nobody asks for it."""
    slept = asyncio.Event()

    async def sleep(_: float) -> None:
        await slept.wait()
        slept.clear()

    async with make(sleep=sleep, final_after=3600) as deliveries:
        await deliveries.send(HELLO, NUMBER)
        await handler.wait_for(1)
        clock.now += 3601
        slept.set()
        await handler.wait_for(2)
        assert (await deliveries.counts()).not_known == 1


async def test_handlers_of_reports_are_given_them_too(make, handler: Handler) -> None:
    """Deliveries take nothing away."""
    seen = []

    @handler.router.on(DeliveryReport)
    async def take(one: DeliveryReport) -> None:
        seen.append(one)

    async with make():
        await handler.router.dispatch([report("of nobody")])
    assert [one.message_id for one in seen] == ["of nobody"]


async def test_a_report_after_the_end_is_not_lost(make, store, router: Router) -> None:
    """With a store that lasts it is refused, until there is somebody who takes it."""
    async with make() as first:
        (delivery,) = await first.send(HELLO, NUMBER)
    if store.shared:
        with pytest.raises(ExceptionGroup):
            await router.dispatch([report(delivery.message_id)])
    async with make() as second:
        await router.dispatch([report(delivery.message_id)])
        assert (await second.get(delivery.message_id)).delivered


# --- several processes, and deaths -----------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    """Where a store is."""
    return tmp_path / "deliveries.db"


async def test_a_change_that_was_never_given_comes_after_a_restart(
    file, client: Client, clock: Clock
) -> None:
    """A process dies between the change of the store and the event."""
    dead = Handler()

    async def die(_: Delivery) -> None:
        await asyncio.Event().wait()

    dead.act = die
    async with Deliveries(
        client, dead.router, store=SqliteDeliveryStore(file), clock=clock, stop_timeout=0
    ) as first:
        (delivery,) = await first.send(HELLO, NUMBER)
        push = asyncio.create_task(dead.router.dispatch([report(delivery.message_id)]))
        while not (await first.get(delivery.message_id)).delivered:
            """The report is in the store."""
        push.cancel()
        await asyncio.gather(push, return_exceptions=True)
    handler = Handler()
    async with Deliveries(None, handler.router, store=SqliteDeliveryStore(file), clock=clock):
        await handler.wait_for(2)
    assert handler.given == [(SENT, None), (SENT, DeliveryStatus.DELIVERED)]
    later = Handler()
    async with Deliveries(None, later.router, store=SqliteDeliveryStore(file), clock=clock) as last:
        await last._ledger._outbox.sweep(anyway=True)
    assert later.given == []


async def test_reports_that_arrive_in_another_process(file, client: Client, clock: Clock) -> None:
    """The one that sends waits, the one that receives has the handlers: both hear of it."""
    receiving = Handler()
    async with (
        Deliveries(client, Router(), store=SqliteDeliveryStore(file), clock=clock) as sender,
        Deliveries(None, receiving.router, store=SqliteDeliveryStore(file), clock=clock),
    ):
        changes = aiter(sender)
        (delivery,) = await sender.send(HELLO, NUMBER)
        waiting = asyncio.create_task(sender.wait(delivery.message_id, timeout=60))
        await receiving.wait_for(1)  # the outcome, which the sender leaves to the receiver
        given = [await anext(changes)]
        await receiving.router.dispatch([report(delivery.message_id)])
        assert (await waiting).delivered
        given.append(await anext(changes))
    assert [one.delivered for one in given] == [None, True]
    assert receiving.given == [(SENT, None), (SENT, DeliveryStatus.DELIVERED)]


async def test_what_another_process_has_taken_up_is_left_to_it(
    file, client: Client, clock: Clock
) -> None:
    """Until its time is up; then whoever hears of it gives it."""
    slow, other = Handler(), Handler()
    begun = asyncio.Event()

    async def hang(_: Delivery) -> None:
        begun.set()
        await asyncio.Event().wait()

    slow.act = hang
    async with (
        Deliveries(
            client, slow.router, store=SqliteDeliveryStore(file), clock=clock, stop_timeout=0
        ) as first,
        Deliveries(None, other.router, store=SqliteDeliveryStore(file), clock=clock) as second,
    ):
        await first.send(HELLO, NUMBER)
        await begun.wait()
        await second._ledger._outbox.sweep()
        assert other.given == []
        clock.now += LEASE
        await second._ledger._outbox.sweep()
        assert other.given == [(SENT, None)]
