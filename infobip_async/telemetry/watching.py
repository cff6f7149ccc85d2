"""What makes spans and metrics, and what is watched by it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

import attrs

from infobip_async.errors import (
    GatewayRefusedError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.models.events import DeliveryReport, DerivedEvent, Event, HlrReport
from infobip_async.redaction import type_name
from infobip_async.telemetry.instruments import (
    Attributes,
    Instruments,
    Read,
    Value,
    harmless,
    installed,
)

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.metrics import _internal as _metrics
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError:  # without the extra
    pass
else:
    # Instrumentations of HTTP clients make no span where this is set. Theirs would hold the URL of
    # each request, and with it the password of a GET.
    _SILENCE: Final[str | None] = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", None)
    _PROPAGATOR: Final = TraceContextTextMapPropagator()

_NAME: Final = "infobip_async"

Kind = Literal["CLIENT", "PRODUCER", "CONSUMER"]

_NONE: Final[Attributes] = {}
_DESTINATION: Final = "messaging.destination.name"
_DURATION: Final = "messaging.client.operation.duration"
_COUNTED: Final = {
    "send": "messaging.client.sent.messages",
    "send_one": "messaging.client.sent.messages",
    "submit_hlr": "infobip.lookups",
}


@attrs.frozen(kw_only=True)
class Telemetry:
    """Where spans and metrics go.

    Attributes:
        tracer_provider: gets the spans; OpenTelemetry's global one by default.
        meter_provider: gets the metrics; OpenTelemetry's global one by default.
    """

    tracer_provider: "TracerProvider | None" = None
    meter_provider: "MeterProvider | None" = None


def outcome_of(error: BaseException | None) -> str:
    """Name what an operation came to, in one of few words that a metric can be split by."""
    match error:
        case None:
            return "accepted"
        case GatewayRefusedError():
            return "refused"
        case NotSentError():
            return "not_sent"
        case LocalProtocolError():
            return "invalid"
        case OutcomeUnknownError():
            return "unknown"
        case _:
            return "failed"


class Watch:
    """Makes spans and metrics; all who have the same providers share one, see `watch`."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._given = telemetry != Telemetry()
        if installed:
            self._tracer = trace.get_tracer(_NAME, tracer_provider=telemetry.tracer_provider)
            meter = metrics.get_meter(_NAME, meter_provider=telemetry.meter_provider)
            self._instruments: Instruments = Instruments(meter)

    @property
    def active(self) -> bool:
        """Whether anybody wants spans or metrics: a program may configure its SDK at any time.

        The API's own functions look into the environment first, which costs as much as a handler.
        """
        return installed and (
            self._given
            or getattr(trace, "_TRACER_PROVIDER", True) is not None
            or getattr(_metrics, "_METER_PROVIDER", True) is not None
        )

    @harmless
    def count(self, name: str, amount: int, attributes: Attributes) -> None:
        """Add to a counter, split by attributes."""
        if self.active and amount:
            self._instruments.add(name, amount, attributes)

    def unreadable(self, rows: int, source: str) -> None:
        """Count rows that cannot be read, by where they come from."""
        self.count("infobip.rows.unreadable", rows, {_DESTINATION: source})

    @harmless
    def set(self, name: str, figure: float, attributes: Attributes) -> None:
        """Set a gauge to the figure that was seen last."""
        if self.active:
            self._instruments.set(name, figure, attributes)

    @harmless
    def record(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Add a duration to a histogram, split by attributes."""
        if self.active:
            self._instruments.record(name, seconds, attributes)

    def observe(
        self, owner: object, reads: Mapping[str, Read], attributes: Attributes = _NONE
    ) -> None:
        """Have figures read from an object whenever metrics are collected, as long as it lives.

        Args:
            owner: the object; it must not be kept alive by `reads`.
            reads: by the name of a metric what gives its figures, each with the value of
                ``infobip.state`` that it belongs to. The figures of several objects are added up.
            attributes: of all of them.
        """
        if installed:
            self._instruments.observe(owner, reads, attributes)

    def forget(self, owner: object) -> None:
        """Read no figures of an object any more; what it has counted is still told."""
        if installed:
            self._instruments.forget(owner)

    def span(
        self, name: str, kind: Kind, attributes: Attributes, parent: Mapping[str, str] | None = None
    ) -> "Span":
        """Start a span.

        Args:
            name: of the span.
            kind: `CLIENT` for requests to the gateway, `PRODUCER` for what brings several of them
                about, `CONSUMER` for what it pushes.
            attributes: that it starts with.
            parent: a trace context that was stored; the current one by default.
        """
        origin = _PROPAGATOR.extract(parent) if parent else None
        span_kind = trace.SpanKind[kind]
        return self._tracer.start_span(
            name, context=origin, kind=span_kind, attributes=dict(attributes)
        )

    def trace_context(self) -> dict[str, str]:
        """What connects later spans with the current one, to be stored; empty where none is."""
        carrier: dict[str, str] = {}
        if self.active:
            _PROPAGATOR.inject(carrier)
        return carrier

    def operation(self, name: str, messages: int = 0) -> "Watched":
        """Watch an exchange with the gateway.

        Args:
            name: of the client's method, such as ``"send"``.
            messages: that the exchange is to send, or numbers that it is to look up.
        """
        return _Operation(self, name, messages)

    def push(self, kind: str) -> "Watched":
        """Watch a push from its arrival to its answer, whose status is put into `attributes`.

        Args:
            kind: ``"dlr"``, ``"hlr"`` or ``"inbound"``.
        """
        return Watched(self, f"receive {kind}", "CONSUMER", "receive", {_DESTINATION: kind})

    def creating(self, messages: int) -> "Watched":
        """Watch messages from their intent to the reply, so that what becomes of them finds it.

        Args:
            messages: how many; their deliveries keep the trace context.
        """
        return _Creation(self, messages)

    @harmless
    def delivered(
        self, since: float, until: float, attributes: Attributes, origin: Mapping[str, str]
    ) -> None:
        """Tell of a message that has come to its end, perhaps in another process than it began.

        Args:
            since: when it was to be sent; seconds since the epoch.
            until: when its end was known; likewise.
            attributes: of the end.
            origin: the trace context in which it was sent; the span links to it.
        """
        if not self.active:
            return
        self.record("infobip.delivery.duration", max(until - since, 0.0), attributes)
        sent = trace.get_current_span(_PROPAGATOR.extract(origin)).get_span_context()
        span = self._tracer.start_span(
            "deliver",
            kind=trace.SpanKind.CONSUMER,
            attributes={"messaging.system": "infobip", **attributes},
            links=[trace.Link(sent)] if origin else [],
            start_time=int(since * 1e9),
        )
        span.end(end_time=int(max(until, since) * 1e9))

    def handling(
        self, events: Sequence[Event | DerivedEvent], parent: Mapping[str, str] | None = None
    ) -> "Watched":
        """Watch the handlers of events that are dispatched together.

        Args:
            events: one or more.
            parent: the trace context that was stored with their push.
        """
        return _Handling(self, events, parent)


@cache
def watch(telemetry: Telemetry | None) -> Watch:
    """The one that makes spans and metrics for these providers."""
    return watch(Telemetry()) if telemetry is None else Watch(telemetry)


class Watched:
    """A context manager that makes a span and a duration of what is inside."""

    __slots__ = (
        "_active",
        "_since",
        "_token",
        "_watch",
        "attributes",
        "error",
        "kind",
        "name",
        "span",
    )

    metric: str = _DURATION

    def __init__(
        self, watch: Watch, name: str, kind: Kind, operation: str, attributes: Attributes
    ) -> None:
        self._watch = watch
        self._active = watch.active
        self.name: str = name
        self.kind: Kind = kind
        self.error: BaseException | None = None
        self.attributes: dict[str, Value] = {
            "messaging.system": "infobip",
            "messaging.operation.name": operation,
            **attributes,
        }

    def start(self) -> "Context":
        """Start the span, and give the context of what is inside."""
        self.span: Span = self._watch.span(self.name, self.kind, self.attributes)
        return trace.set_span_in_context(self.span)

    def finish(self) -> None:
        """Put what it came to into `attributes`."""

    def __enter__(self) -> Self:
        if self._active:
            self._active = False  # until it has begun
            self._begin()
        return self

    @harmless
    def _begin(self) -> None:
        self._since = perf_counter()
        self._token: Token[Context] = context.attach(self.start())
        self._active = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._active:
            context.detach(self._token)
            self._end(error)

    @harmless
    def _end(self, error: BaseException | None) -> None:
        self.error = error
        if error is not None:
            # By its class alone: its text may be anybody's.
            first = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
            self.attributes["error.type"] = type_name(first)
            self.span.set_status(trace.Status(trace.StatusCode.ERROR))
        self.finish()
        self._watch.record(self.metric, perf_counter() - self._since, self.attributes)
        self.span.set_attributes(self.attributes)
        self.span.end()

    def trace_context(self) -> dict[str, str]:
        """What connects later spans with this one, to be stored; empty where nothing is made."""
        return self._watch.trace_context() if self._active else {}


class _Operation(Watched):
    """An exchange, inside of which instrumentations of HTTP clients make no span of their own."""

    __slots__ = ("_messages",)

    def __init__(self, watch: Watch, name: str, messages: int) -> None:
        super().__init__(watch, name, "CLIENT", name, {})
        self._messages = messages

    def start(self) -> "Context":
        inside = super().start()
        if self._messages:
            self.span.set_attribute("messaging.batch.message_count", self._messages)
        return context.set_value(_SILENCE, True, inside) if _SILENCE else inside

    def finish(self) -> None:
        self.attributes["infobip.outcome"] = outcome_of(self.error)
        self._watch.count(_COUNTED.get(self.name, ""), self._messages, self.attributes)


class _Creation(Watched):
    """Messages whose deliveries are stored around the exchange that sends them."""

    __slots__ = ("_messages",)

    def __init__(self, watch: Watch, messages: int) -> None:
        super().__init__(watch, "create Delivery", "PRODUCER", "create", {_DESTINATION: "Delivery"})
        self._messages = messages

    def start(self) -> "Context":
        inside = super().start()
        self.span.set_attribute("messaging.batch.message_count", self._messages)
        return inside


class _Handling(Watched):
    """Handlers of some events, counted by type and by what the gateway says of them."""

    __slots__ = ("_events", "_parent")

    metric: str = "messaging.process.duration"

    def __init__(
        self, watch: Watch, events: Sequence[Event | DerivedEvent], parent: Mapping[str, str] | None
    ) -> None:
        kind = type(events[0]).__name__ if events else "nothing"
        super().__init__(watch, f"process {kind}", "CONSUMER", "process", {_DESTINATION: kind})
        self._events = events
        self._parent = parent

    def start(self) -> "Context":
        self.span = self._watch.span(self.name, self.kind, self.attributes, self._parent)
        self.span.set_attribute("messaging.batch.message_count", len(self._events))
        return trace.set_span_in_context(self.span)

    def finish(self) -> None:
        for (kind, status), number in Counter(map(_kind_and_status, self._events)).items():
            attributes = {**self.attributes, _DESTINATION: kind, "infobip.status": status}
            self._watch.count("messaging.client.consumed.messages", number, attributes)


def _kind_and_status(event: Event | DerivedEvent) -> tuple[str, str]:
    status = event.status.value if isinstance(event, DeliveryReport | HlrReport) else ""
    return type(event).__name__, status
