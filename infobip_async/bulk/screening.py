"""What items pass before they are put into requests: what a job knows of them, and exclusion."""

from collections.abc import Awaitable, Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from infobip_async.bulk.groups import Key
from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult
from infobip_async.bulk.job import Record, SendJob, number_of
from infobip_async.concurrency.batching import Batcher
from infobip_async.errors import LocalProtocolError
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.settings import OnUnknown

if TYPE_CHECKING:
    from infobip_async.concurrency.window import Window

Exclude = Container[str] | Callable[[str], Awaitable[bool]]
"""Numbers that nothing is sent to, or a coroutine function that knows whether a number is one."""

_LEFT: Final = {SendOutcome.SENT, SendOutcome.UNKNOWN}


class Taker(Protocol):
    """What screened items are handed to."""

    @property
    def window(self) -> "Window[Any, SendResult]":
        """Where their results go."""

    def admit(self, key: Key, item: Outgoing) -> None:
        """Send an item."""

    def refuse(self, item: Outgoing, error: LocalProtocolError) -> None:
        """Report an item that broke a rule."""

    def emit(self, result: SendResult) -> None:
        """Report an item that is not sent."""

    def finish(self) -> None:
        """Know that no item comes any more."""

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""


@attrs.frozen
class _Read:
    """An item that was read; `item` is None behind the last one."""

    key: Key
    item: Outgoing | None
    rows: int = 0


class Screening:
    """Looks at items in their order, as many at once as were read meanwhile.

    Args:
        taker: gets them.
        flow: tells whether anything goes out, and is closed where the source is not the job's.
        job: knows what became of items in earlier runs; None without a job.
        exclude: knows whether a number is excluded; None where none is.
        on_unknown: what becomes of items whose outcome is unknown.
    """

    def __init__(
        self,
        taker: Taker,
        flow: FlowControl,
        job: SendJob | None,
        exclude: Callable[[str], Awaitable[bool]] | None,
        on_unknown: OnUnknown,
    ) -> None:
        self._taker = taker
        self._flow = flow
        self._job = job
        self._exclude = exclude
        self._on_unknown = on_unknown
        self._differs = False
        self._reading: Batcher[_Read] = Batcher(self._screen)

    def add(self, key: Key, item: Outgoing) -> None:
        """Have an item looked at."""
        self._reading.add(_Read(key, item))

    def end(self, rows: int) -> None:
        """Have the end of the source noticed, behind so many rows whose key is their position."""
        self._taker.window.hold()
        self._reading.add(_Read(-1, None, rows))

    async def aclose(self, seconds: float) -> None:
        """Look at what was read, for up to so many seconds."""
        await self._reading.aclose(seconds)

    async def _screen(self, several: Sequence[_Read]) -> None:
        items = [(one.key, one.item) for one in several if one.item is not None]
        try:
            if self._job is None:
                for key, item in items:
                    await self._admit(key, item)
            else:
                await self._compare(self._job, items)
            if several[-1].item is None:
                await self._end(several[-1].rows)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the run ends with it
            self._taker.fail(fault)
        finally:
            if several[-1].item is None:
                self._taker.window.free()

    async def _compare(self, job: SendJob, items: Sequence[tuple[Key, Outgoing]]) -> None:
        known: list[Record | None] = []
        difference: LocalProtocolError | None = None
        if not self._differs:  # what is read behind a difference must not become known
            known, difference = await job.meet(items)
        for (key, item), record in zip(items, known, strict=False):
            if record is None or not self._is_settled(key, item, record):
                await self._admit(key, item)
        if difference is not None:
            self._differs = True
            self._flow.end(difference)
        for _, item in items[len(known) :]:
            why = self._flow.why
            self._taker.emit(SendResult(item, SendOutcome.NOT_SENT, (), why, str(why)))

    def _is_settled(self, key: Key, item: Outgoing, record: Record) -> bool:
        """Whether an item needs nothing more, since the job knows what became of it."""
        if record.own:
            fault = LocalProtocolError(f"{key!r} stands for another item", field="key")
            self._taker.refuse(item, fault)
        elif record.answered or (record.in_doubt and self._on_unknown == "report"):
            self._taker.emit(_known(item, record))
        else:
            return False
        return True

    async def _admit(self, key: Key, item: Outgoing) -> None:
        exclude = None if self._flow.closed else self._exclude
        number = number_of(item)
        if exclude is not None and number is not None and await exclude(number):
            self._taker.emit(SendResult(item, SendOutcome.EXCLUDED))
        else:
            self._taker.admit(key, item)

    async def _end(self, rows: int) -> None:
        if self._job is not None and not self._flow.closed:  # else it was not read to its end
            difference = await self._job.check_end(rows)
            if difference is not None:
                self._flow.end(difference)
        self._taker.finish()


def _known(item: Outgoing, record: Record) -> SendResult:
    """The result of an item of which nothing new is found out."""
    outcome, reason = record.outcome, record.reason
    if outcome is None:
        outcome = SendOutcome.UNKNOWN
        reason = "an earlier run ended before the outcome was known"
    ids = record.message_ids if outcome in _LEFT else ()
    return SendResult(item, outcome, ids, None, reason, resumed=True)
