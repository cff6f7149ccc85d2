"""User coroutines by event type, and nothing of how events arrive."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import attrs

from infobip_async.models import Event

E = TypeVar("E", bound=Event)

Handler = Callable[[E], Awaitable[None]]
"""A coroutine function that takes one event."""


@attrs.define
class Router:
    """Hands each event to every coroutine that was registered for its type.

    One router may serve several receivers, and `HlrLookups` beside the user's own handlers::

        router = Router()

        @router.on(DeliveryReport)
        async def delivered(report: DeliveryReport) -> None: ...
    """

    # The event type of a handler is checked where it is registered; here the types are mixed.
    _handlers: dict[type, list[Handler[Any]]] = attrs.field(
        init=False, factory=lambda: defaultdict(list), repr=False
    )

    def on(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Register the decorated coroutine function for one type of event.

        Args:
            event: `DeliveryReport`, `HlrReport`, `InboundSms`, or `UnreadableRow` for what was
                set aside.
        """

        def register(handler: Handler[E]) -> Handler[E]:
            self._handlers[event].append(handler)
            return handler

        return register

    def off(self, event: type[E], handler: Handler[E]) -> None:
        """Take a handler back; one that is not registered is passed over."""
        if handler in self._handlers[event]:
            self._handlers[event].remove(handler)

    def handles(self, event: type[Event]) -> bool:
        """Whether any handler is registered for a type of event."""
        return bool(self._handlers[event])

    async def dispatch(self, events: Iterable[Event]) -> None:
        """Await every handler of every event, in order.

        All handlers run, even if one raises.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        faults: list[Exception] = []
        for event in events:
            for handler in tuple(self._handlers[type(event)]):
                try:
                    await handler(event)
                except Exception as fault:  # noqa: BLE001 - it leaves in the group below
                    faults.append(fault)
        if faults:
            raise ExceptionGroup("handlers failed", faults)
