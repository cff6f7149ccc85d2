"""A time limit for work that is begun often and is mostly short."""

import asyncio
from types import TracebackType
from typing import Self


class ReusableTimeout:
    """Cancels what takes too long, as ``asyncio.timeout`` does, each time that it is entered.

    That one sets a timer and takes it back for each piece of work, which costs more than most
    handlers do. Here a timer that is not needed any more is left to find that out by itself.

    Args:
        seconds: what one piece of work may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task(self._loop)
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._cancelling = task.cancelling()
        self._deadline = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the work.

        Raises:
            TimeoutError: it took too long, and was cancelled.
        """
        task, self._task = self._task, None
        if not self._expired or task is None:
            return
        self._expired = False
        if task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise TimeoutError from exc

    def _look(self) -> None:
        """Cancel the work that is late; wait for the end of what was begun since."""
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() >= self._deadline:
            self._expired = True
            self._task.cancel()
        else:
            self._timer = self._loop.call_at(self._deadline, self._look)

    def close(self) -> None:
        """Take the timer back."""
        if self._timer is not None:
            self._timer.cancel()
