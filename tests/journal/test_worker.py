"""From kept posts to handled events: order, attempts, limits, and a clean stop."""

import asyncio
import logging
import threading

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.journal import HandlerSettings, SqliteJournal, StoredPush, worker
from infobip_async.journal.attempts import delay_after
from infobip_async.models.events import DeliveryReport, HlrReport, InboundSms, UnreadableRow
from infobip_async.protocol import dlr_xml
from infobip_async.router import Router


async def turns() -> None:
    """Let others do all that they can do without waiting for anything else."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_everything_is_handled_and_forgotten(bench):
    """Each event reaches its handler once, and the journal is empty after."""
    got = bench.record(DeliveryReport, HlrReport, InboundSms)
    journal = await bench.start()
    await journal.put(bench.reports("a", "b"))
    await journal.put(bench.hlr("38598303174"))
    await journal.put(bench.inbound("sender=1&text=Hello"))
    await journal.put(bench.reports())  # a post without a row
    await bench.emptied(journal)
    assert sorted(got.ids) == ["38598303174", "Hello", "a", "b"]


async def test_what_was_there_before_is_handled_in_order(bench):
    """A journal that is opened again goes on with what it kept."""
    async with bench.journal() as journal:
        await asyncio.gather(*(journal.put(bench.reports(str(n))) for n in range(300)))
    got = bench.record(DeliveryReport)
    journal = await bench.start(window=50)
    await bench.emptied(journal)
    assert got.ids == [str(number) for number in range(300)]


async def test_one_at_a_time_for_each_message(bench):
    """While one report of a message is handled the next one waits; other messages do not."""
    got = bench.record(DeliveryReport)
    release = asyncio.Event()
    got.act = lambda event: release.wait() if event.message_id == "slow" else None
    journal = await bench.start()
    await journal.put(bench.reports("slow", status="NOT_SENT"))
    await journal.put(bench.reports("slow", status="DELIVERED"))
    await journal.put(bench.reports("other"))
    await got.wait_for(1)
    assert got.ids == ["other"]
    assert got.running == 1
    release.set()
    await got.wait_for(3)
    assert [event.raw_status for event in got.events[1:]] == ["NOT_SENT", "DELIVERED"]


async def test_a_failure_holds_later_reports_of_the_same_message(bench):
    """NOT_SENT and DELIVERED do not change places because the first one is tried again."""
    got = bench.record(DeliveryReport)
    failures = iter([True, True])

    def act(event: DeliveryReport) -> None:
        if event.raw_status == "NOT_SENT" and next(failures, False):
            raise RuntimeError

    got.act = act
    journal = await bench.start()
    await journal.put(bench.reports("id", status="NOT_SENT"))
    await journal.put(bench.reports("id", status="DELIVERED"))
    for attempt in (1, 2):
        await got.wait_for(attempt)
        await bench.pause(2)
        bench.time.go_on(2.0)
    await bench.emptied(journal)
    assert [event.raw_status for event in got.events] == ["NOT_SENT"] * 3 + ["DELIVERED"]


@pytest.mark.parametrize(
    ("method", "first", "second", "together"),
    [
        ("hlr", {"lookup_id": "a"}, {"lookup_id": "a", "imsi": "219"}, 1),
        ("hlr", {"lookup_id": "a"}, {"lookup_id": "b"}, 2),
        ("inbound", "sender=1&text=a", "sender=1&text=b", 1),
        ("inbound", "sender=1&text=a", "sender=2&text=b", 2),
    ],
)
async def test_ordering_keys_of_other_events(bench, method, first, second, together):
    """HLR reports keep their order by lookup, inbound SMS by sender."""
    got = bench.record(HlrReport, InboundSms)
    got.act = lambda _: asyncio.sleep(0)
    async with bench.journal() as journal:
        for content in (first, second):
            push = bench.hlr("1", **content) if method == "hlr" else bench.inbound(content)
            await journal.put(push)
    journal = await bench.start()
    await bench.emptied(journal)
    assert (len(got.events), got.most_running) == (2, together)


async def test_concurrency_is_bounded_for_each_type(bench):
    """No more calls than that at a time; another type has places of its own."""
    got, other = bench.record(DeliveryReport), bench.record(HlrReport)
    release = asyncio.Event()
    got.act = lambda _: release.wait()
    journal = await bench.start(concurrency=3)
    await journal.put(bench.reports(*"abcdefgh"))
    await journal.put(bench.hlr("1"))
    await other.wait_for(1)
    release.set()
    await bench.emptied(journal)
    assert got.most_running == 3


async def test_delays_grow_and_end_in_a_dead_letter(bench, caplog):
    """An event that fails is tried again after 1, 2, 4, 5, 5 seconds, and then kept as dead."""
    got = bench.record(DeliveryReport)

    def fail(_: DeliveryReport) -> None:
        raise ValueError("no room")

    got.act = fail
    journal = await bench.start(attempts=6, longest_delay=5.0)
    await journal.put(bench.reports("id"))
    for attempt in range(1, 6):
        await got.wait_for(attempt)
        await bench.pause(2)
        bench.time.go_on(bench.time.waits[-1])
    await bench.emptied(journal)
    (dead,) = [letter async for letter in journal.dead()]
    assert [wait for wait in bench.time.waits if wait != 10.0] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert (dead.id, dead.attempts, dead.reason) == ("1:0", 6, "ValueError: no room")
    assert dead.push.body == bench.reports("id").body
    assert dead.at == bench.time()
    assert "a dead letter" in caplog.text


def test_delays_are_jittered():
    """By up to a half, downwards, so that each is longer than the one before at its longest."""
    lowest = HandlerSettings(chance=lambda: 1.0, longest_delay=60.0)
    highest = HandlerSettings(chance=lambda: 0.0, longest_delay=60.0)
    assert [delay_after(n, lowest) for n in (1, 2, 3, 9, 5_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert [delay_after(n, highest) for n in (1, 2, 3, 9, 5_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]


@pytest.mark.parametrize("field", ["concurrency", "in_flight", "attempts", "window", "time_limit"])
def test_settings_out_of_range(field):
    """Nothing works with none of it."""
    with pytest.raises(LocalProtocolError) as error:
        HandlerSettings(**{field: 0})
    assert error.value.field == field


async def test_attempts_are_remembered(bench):
    """A restart does not begin to count anew."""
    got = bench.record(DeliveryReport)

    def fail(_: DeliveryReport) -> None:
        raise ValueError

    got.act = fail
    for _ in range(3):
        journal = await bench.start(attempts=3)
        if not got.events:
            await journal.put(bench.reports("id"))
        await got.wait_for(len(got.events) + 1)
        await bench.stop()
    async with bench.journal() as journal:
        assert [letter.attempts async for letter in journal.dead()] == [3]


async def test_handlers_have_a_time_limit(bench):
    """What takes longer is cancelled and has failed."""
    got = bench.record(DeliveryReport)
    got.act = lambda _: asyncio.Event().wait()
    journal = await bench.start(time_limit=0.001, attempts=1)
    await journal.put(bench.reports("id"))
    await bench.emptied(journal)
    assert [letter.reason async for letter in journal.dead()] == [
        "TimeoutError: took longer than 0.001 s"
    ]


async def test_a_handler_that_cancels_itself(bench):
    """It has failed; the worker lives on."""
    got = bench.record(DeliveryReport)

    def act(event: DeliveryReport) -> None:
        if event.message_id == "bad":
            raise asyncio.CancelledError

    got.act = act
    journal = await bench.start(attempts=1, concurrency=1)
    await journal.put(bench.reports("bad", "good"))
    await bench.emptied(journal)
    assert got.ids == ["bad", "good"]
    assert [letter.id async for letter in journal.dead()] == ["1:0"]


async def test_batches(bench):
    """Events that wait at the same time go together; what failed is tried alone."""
    got = bench.record(HlrReport, batch=3)

    def act(event: HlrReport) -> None:
        if event.destination == "4":
            raise ValueError

    got.act = act
    async with bench.journal() as journal:
        await journal.put(bench.hlr(*"1234567", lookup_id=""))
    journal = await bench.start(attempts=2)
    await got.wait_for(2)
    await bench.pause(4)
    bench.time.go_on(1.0)
    await bench.emptied(journal)
    assert [[one.destination for one in batch] for batch in got.events] == [
        list("123"),
        ["7"],
        ["5"],
        ["6"],
    ]
    assert [letter.id async for letter in journal.dead()] == ["1:3"]


async def test_what_failed_is_tried_alone(bench):
    """Not even with what came after it."""
    other = bench.record(DeliveryReport)
    batches, busy, release = [], asyncio.Event(), asyncio.Event()

    async def handle(reports: tuple[HlrReport, ...]) -> None:
        batches.append([report.destination for report in reports])
        if len(batches) == 1:
            raise ValueError
        if len(batches) == 2:
            busy.set()
            await release.wait()

    bench.router.on(HlrReport, batch=3)(handle)
    journal = await bench.start(concurrency=1)
    await journal.put(bench.hlr("1", lookup_id=""))
    await bench.pause(2)
    await journal.put(bench.hlr("2", lookup_id=""))
    await busy.wait()
    bench.time.go_on(1.0)
    await journal.put(bench.hlr("3", lookup_id=""))
    await journal.put(bench.reports("behind"))
    await other.wait_for(1)  # so the one before it waits now, behind the one that failed
    release.set()
    await bench.emptied(journal)
    assert batches == [["1"], ["2"], ["1"], ["3"]]


async def test_an_event_without_a_handler(bench, caplog):
    """It is forgotten, and that is said once, and of no others."""
    caplog.set_level(logging.WARNING, "infobip_async.journal")
    bench.record(HlrReport)
    journal = await bench.start()
    await journal.put(bench.hlr("38598303174"))
    await journal.put(bench.reports("a"))
    await journal.put(bench.reports("b"))
    await bench.emptied(journal)
    assert caplog.messages == ["DeliveryReport is acknowledged without a handler"]


async def test_what_cannot_be_read(bench):
    """Posts and rows are told to the handlers of `UnreadableRow`, and kept in quarantine."""
    told = bench.record(UnreadableRow)
    got = bench.record(HlrReport)
    journal = await bench.start()
    await journal.put(bench.push(bench.kinds.DELIVERY_REPORTS, body=b"<DeliveryReport"))
    body = b"dlr=38598303174;1;DELIVRD;;;%0Anonsense%0A38598303175;2;DELIVRD;;;"
    await journal.put(bench.push(bench.kinds.HLR_REPORTS, body=body))
    await bench.emptied(journal)
    kept = [one async for one in journal.quarantine()]
    assert sorted(got.ids) == ["38598303174", "38598303175"]
    assert [(one.id, one.number) for one in kept] == [("1", -1), ("2:1", 1)]
    assert [one.reason for one in kept] == told.ids
    assert told.events[0].raw == "<DeliveryReport"
    assert told.events[1].raw == "nonsense"


async def test_a_fault_of_the_parser(bench, monkeypatch):
    """It costs no report: the post is in quarantine."""

    def fail(*_: object, **__: object) -> None:
        raise KeyError("38598303174")

    journal = await bench.start()
    monkeypatch.setattr("infobip_async.protocol.hlr_dlr.decode_push", fail)
    await journal.put(bench.hlr("38598303174"))
    await bench.emptied(journal)
    (kept,) = [one async for one in journal.quarantine()]
    assert (kept.id, kept.reason) == ("1", "KeyError while it was read")


async def test_a_hook_that_fails(bench):
    """It is tried again, and what it was told of is in quarantine in any case."""
    told = bench.record(UnreadableRow)

    def fail(_: UnreadableRow) -> None:
        raise ValueError

    told.act = fail
    journal = await bench.start(attempts=2)
    await journal.put(bench.inbound("a=b"))
    await told.wait_for(1)
    await bench.pause(2)
    bench.time.go_on(1.0)
    await bench.emptied(journal)
    assert [one.reason async for one in journal.quarantine()] == ["neither text nor bin"]
    assert not [one async for one in journal.dead()]
    assert len(told.events) == 2


async def test_big_posts(bench, monkeypatch):
    """They are read beside the loop, whole."""
    threads, read = [], dlr_xml.decode_push

    def decode_push(*arguments: object, **settings: object) -> list[DeliveryReport]:
        threads.append(threading.current_thread() is threading.main_thread())
        return read(*arguments, **settings)

    monkeypatch.setattr(dlr_xml, "decode_push", decode_push)
    got = bench.record(DeliveryReport)
    journal = await bench.start(window=100)
    await journal.put(bench.reports("small"))
    await journal.put(bench.reports(*(f"a long message id {n}" for n in range(2_000))))
    await bench.emptied(journal)
    assert len(set(got.ids)) == 2_001
    assert threads == [True, False]


async def test_events_in_memory_are_few(bench, monkeypatch):
    """What is beyond the window waits in the journal alone."""
    monkeypatch.setattr(worker, "_PUSHES_AT_ONCE", 1)
    got, release = bench.record(DeliveryReport), asyncio.Event()
    got.act = lambda _: release.wait()
    async with bench.journal() as journal:
        for post in "abcde":
            await journal.put(bench.reports(post))
    journal = bench.journal(window=2)
    taken, take = [], journal._storage.take

    async def counted(limit: int) -> list[StoredPush]:
        taken.append(limit)
        return await take(limit)

    journal._storage.take = counted
    await bench.serve(journal)
    await bench.until(lambda: got.running == 2)
    await bench.look(journal)
    assert len(taken) == 2
    release.set()
    await bench.emptied(journal)
    assert got.ids == list("abcde")


async def test_a_clean_stop(bench, caplog):
    """Handlers in flight finish; what has not begun waits in the journal."""
    got = bench.record(DeliveryReport)
    release = asyncio.Event()
    got.act = lambda _: release.wait()
    journal = await bench.start(concurrency=2)
    await journal.put(bench.reports(*"abcde"))
    await bench.until(lambda: got.running == 2)
    stop = asyncio.create_task(bench.stop())
    await turns()
    release.set()
    await stop
    assert got.ids == ["a", "b"]
    async with bench.journal() as journal:
        (post,) = [post async for post in journal.waiting()]
    assert [number for number in range(5) if post.wants(number)] == [2, 3, 4]
    assert "cancelled" not in caplog.text


async def test_nothing_is_taken_in_during_a_stop(bench):
    """Nor is a timer left that has limited the time of handlers."""
    got, release = bench.record(DeliveryReport), asyncio.Event()
    got.act = lambda _: release.wait()
    journal = await bench.start()
    await journal.put(bench.reports("a"))
    await bench.until(lambda: got.running)
    await bench.look(journal)
    taken = []
    journal._storage.take = taken.append
    stop = asyncio.create_task(bench.stop())
    await turns()
    await journal.put(bench.reports("b"))
    await turns()
    release.set()
    await stop
    assert taken == []
    timers = asyncio.get_running_loop()._scheduled
    assert [timer for timer in timers if not timer.cancelled()] == []


async def test_a_stop_does_not_wait_for_ever(bench, caplog):
    """Handlers that take too long are cancelled, and their events wait in the journal."""
    got = bench.record(DeliveryReport)
    got.act = lambda _: asyncio.Event().wait()
    journal = await bench.start(stop_timeout=0.001)
    await journal.put(bench.reports("a"))
    await bench.until(lambda: got.running)
    await bench.stop()
    assert "1 calls of handlers are cancelled" in caplog.text
    async with bench.journal() as journal:
        (post,) = await bench.look(journal)
    assert post.states == {}  # it is not the handler's fault


def test_a_loop_that_cancels_everything(tmp_path):
    """As `asyncio.run` does at its end: the journal stops all the same, and frees its file."""
    journal = SqliteJournal(tmp_path / "posts.db")
    served = asyncio.Event()

    async def serve() -> None:
        async with journal.serve(Router(), lambda _: ()):
            await asyncio.sleep(0)  # the workers wait for something to do
            served.set()
            await asyncio.Event().wait()

    async def leave() -> "asyncio.Task[None]":
        serving = asyncio.create_task(serve())
        await served.wait()
        return serving

    assert asyncio.run(leave()).cancelled()
    assert journal._thread._thread is None


async def test_no_task_is_left(bench):
    """When a journal stops, nothing of it goes on."""
    before = asyncio.all_tasks()
    got = bench.record(DeliveryReport)

    def fail(_: DeliveryReport) -> None:
        raise ValueError

    got.act = fail
    journal = await bench.start()
    await journal.put(bench.reports("a"))
    await got.wait_for(1)
    await bench.pause(2)
    await bench.stop()
    assert asyncio.all_tasks() == before


async def test_a_failure_during_a_stop(bench):
    """The event waits in the journal, and not in a task."""
    before = asyncio.all_tasks()
    got = bench.record(DeliveryReport)
    release = asyncio.Event()

    async def fail(_: DeliveryReport) -> None:
        await release.wait()
        raise ValueError

    got.act = fail
    journal = await bench.start()
    await journal.put(bench.reports("a"))
    await bench.until(lambda: got.running)
    stop = asyncio.create_task(bench.stop())
    await asyncio.sleep(0)
    release.set()
    await stop
    assert asyncio.all_tasks() == before
    async with bench.journal() as journal:
        (post,) = await bench.look(journal)
    assert post.states[0].attempts == 1


async def test_events_that_can_be_handled_again_after_a_crash(bench):
    """No more are begun than that until it is on disk that they were handled."""
    got = bench.record(DeliveryReport)
    journal = await bench.start(in_flight=10)
    record = journal._storage.record
    open_again = asyncio.Event()

    async def held(marks):
        await open_again.wait()
        await record(marks)

    journal._storage.record = held
    await journal.put(bench.reports(*map(str, range(50))))
    await got.wait_for(10)
    await asyncio.sleep(0)
    assert len(got.events) == 10
    open_again.set()
    await bench.emptied(journal)
    assert len(got.events) == 50


async def test_a_storage_that_fails_for_long(bench, caplog):
    """It is asked again every second, and that is said once; no event is lost."""
    got = bench.record(DeliveryReport)
    journal = await bench.start()
    faults = iter([OSError("away"), KeyError("a bug")])
    claim = journal._storage.claim

    async def failing(claims):
        for fault in faults:
            raise fault
        return await claim(claims)

    journal._storage.claim = failing
    await journal.put(bench.reports("a"))
    for _ in range(2):
        await bench.pause(2)
        bench.time.go_on(1.0)
    await got.wait_for(1)
    assert caplog.text.count("the journal cannot be used") == 1
    assert "cannot be used: away" in caplog.text


async def test_a_fault_of_the_journal_itself(bench, caplog, monkeypatch):
    """It is not silent."""
    journal = await bench.start(concurrency=1)
    monkeypatch.setattr(journal._storage, "wait", lambda: 1 / 0)
    await journal.put(bench.reports("a"))
    await bench.until(lambda: "a part of the journal has failed" in caplog.text)


async def test_logs_hold_no_content(bench, caplog):
    """Numbers and texts of the posts stay out of them."""
    caplog.set_level(logging.DEBUG)
    journal = await bench.start()
    await journal.put(bench.inbound("sender=38598123123&who=nobody"))
    await bench.emptied(journal)
    assert "quarantine" in caplog.text
    assert "38598123123" not in caplog.text
    assert "Hello" not in caplog.text
