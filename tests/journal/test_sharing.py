"""Several journals on one file: who handles, who hears of reports, and who looks in from outside.

They are in one process here, as `SqliteJournal` does not know the difference; `test_crashes` and
`test_workers` have processes.
"""

import asyncio
from time import monotonic, time

import attrs
import pytest

from infobip_async.concurrency import sqlite_file
from infobip_async.concurrency.stop_deadline import stopping_by
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal import JournalCounts, SpoolJournal, sqlite_listeners, sqlite_storage
from infobip_async.journal import sqlite_tables as tables
from infobip_async.journal.base import Counted, EventState, State
from infobip_async.models.events import DeliveryReport, HlrReport, InboundSms
from infobip_async.router import Router
from platforms import needs_free_names, needs_linux
from tests.journal.conftest import LIMIT


@pytest.fixture
async def other(bench):
    """The surroundings of another process on the same file."""
    other = attrs.evolve(bench, router=Router())
    other._stack = type(bench._stack)()
    yield other
    await other.stop()


async def test_one_handles_what_all_store(bench, other):
    """In the order in which pushes were stored, whoever stored them."""
    got, nothing = bench.record(InboundSms), other.record(InboundSms)
    journals = [await bench.start(), await other.start()]
    for number in range(10):
        await journals[number % 2].put(bench.inbound(f"sender=1&receiver=2&text={number}"))
    await got.wait_for(10)
    assert got.ids == [str(number) for number in range(10)]
    assert nothing.events == []


async def test_rows_that_came_to_another_process(bench, other):
    """They are known as repeated."""
    got = bench.record(DeliveryReport)
    journals = [await bench.start(), await other.start()]
    for journal in journals:
        await journal.put(bench.reports("a"))
    await journals[1].put(bench.reports("b"))
    await got.wait_for(2)
    assert got.ids == ["a", "b"]


async def test_another_one_takes_over(bench, other):
    """When the one that handles ends, with what that one has left."""
    got = other.record(DeliveryReport)
    stuck = bench.record(DeliveryReport)
    stuck.act = lambda _: asyncio.Event().wait()
    first = await bench.start(stop_timeout=0.001)
    second = await other.start()
    await first.put(bench.reports("a"))
    await second.put(bench.reports("b"))
    await bench.until(lambda: stuck.running == 2)
    assert got.events == []
    await bench.stop()
    await got.wait_for(2)
    assert sorted(got.ids) == ["a", "b"]


@needs_free_names
async def test_a_lock_that_was_removed(bench, other, monkeypatch):
    """Whoever had it lets go, and one of them handles again."""
    monkeypatch.setattr("infobip_async.journal.sharing._SECONDS_BETWEEN_LOOKS_AT_THE_TURN", 0.001)
    got = [bench.record(DeliveryReport), other.record(DeliveryReport)]
    journals = [await bench.start(), await other.start()]
    for number in range(3):
        bench.path.with_name(f"{bench.path.name}-lock").unlink(missing_ok=True)
        await journals[number % 2].put(bench.reports(str(number)))
        await bench.until(lambda n=number: sum(len(one.events) for one in got) > n)
    assert sorted(got[0].ids + got[1].ids) == ["0", "1", "2"]


async def test_reports_are_heard_everywhere(bench, other):
    """By those who listen: each report once, also one that was handled long before the look."""
    handled = bench.record(HlrReport, everywhere=True)
    heard, unheard = other.record(HlrReport, everywhere=True), other.record(HlrReport)
    journals = [await bench.start(), await other.start()]
    for number in range(40):
        await journals[number % 2].put(bench.hlr(str(number)))
    await handled.wait_for(40)
    await heard.wait_for(40)
    assert heard.ids == [str(number) for number in range(40)]
    assert unheard.events == []
    assert len(handled.events) == 40


