"""One deadline for all that stops together."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("_deadline", default=None)


@contextmanager
def stopping_by(deadline: float) -> Iterator[None]:
    """Have everything that is stopped inside end by one deadline.

    Args:
        deadline: by the event loop's clock.
    """
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline_of_stop() -> float | None:
    """By when everything that is stopped now must end, by the event loop's clock; None without."""
    return _deadline.get()


def stop_by(deadline: float | None) -> None:
    """Have all that the current task stops from now on end by a deadline.

    A task does not see the deadline of whoever stops it, since its context is older.

    Args:
        deadline: what `deadline_of_stop` gave to whoever stops the task.
    """
    _deadline.set(deadline)


def time_to_stop(own: float) -> float:
    """How many seconds a stop may take.

    Args:
        own: for one that stops alone; one that stops with others has what is left for all.
    """
    deadline = _deadline.get()
    return own if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
