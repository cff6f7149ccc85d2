"""A program that sends, or one that receives, on a store that both have open; to be killed.

``program.py send STORE BASE_URL COUNT`` sends so many messages by their keys, again and again until
each has an outcome, and waits until all are final. ``program.py receive STORE PORT JOURNAL EVENTS``
receives reports through a journal, and appends each event of a delivery to a file.
"""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress

from infobip_async import (
    Deliveries,
    Delivery,
    DeliveryStore,
    DeliveryTimeoutError,
    Endpoints,
    GatewayRefusedError,
    InfobipClient,
    NotSentError,
    OutcomeUnknownError,
    Router,
    SqliteDeliveryStore,
    SqliteJournal,
    StorageUnavailableError,
    TextMessage,
)
from infobip_async.webhook import listening, webhook_app

SECRET = "a-secret-of-the-tests"
WHOLE = TextMessage("Hello", "Friend")
IN_PARTS = TextMessage("š" * 100, "Friend")


def store_at(place: str) -> DeliveryStore:
    """A file, or a broker."""
    if not place.startswith("nats://"):
        return SqliteDeliveryStore(place)
    from infobip_async.jetstream import NatsDeliveryStore  # noqa: PLC0415 - an extra

    return NatsDeliveryStore(place)


async def send(place: str, base_url: str, count: str) -> None:
    """Send each message once, and wait for the end of all."""
    endpoints = Endpoints.at(base_url)
    limit = asyncio.Semaphore(20)
    async with (
        InfobipClient("user", "password", endpoints=endpoints) as client,
        Deliveries(client, Router(), store=store_at(place)) as deliveries,
    ):

        async def sent(message: TextMessage, number: str, key: str) -> bool:
            """Whether the store knows of the message, so that waiting for its end makes sense."""
            try:
                with suppress(GatewayRefusedError, NotSentError, OutcomeUnknownError):
                    await deliveries.send(message, number, key=key, if_known="return")
                return await deliveries.get(key=key) is not None
            except StorageUnavailableError:
                return False

        async def follow(number: int) -> None:
            message, key = (IN_PARTS if number % 4 == 0 else WHOLE), f"key {number}"
            async with limit:
                while not await sent(message, f"385{number:09}", key):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            with suppress(DeliveryTimeoutError):  # killed before its request, it never ends
                await deliveries.wait(key=key, timeout=30)

        await asyncio.gather(*map(follow, range(int(count))))


async def receive(place: str, port: str, journal: str, events: str) -> None:
    """Receive until killed."""
    handled = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    router = Router()

    @router.on(Delivery)
    async def changed(one: Delivery) -> None:
        state = [one.key, one.outcome and one.outcome.name, one.status and one.status.name]
        os.write(handled, json.dumps([*state, one.is_final, one.delivered]).encode() + b"\n")

    app = webhook_app(router, secret=SECRET, journal=SqliteJournal(journal))
    async with (
        Deliveries(None, router, store=store_at(place)),
        listening(app, "127.0.0.1", int(port)),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run({"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:]))