async def test_a_listener_that_takes_over(bench, other):
    """It has heard of all that was handled before, and handles the rest."""
    stop = asyncio.Event()
    first, second = bench.record(HlrReport), other.record(HlrReport, everywhere=True)
    first.act = lambda event: None if event.destination == "1" else stop.wait()
    journal = await bench.start(stop_timeout=0.001)
    await other.start()
    await journal.put(bench.hlr("1", lookup_id="a"))
    await journal.put(bench.hlr("2", lookup_id="b"))
    await bench.until(lambda: first.running and first.events)
    await bench.stop()
    await bench.until(lambda: {"1", "2"} <= set(second.ids))


async def test_a_handler_that_fails_on_what_it_hears(bench, other, caplog):
    """It is told, and the next report is heard."""
    heard = other.record(HlrReport, everywhere=True)
    heard.act = lambda event: int(event.destination)
    journal = await bench.start()
    await other.start()
    for push in (bench.hlr("x"), attrs.evolve(bench.hlr("1"), body=b"nonsense"), bench.hlr("2")):
        await journal.put(push)
    await heard.wait_for(2)
    assert heard.ids == ["x", "2"]
    assert caplog.text.count("reports of other processes") == 1


async def test_a_handler_that_does_not_end(bench, other):
    """It holds up neither the turn of its process, nor what else is heard, nor the stop."""
    first = bench.record(HlrReport)
    stuck = other.record(HlrReport, everywhere=True)
    got = other.record(DeliveryReport)
    stuck.act = lambda _: asyncio.Event().wait()
    journal = await bench.start()
    second = await other.start(stop_timeout=10 * LIMIT, concurrency=2)
    for number in range(3):  # two are heard at a time, or those of one look
        await journal.put(bench.hlr(str(number)))
        await first.wait_for(number + 1)
    await bench.until(lambda: stuck.running >= 2)
    await bench.stop()
    await second.put(bench.reports("a"))
    await got.wait_for(1)
    with stopping_by(asyncio.get_running_loop().time()):
        async with asyncio.timeout(LIMIT):
            await other.stop()
    assert stuck.running == 0


async def test_the_deadline_of_a_stop(bench):
    """It counts for the handlers of a journal, although these run in tasks of their own."""
    stuck = bench.record(DeliveryReport)
    stuck.act = lambda _: asyncio.Event().wait()
    journal = await bench.start(stop_timeout=10 * LIMIT)
    await journal.put(bench.reports("a"))
    await bench.until(lambda: stuck.running)
    with stopping_by(asyncio.get_running_loop().time()):
        async with asyncio.timeout(LIMIT):
            await bench.stop()
    assert stuck.running == 0


async def test_a_row_that_a_listener_cannot_read(bench, other):
    """It is passed over."""
    heard = other.record(HlrReport, everywhere=True)
    stuck = bench.record(HlrReport)
    stuck.act = lambda _: asyncio.Event().wait()
    journal = await bench.start(stop_timeout=0.001)
    await other.start()
    work = [journal._thread.do(lambda c: c.execute(_BROKEN).rowcount), journal.put(bench.hlr("1"))]
    await asyncio.gather(*work)
    await heard.wait_for(1)
    assert heard.ids == ["1"]


_BROKEN = (
    "insert into pushes (kind, query, body, received_at) values ('hlr', 'a text', 'a text', 0.0)"
)


async def test_a_lock_that_cannot_be_taken(bench, caplog):
    """It is told: pushes are stored, and nobody handles them. They are when it can be."""
    got = bench.record(DeliveryReport)
    lock = bench.path.with_name(f"{bench.path.name}-lock")
    lock.mkdir()
    journal = await bench.start()
    await journal.put(bench.reports("a"))
    await bench.until(lambda: "this process cannot handle" in caplog.text)
    lock.rmdir()
    await got.wait_for(1)


