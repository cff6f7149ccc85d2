"""Exchanges in flight: limited in number, and finished even if their callers are cancelled."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from infobip_async.concurrency.stop_deadline import time_to_stop
from infobip_async.concurrency.tasks import TaskSet
from infobip_async.errors import LocalProtocolError, NotSentError, OutcomeUnknownError

T = TypeVar("T")

_logger = logging.getLogger("infobip_async.client")


class InFlight:
    """Limits the exchanges in flight, and finishes each even if its caller is cancelled.

    An exchange runs in a task of its own: a cancelled caller must not cut a request off that may
    have been carried out, and the slot is free exactly when the exchange has ended.

    Args:
        limit: exchanges at once; the next one waits, and can be cancelled while it does.

    Raises:
        LocalProtocolError: the limit lets none out.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise LocalProtocolError("is too small", field="concurrency")
        self._slots = asyncio.Semaphore(limit)
        self._running = TaskSet(lambda _: self._slots.release())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    async def run(
        self, start: Callable[[], Coroutine[Any, Any, T]], message_ids: tuple[str, ...] = ()
    ) -> T:
        """Run a coroutine in a task of its own, and wait for it.

        If the caller is cancelled, the task goes on, and its end is logged.

        Args:
            start: makes the coroutine when there is a free slot.
            message_ids: the ids that can settle an unknown outcome later.

        Raises:
            LocalProtocolError: the connections belong to another event loop.
            NotSentError: `drain` was called; nothing starts any more.
            OutcomeUnknownError: `drain` cancelled the task.
        """
        self.check_loop()
        self._loop = asyncio.get_running_loop()
        await self._slots.acquire()
        if self._closed:
            self._slots.release()
            raise NotSentError("the client is closed, nothing was sent", final=True)
        task = self._running.start(start())
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.add_done_callback(partial(_report, message_ids))
            raise
        if task.cancelled():
            raise OutcomeUnknownError("the client was closed meanwhile", message_ids=message_ids)
        return task.result()

    def check_loop(self) -> None:
        """Refuse an event loop other than the one whose connections there are.

        Raises:
            LocalProtocolError: this is another one.
        """
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise LocalProtocolError(
                "it belongs to the event loop that used it first: use it and close it within one"
                " asyncio.run(), such as by `async with`",
                field="client",
            )

    async def drain(self, seconds: float) -> None:
        """Start nothing more, and wait for the exchanges in flight; cancel those that take longer.

        Args:
            seconds: how long to wait, for a client that stops alone.
        """
        self._closed = True
        try:
            await self._running.drain(time_to_stop(seconds))
        finally:
            await self._running.cancel()


def _report(message_ids: tuple[str, ...], task: asyncio.Task[Any]) -> None:
    """Log how an exchange ended whose caller was cancelled.

    The reply is left out: a gateway may repeat the request in it.
    """
    ids = ", ".join(message_ids) or "none"
    if task.cancelled():
        end = "was cancelled when the client closed: its outcome is unknown"
    elif fault := task.exception():
        if isinstance(fault, OutcomeUnknownError):
            return  # this was told where it was found
        end = f"failed: {fault}"
    else:
        _logger.info("an exchange whose caller was cancelled ended well (message ids: %.200s)", ids)
        return
    _logger.warning("an exchange whose caller was cancelled %s (message ids: %.200s)", end, ids)
