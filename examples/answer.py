"""Answer inbound SMS: a keyword service in one file."""

import asyncio
import os
from collections.abc import AsyncIterator

from aiohttp import web

from infobip_async import InboundSms, InfobipClient, Router, TextMessage
from infobip_async.webhook import run_receiver, webhook_app

HOURS = "Open from 9 to 17, Saturdays to 12."
CLIENT = web.AppKey("CLIENT", InfobipClient)

router = Router()


def answer(text: str | None) -> str:
    """What to say to a text; None stands for content that is no text."""
    if text is None:
        return "Sorry, we can only read text."
    return HOURS if text.strip().upper() == "HOURS" else "Text HOURS for our opening hours."


async def with_client(app: web.Application) -> AsyncIterator[None]:
    """Have one client for the life of the application, and answer with it."""
    async with InfobipClient.from_env() as client:
        app[CLIENT] = client

        @router.on(InboundSms)
        async def received(sms: InboundSms) -> None:
            print(f"{sms.sender}: {sms.text}")
            await client.send(TextMessage(answer(sms.text), sms.receiver or "Shop"), sms.sender)

        yield
        router.off(InboundSms, received)


def make_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(with_client)
    secret = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")
    app.add_subapp("/infobip", webhook_app(router, secret=secret))
    return app


if __name__ == "__main__":
    asyncio.run(run_receiver(make_app(), port=8080))