async def test_a_clock_that_jumps(bench, other, monkeypatch):
    """A listener that seems to be dead by the new time says at once that it lives."""
    heard = other.record(HlrReport, everywhere=True)
    journal = await bench.start()
    await other.start()
    await journal.put(bench.hlr("1"))
    await heard.wait_for(1)

    async def told() -> int:
        ask = "select count(*) from listeners where at > 0"
        return await journal._thread.do(lambda c: c.execute(ask).fetchone()[0])

    await journal._thread.do(lambda c: c.execute("update listeners set at = 0").rowcount)
    later, now = time() + 3600, monotonic()
    monkeypatch.setattr(sqlite_storage, "monotonic", lambda: now)
    monkeypatch.setattr(sqlite_storage, "time", lambda: later)
    async with asyncio.timeout(LIMIT):
        while not await told():
            pass


async def test_nothing_is_kept_for_nobody(bench, other):
    """What was handled is forgotten when no listener needs it, or none has said so for long."""
    got = bench.record(HlrReport)
    journals = [await bench.start(), await other.start()]
    await journals[0].put(bench.hlr("1"))
    await got.wait_for(1)

    async def pushes() -> int:
        ask = "select count(*) from pushes"
        return (await journals[0]._thread.do(lambda c: c.execute(ask).fetchone()))[0]

    assert await pushes() == 1
    await other.stop()
    assert await pushes() == 0
    name = "update listeners set at = at - 60"
    await journals[0]._thread.do(lambda c: sqlite_listeners.listen(c, "dead", 0, 0))
    await journals[0]._thread.do(lambda c: c.execute(name).rowcount)
    await journals[0].put(bench.hlr("2"))
    await bench.come_to(0, pushes)


async def test_looking_in_beside_a_receiver(bench, other):
    """Counts, lists and decisions need no end of the receiver, which sees the decisions."""
    got = bench.record(DeliveryReport, InboundSms)
    got.act = lambda event: int(event.message_id)
    served = await bench.start(attempts=1)
    async with other.journal() as journal:
        assert await journal.counts() == JournalCounts(
            waiting=0, oldest=None, dead=0, quarantined=0, octets=(await journal.counts()).octets
        )
        for name in ("a", "1", "b"):
            await served.put(bench.reports(name))
        await served.put(bench.inbound("nonsense"))
        await bench.emptied(served)
        counts = await journal.counts()
        assert (counts.waiting, counts.dead, counts.quarantined) == (0, 2, 1)
        assert counts.octets > 4096
        got.act = lambda _: None
        assert [one.push.received_at async for one in journal.dead()] == [bench.time()] * 2
        assert await journal.requeue() == 2
        await got.wait_for(5)
        assert got.ids[3:] == ["a", "b"]
        assert (await journal.counts()).dead == 0


async def test_how_much_is_in_work(bench, other):
    """Events that handlers have, as another process sees them too."""
    got = bench.record(DeliveryReport)
    release = asyncio.Event()
    got.act = lambda _: release.wait()
    journal = await bench.start()
    await journal.put(bench.reports("a", "b"))
    await bench.until(lambda: got.running == 2)
    async with other.journal() as outside:
        assert (await outside.counts()).in_work == 2
        release.set()
        await got.wait_for(2)
        await bench.emptied(journal)
        assert (await outside.counts()).in_work == 0


