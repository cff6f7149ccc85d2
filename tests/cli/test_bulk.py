"""A run over a source of numbers, without sockets."""

import asyncio
import gc
import io
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import click
import pytest
from rich.console import Console

from infobip_async import (
    GatewayFailureError,
    HlrOutcome,
    HlrReport,
    HlrResult,
    HlrStatus,
    HlrSubmission,
    InfobipError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    Router,
)
from infobip_async.cli import bulk
from infobip_async.cli.bulk import CountingClient, Recorder, Run, Settings, Source
from infobip_async.cli.job import GROUP, Job, Passing, Row
from infobip_async.cli.progress import ProgressBar
from jumping import jump, until

SETTINGS = {
    "batch_size": 2,
    "queries": 8,
    "window": 100,
    "rate": None,
    "report_timeout": 30.0,
    "ordered": False,
    "on_unknown": "report",
}


async def _numbers(*numbers: str) -> AsyncIterator[str]:
    for number in numbers:
        yield number


class Client:
    """Accepts queries, unless something else is planned for them."""

    def __init__(self, *plan: Exception | None) -> None:
        self.plan = list(plan)
        self.queries: list[list[str]] = []

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Accept numbers, but for those that are no digits."""
        self.queries.append(list(destinations))
        if self.plan and (fault := self.plan.pop(0)):
            raise fault
        return [
            HlrSubmission(one, one.isdigit(), f"id-{one}" if one.isdigit() else None, "OK")
            for one in destinations
        ]


def _report(number: str) -> HlrReport:
    return HlrReport(number, f"id-{number}", HlrStatus.DELIVRD, "DELIVRD")


@pytest.fixture
def results(tmp_path: Path) -> AsyncIterator[Job]:
    """A new job."""
    with closing(Job(str(tmp_path / "job.db"))) as job:
        yield job


# --- the source ---


async def test_a_number_has_a_position() -> None:
    """Of a number that stands twice, the first position is settled first."""
    source = Source(_numbers("1", "2", "1"), Passing())
    assert [number async for number in source.undone()] == ["1", "2", "1"]
    assert (source.read, source.out) == (3, 3)
    assert [source.settle(number) for number in ("1", "1", "2")] == [0, 2, 1]
    assert source.out == 0


async def test_what_is_done_is_left_out(results: Job) -> None:
    """Only the rest is looked up, under its own positions."""
    results.add(Row(1, HlrResult("2", HlrOutcome.TIMED_OUT)))
    results.commit()
    results._length = 2  # as where it is opened again
    source = Source(_numbers("1", "2", "3"), results)
    assert [number async for number in source.undone()] == ["1", "3"]
    assert (source.read, source.out) == (3, 2)
    assert source.settle("3") == 2


async def test_a_source_that_ends_early_is_not_the_job_s(results: Job) -> None:
    """It is refused at its end."""
    results._length = 2
    results._ahead.append((1, "2"))
    source = Source(_numbers("1"), results)
    with pytest.raises(click.UsageError, match="ends after 1 numbers"):
        [number async for number in source.undone()]


# --- the client ---


async def test_numbers_are_counted_before_they_go_out(results: Job) -> None:
    """Those that the gateway refuses are taken back: they cost nothing."""
    counted: list[int] = []

    class Spy(Client):
        async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
            counted.append(results._number("SELECT submitted FROM queries"))
            return await super().submit_hlr(destinations)

    client = CountingClient(Spy(), results)
    await client.submit_hlr(["1", "2"])
    await client.submit_hlr(["3", "n/a"])
    assert counted == [2, 4]
    assert results.submitted == 3


@pytest.mark.parametrize(
    ("plan", "submitted", "ended"),
    [
        ([NotSentError("away")], 0, True),
        ([GatewayFailureError("no")], 0, True),
        ([None, GatewayFailureError("no")], 1, True),
        ([None, NotSentError("away")], 1, False),
        ([OutcomeUnknownError("lost"), NotSentError("away")], 1, False),
    ],
)
async def test_what_ends_a_run(plan: list[Exception | None], submitted: int, ended: bool) -> None:
    """A refusal, or a gateway that never could be reached; afterwards nothing is submitted."""
    results = Passing()
    inner = Client(*plan)
    client = CountingClient(inner, results)
    for fault in plan:
        if isinstance(fault, OutcomeUnknownError):
            with pytest.raises(OutcomeUnknownError):
                await client.submit_hlr(["1"])
        elif fault:
            with pytest.raises(NotSentError, match=str(fault)):
                await client.submit_hlr(["1"])
        else:
            await client.submit_hlr(["1"])
    assert results.submitted == submitted
    assert client.fault is (plan[-1] if ended else None)
    if ended:
        with pytest.raises(NotSentError, match="the run has ended"):
            await client.submit_hlr(["2"])
        assert ["2"] not in inner.queries


async def test_a_job_that_cannot_count_ends_the_run(results: Job) -> None:
    """Nothing goes out that is not counted."""
    results._db.execute("DROP TABLE queries")
    inner = Client()
    client = CountingClient(inner, results)
    with pytest.raises(NotSentError, match="no such table"):
        await client.submit_hlr(["1"])
    assert isinstance(client.fault, click.FileError)
    assert inner.queries == []


# --- the recorder ---


async def test_what_is_written_is_in_order_and_off_the_event_loop() -> None:
    """A write that blocks holds nothing up but the writes behind it."""
    written: list[int] = []
    go_on = threading.Event()

    def write(rows: Sequence[Row]) -> None:
        go_on.wait()
        written.extend(row.position for row in rows)

    recorder = Recorder(Passing(), write)
    await recorder.add(Row(0, HlrResult("1", HlrOutcome.TIMED_OUT)))
    first = asyncio.create_task(recorder.flush())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    await recorder.add(Row(1, HlrResult("2", HlrOutcome.TIMED_OUT)))
    second = asyncio.create_task(recorder.flush())
    await asyncio.sleep(0)
    assert written == []
    go_on.set()
    await second
    assert first.cancelled()
    assert written == [0, 1]


async def test_a_fault_of_a_write_that_nobody_awaits_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever awaited it has been cancelled, and knows why."""
    go_on = threading.Event()

    def write(_: Sequence[Row]) -> None:
        go_on.wait()
        raise BrokenPipeError

    recorder = Recorder(Passing(), write)
    await recorder.add(Row(0, HlrResult("1", HlrOutcome.TIMED_OUT)))
    flush = asyncio.create_task(recorder.flush())
    await asyncio.sleep(0)
    flush.cancel()
    await asyncio.wait([flush])
    del flush
    go_on.set()
    await asyncio.get_running_loop().run_in_executor(recorder.write._thread, bool)
    await asyncio.sleep(0)
    gc.collect()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_without_a_job_rows_are_written_when_they_are_many() -> None:
    """So the memory that they take is bounded, however seldom one looks."""
    written: list[Row] = []
    recorder = Recorder(Passing(), written.extend)
    for position in range(GROUP):
        assert written == []
        await recorder.add(Row(position, HlrResult("1", HlrOutcome.TIMED_OUT)))
    assert len(written) == GROUP


