"""What waits for a decision: listing it, putting it back, and forgetting it."""

import attrs
import pytest

from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal import sqlite, sqlite_tables
from infobip_async.journal.base import EventState, State
from infobip_async.models.events import DeliveryReport, HlrReport, InboundSms
from infobip_async.protocol import push as push_format


def fail(_: object) -> None:
    """What a handler does that always fails."""
    raise ValueError


def succeed(_: object) -> None:
    """What a handler does that was mended."""


@pytest.fixture
def got(bench):
    """A handler of delivery reports that fails until it is told not to."""
    recorder = bench.record(DeliveryReport)
    recorder.act = fail
    return recorder


async def rows(journal) -> int:
    """Rows of pushes and of states."""
    count = "select (select count(*) from pushes) + (select count(*) from states)"
    return (await journal._thread.do(lambda c: c.execute(count).fetchone()))[0]


async def test_dead_letters_are_put_back(bench, got):
    """They are handled again, with all their attempts, and then forgotten."""
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a", "b"))
    await bench.emptied(journal)
    got.act = succeed
    assert await journal.requeue() == 2
    await bench.emptied(journal)
    assert got.ids == ["a", "b", "a", "b"]
    assert [letter async for letter in journal.dead()] == []
    assert await rows(journal) == 0


async def test_the_trace_context_stays_with_its_push(bench, got):
    """While it waits, when it is set aside, and when it is put back; most pushes have none."""
    traced = attrs.evolve(bench.reports("a"), trace_context={"traceparent": "00-é-01"})
    async with bench.journal() as journal:
        for push in (traced, bench.reports("b")):
            await journal.put(push)
        assert [one.push for one in await bench.look(journal)] == [traced, bench.reports("b")]
    journal = await bench.start(attempts=1)
    await bench.emptied(journal)
    assert await journal.requeue() == 2
    await got.wait_for(4)
    await bench.emptied(journal)
    contexts = [letter.push.trace_context async for letter in journal.dead()]
    assert contexts == [traced.trace_context, {}]


async def test_some_are_put_back(bench, got):
    """By their ids; those that are none are passed over."""
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a", "b", "c"))
    await bench.emptied(journal)
    got.act = succeed
    assert await journal.requeue(["1:1", "1:7", "99", "1:1"]) == 1
    await bench.emptied(journal)
    assert got.ids == ["a", "b", "c", "b"]
    assert [letter.id async for letter in journal.dead()] == ["1:0", "1:2"]
    assert await journal.requeue(letter.id for letter in ()) == 0
    assert await journal.replay(["1:0"]) == 0


async def test_what_waits_is_discarded(bench, got):
    """One event by its id, or all of a push that wait; what is set aside stays, unless named."""
    async with bench.journal() as journal:
        for ids in ("abc", "de", "f"):
            await journal.put(bench.reports(*ids))
        await journal._storage.record(
            [EventState(2, 1, State.DEAD), EventState(1, 1, State.FAILED)]
        )
        ids = ["1:1", "1:1", "2", "9", "9:9", "2:1"]
        assert await journal.discard(iter(ids[:-1])) == 2
        assert await journal.discard(["1:1", "2"]) == 0
        assert [push.id for push in await bench.look(journal)] == [1, 3]
        assert [letter.id async for letter in journal.dead()] == ["2:1"]
        assert await journal.discard() == 1  # of what is set aside, and not of what waits
    got.act = succeed
    journal = await bench.start()
    await bench.emptied(journal)
    assert sorted(got.ids) == ["a", "c", "f"]
    assert await rows(journal) == 0


async def test_what_is_discarded_while_it_is_tried(bench, got):
    """It is tried on, and leaves nothing."""
    journal = await bench.start(attempts=2)
    await journal.put(bench.reports("a"))
    await got.wait_for(1)
    await bench.pause(2)
    assert await journal.discard(["1"]) == 1
    bench.time.go_on(1.0)
    await got.wait_for(2)
    await bench.stop()
    async with bench.journal() as journal:
        assert await rows(journal) == 0


@pytest.mark.parametrize("bad", ["", "a", "1:", "1:-1", "-1", "1:0:0", "٣", "9" * 19])
async def test_ids_that_are_none(bench, bad):
    """The journal gives none like them."""
    async with bench.journal() as journal:
        with pytest.raises(LocalProtocolError, match="ids"):
            await journal.requeue([bad])


