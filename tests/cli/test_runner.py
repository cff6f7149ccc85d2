"""The runner of sends and lookups, without sockets."""

import asyncio
import gc
import io
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from rich.console import Console

from infobip_async import (
    HlrLookups,
    HlrReport,
    HlrResult,
    HlrStatus,
    HlrSubmission,
    InfobipError,
    Router,
    RunStats,
)
from infobip_async.cli import runner as module
from infobip_async.cli.output import ThreadedWriter
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.runner import Runner


class Client:
    """Accepts every query, and reports nothing by itself."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []

    async def submit_hlr(self, destinations: Sequence[str], /) -> list[HlrSubmission]:
        """Accept numbers, each under itself as the id."""
        self.queries.append(list(destinations))
        return [HlrSubmission(one, True, one, "OK") for one in destinations]


class Stage:
    """A run over numbers, whose reports the test pushes."""

    def __init__(self, write: Callable[[Sequence[HlrResult]], None] | None = None) -> None:
        self.client, self.router = Client(), Router()
        self.written: list[HlrResult] = []
        bar = ProgressBar(Console(quiet=True), None, hidden=True)
        self.runner: Runner[HlrResult] = Runner(
            write=write or self.written.extend, bar=bar, note=lambda _: ""
        )
        self.came: list[int] = []

    def start(self, numbers: Any, **settings: Any) -> "asyncio.Task[None]":
        """Let it run."""
        return asyncio.create_task(self._run(numbers, settings))

    async def _run(self, numbers: Any, settings: dict[str, Any]) -> None:
        async with HlrLookups(self.client, self.router, **settings) as lookups:
            run = lookups.stream(numbers, timeout=3600)
            self.runner.signals = self.came
            async with run:
                await self.runner._take_and_write(run)

    async def push(self, *numbers: str) -> None:
        """Have reports come."""
        status = HlrStatus.DELIVRD
        await self.router.dispatch([HlrReport(one, one, status, status.value) for one in numbers])

    def outcomes(self) -> dict[str, str]:
        """What was written."""
        return {str(one.destination): one.outcome.value for one in self.written}

    async def asked(self, numbers: int) -> None:
        """Wait until so many numbers went out."""
        while sum(map(len, self.client.queries)) < numbers:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)


async def test_results_are_written_as_they_come() -> None:
    """And the run ends with its source."""
    stage = Stage()
    task = stage.start(["1", "2", "n/a;"])
    await stage.asked(2)
    await stage.push("2")
    await stage.push("1")
    await task
    assert stage.outcomes() == {"n/a;": "refused", "2": "reported", "1": "reported"}


async def test_what_is_written_is_in_order_and_off_the_event_loop() -> None:
    """A write that blocks holds nothing up but the writes behind it."""
    written: list[int] = []
    go_on = threading.Event()

    def write(rows: Sequence[int]) -> None:
        go_on.wait()
        written.extend(rows)

    writer: ThreadedWriter[Sequence[int]] = ThreadedWriter(write)
    first = asyncio.create_task(writer([0]))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(writer([1]))
    await asyncio.sleep(0)
    assert written == []
    go_on.set()
    await second
    writer.close()
    assert first.cancelled()
    assert written == [0, 1]


async def test_a_fault_of_a_write_that_nobody_awaits_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever awaited the write has been cancelled, and knows why."""
    go_on = threading.Event()

    def write(_: Sequence[int]) -> None:
        go_on.wait()
        raise BrokenPipeError

    writer: ThreadedWriter[Sequence[int]] = ThreadedWriter(write)
    writing = asyncio.create_task(writer([0]))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    del writing
    go_on.set()
    await asyncio.get_running_loop().run_in_executor(writer._thread, bool)
    writer.close()
    await asyncio.sleep(0)
    gc.collect()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_results_are_written_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the memory that they take is bounded, however seldom one looks."""
    monkeypatch.setattr(module, "_MOST", 3)
    monkeypatch.setattr(module, "_TICK", 3600)
    several: list[int] = []
    stage = Stage(lambda results: several.append(len(results)))
    numbers = [str(number) for number in range(10)]
    task = stage.start(numbers)
    await stage.asked(10)
    await stage.push(*numbers)
    await task
    assert max(several) == 3
    assert sum(several) == 10


async def test_a_signal_stops_the_run_and_keeps_what_comes() -> None:
    """Every number that was read is written with its outcome when the last wait is over."""
    stage = Stage()
    task = stage.start(["1", "2", "3"], stop_timeout=0)
    await stage.asked(3)
    await stage.push("1")
    stage.came.append(15)
    task.cancel()
    await task
    assert stage.outcomes() == {"1": "reported", "2": "timed out", "3": "timed out"}


@pytest.mark.parametrize("steps", range(6))
async def test_a_second_signal_leaves_at_once(steps: int) -> None:
    """What is out is not waited for, however soon the signal follows the first."""
    stage = Stage()
    task = stage.start(["1", "2"], stop_timeout=3600)
    await stage.asked(2)
    stage.came.append(2)
    task.cancel()
    for _ in range(1 + steps):
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("signals", [[], [2, 2]])
async def test_a_cancellation_is_one_but_for_the_first_signal(signals: list[int]) -> None:
    """Whoever else cancels the run is obeyed at once, and so are two signals in one step."""
    stage = Stage()
    task = stage.start(["1", "2"])
    await stage.asked(2)
    stage.came += signals
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_source_that_fails_ends_the_run() -> None:
    """The error is kept for the end, since results came before."""

    async def failing() -> AsyncIterator[str]:
        yield "1"
        raise InfobipError("no more")

    stage = Stage()
    task = stage.start(failing())
    await stage.asked(1)
    await stage.push("1")
    await task
    assert stage.outcomes() == {"1": "reported"}
    assert str(stage.runner.fault) == "no more"


async def test_a_source_that_fails_at_once_raises() -> None:
    """There is nothing to be told beside it."""

    async def failing() -> AsyncIterator[str]:
        raise InfobipError("nothing")
        yield ""

    with pytest.raises(InfobipError, match="nothing"):
        await Stage().start(failing())


@pytest.mark.parametrize("most", [1, 1_000])
async def test_an_output_that_fails_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Nobody reads the results any more: what is out is not waited for."""
    monkeypatch.setattr(module, "_MOST", most)

    def write(_: Sequence[HlrResult]) -> None:
        raise BrokenPipeError

    stage = Stage(write)
    task = stage.start(["1", "2"])
    await stage.asked(2)
    await stage.push("1")
    async with asyncio.timeout(60):
        with pytest.raises(BrokenPipeError):
            await task


async def test_a_pause_is_told_once() -> None:
    """On a line of its own, since nobody may look at a bar for a whole night."""
    console = Console(record=True, file=io.StringIO(), width=200)
    bar = ProgressBar(console, None, hidden=True)
    runner: Runner[HlrResult] = Runner(write=lambda _: None, bar=bar, note=lambda _: "")
    for paused in (False, True, True, False, True):
        await runner._flush(
            RunStats(
                read=1,
                finished=0,
                outcomes={},
                requests=0,
                units=0,
                requests_in_flight=0,
                waiting=False,
                paused=paused,
            )
        )
    runner.write.close()
    assert console.export_text().count("not the hour to send (--between)") == 2
