"""Handlers that end in every odd way, or do not end: the journal goes on."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from infobip_async.journal import worker
from infobip_async.journal.notes import Notes
from infobip_async.models.events import DeliveryReport
from jumping import turns


class PanicError(BaseException):
    """As extensions in other languages raise it."""


class SilentError(Exception):
    """One that does not even say what it is."""

    def __str__(self) -> str:
        raise PanicError

    __repr__ = __format__ = __str__


class Nameless(type):
    """The type of a class that does not say its name."""

    @property
    def __name__(cls) -> str:
        raise PanicError


class NamelessError(Exception, metaclass=Nameless):
    """An exception that trips up whoever asks for the name of its class."""


class FacelessError(Exception):
    """One that trips up whoever asks of what class it is."""

    @property
    def __class__(self) -> type:
        raise PanicError


def cancel_own_task() -> None:
    """Ask for the end of the task that runs the handler."""
    asyncio.current_task().cancel()


def cancel_own_task_later() -> None:
    """The same, once the handler has ended."""
    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)


def raising(fault: BaseException) -> Callable[[], None]:
    """Make a function that raises."""

    def act() -> None:
        raise fault

    return act


BAD_ENDS = {
    "panic": (raising(PanicError("text")), "RuntimeError: a handler raised PanicError"),
    "exit": (raising(SystemExit(1)), "RuntimeError: a handler raised SystemExit"),
    "interrupt": (raising(KeyboardInterrupt()), "RuntimeError: a handler raised KeyboardInterrupt"),
    "closed": (raising(GeneratorExit()), "RuntimeError: a handler raised GeneratorExit"),
    "no text": (raising(SilentError()), "SilentError: (it cannot be printed)"),
    "no name": (raising(NamelessError("text")), "NamelessError: text"),
    "no class": (
        raising(FacelessError()),
        "RuntimeError: a handler raised what cannot be looked at",
    ),
    "cancelled": (
        cancel_own_task,
        "RuntimeError: a handler has cancelled the task in which it runs",
    ),
    "group": (
        raising(BaseExceptionGroup("several", [PanicError()])),
        "RuntimeError: a handler raised BaseExceptionGroup",
    ),
}


def handler(act: Callable[[], None], got: list[str]) -> Callable[[DeliveryReport], object]:
    """Make a handler that does something odd with all but the good events."""

    async def handle(report: DeliveryReport) -> None:
        got.append(report.message_id)
        if report.message_id != "good":
            act()
        await asyncio.sleep(0)

    return handle


@pytest.mark.parametrize("end", BAD_ENDS)
async def test_a_bad_end_is_the_events_own(bench, end):
    """It is counted and tried again, and in the end a dead letter; more of them than workers."""
    act, reason = BAD_ENDS[end]
    got: list[str] = []
    bench.router.on(DeliveryReport)(handler(act, got))
    journal = await bench.start(concurrency=2, attempts=2)
    await journal.put(bench.reports(*"abcde"))
    await bench.pause(6)
    bench.time.go_on(1.0)
    await bench.emptied(journal)
    await journal.put(bench.reports("good"))
    await bench.emptied(journal)
    letters = [letter async for letter in journal.dead()]
    assert [(one.attempts, one.reason) for one in letters] == [(2, reason)] * 5
    assert (len(got), got[-1]) == (11, "good")


class Broken(logging.Handler):
    """A handler of the host's logs that fails on each line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise, which `logging` hands on to whoever logs."""
        raise RuntimeError(record.name)


async def test_logs_that_cannot_be_written(bench):
    """They cost no event, and end no worker."""
    logger, broken = logging.getLogger("infobip_async"), Broken()
    logger.addHandler(broken)
    logger.setLevel(logging.DEBUG)
    try:
        await test_a_bad_end_is_the_events_own(bench, "no text")
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(broken)


@pytest.mark.parametrize("end", BAD_ENDS)
async def test_a_bad_end_of_a_batch(bench, end):
    """Each of its events is tried alone then, and the good one succeeds."""
    act, _ = BAD_ENDS[end]

    async def handle(reports: tuple[DeliveryReport, ...]) -> None:
        if any(report.message_id != "good" for report in reports):
            act()
        await asyncio.sleep(0)

    bench.router.on(DeliveryReport, batch=10)(handle)
    journal = await bench.start(concurrency=1, attempts=2)
    await journal.put(bench.reports("bad", "good", "bad too"))
    await bench.pause(4)
    bench.time.go_on(1.0)
    await bench.emptied(journal)
    assert [letter.number async for letter in journal.dead()] == [0, 2]


