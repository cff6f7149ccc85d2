"""Parts of inbound messages: kept until their message was handled, whole or incomplete."""

import asyncio
from functools import partial

import pytest

from infobip_async.journal import HandlerSettings, SqliteJournal, StoredPush
from infobip_async.journal.attempts import delay_after
from infobip_async.journal.base import State
from infobip_async.journal.items import Item
from infobip_async.journal.parts import StoredParts
from infobip_async.models.events import InboundSms
from infobip_async.protocol.inbound_sms import decode_push
from infobip_async.text.reassembly import Reassembler


@pytest.fixture
def whole(bench):
    """A handler that wants messages whole."""
    return bench.record(InboundSms, whole=True)


async def held(journal) -> list[str]:
    """The ids of posts with parts that wait for others."""
    return [
        str(post.id)
        async for post in journal.waiting()
        if any(one.state is State.HELD for one in post.states.values())
    ]


async def test_parts_are_joined(bench, whole):
    """In any order; the journal is empty when the whole message was handled."""
    journal = await bench.start()
    await journal.put(bench.part(2, 2, "world"))
    await journal.put(bench.inbound("sender=38598123123&text=between"))
    await whole.wait_for(1)
    assert await held(journal) == ["1"]
    await journal.put(bench.part(1, 2, "Hello "))
    await bench.emptied(journal)
    assert whole.ids == ["between", "Hello world"]


async def test_a_whole_message_keeps_its_place(bench, whole):
    """It goes before what the same sender wrote later."""
    async with bench.journal() as journal:
        await journal.put(bench.part(1, 2, "Hello "))
        await journal.put(bench.part(2, 2, "world"))
        await journal.put(bench.inbound("sender=38598123123&text=behind"))
    journal = await bench.start()
    await bench.emptied(journal)
    assert whole.ids == ["Hello world", "behind"]


async def test_parts_survive_a_restart(bench, whole):
    """A part that waited is fed again; its own handlers are not told a second time."""
    plain = bench.record(InboundSms)
    journal = await bench.start()
    await journal.put(bench.part(1, 3, "Hello "))
    await journal.put(bench.part(3, 3, "world"))
    await bench.come_to(["1", "2"], partial(held, journal))
    await bench.stop()
    journal = await bench.start()
    await journal.put(bench.part(2, 3, "big "))
    await bench.emptied(journal)
    assert whole.ids == ["Hello big world"]
    assert plain.ids == ["Hello ", "world", "big "]


async def test_a_whole_message_that_fails(bench, whole):
    """It is tried again as a whole, and its parts become dead letters together."""
    plain = bench.record(InboundSms)

    def fail(_: InboundSms) -> None:
        raise ValueError

    whole.act = fail
    journal = await bench.start(attempts=2)
    await journal.put(bench.part(1, 2, "Hello "))
    await journal.put(bench.part(2, 2, "world"))
    await whole.wait_for(1)
    await bench.pause(2)
    bench.time.go_on(1.0)
    await bench.emptied(journal)
    assert whole.ids == ["Hello world"] * 2
    assert plain.ids == ["Hello ", "world"]
    assert [letter.id async for letter in journal.dead()] == ["1:0", "2:0"]

    whole.act = lambda _: None
    assert await journal.requeue() == 2
    await bench.emptied(journal)
    assert whole.ids == ["Hello world"] * 3


async def test_attempts_at_a_whole_message_are_its_own(bench, whole):
    """Those at its parts do not count."""
    plain = bench.record(InboundSms)
    failures = {whole: iter([True]), plain: iter([True])}

    def fail_once(recorder) -> None:
        if next(failures[recorder], False):
            raise ValueError

    whole.act, plain.act = (lambda _, r=recorder: fail_once(r) for recorder in (whole, plain))
    journal = await bench.start(attempts=2)
    await journal.put(bench.part(1, 2, "Hello "))
    await journal.put(bench.part(2, 2, "world"))
    for _ in range(2):
        await bench.pause(2)
        bench.time.go_on(1.0)
    await bench.emptied(journal)
    assert whole.ids == ["Hello world"] * 2
    assert [letter async for letter in journal.dead()] == []


