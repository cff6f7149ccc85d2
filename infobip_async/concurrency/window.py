"""A source on one side, a consumer on the other, and a window between them.

Each item takes a place in the window when it is read, and gives it back when the consumer takes
its result. That bounds what is under way and what is ready together, and holds the source up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_TURN: Final = 100
"""Items that are read before others on the event loop have their turn."""


async def in_chunks(
    source: Iterable[Item] | AsyncIterable[Item], size: int
) -> AsyncGenerator[list[Item], None]:
    """Read a source to its end, so many items at once."""
    if isinstance(source, AsyncIterable):
        chunk: list[Item] = []
        async for item in source:
            chunk.append(item)
            if len(chunk) == size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
    else:
        items = iter(source)
        while several := list(islice(items, size)):
            yield several


def _one() -> int:
    return 1


class Window(Generic[Item, Result]):
    """Reads a source, and gives out one result for each item, as they come.

    Args:
        source: any iterable or async iterable.
        take: is given the items as they are read, one or more at once. It takes all or none.
        finish: is called when the source has ended, or is not read any more.
        size: items that have been read and whose results have not been taken, at most.
        wanted: how many items of an iterable are read at once; an async iterable gives one.
        enough: places that must be free before a full window is read on from.
    """

    def __init__(
        self,
        source: Iterable[Item] | AsyncIterable[Item],
        take: Callable[[Sequence[Item]], None],
        finish: Callable[[], None],
        *,
        size: int,
        wanted: Callable[[], int] = _one,
        enough: int = 1,
    ) -> None:
        self.read: int = 0
        self.source = source
        self._take = take
        self._finish = finish
        self.size = self._places = size
        self._wanted = wanted
        self._enough = enough
        self._room = asyncio.Event()
        self._ready: deque[Result] = deque()
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._held = 0
        self._stopped = False
        self._fault: BaseException | None = None

    @property
    def used(self) -> int:
        """Items that have been read and whose results have not been taken."""
        return self.size - self._places

    @property
    def finished(self) -> int:
        """Items whose results were handed to the consumer, taken or not."""
        return self.read - self.used + len(self._ready)

    # --- the consumer's side ---

    def emit(self, result: Result) -> None:
        """Hand a result to the consumer."""
        if not self._ready:
            self._wake.set()
        self._ready.append(result)

    async def results(
        self, context: AbstractAsyncContextManager[object]
    ) -> AsyncGenerator[Result, None]:
        """Read the source and yield the results; to be iterated over once.

        Args:
            context: is entered before the source is read, and left when the iteration ends. It is
                an argument, since each further generator around this one would cost every item.

        Raises:
            Exception: at the end, what the source raised, or what `fail` was given.
        """
        async with context:
            self._reader = asyncio.create_task(self._read_all())
            self._reader.add_done_callback(lambda _: self._wake.set())
            ready = self._ready
            while True:
                while ready:
                    self._places += 1
                    if self._places == self._enough:
                        self._room.set()
                    yield ready.popleft()
                over = self._places == self.size and not self._held
                if self._reader.done() and (over or self._fault):
                    break
                self._wake.clear()
                await self._wake.wait()
            if self._fault is not None:
                raise self._fault
            if not (self._stopped and self._reader.cancelled()):
                self._reader.result()

    def hold(self) -> None:
        """Have the iteration not end before `free` was called as often."""
        self._held += 1

    def free(self) -> None:
        """Take back one `hold`."""
        self._held -= 1
        self._wake.set()

    def fail(self, fault: BaseException) -> None:
        """Read no more, and have the iteration end with a fault once the results are taken."""
        self._fault = self._fault or fault
        self.stop_reading()
        self._wake.set()

    def stop_reading(self) -> None:
        """Read no more; what was read still gets its results."""
        if not self._stopped:  # a second cancellation would break off how the source ends
            self._stopped = True
            if self._reader is not None:
                self._reader.cancel()

    async def reader_ended(self) -> None:
        """Wait until the source is not read any more; what it raised is raised to the consumer."""
        if self._reader is not None:
            await asyncio.wait([self._reader])

    # --- the source's side ---

    async def _read_all(self) -> None:
        try:
            if self._stopped:
                return
            if isinstance(self.source, AsyncIterable):
                async for item in self.source:
                    await self._add((item,))
            else:
                await self._read_chunks(iter(self.source))
        finally:
            self._finish()

    async def _read_chunks(self, source: "Iterable[Item]") -> None:
        more = True
        while more:
            chunk: list[Item] = []
            wanted = min(self._places, self._wanted())
            try:
                chunk.extend(islice(source, wanted))
            finally:  # what came before a fault of the source is in
                more = bool(chunk)
                if chunk:
                    await self._add(chunk)

    async def _add(self, items: Sequence[Item]) -> None:
        """Pass items on, then wait while the window is full."""
        before = self.read // _TURN
        self.read += len(items)
        self._places -= len(items)
        try:
            self._take(items)
        except BaseException:  # it is raised to the consumer like a fault of the source
            self.read -= len(items)
            self._places += len(items)
            raise
        if self.read // _TURN != before:
            await asyncio.sleep(0)  # a source that never waits must not hold up the rest
        if not self._places:
            self._room.clear()
            await self._room.wait()
