"""Events that were being handled when the process died: found again, and handled alone."""

import asyncio
import os
import shutil
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from infobip_async.journal.notes import Notes
from infobip_async.journal.suspects import Numbers
from infobip_async.models.events import DeliveryReport, HlrReport, InboundSms
from jumping import turns
from platforms import needs_modes
from tests.journal.conftest import LIMIT

_copies = count()


def hang(_: object) -> asyncio.Future[None]:
    """What a handler does that is still at it when the process dies."""
    return asyncio.get_running_loop().create_future()


async def die(bench) -> None:
    """Go on with what a killed process would leave: a copy of the files as they are."""
    copy = bench.path.parent / f"copy {next(_copies)}"
    copy.mkdir()
    for file in bench.path.parent.glob(f"{bench.path.name}*"):
        shutil.copy(file, copy)
    await bench.stop()
    bench.path = copy / bench.path.name


async def deaths(bench) -> list[tuple[int, int]]:
    """What waits: the number of each event that has a state, and of how many deaths it knows."""
    async with bench.journal() as journal:
        pushes = await bench.look(journal)
    return [(one.number, one.deaths) for push in pushes for one in push.states.values()]


@pytest.fixture
def got(bench):
    """A handler of delivery reports, which hangs at first."""
    recorder = bench.record(DeliveryReport)
    recorder.act = hang
    return recorder


def suspect_waits(bench) -> bool:
    """Whether a suspect waits for its next attempt; if so, its time has come."""
    waits = bench.time.sleepers > 1  # the other one looks for parts that are late
    bench.time.go_on(16.0 if waits else 0.0)
    return waits


async def begin(bench, got, *ids: str, running: int, **handling: object) -> None:
    """Serve a journal with some reports until some of them are being handled.

    What had a death while alone waits for a while, which takes no time here.
    """
    journal = await bench.start(**{"stop_timeout": 0.001, **handling})
    if ids:
        await journal.put(bench.reports(*ids))
    await bench.until(lambda: got.running == running or suspect_waits(bench))
    await bench.until(lambda: got.running == running)


async def test_suspects_are_handled_alone(bench, got, caplog):
    """First, one after the other; what was not being handled comes after them, at the same time."""
    await begin(bench, got, *"abcde", running=2, concurrency=2)
    await die(bench)
    assert "a process died while it handled" not in caplog.text
    together: list[set[str]] = []
    now: set[str] = set()

    async def watch(report: DeliveryReport) -> None:
        now.add(report.message_id)
        await asyncio.sleep(0)
        together.append(set(now))
        now.discard(report.message_id)

    got.act, got.events[:] = watch, []
    journal = await bench.start()
    await bench.emptied(journal)
    assert got.ids == list("abcde")
    assert together[:2] == [{"a"}, {"b"}]
    assert max(map(len, together)) > 1
    assert "a process died while it handled 2 events" in caplog.text


async def test_three_deaths_while_alone(bench, got, caplog):
    """Then it is a dead letter, and was not tried again; its neighbour was handled."""
    await begin(bench, got, *"ab", running=2)
    got.act = lambda report: hang(report) if report.message_id == "a" else None
    for died in (1, 2, 3):
        await die(bench)
        assert died == 1 or (0, died) in await deaths(bench)  # the first one is in the notes alone
        await begin(bench, got, running=1)
    await die(bench)
    journal = await bench.start()
    await bench.emptied(journal)
    (letter,) = [letter async for letter in journal.dead()]
    assert (letter.id, letter.attempts) == ("1:0", 0)
    assert letter.reason == "its process died 3 times while nothing else was handled"
    assert sorted(got.ids) == list("aaaabb")
    assert "DeliveryReport is a dead letter" in caplog.text


async def waiting(journal) -> list[int]:
    """The pushes that wait."""
    return [push.id async for push in journal.waiting()]


@pytest.mark.parametrize(("alone", "seconds"), [(1, 8.0), (2, 16.0)])
async def test_deaths_that_come_too_soon_prove_nothing(bench, got, alone, seconds):
    """After a death while alone an event waits, and the others are handled before its next try."""
    await begin(bench, got, "a", running=1)
    for _ in range(alone):
        await die(bench)
        await begin(bench, got, running=1)
    got.act = lambda _: None
    for other in "bcdef":  # whoever kills these processes kills them fast
        await die(bench)
        got.events.clear()
        journal = await bench.start()
        await journal.put(bench.reports(other))
        await got.wait_for(1)
        await bench.come_to([1], partial(waiting, journal))
        await bench.pause(2)
        bench.time.go_on(seconds - 0.1)
        assert got.ids == [other]
    bench.time.go_on(0.1)
    await bench.emptied(journal)
    assert got.ids == ["f", "a"]
    assert [letter async for letter in journal.dead()] == []


