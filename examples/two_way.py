"""Answer what people text, and put those who text STOP on the list that campaigns leave out."""

import asyncio
import os
from pathlib import Path

from aiohttp import web
from answer import answer
from stop_list import StopList, says_stop

from infobip_async import (
    InboundSms,
    InfobipClient,
    LocalProtocolError,
    OutcomeUnknownError,
    Router,
    SqliteJournal,
    TextMessage,
)
from infobip_async.numbering import normalise
from infobip_async.webhook import run_receiver, webhook_app

GOODBYE = "You get no more messages from us. Goodbye!"


def make_app(client: InfobipClient, stopped: StopList) -> web.Application:
    router = Router()

    @router.on(InboundSms)
    async def received(sms: InboundSms) -> None:
        try:
            number = normalise(sms.sender)
        except LocalProtocolError:
            return  # a sender of letters cannot be answered
        if says_stop(sms.text):
            await stopped.add(number)  # first: an answer that fails must not lose the STOP
            text = GOODBYE
        else:
            text = answer(sms.text)
        try:
            await client.send(TextMessage(text, sms.receiver or "Shop"), number)
        except OutcomeUnknownError:
            print("An answer may not have arrived.")  # better none than two
        # After any other error nothing was sent, and the journal calls this again later.

    secret = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")
    return webhook_app(router, secret=secret, journal=SqliteJournal("inbound.journal"))


async def main() -> None:
    client = InfobipClient.from_env()
    await run_receiver(make_app(client, StopList(Path("stop.txt"))), client, port=8080)


if __name__ == "__main__":
    asyncio.run(main())
