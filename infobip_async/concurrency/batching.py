"""Makes few writes of many: items that come during one write go together into the next."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import attrs

from infobip_async.errors import StorageUnavailableError

T = TypeVar("T")


@attrs.define(eq=False)
class _Round(Generic[T]):
    """Items that are written together, and the outcome."""

    items: list[T] = attrs.field(factory=list)
    over: asyncio.Event = attrs.field(factory=asyncio.Event)
    fault: Exception | None = None
    awaited: bool = False  # by somebody who gets the fault


class Batcher(Generic[T]):
    """Writes items in the order in which they come, all that wait at once.

    A write that is cancelled by others than `aclose` is begun again, with the same items.

    Args:
        write: writes items. Its errors are raised to those who wait for one of the items; where
            nobody does, the event loop's exception handler gets them.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._write = write
        self._next: _Round[T] = _Round()
        self._now: _Round[T] | None = None
        self._closing = False
        self._writing: asyncio.Task[None] | None = None

    def add(self, *items: T) -> asyncio.Event:
        """Have items written, without waiting for the write.

        Returns:
            An event that is set when the write has ended, well or not.
        """
        self._next.items.extend(items)
        if self._writing is None:
            self._start()
        return self._next.over

    async def write(self, *items: T) -> None:
        """Have items written, and wait for it. The write goes on if the caller is cancelled.

        Raises:
            StorageUnavailableError: the batcher was closed before the write ended.
            Exception: what the write raised.
        """
        waited_for = self._next
        waited_for.awaited = True
        await self.add(*items).wait()
        if waited_for.fault is not None:
            raise copy.copy(waited_for.fault)  # several tasks must not share one traceback

    def _start(self) -> None:
        self._writing = asyncio.create_task(self._run())
        # A callback, since a task that is cancelled before its first step runs nothing.
        self._writing.add_done_callback(self._ended)

    async def _run(self) -> None:
        while self._now or self._next.items:
            if self._now is None:
                self._now, self._next = self._next, _Round()
            await self._write_round(self._now)
            self._now = None

    def _ended(self, _: "asyncio.Task[None]") -> None:
        self._writing = None
        if self._closing:
            for left in filter(None, (self._now, self._next)):
                left.fault = StorageUnavailableError("closed before it was written")
                left.over.set()
            self._now, self._next = None, _Round()
        elif self._now or self._next.items:  # cancelled, such as by who cancels every task
            self._start()

    async def _write_round(self, now: _Round[T]) -> None:
        try:
            await self._write(now.items)
        except Exception as fault:  # noqa: BLE001 - it goes to all who wait
            now.fault = fault
            if not now.awaited:
                context = {"message": "what was to be written is lost", "exception": fault}
                asyncio.get_running_loop().call_exception_handler(context)
        now.over.set()

    async def drain(self, seconds: float) -> None:
        """Wait until everything is written, for up to so many seconds; the write goes on then."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=seconds)

    async def aclose(self, seconds: float) -> None:
        """Wait until everything is written, and cancel the write after so many seconds."""
        await self.drain(seconds)
        self._closing = True
        try:
            while (writing := self._writing) is not None:
                writing.cancel()
                await asyncio.wait({writing})
        finally:
            self._closing = False
