"""A service whose metrics Prometheus reads: it sends, receives, and looks numbers up.

``python examples/observability/service.py`` serves the receiver on port 8080 and the metrics on
port 9464. ``prometheus --config.file=examples/observability/prometheus.yml`` reads them, and
``dashboard.json`` is imported into Grafana.
"""

import asyncio
import os
from collections.abc import AsyncIterator

from aiohttp import web
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

from infobip_async import (
    Deliveries,
    Delivery,
    HlrLookups,
    InfobipClient,
    Router,
    SqliteJournal,
    TextMessage,
)
from infobip_async.telemetry import Telemetry
from infobip_async.webhook import listening, webhook_app

SECRET = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")
NUMBERS = ["38598514674", "41793026727"]


def telemetry() -> Telemetry:
    """Metrics for Prometheus, on a port of their own: they are not for the world."""
    start_http_server(int(os.environ.get("METRICS_PORT", "9464")), addr="127.0.0.1")
    return Telemetry(meter_provider=MeterProvider([PrometheusMetricReader()]))


def make_app(router: Router) -> web.Application:
    @router.on(Delivery)
    async def changed(delivery: Delivery) -> None:
        """Book what became of the message."""

    journal = SqliteJournal(os.environ.get("JOURNAL", "pushes.db"))
    app = web.Application()
    app.add_subapp("/infobip", webhook_app(router, secret=SECRET, journal=journal))
    return app


async def bookings() -> AsyncIterator[tuple[TextMessage, str]]:
    """What there is to send, as it comes."""
    for number in NUMBERS:
        yield TextMessage("Your table is booked.", "Friend"), number
    await asyncio.Event().wait()


async def send(deliveries: Deliveries) -> None:
    async for result in deliveries.send_many(bookings()):
        print(result.outcome.value)


async def main() -> None:
    watched = telemetry()
    router = Router(telemetry=watched)
    port = int(os.environ.get("PORT", "8080"))
    async with (
        InfobipClient.from_env(telemetry=watched) as client,
        HlrLookups(client, router) as lookups,
        Deliveries(client, router) as deliveries,
        listening(make_app(router), "127.0.0.1", port),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(send(deliveries))
        async for result in lookups.stream(NUMBERS, timeout=30):
            print(result.outcome.value)


if __name__ == "__main__":
    asyncio.run(main())