async def test_what_fails_again(bench, got):
    """It is a dead letter again, under another id, as often as it is put back."""
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a"))
    found = []
    for _ in range(3):
        await bench.emptied(journal)
        found += [letter.id async for letter in journal.dead()]
        assert await journal.requeue() == 1
    await bench.emptied(journal)
    assert found == ["1:0", "2:0", "3:0"]
    assert await rows(journal) == 2


async def test_put_back_while_its_post_is_in_work(bench, got):
    """Neighbours that are not done with are not handled twice."""
    journal = await bench.start(attempts=2)

    def act(event: DeliveryReport) -> None:
        if event.message_id == "a" or len(got.events) < 3:
            fail(event)

    got.act = act
    await journal.put(bench.reports("a", "b"))
    await got.wait_for(2)
    await bench.pause(3)
    got.act = fail
    bench.time.go_on(0.5)
    await bench.stop()
    journal = await bench.start(attempts=2)
    got.act = lambda event: fail(event) if event.message_id == "a" else None
    await bench.emptied(journal)
    got.act = succeed
    assert await journal.requeue() == 1
    await bench.emptied(journal)
    assert got.ids[2:] == ["a", "b", "a"]
    assert await rows(journal) == 0


async def test_put_back_before_its_post_is_closed(bench, got):
    """The mark is taken back, also where the post is read again after a crash."""
    async with bench.journal() as journal:
        await journal.put(bench.reports("a", "b"))
        dead = EventState(1, 0, State.DEAD)
        await journal._storage.record([dead])
        assert await journal.requeue() == 1
    got.act = succeed
    journal = await bench.start()
    await bench.emptied(journal)
    assert sorted(got.ids) == ["a", "b"]
    assert await rows(journal) == 0


async def test_what_is_discarded_is_forgotten(bench, got):
    """Dead letters and what is in quarantine alike, by their ids or all."""
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a", "b", "c"))
    await journal.put(bench.push(bench.kinds.DELIVERY_REPORTS, body=b"<no"))
    await bench.emptied(journal)
    assert await journal.discard(["1:1", "1:7", "99", "1:1"]) == 1
    assert [letter.id async for letter in journal.dead()] == ["1:0", "1:2"]
    assert await journal.discard(["2"]) == 1
    assert [one async for one in journal.quarantine()] == []
    assert await journal.discard() == 2
    assert await journal.discard() == 0
    assert got.ids == ["a", "b", "c"]
    assert await rows(journal) == 0


async def test_discarded_before_its_post_is_closed(bench, got):
    """It is not handled, also where the post is read again after a crash."""
    async with bench.journal() as journal:
        await journal.put(bench.reports("a", "b"))
        await journal._storage.record([EventState(1, 0, State.DEAD)])
        assert await journal.discard() == 1
    got.act = succeed
    journal = await bench.start()
    await bench.emptied(journal)
    assert got.ids == ["b"]
    assert await rows(journal) == 0


async def test_replay_after_an_upgrade(bench, monkeypatch):
    """What can be read now is handled; neighbours that were handled are not again."""
    got = bench.record(HlrReport)
    body = b"dlr=38598303174;1;DELIVRD;;;%0A38598303175/2/DELIVRD///%0Anonsense"
    journal = await bench.start()
    await journal.put(bench.push(bench.kinds.HLR_REPORTS, body=body))
    await journal.put(bench.push(bench.kinds.HLR_REPORTS, body=b"DLRS=38598303176;3;DELIVRD;;;"))
    await bench.emptied(journal)
    assert got.ids == ["38598303174"]

    decode = push_format.hlr_dlr.decode_push

    def upgraded(body: bytes, **_: object):
        return decode(body.replace(b"/", b";").replace(b"DLRS", b"dlr"))

    monkeypatch.setattr("infobip_async.protocol.hlr_dlr.decode_push", upgraded)
    assert await journal.replay() == 3
    await bench.emptied(journal)
    assert sorted(got.ids) == ["38598303174", "38598303175", "38598303176"]
    assert [kept.id async for kept in journal.quarantine()] == ["3:2"]
    assert await rows(journal) == 2


