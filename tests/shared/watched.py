"""Providers of OpenTelemetry that keep what is exported."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from infobip_async.telemetry import Telemetry


class Seen:
    """Keeps what is exported."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._metrics])
        self.telemetry = Telemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that ended, in their order."""
        return self._spans.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of a name that ended, in their order."""
        return [span for span in self.spans if span.name == name]

    @property
    def points(self) -> dict[str, list[tuple[dict[str, object], float]]]:
        """Attributes and value, or count, of each series, by the name of its metric."""
        data = self._metrics.get_metrics_data()
        return {
            metric.name: [
                (dict(point.attributes), point.value if hasattr(point, "value") else point.count)
                for point in metric.data.data_points
            ]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def text(self) -> str:
        """All that is exported."""
        return "".join(span.to_json() for span in self.spans) + repr(self.points)