async def test_a_suspect_does_not_wait_for_a_handler_that_goes_on(bench, got, caplog):
    """Which has lost its place: nobody knows when it ends."""
    await begin(bench, got, "a", running=1)
    await die(bench)
    await begin(bench, got, running=1)
    await die(bench)
    released = asyncio.Event()

    async def go_on() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    got.act = lambda report: go_on() if report.message_id == "bad" else None
    got.events.clear()
    journal = await bench.start(time_limit=0.01)
    await journal.put(bench.reports("bad"))
    await bench.until(lambda: "a handler goes on although" in caplog.text)
    await bench.pause(2)
    bench.time.go_on(8.0)
    await got.wait_for(1)
    assert got.ids == ["a"]
    released.set()
    await bench.emptied(journal)


async def test_a_suspect_waits_for_all_others(bench, got):
    """Also for those that are handled when its time has come."""
    await begin(bench, got, "a", running=1)
    await die(bench)
    await begin(bench, got, running=1)
    await die(bench)
    ends = {other: asyncio.get_running_loop().create_future() for other in "bc"}
    got.act = lambda report: ends.get(report.message_id)
    got.events.clear()
    journal = await bench.start()
    for other in ends:
        await journal.put(bench.reports(other))
    await bench.until(lambda: got.running == 2)
    await bench.pause(2)
    bench.time.go_on(8.0)
    ends["b"].set_result(None)
    await bench.come_to([1, 3], partial(waiting, journal))
    await turns()
    assert got.ids == ["b"]
    ends["c"].set_result(None)
    await bench.emptied(journal)
    assert got.ids == ["b", "c", "a"]


async def test_an_innocent_suspect_is_one_no_longer(bench, got):
    """It survives what it did alone; a failure is one like any other, and is tried again."""
    await begin(bench, got, "a", running=1)
    await die(bench)
    faults = iter([ValueError("as before")])

    def fail(_: DeliveryReport) -> None:
        for fault in faults:
            raise fault

    got.act = fail
    await bench.start()
    await bench.pause(2)
    await bench.stop()
    assert await deaths(bench) == [(0, 0)]
    journal = await bench.start()
    await bench.emptied(journal)
    assert len(got.events) == 3


async def test_a_stop_is_no_death(bench, got):
    """Neither of an event that is handled with others, nor of one that is handled alone."""
    await begin(bench, got, "a", running=1)
    await bench.stop()
    assert await deaths(bench) == []
    await begin(bench, got, running=1)
    await die(bench)
    for _ in range(3):
        assert await deaths(bench) == ([(0, 1)] if _ else [])
        await begin(bench, got, running=1)
        await bench.stop()


async def test_a_suspect_that_does_not_let_itself_be_cancelled(bench, got, caplog):
    """Others are handled then: the handler has kept them waiting for long enough."""
    await begin(bench, got, "a", running=1)
    await die(bench)
    release = asyncio.Event()

    async def refuse(report: DeliveryReport) -> None:
        while report.message_id == "a" and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    got.act = refuse
    journal = await bench.start(time_limit=0.001)
    await journal.put(bench.reports("b"))
    await got.wait_for(2)
    assert got.ids == ["a", "b"]
    assert "goes on although" in caplog.text
    release.set()
    await bench.emptied(journal)


async def test_a_whole_message_is_a_suspect(bench):
    """Its parts are joined again, and the message is handled alone; its own handlers rest."""
    parts = bench.record(InboundSms)
    whole = bench.record(InboundSms, whole=True)
    whole.act = hang
    journal = await bench.start(stop_timeout=0.001)
    for number in (1, 2):
        await journal.put(bench.part(number, 2, f"part {number}, "))
    await bench.until(lambda: whole.running)
    await bench.until(lambda: len(parts.events) == 2)
    await die(bench)
    await begin(bench, whole, running=1)
    await die(bench)
    assert sorted(await deaths(bench)) == [(0, 2), (0, 2)]
    whole.act = lambda _: None
    journal = await bench.start()
    await bench.until(lambda: suspect_waits(bench))
    await bench.emptied(journal)
    assert whole.ids[-1] == "part 1, part 2, "
    assert [letter async for letter in journal.dead()] == []


