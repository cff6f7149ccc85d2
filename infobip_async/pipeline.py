"""A source on one side, a consumer on the other, and a window between them.

Each item takes a place in the window when it is read, and gives it back when the consumer takes
its result. That bounds what is under way and what is ready together, and holds the source up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pipeline(Generic[Item, Result]):
    """Reads a source, and yields the results that tasks emit.

    Args:
        source: any iterable or async iterable.
        take: is given each item; it starts tasks, and they emit one result for each.
        finish: is called when the source has ended, or is not read any more.
        window: items that have been read and whose results have not been taken, at the most.
    """

    def __init__(
        self,
        source: Iterable[Item] | AsyncIterable[Item],
        take: Callable[[Item], None],
        finish: Callable[[], None],
        window: int,
    ) -> None:
        self._source = source
        self._take = take
        self._finish = finish
        self._places = window
        self._room = asyncio.Event()
        self._ready: deque[Result] = deque()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._fault: BaseException | None = None

    def emit(self, result: Result) -> None:
        """Hand a result to the consumer."""
        self._ready.append(result)
        self._news.set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work whose end the pipeline waits for."""
        task = asyncio.create_task(work)
        self.watch(task)
        return task

    def watch(self, task: "asyncio.Task[None]") -> None:
        """Wait for the end of a task that was started elsewhere."""
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._fault = self._fault or task.exception()
        self._news.set()

    async def results(self) -> AsyncGenerator[Result, None]:
        """Yield the results; afterwards raise what the source or a task raised, if they did."""
        reader = self._reader = asyncio.create_task(self._read())
        reader.add_done_callback(self._ended)
        try:
            while self._ready or self._tasks or not reader.done():
                while self._ready:
                    self._places += 1
                    self._room.set()
                    yield self._ready.popleft()
                self._news.clear()
                if self._tasks or not reader.done():
                    await self._news.wait()
            if self._fault is not None:
                raise self._fault
        finally:
            self.stop_reading()
            await asyncio.gather(reader, return_exceptions=True)

    def stop_reading(self) -> None:
        """Read no more; what was read still gets its results."""
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self) -> None:
        try:
            if isinstance(self._source, AsyncIterable):
                async for item in self._source:
                    await self._place()
                    self._take(item)
            else:
                for item in self._source:
                    await self._place()
                    self._take(item)
        finally:
            self._finish()

    async def _place(self) -> None:
        while self._places <= 0:
            self._room.clear()
            await self._room.wait()
        self._places -= 1

    async def end(self, wait: float) -> None:
        """Wait for the tasks, cancel those that take longer, and leave none behind."""
        if self._tasks and wait:
            await asyncio.wait(self._tasks, timeout=wait)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
