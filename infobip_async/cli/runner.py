"""One runner for sends and lookups: results are written as they come, and signals stop the run."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final, Generic, NoReturn, TypeVar

import attrs
import click

from infobip_async import InfobipError, LocalProtocolError, Run, RunStats
from infobip_async.cli.exit_codes import PARTLY, SIGNALLED, cancelled_by_signals, fail
from infobip_async.cli.output import ThreadedWriter
from infobip_async.cli.progress import ProgressBar

Result = TypeVar("Result")

LAST_WAIT: Final = 10.0
"""Seconds that a run which is stopped waits for what is out."""

_TICK: Final = 0.1
"""Seconds between two looks at what is to be written and shown."""

_MOST: Final = 1_000
"""Results that wait to be written, at most."""


@attrs.define(kw_only=True)
class Runner(Generic[Result]):
    """Takes the results of a run, has them written, and shows how far it is.

    The first signal (Ctrl-C, SIGTERM) stops the run: what is out is waited for a little, and
    every item that was read is written with its outcome. The second one leaves at once.

    Attributes:
        write: writes results; it may block.
        bar: shows how far it is.
        note: says something about the progress.
        unwritten: says why the output takes no more, such as a full disk; the run is stopped then.
        cut_off: ends the requests that are in flight when the last wait is over.
        signals: the numbers of the signals that came.
        resumed: results that an earlier run knew.
        fault: what ended the run before its source did, or came in place of the rest of it.
        stats: how far the run came; None before that.
    """

    write: ThreadedWriter[Sequence[Result]] = attrs.field(
        converter=ThreadedWriter[Sequence[Result]]
    )
    bar: ProgressBar
    note: Callable[[RunStats], str]
    unwritten: Callable[[], OSError | None] = lambda: None
    cut_off: Callable[[], Awaitable[None]] | None = None
    signals: list[int] = attrs.field(factory=list, init=False)
    resumed: int = attrs.field(default=0, init=False)
    fault: InfobipError | None = attrs.field(default=None, init=False)
    stats: RunStats | None = attrs.field(default=None, init=False)
    _ready: list[Result] = attrs.field(factory=list, init=False)
    _told_of_pause: bool = attrs.field(default=False, init=False)

    async def run(self, run: Run[Result]) -> None:
        """Take all results.

        Raises:
            InfobipError: the run could not go on, or its source failed, and nothing came of it.
        """
        with ExitStack() as stack:
            stack.callback(self.write.close)
            stack.enter_context(self.bar)
            self.signals = stack.enter_context(cancelled_by_signals(partial(_tell, self.bar)))
            async with run:
                await self._take_and_write(run)
        self.stats = run.stats

    async def _take_and_write(self, run: Run[Result]) -> None:
        taking = asyncio.create_task(self._take(run))
        stopping: asyncio.Task[None] | None = None
        signalled = False
        try:
            while not taking.done():
                try:
                    await asyncio.wait([taking], timeout=_TICK)
                    await self._flush(run.stats)
                except asyncio.CancelledError:
                    if signalled or len(self.signals) != 1:  # two may come as one
                        raise
                    signalled = True
                    stopping = stopping or asyncio.create_task(self._stop(run))
                if stopping is None and self.unwritten() is not None:
                    stopping = asyncio.create_task(self._stop(run))
            try:
                await taking
            except InfobipError as fault:
                if not run.stats.finished:
                    raise
                self.fault = fault
            await self._flush(run.stats)
        finally:
            ending = [task for task in (taking, stopping) if task is not None]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def _stop(self, run: Run[Result]) -> None:
        """Wait a little for what is out, and end what is still out then."""
        await run.stop()
        if self.cut_off is not None:
            await self.cut_off()

    async def _take(self, run: Run[Result]) -> None:
        async for result in run:
            self._ready.append(result)
            self.resumed += getattr(result, "resumed", False)
            if len(self._ready) >= _MOST:
                await self._flush(run.stats)

    async def _flush(self, stats: RunStats) -> None:
        """Write what has come, and show how far it is."""
        waiting = "the gateway does not answer, waiting; " if stats.waiting else ""
        if stats.paused:
            waiting += "waiting for the hour; "
            if not self._told_of_pause:
                self.bar.say("it is not the hour to send (--between): waiting; Ctrl-C stops")
        self._told_of_pause = stats.paused
        before = f"{self.resumed:,} done before; " if self.resumed else ""
        self.bar.show(stats.finished, waiting + before + self.note(stats), resumed=self.resumed)
        ready, self._ready = self._ready, []
        if ready:
            await self.write(ready)


def _tell(bar: ProgressBar, signals: int) -> None:
    """Say what a signal to stop does, the first or a further one."""
    if signals > 1:
        bar.say("leaving at once")
    else:
        bar.say(f"stopping: what is out has {LAST_WAIT:.0f} s; once more leaves it")


def leave(runner: Runner[Result], *, job: bool, done: bool, code: int) -> NoReturn:
    """Leave with the exit code that tells how a run ended.

    Args:
        runner: of the run.
        job: whether there is one, with which the same command goes on.
        done: whether anything was sent, or may have been.
        code: of a run that came to its end.
    """
    goes_on = "the same command goes on" if job else "with --job, the same command could go on"
    if (unwritten := runner.unwritten()) is not None:
        why = f"the outcomes cannot be written ({unwritten.strerror}), so the run was stopped"
        click.secho(f"{why}; {goes_on} where it was", fg="red", err=True)
        sys.exit(PARTLY if done else 1)
    if runner.signals:
        click.echo(f"stopped; {goes_on} where it was", err=True)
        sys.exit(SIGNALLED + runner.signals[0])
    if runner.fault is None:
        sys.exit(code)
    if not isinstance(runner.fault.__cause__, LocalProtocolError):
        click.echo(f"the run could not go on; {goes_on} where it was", err=True)
    fail(runner.fault, code=PARTLY if done else None)
