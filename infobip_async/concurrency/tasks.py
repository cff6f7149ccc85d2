"""Tasks that belong together, and waits that can be ended from outside."""

import asyncio
import copy
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import attrs

from infobip_async.redaction import SafeLogger, SparseLogger

T = TypeVar("T")

Work = Coroutine[Any, Any, object]
"""What a task runs."""

Ended = Callable[["asyncio.Task[Any]"], None]
"""Is told of each task that ended, well or not."""


@attrs.define(eq=False)
class TaskSet:
    """Tasks that are started, awaited and cancelled together.

    Attributes:
        ended: is told of each task that ended. Without it, a fault of a task goes to the event
            loop's exception handler when the task is collected.
    """

    ended: Ended | None = None
    _tasks: set["asyncio.Task[Any]"] = attrs.field(factory=set, init=False)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator["asyncio.Task[Any]"]:
        return iter(tuple(self._tasks))

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run a coroutine in a task of the set."""
        task = asyncio.create_task(work)
        self.adopt(task)
        return task

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """Make a task one of the set."""
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def leave(self, task: "asyncio.Task[Any]") -> None:
        """Wait no more for a task, which may never end."""
        self._tasks.discard(task)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if self.ended is not None:
            self.ended(task)

    async def drain(self, seconds: float | None = None) -> bool:
        """Wait until no task is left, those included that tasks start meanwhile.

        Args:
            seconds: how long to wait; None for as long as it takes.

        Returns:
            Whether no task is left.
        """
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        while self._tasks:
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            await asyncio.wait(self._tasks, timeout=left)
        return True

    async def cancel(self) -> None:
        """Cancel every task, and wait until each has ended."""
        await cancel(self._tasks)


async def _pause() -> None:
    await asyncio.sleep(1.0)


@attrs.define(eq=False)
class LastingTasks:
    """Tasks of work that goes on until it is told to end; what ends before that is begun again.

    Attributes:
        owner: what the work is for, in the log.
        logger: is told of each task that ended before it was told to.
        pause: is awaited before work that has failed is begun again; for a second by default.
        tasks: the tasks.
        ending: whether the work is told to end: nothing is begun again.
    """

    owner: str
    logger: logging.Logger | SafeLogger
    pause: Callable[[], Awaitable[object]] = _pause
    tasks: TaskSet = attrs.field(factory=TaskSet, init=False)
    ending: bool = attrs.field(default=False, init=False)
    _lines: SparseLogger = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lines = SparseLogger(self.logger)

    def start(self, work: Callable[[], Work]) -> None:
        """Run a coroutine function in a task, and again each time that it is cancelled or fails."""
        self._run(work, work())

    def _run(self, work: Callable[[], Work], run: Work) -> None:
        # A callback, since the end of the event loop cancels everything at once: it comes after
        # that has told the owner of this work to end it.
        self.tasks.start(run).add_done_callback(partial(self._ended, work))

    def _ended(self, work: Callable[[], Work], task: "asyncio.Task[object]") -> None:
        fault = None if task.cancelled() else task.exception()
        if self.ending or not (task.cancelled() or fault):
            return
        text = "a part of the %s has failed: it is begun again"
        self._lines.critical(text, self.owner, exc_info=fault)
        self._run(work, work() if task.cancelled() else self._later(work))

    async def _later(self, work: Callable[[], Work]) -> None:
        await self.pause()
        await work()

    async def end(self) -> None:
        """Cancel the work, and wait until all of it has ended."""
        self.ending = True
        await self.tasks.cancel()


async def cancel(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, wait until each has ended, and drop their errors."""
    several = set(tasks)
    for task in several:
        task.cancel()
    await asyncio.gather(*several, return_exceptions=True)


async def first_of(*waits: Awaitable[object]) -> None:
    """Wait until one of several has ended; the coroutines among the others are then cancelled.

    Raises:
        Exception: what has ended raised it.
    """
    futures = [asyncio.ensure_future(wait) for wait in waits]
    try:
        ended, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(future for future in futures if future not in waits)
    for future in ended:
        future.result()


def is_cancelled_from_outside(raised: BaseException) -> bool:
    """Whether an exception is the cancellation of the current task.

    A `CancelledError` that nobody asked the current task for comes from the code that it awaits,
    which cancelled something of its own: that is a fault of this code like any other.
    """
    if not isinstance(raised, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return bool(task and task.cancelling())


def is_closed(raised: BaseException) -> bool:
    """Whether an exception is the end of a coroutine that no task runs any more.

    Python ends such a coroutine with a `GeneratorExit`, and nothing can be awaited in it then. A
    `GeneratorExit` in a coroutine that runs comes from the code that it awaits.
    """
    return isinstance(raised, GeneratorExit) and not _in_task()


def _in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no event loop runs
        return False


async def abandon(tasks: Iterable["asyncio.Task[Any]"], seconds: float) -> int:
    """Cancel tasks, and wait some seconds at most for their end.

    Returns:
        How many go on. Nobody waits for these any more: `asyncio.run` and other runners of event
        loops, which wait for every task that they know, do not know them either.
    """
    several = set(tasks)
    for task in several:
        task.cancel()
    _, late = await asyncio.wait(several, timeout=seconds) if several else ((), ())
    for task in late:
        asyncio._unregister_task(task)  # noqa: SLF001 - documented: "Extending asyncio"
    return len(late)


@attrs.define(eq=False)
class Interrupt:
    """Ends all waits within its scopes at once, and lets none begin afterwards.

    Attributes:
        error: is raised by a scope once `set` was called; None before.
    """

    error: Exception | None = attrs.field(default=None, init=False)
    _scopes: set[asyncio.Timeout] = attrs.field(factory=set, init=False)

    def set(self, error: Exception) -> None:
        """End the waits. The first error stays."""
        if self.error is None:
            self.error = error
            for scope in self._scopes:
                scope.reschedule(0)

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        """A part of a task that `set` cuts short.

        Raises:
            Exception: a copy of `error`: several tasks must not share one traceback.
        """
        self.check()
        try:
            async with asyncio.timeout(None) as scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            self.check()
            raise

    def check(self) -> None:
        """Raise a copy of `error` if `set` was called."""
        if self.error is not None:
            raise copy.copy(self.error).with_traceback(None)
