"""Receive delivery reports inside an aiohttp application that exists already."""

import asyncio
import os

from aiohttp import web

from infobip_async import DeliveryReport, DeliveryStatus, Router, UnreadableRow
from infobip_async.webhook import callback_urls, run_receiver, webhook_app

SECRET = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")

router = Router()


@router.on(DeliveryReport)
async def delivered(report: DeliveryReport) -> None:
    """Take one report. The gateway gets its 200 when this returns, a 500 when it raises."""
    if report.status is DeliveryStatus.DELIVERED:
        print(f"{report.message_id} arrived at {report.done_at}")
    else:
        print(f"{report.message_id} did not arrive: {report.raw_status}")


@router.on(UnreadableRow)
async def set_aside(row: UnreadableRow) -> None:
    """Take what could not be read; its neighbours were handled."""
    print(f"unreadable: {row.reason}")


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="the rest of the application")


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    app.add_subapp("/infobip", webhook_app(router, secret=SECRET))
    return app


if __name__ == "__main__":
    urls = callback_urls("https://sms.example.com/infobip", secret=SECRET)
    print(f"Enter in the account's profile page: {urls.delivery_reports}")
    asyncio.run(run_receiver(make_app(), port=8080))
