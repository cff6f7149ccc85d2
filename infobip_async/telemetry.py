"""Spans and metrics by OpenTelemetry, for those who watch a service from outside.

Without the extra ``otel`` (`opentelemetry-api`), or without an SDK that a program has configured,
nothing is measured. No span and no metric holds a password, a secret, a number, a text, an id, or
an address with its query. docs/telemetry.md lists all of them.
"""

from collections.abc import Mapping
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import attrs

from infobip_async.errors import (
    GatewayRefusedError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
)

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

try:
    from opentelemetry import context, metrics, trace
except ModuleNotFoundError:  # without the extra
    _installed = False
else:
    _installed = True
    # Instrumentations of HTTP clients make no span where this is set. Theirs would hold the URL of
    # each request, and with it the password of a GET.
    _SILENCE: Final[str | None] = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", None)

__all__ = ["Telemetry"]

_NAME: Final = "infobip_async"
_SYSTEM: Final = "infobip"

Attributes = Mapping[str, str | int | bool]
Kind = Literal["CLIENT", "PRODUCER", "CONSUMER"]


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
    """Makes the spans and metrics of one client, receiver or worker.

    Args:
        telemetry: where they go.
    """

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self.active = _installed
        self._instruments: dict[str, Any] = {}
        if _installed:
            telemetry = telemetry or Telemetry()
            self._tracer = trace.get_tracer(_NAME, tracer_provider=telemetry.tracer_provider)
            self._meter = metrics.get_meter(_NAME, meter_provider=telemetry.meter_provider)

    def count(self, name: str, amount: int, attributes: Attributes = {}) -> None:  # noqa: B006 - read only
        """Add to a counter.

        Args:
            name: of the metric.
            amount: what came to it; nothing is done for 0.
            attributes: what the counter can be split by.
        """
        if self.active and amount:
            if (counter := self._instruments.get(name)) is None:
                counter = self._instruments[name] = self._meter.create_counter(name)
            counter.add(amount, attributes)

    def record(self, name: str, seconds: float, attributes: Attributes = {}) -> None:  # noqa: B006 - read only
        """Add a duration to a histogram."""
        if self.active:
            if (histogram := self._instruments.get(name)) is None:
                histogram = self._instruments[name] = self._meter.create_histogram(name, unit="s")
            histogram.record(seconds, attributes)

    def operation(self, name: str, messages: int = 0) -> "Operation":
        """Watch an exchange with the gateway, as a context manager.

        Args:
            name: of the client's method, such as ``"send"``.
            messages: that the exchange is to send, or numbers that it is to look up.
        """
        return Operation(self, name, messages)

    def start(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        *,
        parent: "Context | None" = None,
    ) -> "Span":
        """Start a span; `active` must be true."""
        return self._tracer.start_span(
            name, context=parent, kind=trace.SpanKind[kind], attributes=attributes
        )


class Operation:
    """One exchange with the gateway: a span, a duration, and what it came to.

    Inside, instrumentations of HTTP clients make no span of their own.
    """

    __slots__ = ("_messages", "_name", "_since", "_span", "_token", "_watch")

    def __init__(self, watch: Watch, name: str, messages: int) -> None:
        self._watch = watch
        self._name = name
        self._messages = messages

    def __enter__(self) -> Self:
        if self._watch.active:
            self._since = perf_counter()
            attributes: dict[str, str | int | bool] = {
                "messaging.system": _SYSTEM,
                "messaging.operation.name": self._name,
            }
            if self._messages:
                attributes["messaging.batch.message_count"] = self._messages
            self._span = self._watch.start(self._name, "CLIENT", attributes)
            self._token = _enter(self._span)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._watch.active:
            return
        context.detach(self._token)
        outcome = outcome_of(error)
        attributes: dict[str, str | int | bool] = {
            "messaging.system": _SYSTEM,
            "messaging.operation.name": self._name,
            "infobip.outcome": outcome,
        }
        if error is not None:
            attributes["error.type"] = type(error).__name__
        end(self._span, attributes, failed=error is not None)
        elapsed = perf_counter() - self._since
        self._watch.record("messaging.client.operation.duration", elapsed, attributes)
        self._watch.count(_COUNTED.get(self._name, ""), self._messages, attributes)


_COUNTED: Final = {
    "send": "messaging.client.sent.messages",
    "send_one": "messaging.client.sent.messages",
    "submit_hlr": "infobip.lookups",
}


def end(span: "Span", attributes: Attributes, *, failed: bool) -> None:
    """End a span. An exception is told by its class alone: its text may be anybody's."""
    span.set_attributes(dict(attributes))
    if failed:
        span.set_status(trace.Status(trace.StatusCode.ERROR))
    span.end()


def _enter(span: "Span") -> "Token[Context]":
    inside = trace.set_span_in_context(span)
    if _SILENCE:
        inside = context.set_value(_SILENCE, True, inside)
    return context.attach(inside)
