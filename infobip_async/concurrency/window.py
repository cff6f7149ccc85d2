"""A source on one side, a consumer on the other, and a window between them.

Each item takes a place in the window when it is read, and gives it back when the consumer takes
its result. That bounds what is under way and what is ready together, and holds the source up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_TURN: Final = 100
"""Items that are read before others on the event loop have their turn."""


class Window(Generic[Item, Result]):
    """Reads a source, and gives the results that tasks emit, as an async iterator.

    To be entered before it is iterated over. Leaving it reads no more, waits for the tasks, and
    cancels those that take too long.

    Args:
        source: any iterable or async iterable.
        take: is given each item; it starts tasks, and they emit one result for each.
        finish: is called when the source has ended, or is not read any more.
        window: items that have been read and whose results have not been taken, at the most.
        stop_timeout: seconds that tasks are waited for when it is left.
    """

    def __init__(
        self,
        source: Iterable[Item] | AsyncIterable[Item],
        take: Callable[[Item], None],
        finish: Callable[[], None],
        *,
        window: int,
        stop_timeout: float,
    ) -> None:
        self._source = source
        self._take = take
        self._finish = finish
        self._places = window
        self._stop_timeout = stop_timeout
        self._room = asyncio.Event()
        self._ready: deque[Result] = deque()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None]  # made on entry, in a running loop
        self._fault: BaseException | None = None

    async def __aenter__(self) -> Self:
        self._reader = self.start(self._read())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_reading()
        try:
            # It starts the last tasks when it ends.
            await asyncio.gather(self._reader, return_exceptions=True)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._stop_timeout)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def emit(self, result: Result) -> None:
        """Hand a result to the consumer."""
        self._ready.append(result)
        self._news.set()

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run work whose end the pipeline waits for; a fault of it ends the reading."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = self._fault or fault
            self.stop_reading()
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        """Give a result; after the last one raise what the source or a task raised, if they did."""
        while not self._ready:
            if not self._tasks:
                raise self._fault or StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        self._places += 1
        self._room.set()
        return self._ready.popleft()

    def stop_reading(self) -> None:
        """Read no more; what was read still gets its results."""
        self._reader.cancel()

    async def _read(self) -> None:
        try:
            async with aclosing(self._items()) as items:
                await self._place()  # before an item is read, which then gets its result
                async for item in items:
                    self._take(item)
                    await self._place()
        finally:
            self._finish()

    async def _items(self) -> AsyncGenerator[Item, None]:
        if isinstance(self._source, AsyncIterable):
            async for item in self._source:
                yield item
        else:
            for item in self._source:
                yield item

    async def _place(self) -> None:
        """Take a place in the window, once there is one."""
        while self._places <= 0:
            self._room.clear()
            await self._room.wait()
        self._places -= 1
        if self._places % _TURN == 0:
            await asyncio.sleep(0)
