"""What is under way: bounded, and finished even if its caller is cancelled."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from infobip_async.errors import LocalProtocolError, NotSentError, OutcomeUnknownError

T = TypeVar("T")

_logger = logging.getLogger("infobip_async.client")


class InFlight:
    """Bounds what is under way at once, and finishes it even if its caller is cancelled.

    Args:
        limit: how many at the most; the next one waits, and can be cancelled while it does.
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._running: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    async def run(
        self, start: Callable[[], Coroutine[Any, Any, T]], message_ids: tuple[str, ...] = ()
    ) -> T:
        """Run a coroutine in a task of its own, and wait for it.

        A caller that is cancelled waits no longer; the task goes on, and its end is logged.

        Args:
            start: makes the coroutine, once it is its turn.
            message_ids: what can settle an unknown outcome later.

        Raises:
            LocalProtocolError: another event loop has the connections.
            NotSentError: `drain` was called; nothing starts any more.
            OutcomeUnknownError: `drain` has cancelled it.
        """
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise LocalProtocolError(
                "it belongs to the event loop that used it first", field="client"
            )
        await self._slots.acquire()
        if self._closed:
            self._slots.release()
            raise NotSentError("the client is closed, nothing was sent", final=True)
        task = asyncio.create_task(start())
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.add_done_callback(partial(_report, message_ids))
            raise
        if task.cancelled():
            raise OutcomeUnknownError("the client was closed meanwhile", message_ids=message_ids)
        return task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._slots.release()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - the rest is cancelled after it
        """Start nothing more, and wait for what is under way; cancel what takes longer."""
        self._closed = True
        if running := set(self._running):
            try:
                await asyncio.wait(running, timeout=timeout)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)


def _report(message_ids: tuple[str, ...], task: asyncio.Task[Any]) -> None:
    """Say what became of an exchange whose caller no longer waits.

    The reply is not told: a gateway may repeat the request in it.
    """
    ids = ", ".join(message_ids) or "none"
    if task.cancelled():
        end = "was cancelled when the client closed: its outcome is unknown"
    elif fault := task.exception():
        end = f"failed: {fault}"
    else:
        _logger.info("an exchange whose caller was cancelled ended well (message ids: %.200s)", ids)
        return
    _logger.warning("an exchange whose caller was cancelled %s (message ids: %.200s)", end, ids)