async def test_replay_of_a_post_that_was_put_back_in_part(bench, got, monkeypatch):
    """Where it could not be read any more in between, still only that part is handled."""
    journal = await bench.start(attempts=1)
    got.act = lambda event: fail(event) if event.message_id == "b" else None
    await journal.put(bench.reports("a", "b"))
    await bench.emptied(journal)
    with monkeypatch.context() as patch:
        patch.setattr("infobip_async.protocol.dlr_xml.decode_push", lambda *_, **__: fail(0))
        await journal.requeue()
        await bench.emptied(journal)
    got.act = succeed
    assert await journal.replay() == 1
    await bench.emptied(journal)
    assert got.ids == ["a", "b", "b"]


@pytest.mark.parametrize("count", [10, pytest.param(600, marks=pytest.mark.proof)])
async def test_many_are_listed_in_pages(bench, got, monkeypatch, count):
    """However big they are, few are in memory at a time; the order is that of arrival."""
    if count == 10:
        monkeypatch.setattr(sqlite_tables, "_OCTETS_AT_ONCE", 5_000)
        monkeypatch.setattr(sqlite, "_AT_ONCE", 4)
    journal = await bench.start(attempts=1)
    for number in range(3):
        await journal.put(bench.reports(*(f"{number} {'long' * 50} {n}" for n in range(count))))
    await bench.emptied(journal)
    found = [letter.id async for letter in journal.dead()]
    assert found == [f"{post}:{number}" for post in (1, 2, 3) for number in range(count)]
    got.act = succeed
    assert await journal.requeue() == 3 * count
    await bench.emptied(journal)
    assert await rows(journal) == 0


async def test_a_dead_inbound_message_is_no_duplicate_of_itself(bench):
    """Put back, it is what it was."""
    got = bench.record(InboundSms)
    got.act = fail
    journal = await bench.start(attempts=1)
    await journal.put(bench.inbound("sender=1&text=a"))
    await bench.emptied(journal)
    got.act = succeed
    await journal.requeue()
    await bench.emptied(journal)
    assert [sms.possible_duplicate for sms in got.events] == [False, False]


async def test_what_waits_is_listed(bench, got):
    """With what became of it so far."""
    journal = await bench.start()
    await journal.put(bench.reports("a", "b"))
    await got.wait_for(2)
    await bench.pause(3)
    (post,) = await bench.look(journal)
    assert (post.id, post.push) == (1, bench.reports("a", "b"))
    assert [post.states[number].attempts for number in (0, 1)] == [1, 1]
    assert post.wants(0)


async def test_a_reason_of_any_text(bench, got, caplog):
    """Handlers raise what they like; it is kept, and logged, as UTF-8 can express it."""

    def act(_: object) -> None:
        raise ValueError("\0 \ud800 'quoted' " + "x" * 1_000)

    got.act = act
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a"))
    await bench.emptied(journal)
    (letter,) = [letter async for letter in journal.dead()]
    assert letter.reason.startswith("ValueError: \0 \\ud800 'quoted' xxx")
    assert len(letter.reason) < 600
    assert "\\ud800 'quoted'" in caplog.text
    assert "\ud800" not in caplog.text


async def test_reasons_of_several_handlers(bench):
    """All of them, as far as there is room."""

    async def one(_: DeliveryReport) -> None:
        raise ValueError("a" * 300)

    async def another(_: DeliveryReport) -> None:
        raise KeyError("b" * 300)

    for handler in (one, another):
        bench.router.on(DeliveryReport)(handler)
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a"))
    await bench.emptied(journal)
    (dead,) = [letter async for letter in journal.dead()]
    assert dead.reason == f"ValueError: {'a' * 300}; KeyError: '{'b' * 300}"[:500]


async def test_a_query_of_any_octets(bench):
    """It comes back as it was."""
    push = bench.inbound("text=\udcff\ud800%00")
    async with bench.journal() as journal:
        await journal.put(push)
        (post,) = await bench.look(journal)
    assert post.push == push


async def test_a_journal_that_is_not_open(bench):
    """It keeps nothing, and says so; it cannot be opened twice."""
    journal = bench.journal()
    with pytest.raises(StorageUnavailableError, match="not open"):
        await journal.put(bench.reports("a"))
    async with journal:
        with pytest.raises(LocalProtocolError, match="open already"):
            await journal.__aenter__()
        await journal.put(bench.reports("a"))
    with pytest.raises(StorageUnavailableError, match="not open"):
        await journal.put(bench.reports("a"))
