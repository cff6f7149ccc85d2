"""Work on many octets in a thread, so that others on the event loop have their turn."""

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_BIG: Final = 64 * 1024
"""Octets above which a thread is used: 2 MiB can hold rows for more than a second of work."""


async def aside(octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on so many octets, and give what it returns."""
    if octets > _BIG:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