# --- the run ---


class Stage:
    """A run over numbers, whose reports the test pushes."""

    def __init__(
        self, results: Job | Passing, client: Client, *numbers: str, **settings: object
    ) -> None:
        self.router = Router()
        self.written: list[Row] = []
        self.signals: list[int] = []
        self.results = results
        self.source = Source(_numbers(*numbers), results)
        self.run = Run(
            source=self.source,
            recorder=Recorder(results, self.written.extend),
            client=CountingClient(client, results),
            settings=Settings(**(SETTINGS | settings)),
            bar=ProgressBar(Console(file=io.StringIO()), None, hidden=True),
            signals=self.signals,
        )

    def start(self) -> "asyncio.Task[None]":
        """Let it run."""
        return asyncio.create_task(self.run.look_up(self.source.undone(), self.router))

    async def push(self, *numbers: str) -> None:
        """Have reports come in one post."""
        await self.router.dispatch([_report(number) for number in numbers])

    def outcomes(self) -> dict[str, HlrOutcome]:
        """What was written."""
        return {row.result.destination: row.result.outcome for row in self.written}


async def test_settings_out_of_range_are_raised() -> None:
    """Nothing has been started."""
    stage = Stage(Passing(), Client(), "1", report_timeout=0)
    with pytest.raises(LocalProtocolError, match="timeout"):
        await stage.start()


async def test_results_are_written_as_they_come() -> None:
    """Without a job, in the order of the reports."""
    client = Client()
    stage = Stage(Passing(), client, "1", "2", "3")
    task = stage.start()
    await until(lambda: len(client.queries) == 2)
    await stage.push("3", "1")
    await stage.push("2")
    await task
    assert [row.position for row in stage.written] == [2, 0, 1]
    assert not stage.run.stopped