async def test_attempts_at_a_whole_message_survive_a_restart(bench, whole):
    """The parts that wait with it remember them."""

    def fail(_: InboundSms) -> None:
        raise ValueError

    whole.act = fail
    journal = await bench.start(attempts=2)
    await journal.put(bench.part(1, 2, "Hello "))
    await journal.put(bench.part(2, 2, "world"))
    await whole.wait_for(1)
    await bench.pause(2)
    await bench.stop()
    journal = await bench.start(attempts=2)
    await bench.emptied(journal)
    assert len([letter async for letter in journal.dead()]) == 2
    assert len(whole.events) == 2


async def test_an_incomplete_message(bench, whole):
    """It is handed on when its time is up, counted from its arrival over restarts."""
    bench.router.parts_timeout = 100.0
    journal = await bench.start()
    await journal.put(bench.part(1, 2, "Hello "))
    await bench.come_to(["1"], partial(held, journal))
    await bench.stop()
    bench.time.go_on(95.0)
    journal = await bench.start()
    await journal.put(bench.inbound("sender=1&text=behind"))
    await whole.wait_for(1)
    await bench.look(journal)  # behind the look that found nothing more to take in
    await bench.pause(1)
    bench.time.go_on(10.0)
    await whole.wait_for(2)
    assert whole.events[1].missing == (2,)
    assert whole.ids == ["behind", "Hello "]
    await bench.emptied(journal)


def hold(journal: SqliteJournal) -> asyncio.Event:
    """Let a journal take nothing more in, until the event is set."""
    take, released = journal._storage.take, asyncio.Event()

    async def take_later(limit: int) -> list[StoredPush]:
        await released.wait()
        return await take(limit)

    journal._storage.take = take_later
    return released


async def test_a_part_that_is_still_in_the_file_is_waited_for(bench, whole):
    """A journal that lags behind gives up nothing whose time went by meanwhile."""
    bench.router.parts_timeout = 20.0
    journal = await bench.start()
    await journal.put(bench.part(1, 2, "Hello "))
    await bench.come_to(["1"], partial(held, journal))
    released = hold(journal)
    await journal.put(bench.part(2, 2, "world"))
    await bench.pause(1)
    bench.time.go_on(30.0)
    await bench.pause(1)
    released.set()
    await bench.emptied(journal)
    assert whole.ids == ["Hello world"]


async def test_a_journal_that_is_always_behind_gives_up_too(bench, whole):
    """By the times at which the posts came that it has taken in."""
    bench.router.parts_timeout = 20.0
    async with bench.journal() as journal:
        await journal.put(bench.part(1, 2, "Hello "))
        bench.time.go_on(30.0)
        await journal.put(bench.inbound("sender=1&text=behind"))
    journal = bench.journal()
    take = journal._storage.take

    async def take_once(limit: int) -> list[StoredPush]:
        hold(journal)
        return await take(limit)

    journal._storage.take = take_once
    await bench.serve(journal)
    await whole.wait_for(1)
    await bench.pause(1)
    bench.time.go_on(10.0)
    await whole.wait_for(2)
    assert whole.ids == ["behind", "Hello "]


async def test_a_part_that_came_before(bench, whole):
    """It is done with at once."""
    journal = await bench.start()
    await journal.put(bench.part(1, 2, "Hello "))
    await journal.put(bench.part(1, 2, "Hello "))
    await bench.come_to(["1"], partial(held, journal))
    await journal.put(bench.part(2, 2, "world"))
    await bench.emptied(journal)
    assert whole.ids == ["Hello world"]


async def test_two_messages_with_the_same_first_part(bench, whole):
    """What seemed to be repeated belongs to the later message, once that shows."""
    journal = await bench.start()
    for number, text in ((1, "Hello "), (2, "world"), (1, "Hello "), (2, "moon")):
        await journal.put(bench.part(number, 2, text))
    await bench.emptied(journal)
    assert whole.ids == ["Hello world", "Hello moon"]


async def test_a_part_that_waits_in_its_lane_is_waited_for(bench, whole):
    """A message is not given up because one of its parts is being tried again."""
    bench.router.parts_timeout = 20.0
    plain = bench.record(InboundSms)
    failures = iter([True])

    def act(sms: InboundSms) -> None:
        if sms.text == "world" and next(failures, False):
            raise ValueError

    plain.act = act
    journal = await bench.start(first_delay=60.0)
    await journal.put(bench.part(1, 2, "Hello "))
    await journal.put(bench.part(2, 2, "world"))
    await plain.wait_for(2)
    for _ in range(6):
        await bench.pause(2)
        bench.time.go_on(10.0)
    await bench.emptied(journal)
    assert whole.ids == ["Hello world"]
    assert whole.events[0].missing == ()


