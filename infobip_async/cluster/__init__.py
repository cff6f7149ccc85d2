"""Lookups in bulk that many processes share, on NATS JetStream; needs the extra ``nats``."""

from infobip_async.cluster.chunks import Total
from infobip_async.cluster.job import HlrJob, JobResult

__all__ = ["HlrJob", "JobResult", "Total"]