async def test_results_can_be_written_in_order() -> None:
    """Without a job, where that is asked for."""
    client = Client()
    stage = Stage(Passing(), client, "1", "2", "3", ordered=True)
    task = stage.start()
    await until(lambda: len(client.queries) == 2)
    await stage.push("3", "1")
    await stage.push("2")
    await task
    assert [row.position for row in stage.written] == [0, 1, 2]


async def test_reports_are_stored_before_they_are_acknowledged(results: Job) -> None:
    """When the post has been handled, its results are in the file."""
    client = Client()
    stage = Stage(results, client, "1", "2", "3")
    task = stage.start()
    await until(lambda: len(client.queries) == 2)
    await asyncio.sleep(0)
    await stage.push("3", "1")
    assert [row.position for row in results.take(gaps=True)] == [0, 2]
    await stage.push("2")
    await task


async def test_a_fault_ends_the_run_and_keeps_what_came(results: Job) -> None:
    """What is out is waited for; what was not sent is left for another time."""
    client = Client(None, GatewayFailureError("no"))
    stage = Stage(results, client, "1", "2", "3", "4", "5", queries=1)
    task = stage.start()
    await until(lambda: stage.run.stopped)
    await stage.push("1", "2")
    await task
    assert stage.outcomes() == dict.fromkeys("12", HlrOutcome.REPORTED)
    assert len(client.queries) == 2


async def test_a_signal_ends_the_run_and_keeps_what_comes(
    results: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no report when the last wait is over is left for another time."""
    monkeypatch.setattr(bulk, "LAST_WAIT", 3600)
    client = Client()
    stage = Stage(results, client, "1", "2", "3", "n/a")
    task = stage.start()
    await until(lambda: len(client.queries) == 2)
    stage.signals.append(15)
    task.cancel()
    await asyncio.sleep(0)
    await stage.push("1")
    while not task.done():
        await jump(3600)
    await stage.run.recorder.flush(gaps=True)
    assert stage.outcomes() == {"1": HlrOutcome.REPORTED, "n/a": HlrOutcome.REFUSED}


@pytest.mark.parametrize("steps", range(6))
async def test_a_second_signal_ends_it_at_once(results: Job, steps: int) -> None:
    """What is out is not waited for, however soon the signal follows the first."""
    client = Client()
    stage = Stage(results, client, "1", "2")
    task = stage.start()
    await until(lambda: client.queries)
    stage.signals.append(2)
    task.cancel()
    for _ in range(1 + steps):
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_two_signals_in_one_step_end_it_at_once(results: Job) -> None:
    """The event loop makes one cancellation of them."""
    client = Client()
    stage = Stage(results, client, "1", "2")
    task = stage.start()
    await until(lambda: client.queries)
    stage.signals += [2, 2]
    task.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_a_cancellation_without_a_signal_is_one() -> None:
    """Whoever else cancels the run is obeyed at once."""
    client = Client()
    stage = Stage(Passing(), client, "1", "2")
    task = stage.start()
    await until(lambda: client.queries)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_source_that_fails_ends_the_run(results: Job) -> None:
    """Its error is raised after the results of the numbers before it."""

    async def failing() -> AsyncIterator[str]:
        yield "1"
        raise InfobipError("no more")

    client = Client()
    stage = Stage(results, client)
    stage.source.numbers = failing()
    task = stage.start()
    await until(lambda: client.queries)
    await stage.push("1")
    with pytest.raises(InfobipError, match="no more"):
        await task
    assert stage.outcomes() == {"1": HlrOutcome.REPORTED}


async def test_an_output_that_fails_ends_the_run() -> None:
    """Nobody reads the results any more."""

    def write(_: Sequence[Row]) -> None:
        raise BrokenPipeError

    client = Client()
    stage = Stage(Passing(), client, "1", "2")
    stage.run.recorder.write = write
    task = stage.start()
    await until(lambda: client.queries)
    await stage.push("1")
    async with asyncio.timeout(60):
        with pytest.raises(BrokenPipeError):
            await task


async def test_a_taker_that_fails_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what is out waited for where the output fails between two looks."""
    monkeypatch.setattr(bulk, "_TICK", 3600)

    def write(_: Sequence[Row]) -> None:
        raise BrokenPipeError

    numbers = [str(number) for number in range(GROUP + 2)]
    client = Client()
    stage = Stage(Passing(), client, *numbers, batch_size=len(numbers), window=len(numbers))
    stage.run.recorder.write = write
    task = stage.start()
    await until(lambda: client.queries)
    await asyncio.sleep(0)
    await stage.push(*numbers[:-1])
    async with asyncio.timeout(60):
        with pytest.raises(BrokenPipeError):
            await task
