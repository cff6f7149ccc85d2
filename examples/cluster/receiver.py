"""A receiver: accepts pushes for every process, and handles delivery reports."""

import asyncio
import os

from aiohttp import web

from infobip_async import DeliveryReport, HlrReport, Router
from infobip_async.jetstream import NatsJournal
from infobip_async.webhook import run_receiver, webhook_app

router = Router()


@router.on(DeliveryReport)
async def delivered(report: DeliveryReport) -> None:
    print(f"{report.message_id}: {report.status.value}")


@router.on(HlrReport)
async def looked_up(report: HlrReport) -> None:
    """Do nothing: the process that asked reads its report from the feed."""


def make_app() -> web.Application:
    journal = NatsJournal(os.environ.get("NATS", "nats://127.0.0.1:4222"))
    secret = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")
    return webhook_app(router, secret=secret, journal=journal)


if __name__ == "__main__":
    asyncio.run(run_receiver(make_app(), port=int(os.environ.get("PORT", "8080"))))