@pytest.mark.parametrize(("most", "posts"), [(10, ["123", "45"]), (2, ["12"])])
async def test_a_batch_is_suspected_together(bench, most, posts):
    """And each of its events is handled alone; the one that kills is found."""
    batches: list[list[str]] = []
    hanging = asyncio.Event()

    async def handle(reports: tuple[HlrReport, ...]) -> None:
        batches.append([report.destination for report in reports])
        if "2" in batches[-1]:
            hanging.set()
            await hang(None)

    bench.router.on(HlrReport, batch=most)(handle)
    every = list("".join(posts))
    async with bench.journal() as journal:
        for post in posts:
            await journal.put(bench.hlr(*post, lookup_id=""))
    for _ in range(4):
        await bench.start(stop_timeout=0.001)
        await bench.until(lambda: hanging.is_set() or suspect_waits(bench))
        await hanging.wait()
        hanging.clear()
        await die(bench)
    journal = await bench.start()
    await bench.emptied(journal)
    assert batches == [every, *([one] for one in every), ["2"], ["2"]]
    assert [letter.id async for letter in journal.dead()] == ["1:1"]


async def test_a_journal_without_room_for_notes(bench, got, caplog):
    """It works, and says that it would not find what kills its process."""
    os.mkdir(f"{bench.path}-handling")  # noqa: PTH102 - it takes no time
    got.act = lambda _: None
    journal = await bench.start()
    await journal.put(bench.reports("a"))
    await bench.emptied(journal)
    assert "an event that kills this process will not be found" in caplog.text


async def test_notes_are_kept_from_when_there_is_room(bench, got, caplog):
    """Later, too, and without a restart; until then the lack of room is said once."""
    path = bench.path.with_name(f"{bench.path.name}-handling")
    path.mkdir()
    got.act = lambda _: None
    journal = await bench.start()
    for one in "ab":
        await journal.put(bench.reports(one))
        await bench.emptied(journal)
    assert caplog.text.count("an event that kills this process will not be found") == 1
    path.rmdir()
    handling, going_on = asyncio.Event(), asyncio.Event()

    async def hang(_: object) -> None:
        handling.set()
        await going_on.wait()

    bench.router.on(DeliveryReport)(hang)
    await journal.put(bench.reports("c"))
    async with asyncio.timeout(LIMIT):
        await handling.wait()
    assert len(Notes(path, pages=1).read()) == 1
    going_on.set()
    await bench.emptied(journal)


# --- the notes themselves ---


@pytest.fixture
def path(tmp_path) -> Path:
    """Where notes are."""
    return tmp_path / "notes"


@needs_modes
def test_who_can_read_notes(path):
    """Their owner alone."""
    Notes(path, pages=1).open()
    assert path.stat().st_mode & 0o777 == 0o600


def test_notes_outlive_their_process(path):
    """One page for each worker; a batch takes as many stretches of pushes as it has."""
    notes = Notes(path, pages=3)
    assert notes.open() == []
    notes.write(0, [(7, -1)])
    notes.write(1, [(1, 4), (1, 5), (1, 6), (2, 8), (1, 7)])
    notes.write(2, [(9, 9)])
    notes.write(2, [])
    notes.write(3, [(5, 5)])  # without a page
    found = [(7, -1), (1, 4), (1, 5), (1, 6), (2, 8), (1, 7)]
    assert Notes(path, pages=1).open() == found
    notes.clear()
    notes.close()
    notes.write(0, [(1, 1)])
    assert Notes(path, pages=3).open() == []


def test_more_than_a_page(path):
    """The first stretches are noted, and the next page is not touched."""
    notes = Notes(path, pages=2)
    notes.open()
    notes.write(1, [(8, 8)])
    notes.write(0, [(push, 0) for push in range(1, 100)])
    assert Notes(path, pages=2).open() == [*((push, 0) for push in range(1, 32)), (8, 8)]


@pytest.mark.parametrize("octets", [b"x", b"\xff" * 5_000, b"\x7f" * 5_000, bytes(700)])
def test_a_damaged_file(path, octets):
    """It costs nothing but the notes in it."""
    path.write_bytes(octets)
    notes = Notes(path, pages=2)
    assert len(notes.open()) <= 31 * 10_001 * 10
    notes.clear()
    notes.write(1, [(1, 2)])
    assert Notes(path, pages=2).open() == [(1, 2)]


def test_the_lowest_number_that_nobody_has():
    """So that few pages are in use."""
    numbers = Numbers()
    assert [numbers.take() for _ in range(3)] == [0, 1, 2]
    numbers.give_back(1)
    numbers.give_back(0)
    assert [numbers.take() for _ in range(3)] == [0, 1, 3]
    assert numbers.known == 4
