"""How a journal has events handled: how many at a time, how often, and how long."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from infobip_async.errors import LocalProtocolError


def _above_zero(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if value <= 0:
        raise LocalProtocolError("must be above 0", field=attribute.name)


@attrs.frozen(kw_only=True)
class HandlerSettings:
    """How a journal has events handled: how many at a time, how often, and how long.

    By default it tries for eight to nine minutes. That is less than the hour that parts of a
    message wait for each other, so no message is given up while one of its parts is retried.

    Attributes:
        concurrency: most calls of handlers at a time, for each type of event.
        in_flight: most events or batches per type that are started but not yet recorded as
            handled; bounds repeats after a crash.
        attempts: how often the handlers of an event are tried before it becomes a dead letter.
        first_delay: seconds until the second attempt. Each further delay is twice as long; each is
            shortened by up to a half at random.
        longest_delay: most seconds between two attempts.
        time_limit: seconds that the handlers of an event, or of a batch, may take together; then
            they are cancelled. Handlers that go on all the same are given up: others take their
            place, and their ordering key stays closed until they end.
        stop_timeout: seconds that a clean stop waits for handlers in flight before it cancels
            them; for those that go on all the same it waits one second more.
        window: events in memory above which no more pushes are read; these wait on disk.
        clock: gives seconds since the epoch.
        sleep: waits for seconds.
        chance: gives a number from 0 to 1.

    Raises:
        LocalProtocolError: a number is not above 0.
    """

    concurrency: int = attrs.field(default=64, validator=_above_zero)
    in_flight: int = attrs.field(default=500, validator=_above_zero)
    attempts: int = attrs.field(default=10, validator=_above_zero)
    first_delay: float = attrs.field(default=1.0, validator=_above_zero)
    longest_delay: float = attrs.field(default=300.0, validator=_above_zero)
    time_limit: float = attrs.field(default=60.0, validator=_above_zero)
    stop_timeout: float = attrs.field(default=20.0, validator=_above_zero)
    window: int = attrs.field(default=10_000, validator=_above_zero)
    clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    sleep: Callable[[float], Awaitable[None]] = attrs.field(default=asyncio.sleep, repr=False)
    chance: Callable[[], float] = attrs.field(default=random.random, repr=False)