@needs_linux
@pytest.mark.parametrize("kind", ["nfs4", "ext4"])
async def test_a_file_system_of_a_network(bench, tmp_path, monkeypatch, caplog, kind):
    """It is told, as it cannot be relied on."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"proc /proc proc rw 0 0\nhost:/a {tmp_path.parent} {kind} rw 0 0\n")
    monkeypatch.setattr(sqlite_file, "_MOUNTS", mounts)
    await bench.start()
    assert ("network (nfs4)" in caplog.text) is (kind == "nfs4")


async def test_how_old_the_oldest_is(bench):
    """It is the first one that waits for anything."""
    async with bench.journal() as journal:
        await journal.put(bench.reports("a"))
        bench.time.now += 5
        await journal.put(bench.reports("b"))
        counts = await journal.counts()
        assert (counts.waiting, counts.oldest) == (2, bench.time.now - 5)


async def test_what_was_kept_for_long_enough(bench):
    """Dead letters and quarantine are swept by the receiver, unless they are to be kept."""
    got = bench.record(DeliveryReport)
    got.act = lambda event: int(event.message_id)
    journal = await bench.start(attempts=1)
    await journal.put(bench.reports("a"))
    await journal.put(bench.inbound("nonsense"))
    await bench.emptied(journal)
    await bench.stop()
    bench.time.now += 100
    for keep, left in ((None, (1, 1)), (100.0, (1, 1)), (99.0, (0, 0))):
        bench.settings["keep"] = keep
        async with bench.journal() as journal:
            await journal._storage.sweep()
            counts = await journal.counts()
            assert (counts.dead, counts.quarantined) == left


async def test_a_receiver_sweeps(bench):
    """As soon as it handles."""
    bench.settings["keep"] = 99.0
    async with bench.journal() as journal:
        await journal.put(bench.reports("a"))
        dead = EventState(1, 0, State.DEAD, 10, "", bench.time(), closes=True)
        await journal._storage.record([dead])
    bench.time.now += 100
    journal = await bench.start()
    async with asyncio.timeout(60):
        while (await journal.counts()).dead:
            pass


@needs_free_names
async def test_a_file_that_was_removed(bench):
    """Nothing more is taken, and what was acknowledged before is handled all the same."""
    got = bench.record(DeliveryReport)
    release = asyncio.Event()
    got.act = lambda _: release.wait()
    journal = await bench.start()
    for name in ("a", "b"):
        await journal.put(bench.reports(name))
    bench.path.unlink()
    with pytest.raises(StorageUnavailableError, match="moved, removed, emptied or replaced"):
        await journal.put(bench.reports("c"))
    release.set()
    await got.wait_for(2)
    assert not bench.path.exists()


async def test_what_cannot_be_read_is_not_taken(bench, monkeypatch):
    """As long as nobody could handle a push, none is acknowledged."""
    got = bench.record(DeliveryReport)
    journal = await bench.start()
    read = tables.read_open
    monkeypatch.setattr(tables, "read_open", lambda *_, **__: 1 / 0)
    await journal.put(bench.reports("a"))
    await bench.pause(2)  # the expiry of parts, and the pause after the fault
    with pytest.raises(StorageUnavailableError, match="cannot be used: ZeroDivisionError"):
        await journal.put(bench.reports("b"))
    monkeypatch.setattr(tables, "read_open", read)
    bench.time.go_on(1)
    await got.wait_for(1)
    await journal.put(bench.reports("c"))
    await got.wait_for(2)


async def test_a_spool_is_of_one_process(bench, other):
    """Two would hand on the same pushes."""
    elsewhere = bench.journal()
    spools = [SpoolJournal(elsewhere, one.journal()) for one in (bench, other)]
    async with spools[0]._spool.alone():
        with pytest.raises(StorageUnavailableError, match="a file of its own"):
            await other.serve(spools[1])
    async with spools[1]._spool.alone():
        pass


def test_whole_messages_are_joined_by_one() -> None:
    """Only reports of lookups go everywhere."""
    with pytest.raises(LocalProtocolError, match="only HLR reports"):
        Router().on(DeliveryReport, everywhere=True)


async def test_what_waits_in_a_spool_counts(bench, other):
    """With the journal behind it, and alone while that journal is away."""
    other.path = bench.path.with_name("elsewhere.db")
    elsewhere = other.journal()
    spool = SpoolJournal(elsewhere, bench.journal())
    assert isinstance(spool, Counted)

    async def away(*_: object) -> JournalCounts:
        raise StorageUnavailableError("it is away")

    async with spool._spool, elsewhere:
        await spool._spool.put(bench.reports("1"))
        first = (await spool.counts()).oldest
        await elsewhere.put(bench.reports("2"))
        both = await spool.counts()
        assert (both.waiting, both.oldest) == (2, first)
        elsewhere.counts = away
        alone = await spool.counts()
        assert (alone.waiting, alone.oldest) == (1, first)
