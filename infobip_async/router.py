"""User coroutines by event type; how events arrive is of no matter here."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar, get_args, overload

import attrs

from infobip_async.concurrency.awaitables import (
    awaiting,
    is_coroutine_function,
    may_give_awaitable,
)
from infobip_async.concurrency.tasks import is_cancelled_from_outside, is_closed
from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import DerivedEvent, Event, HlrReport, InboundSms
from infobip_async.redaction import type_name
from infobip_async.telemetry.watching import Telemetry, Watch, watch
from infobip_async.text.reassembly import Reassembler, is_part

E = TypeVar("E", bound=Event | DerivedEvent)
F = TypeVar("F", bound=Callable[..., Awaitable[None]])

Handler = Callable[[E], Awaitable[None]]
"""A coroutine function that takes one event."""

BatchHandler = Callable[[Sequence[E]], Awaitable[None]]
"""A coroutine function that takes several events of one type, in the order of their arrival."""


def _registry() -> "defaultdict[type, list[Any]]":
    # The event type of a handler is checked where it is registered; here the types are mixed.
    return defaultdict(list)


@attrs.define
class Router:
    """Hands each event to every coroutine that was registered for its type.

    One router may serve several receivers, and `HlrLookups` beside the user's own handlers::

        router = Router()

        @router.on(DeliveryReport)
        async def delivered(report: DeliveryReport) -> None: ...

    Attributes:
        parts_timeout: seconds that the parts of an inbound message wait for the others, after the
            first one that came. Then handlers of whole messages get it with parts missing.
        parts_limit: most messages that wait for parts; beyond it the oldest is handed on.
        telemetry: where spans and metrics of handlers go; OpenTelemetry's global providers by
            default.
        reassembler: has the parts that wait in memory, which all receivers of the router share.
        watch: makes these spans and metrics.
    """

    parts_timeout: float = attrs.field(default=3600.0, kw_only=True, repr=False)
    parts_limit: int = attrs.field(default=10_000, kw_only=True, repr=False)
    telemetry: Telemetry | None = attrs.field(default=None, kw_only=True, repr=False)
    reassembler: Reassembler = attrs.field(init=False, repr=False)
    watch: Watch = attrs.field(init=False, repr=False)
    _each: defaultdict[type, list[Handler[Any]]] = attrs.field(
        init=False, factory=_registry, repr=False
    )
    _whole: list[Handler[InboundSms]] = attrs.field(init=False, factory=list, repr=False)
    _batches: defaultdict[type, list[tuple[int, BatchHandler[Any]]]] = attrs.field(
        init=False, factory=_registry, repr=False
    )
    _everywhere: "Router | None" = attrs.field(init=False, default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        self.reassembler = Reassembler(timeout=self.parts_timeout, limit=self.parts_limit)
        self.watch = watch(self.telemetry)

    @overload
    def on(
        self, event: type[InboundSms], *, whole: bool
    ) -> Callable[[Handler[InboundSms]], Handler[InboundSms]]: ...
    @overload
    def on(
        self, event: type[E], *, batch: int, everywhere: bool = False
    ) -> Callable[[BatchHandler[E]], BatchHandler[E]]: ...
    @overload
    def on(
        self, event: type[E], *, everywhere: bool = False
    ) -> Callable[[Handler[E]], Handler[E]]: ...
    def on(
        self,
        event: type[Any],
        *,
        whole: bool = False,
        batch: int | None = None,
        everywhere: bool = False,
    ) -> Callable[[Any], Any]:
        """Register the decorated coroutine function for one type of event.

        Whatever ends a handler is a failure on its event alone, `SystemExit` included.

        Args:
            event: `DeliveryReport`, `HlrReport`, `InboundSms`, `UnreadableRow` for what was set
                aside, or `Delivery`, which comes from `Deliveries`.
            whole: give inbound messages of several parts as one. Parts that wait for others are
                in memory only, unless a journal stores them.
            batch: most events to give at once.
            everywhere: where several processes serve one journal, call the coroutine function in
                each of them, and not only in the one that handles the event. That is for whoever
                waits for events, such as `HlrLookups`: in the other processes it is called once,
                whether it fails or not. `HlrReport` alone goes everywhere.

        Raises:
            LocalProtocolError: no type of event; `whole` for another type, or with `batch`; a
                batch below 1; `everywhere` for another type; from the decorator, what surely gives
                nothing to await.
        """
        if event not in get_args(Event) and DerivedEvent not in getattr(event, "__bases__", ()):
            raise LocalProtocolError(f"{event!r} is no type of event", field="event")
        if whole and (event is not InboundSms or batch is not None):
            raise LocalProtocolError("only single inbound messages are joined", field="whole")
        if batch is not None and batch < 1:
            raise LocalProtocolError("a batch has 1 event or more", field="batch")
        if everywhere and event is not HlrReport:
            raise LocalProtocolError("only HLR reports go everywhere", field="everywhere")

        def register(handler: F) -> F:
            if not may_give_awaitable(handler):
                raise LocalProtocolError(
                    f"{handler!r} gives nothing to await; write async def", field="handler"
                )
            call = handler if is_coroutine_function(handler) else awaiting(handler)
            if whole:
                self._whole.append(call)
            elif batch is not None:
                self._batches[event].append((batch, call))
            else:
                # A new list, so that a dispatch under way goes on with those it began with.
                self._each[event] = [*self._each[event], call]
            if everywhere:
                there = self.everywhere
                (there.on(event) if batch is None else there.on(event, batch=batch))(handler)
            return handler

        return register

    def off(
        self, event: type[Event | DerivedEvent], handler: Callable[..., Awaitable[None]]
    ) -> None:
        """Take a handler back; a handler that is not registered is ignored.

        Args:
            event: the type that it is registered for.
            handler: the coroutine function, as it was registered.
        """
        self._each[event] = [one for one in self._each[event] if not _is(one, handler)]
        self._batches[event] = [one for one in self._batches[event] if not _is(one[1], handler)]
        if event is InboundSms:
            self._whole = [one for one in self._whole if not _is(one, handler)]
        if self._everywhere is not None:
            self._everywhere.off(event, handler)

    @property
    def everywhere(self) -> "Router":
        """The handlers that are called in every process, as a router of their own."""
        if self._everywhere is None:
            self._everywhere = Router(telemetry=self.telemetry)
        return self._everywhere

    def handles(self, event: type[Event | DerivedEvent]) -> bool:
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
        events: Iterable[Event | DerivedEvent],
        trace_context: Mapping[str, str] | None = None,
    ) -> None:
        """Await every handler of every event, in order; batch handlers after the others.

        All handlers run, whatever one of them raises. A part of an inbound message does not reach
        the handlers of whole messages: joining is up to the caller, who calls `dispatch_whole`.

        Args:
            events: of any types.
            trace_context: of the push that they came with, if it was stored meanwhile.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        several = list(events)
        if not self.watch.active:
            await self._dispatch(several)
            return
        with self.watch.handling(several, trace_context):
            await self._dispatch(several)

    async def _dispatch(self, several: Sequence[Event | DerivedEvent]) -> None:
        faults: list[Exception] = []
        for event in several:
            # As in `_run`, whose coroutine would cost as much again as a handler that does little.
            for handler in self._each[type(event)]:
                try:
                    await handler(event)
                except BaseException as raised:  # noqa: BLE001 - it leaves with the others
                    faults.append(_fault_of_handler(raised))
            if self._whole and isinstance(event, InboundSms) and not is_part(event):
                await _run(self._whole, event, faults)
        for kind, batch in groupby(several, type) if any(self._batches.values()) else ():
            if self._batches[kind]:
                await self._run_batches(self._batches[kind], list(batch), faults)
        if faults:
            raise ExceptionGroup("handlers failed", faults)

    async def dispatch_whole(self, sms: InboundSms) -> None:
        """Await every handler that wants inbound messages whole, and no other.

        Args:
            sms: was joined from its parts.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        faults: list[Exception] = []
        with self.watch.handling([sms]):
            await _run(self._whole, sms, faults)
            if faults:
                raise ExceptionGroup("handlers failed", faults)

    @staticmethod
    async def _run_batches(
        handlers: list[tuple[int, BatchHandler[Any]]],
        batch: list[Event | DerivedEvent],
        faults: list[Exception],
    ) -> None:
        for size, handler in handlers:
            for start in range(0, len(batch), size):
                await _run([handler], batch[start : start + size], faults)


def _is(call: object, handler: object) -> bool:
    """Whether a call is that of a handler, which may be a plain function."""
    return handler in (call, getattr(call, "__wrapped__", None))


async def _run(
    handlers: Iterable[Callable[[Any], Awaitable[None]]], value: object, faults: list[Exception]
) -> None:
    for handler in tuple(handlers):
        try:
            await handler(value)
        except BaseException as raised:  # noqa: BLE001 - it leaves in a group with the others
            faults.append(_fault_of_handler(raised))


def _fault_of_handler(raised: BaseException) -> Exception:
    """Give what a handler raised as its fault, or raise it again if it ends this task.

    Whatever ends a handler is a fault of this one event, and leaves with the others: `SystemExit`
    and `KeyboardInterrupt`, which would end the program at each attempt, and a cancellation that
    nobody asked the current task for, since the handler has cancelled something of its own.
    """
    if isinstance(raised, Exception):
        return raised
    if is_cancelled_from_outside(raised) or is_closed(raised):
        raise raised
    if isinstance(raised, asyncio.CancelledError):
        return RuntimeError("a handler was cancelled by something of its own")
    fault = RuntimeError(f"a handler raised {type_name(raised)}")
    fault.__cause__ = raised
    return fault
