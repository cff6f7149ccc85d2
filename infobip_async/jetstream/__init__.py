"""A journal, lookups and jobs that several machines share, on NATS JetStream (extra ``nats``)."""

from infobip_async.jetstream.deliveries import NatsDeliveryStore
from infobip_async.jetstream.feed import ReportFeed
from infobip_async.jetstream.hlr_job import HlrJob, JobResult
from infobip_async.jetstream.hlr_messages import Total
from infobip_async.jetstream.journal import NatsJournal
from infobip_async.jetstream.options import ConnectOptions

__all__ = [
    "ConnectOptions",
    "HlrJob",
    "JobResult",
    "NatsDeliveryStore",
    "NatsJournal",
    "ReportFeed",
    "Total",
]
