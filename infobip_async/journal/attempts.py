"""One worker's calls of handlers, with every way in which they can end; and when the next comes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from infobip_async.concurrency.reusable_timeout import ReusableTimeout
from infobip_async.journal.items import Item
from infobip_async.journal.settings import HandlerSettings
from infobip_async.models.events import InboundSms
from infobip_async.redaction import type_name
from infobip_async.router import Router

_LONGEST_REASON: Final = 500


def _current_task() -> "asyncio.Task[object]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a worker runs in one
    return task


@attrs.define(eq=False)
class Attempts:
    """Calls handlers, for one event or batch after the other.

    Attributes:
        router: has the handlers.
        seconds: how long the handlers of an event, or of a batch, may take together.
        ending: whether the worker's task is cancelled because the journal stops.
        outlived: is called when handlers go on although they were cancelled after that time.
        given_up: whether that was so: the worker ends when its handlers do.
        task: the worker's.
    """

    router: Router
    seconds: float
    ending: Callable[[], bool]
    outlived: Callable[["Attempts"], None]
    given_up: bool = attrs.field(default=False, init=False)
    task: "asyncio.Task[object]" = attrs.field(init=False, factory=_current_task)
    _limit: ReusableTimeout = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limit = ReusableTimeout(self.seconds, self._give_up)

    def check(self, fault: Exception | None) -> None:
        """End the worker if its task was cancelled, though only a handler has asked for that.

        Whoever has cancelled a task may wait for its end, such as a runner of event loops.

        Raises:
            CancelledError: the task was cancelled.
        """
        if fault is not None and self.task.cancelling() and not self.given_up:
            raise asyncio.CancelledError

    def _give_up(self) -> None:
        self.given_up = True
        self.outlived(self)

    async def run(self, items: Sequence[Item]) -> Exception | None:
        """Run the handlers of items once, and give what went wrong."""
        try:
            first = items[0]
            with self._limit:
                if first.parts and isinstance(first.event, InboundSms):
                    await self.router.dispatch_whole(first.event)
                elif not first.held:  # the handlers of a held part ran before a restart
                    push, _ = first.rows[0]
                    await self.router.dispatch([item.event for item in items], push.trace_context)
        except TimeoutError:
            return TimeoutError(f"took longer than {self.seconds} s")
        except asyncio.CancelledError:
            # At its end an event loop cancels everything at once, and the journal's owner among
            # others. This lets the owner say so.
            await asyncio.sleep(0)
            if self.ending():
                raise
            return RuntimeError("a handler has cancelled the task in which it runs")
        except Exception as fault:  # noqa: BLE001 - handlers may raise what they like
            return _tellable(fault)
        return None

    def close(self) -> None:
        """Cancel the timer."""
        self._limit.close()


def delay_after(attempts: int, settings: HandlerSettings) -> float:
    """Give the seconds until the next attempt after so many."""
    doubled = settings.first_delay * 2.0 ** min(attempts - 1, 64)
    return min(doubled, settings.longest_delay) * (1 - settings.chance() / 2)


def describe(fault: BaseException) -> str:
    """Say in one line what went wrong, even if the fault itself fails to say that."""
    if isinstance(fault, ExceptionGroup):
        return "; ".join(map(describe, fault.exceptions))[:_LONGEST_REASON]
    try:
        text = str(fault)
    except BaseException:  # noqa: BLE001 - users' exceptions may raise what they like
        text = "(it cannot be printed)"
    return f"{type_name(fault)}: {text}"[:_LONGEST_REASON]


def _tellable(fault: Exception) -> Exception:
    """Give a fault, or another one in the place of one that trips up whoever looks at it."""
    try:
        describe(fault)
        kind_of(fault)
    except BaseException:  # noqa: BLE001 - users' exceptions may raise what they like
        return RuntimeError("a handler raised what cannot be looked at")
    return fault


def kind_of(fault: BaseException) -> str:
    """Name the types of a fault, without anything that it says; fit for the text of a line."""
    if isinstance(fault, ExceptionGroup):
        return ", ".join(sorted(set(map(kind_of, fault.exceptions))))
    return type_name(fault).replace("%", "")
