"""Spans and metrics by OpenTelemetry, for those who watch a service from outside.

Without the extra ``otel`` (`opentelemetry-api`), or without an SDK that a program has configured,
nothing is measured. No span and no metric holds a password, a secret, a number, a text, an id, or
an address with its query. docs/telemetry.md lists all of them.
"""

from infobip_async.telemetry.watching import Telemetry

__all__ = ["Telemetry"]