async def test_a_cancellation_that_comes_too_late(bench, caplog):
    """It ends a worker that has nothing to do with it, and another one takes the place."""
    got: list[str] = []
    bench.router.on(DeliveryReport)(handler(cancel_own_task_later, got))
    journal = await bench.start(concurrency=2, attempts=1)
    for number in range(6):
        await journal.put(bench.reports(str(number)))
        await bench.until(lambda: len(got) > number)  # noqa: B023 - over before the next
    await journal.put(bench.reports("good"))
    await bench.emptied(journal)
    assert got == [*map(str, range(6)), "good"]
    assert "it is begun again" in caplog.text


async def test_a_fault_of_our_own_is_mended(bench, monkeypatch, caplog):
    """Whatever part of the journal has failed, it is begun again after a second."""
    got = bench.record(DeliveryReport)
    journal = bench.journal(concurrency=1)
    monkeypatch.setattr(journal._storage, "wait", lambda: 1 / 0)
    await bench.serve(journal)
    await bench.until(lambda: "a part of the journal has failed" in caplog.text)
    monkeypatch.undo()
    await journal.put(bench.reports("a"))
    await bench.pause(2)
    bench.time.go_on(1.0)
    await bench.emptied(journal)
    assert got.ids == ["a"]


async def test_a_worker_that_fails_is_begun_again(bench, monkeypatch, caplog):
    """After a second; its event comes again at the next start."""
    got = bench.record(DeliveryReport)
    journal = await bench.start(concurrency=1)
    monkeypatch.setattr(journal._storage, "note", lambda *_: 1 / 0)
    await journal.put(bench.reports("lost"))
    await bench.until(lambda: "a part of the journal has failed" in caplog.text)
    monkeypatch.undo()
    await bench.pause(2)
    bench.time.go_on(1.0)
    await journal.put(bench.reports("a"))
    await got.wait_for(1)
    await bench.stop()
    await bench.emptied(await bench.start())
    assert got.ids == ["a", "lost"]


# --- handlers that do not end ---


class Stubborn:
    """A handler that does not let itself be cancelled until it is released."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.cancelled = 0
        self.got: list[str] = []

    async def __call__(self, report: DeliveryReport) -> None:  # noqa: D102 - a handler
        self.got.append(report.raw_status)
        while report.message_id == "bad" and not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled += 1


@pytest.fixture
def stubborn(bench) -> Stubborn:
    """A handler of delivery reports that is registered."""
    handler = Stubborn()
    bench.router.on(DeliveryReport)(handler)
    return handler


async def test_a_handler_that_is_not_to_be_cancelled(bench, stubborn, caplog):
    """It keeps its ordering key, and neither the worker nor the place in flight."""
    journal = await bench.start(time_limit=0.001, concurrency=1, in_flight=1)
    await journal.put(bench.reports("bad", status="NOT_SENT"))
    await bench.until(lambda: "goes on although" in caplog.text)
    await journal.put(bench.reports("bad", status="DELIVERED"))
    for status in ("SENT", "NOT_DELIVERED"):
        await journal.put(bench.reports("other", status=status))
    await bench.until(lambda: len(stubborn.got) == 3)
    assert stubborn.got == ["NOT_SENT", "SENT", "NOT_DELIVERED"]
    assert stubborn.cancelled == 1
    stubborn.release.set()
    await bench.emptied(journal)
    assert stubborn.got[3:] == ["DELIVERED"]  # what has ended well in the end is done


async def test_a_stop_goes_on_without_it(bench, stubborn, caplog, monkeypatch):
    """Its event comes again at the next start, and a runner of event loops does not wait."""
    monkeypatch.setattr(worker, "_SECONDS_AFTER_A_CANCELLATION", 0.001)
    journal = await bench.start(stop_timeout=0.001)
    await journal.put(bench.reports("bad"))
    await bench.until(lambda: stubborn.got)
    await bench.stop()
    assert "1 calls of handlers go on although they were cancelled" in caplog.text
    async with bench.journal() as journal:
        assert len(await bench.look(journal)) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert Notes(Path(f"{bench.path}-handling"), pages=1).open() == []  # nothing has died
    stubborn.release.set()
    await turns()
    async with bench.journal() as journal:
        assert len(await bench.look(journal)) == 1


async def test_a_handler_that_cancels_every_task(bench):
    """All parts of the journal are begun again; its event and those behind it are handled."""
    owner, ended = asyncio.current_task(), set()

    @bench.router.on(DeliveryReport)
    async def cancel_all(report: DeliveryReport) -> None:
        if report.message_id == "bad" and "bad" not in ended:
            for task in asyncio.all_tasks() - {owner, asyncio.current_task()}:
                task.cancel()
        ended.add(report.message_id)

    journal = await bench.start(stop_timeout=0.001)
    for one in ("first", "bad", "last"):
        await journal.put(bench.reports(one))
    await bench.emptied(journal)
    assert ended == {"first", "bad", "last"}
