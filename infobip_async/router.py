"""User coroutines by event type, and nothing of how events arrive."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, TypeVar, get_args, overload

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.models import Event, InboundSms
from infobip_async.text.reassembly import Parts, Reassembler, is_part

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Callable[..., Awaitable[None]])

Handler = Callable[[E], Awaitable[None]]
"""A coroutine function that takes one event."""

BatchHandler = Callable[[Sequence[E]], Awaitable[None]]
"""A coroutine function that takes several events of one type, in the order of their arrival."""

Judge = Callable[[BaseException], Exception]
"""Gives what a handler raised as a fault of its own, or raises what is none."""


def _registry() -> "defaultdict[type, list[Any]]":
    # The event type of a handler is checked where it is registered; here the types are mixed.
    return defaultdict(list)


def default_judge(raised: BaseException) -> Exception:
    """Take every `Exception` for the handler's fault, and nothing else."""
    if isinstance(raised, Exception):
        return raised
    raise raised


@attrs.define
class Router:
    """Hands each event to every coroutine that was registered for its type.

    One router may serve several receivers, and `HlrLookups` beside the user's own handlers::

        router = Router()

        @router.on(DeliveryReport)
        async def delivered(report: DeliveryReport) -> None: ...

    Attributes:
        reassembler: joins the parts of inbound messages for handlers that want them whole.
    """

    reassembler: Reassembler = attrs.field(factory=Reassembler, repr=False)
    _each: defaultdict[type, list[Handler[Any]]] = attrs.field(
        init=False, factory=_registry, repr=False
    )
    _whole: list[Handler[InboundSms]] = attrs.field(init=False, factory=list, repr=False)
    _batches: defaultdict[type, list[tuple[int, BatchHandler[Any]]]] = attrs.field(
        init=False, factory=_registry, repr=False
    )

    @overload
    def on(
        self, event: type[InboundSms], *, whole: bool
    ) -> Callable[[Handler[InboundSms]], Handler[InboundSms]]: ...
    @overload
    def on(self, event: type[E], *, batch: int) -> Callable[[BatchHandler[E]], BatchHandler[E]]: ...
    @overload
    def on(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]: ...
    def on(
        self, event: type[Any], *, whole: bool = False, batch: int | None = None
    ) -> Callable[[Any], Any]:
        """Register the decorated coroutine function for one type of event.

        Args:
            event: `DeliveryReport`, `HlrReport`, `InboundSms`, or `UnreadableRow` for what was
                set aside.
            whole: of inbound messages in several parts, give the joined message. Parts that wait
                for others are in memory only, unless a journal keeps them.
            batch: give several events at once, up to so many.

        Raises:
            LocalProtocolError: no type of event; `whole` for another type, or with `batch`; a
                batch below 1.
        """
        if event not in get_args(Event):
            raise LocalProtocolError(f"{event!r} is no type of event", field="event")
        if whole and (event is not InboundSms or batch is not None):
            raise LocalProtocolError("only single inbound messages are joined", field="whole")
        if batch is not None and batch < 1:
            raise LocalProtocolError("a batch has 1 event or more", field="batch")

        def register(handler: F) -> F:
            if whole:
                self._whole.append(handler)
            elif batch is not None:
                self._batches[event].append((batch, handler))
            else:
                # A new list, so that a dispatch under way goes on with those it began with.
                self._each[event] = [*self._each[event], handler]
            return handler

        return register

    def off(self, event: type[Event], handler: Callable[..., Awaitable[None]]) -> None:
        """Take a handler back; one that is not registered is passed over."""
        self._each[event] = [one for one in self._each[event] if one != handler]
        self._batches[event] = [one for one in self._batches[event] if one[1] != handler]
        if event is InboundSms:
            self._whole = [one for one in self._whole if one != handler]

    def handles(self, event: type[Event]) -> bool:
        """Whether any handler is registered for a type of event."""
        whole = event is InboundSms and self._whole
        return bool(self._each[event] or self._batches[event] or whole)

    def batch_size(self, event: type[Event]) -> int:
        """How many events of a type are best dispatched together: 1 without batch handlers."""
        batches = self._batches[event]
        return max(size for size, _ in batches) if batches else 1

    @property
    def joins(self) -> bool:
        """Whether any handler wants inbound messages whole."""
        return bool(self._whole)

    async def dispatch(
        self,
        events: Iterable[Event],
        *,
        now: float = 0.0,
        join: bool = True,
        judge: Judge = default_judge,
    ) -> None:
        """Await every handler of every event, in order; batch handlers after the others.

        All handlers run, even if one raises.

        Args:
            events: of any types.
            now: seconds on a clock that does not go back, for parts of messages that wait.
            join: False leaves the handlers out that want inbound messages whole, for a caller
                who joins the parts himself and calls `dispatch_whole`.
            judge: tells the fault of a handler from the end of the task that awaits it.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        faults: list[Exception] = []
        several = list(events)
        for event in several:
            # As in `_run`, whose coroutine would cost as much again as a handler that does little.
            for handler in self._each[type(event)]:
                try:
                    await handler(event)
                except BaseException as raised:  # noqa: BLE001 - it leaves with the others
                    faults.append(judge(raised))
            if join and self._whole and isinstance(event, InboundSms):
                await self._join(event, now, faults, judge)
        for kind, batch in groupby(several, type) if any(self._batches.values()) else ():
            if self._batches[kind]:
                await self._run_batches(self._batches[kind], list(batch), faults, judge)
        if faults:
            raise ExceptionGroup("handlers failed", faults)

    async def dispatch_whole(self, sms: InboundSms) -> None:
        """Await every handler that wants inbound messages whole.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        faults: list[Exception] = []
        await _run(self._whole, sms, faults, default_judge)
        if faults:
            raise ExceptionGroup("handlers failed", faults)

    async def _join(
        self, sms: InboundSms, now: float, faults: list[Exception], judge: Judge
    ) -> None:
        """Give whole messages on; what could not be handled waits for its last part again."""
        messages = self.reassembler.collect(sms, now)
        for parts in messages:
            if not parts.missing:
                before = len(faults)
                await _run(self._whole, parts.join(), faults, judge)
                if len(faults) > before:
                    self.reassembler.withdraw(sms, now)
            else:  # a fault is not one of this message: `expire` gives what waits on again
                await self._hand_on(parts, now, judge)
        if not is_part(sms):
            await _run(self._whole, sms, faults, judge)

    async def _hand_on(self, parts: Parts, now: float, judge: Judge) -> list[Exception]:
        """Give an incomplete message on; where that fails its parts wait on: nobody has others."""
        faults: list[Exception] = []
        await _run(self._whole, parts.join(), faults, judge)
        if faults:
            self.reassembler.keep(parts, now)
        return faults

    @staticmethod
    async def _run_batches(
        handlers: list[tuple[int, BatchHandler[Any]]],
        batch: list[Event],
        faults: list[Exception],
        judge: Judge,
    ) -> None:
        for size, handler in handlers:
            for start in range(0, len(batch), size):
                await _run([handler], batch[start : start + size], faults, judge)

    async def expire(self, now: float) -> None:
        """Give on the inbound messages whose missing parts have not come in time.

        One whose handlers fail is given on again later.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        faults: list[Exception] = []
        for parts in self.reassembler.take_due(now):
            faults += await self._hand_on(parts, now, default_judge)
        if faults:
            raise ExceptionGroup("handlers failed", faults)


async def _run(
    handlers: Iterable[Callable[[Any], Awaitable[None]]],
    value: object,
    faults: list[Exception],
    judge: Judge,
) -> None:
    for handler in tuple(handlers):
        try:
            await handler(value)
        except BaseException as raised:  # noqa: BLE001 - it leaves in a group with the others
            faults.append(judge(raised))