async def test_handlers_of_whole_messages_that_went_away(bench, whole):
    """Parts that waited for them are done with."""
    journal = await bench.start()
    await journal.put(bench.part(1, 2, "Hello "))
    await bench.come_to(["1"], partial(held, journal))
    await bench.stop()
    bench.router.off(InboundSms, whole)
    journal = await bench.start()
    await bench.emptied(journal)
    assert whole.events == []


async def test_too_many_messages_that_wait(bench, whole):
    """The oldest is handed on incomplete, in the lane of its own sender."""
    bench.router.parts_limit = 1
    journal = await bench.start()
    await journal.put(bench.part(1, 2, "Hello ", sender="1"))
    await journal.put(bench.part(1, 2, "Good ", sender="2"))
    await whole.wait_for(1)
    await bench.come_to(["2"], partial(held, journal))
    assert [(sms.sender, sms.missing) for sms in whole.events] == [("1", (2,))]


def test_a_part_that_is_given_up_is_not_waited_for(bench):
    """A dead letter holds no message up."""
    parts = StoredParts(timeout=10.0, limit=10)
    first, second = (
        Item(decode_push(bench.part(n, 2, "x").query), "key", [], arrived=n) for n in (1, 2)
    )
    for item in (first, second):
        parts.expect(item)
    assert parts.add(first, 100.0) == ([], State.HELD)
    assert parts.take_due(100.0) == []
    parts.forget(second)
    (message,) = parts.take_due(100.0)
    assert message.parts == [first]
    assert message.event.missing == (2,)


def test_a_longer_time_than_the_attempts_take():
    """By default no part is tried again for as long as others wait for it."""
    handling = HandlerSettings(chance=lambda: 0.0)
    total = sum(delay_after(attempt, handling) for attempt in range(1, handling.attempts))
    assert total + handling.attempts * handling.time_limit < Reassembler().timeout


# --- what the reassembler offers for it ---


def test_collecting(bench):
    """Messages are given as the very parts that were taken in."""
    one, two = (decode_push(bench.part(n, 2, "x").query) for n in (1, 2))
    other = decode_push(bench.part(1, 2, "y").query)
    reassembler = Reassembler(timeout=10.0)
    assert reassembler.collect(one, 0.0) == ()
    assert reassembler.holds(one)
    assert not reassembler.holds(decode_push(bench.part(1, 2, "x").query))
    assert not reassembler.holds(InboundSms("1", text="no part"))
    (parts,) = reassembler.collect(other, 1.0)  # the same number, so another message
    assert list(parts.by_number.values()) == [one]
    (parts,) = reassembler.collect(two, 2.0)
    assert all(parts.by_number[n] is part for n, part in ((1, other), (2, two)))
    assert parts.join().text == "yx"
    assert reassembler.collect(two, 3.0) == ()
    assert reassembler.collect(InboundSms("1", text="no part"), 4.0) == ()


def test_forgetting_a_whole_message(bench):
    """Its parts can come again; those of another one cannot."""
    one, two = (decode_push(bench.part(n, 2, "x").query) for n in (1, 2))
    reassembler = Reassembler()
    reassembler.collect(one, 0.0)
    reassembler.collect(two, 0.0)
    reassembler.forget(decode_push(bench.part(1, 2, "x").query))
    reassembler.forget(InboundSms("1", text="no part"))
    assert reassembler.collect(one, 1.0) == ()
    assert not reassembler.holds(one)
    reassembler.forget(one)
    reassembler.collect(one, 2.0)
    assert reassembler.holds(one)


def test_taking_what_is_due(bench):
    """As parts to be joined, when their time is up."""
    one = decode_push(bench.part(1, 2, "x").query)
    reassembler = Reassembler(timeout=10.0)
    reassembler.collect(one, 0.0)
    assert reassembler.take_due(9.9) == ()
    (parts,) = reassembler.take_due(10.0)
    assert parts.by_number == {1: one}
    assert not reassembler.holds(one)
