"""Messages pulled from a JetStream consumer, so many at a time, through any fault of the broker."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final

import attrs
import nats
from nats.aio.msg import Msg
from nats.js.api import Header
from nats.js.errors import NotFoundError

from infobip_async.errors import JournalUnavailableError
from infobip_async.journal.broker import PAUSE, Broker, logger

_EXPIRES: Final = 20.0
_HEARTBEAT: Final = 2.0
_OCTETS: Final = 64 * 1024 * 1024
_SECOND: Final = 1_000_000_000  # in the nanoseconds of the protocol


class LostError(Exception):
    """The consumer cannot be read any further as it is."""


@attrs.define
class Pull:
    """Asks a consumer for messages.

    Attributes:
        broker: the broker.
        stream: the stream.
        consumer: gives the name of the consumer on it, made anew where needed.
    """

    broker: Broker
    stream: str
    consumer: Callable[[], Awaitable[str]]

    async def run(
        self, take: Callable[[Msg], Awaitable[None]], room: Callable[[], Awaitable[int]]
    ) -> None:
        """Take messages for ever.

        Args:
            take: takes one; it must not raise, but for `LostError`.
            room: waits until there is room, and says for how many.
        """
        while True:
            await self.broker.wait_for_ever()
            try:
                await self._read(take, room)
            except LostError as fault:
                logger.info("a consumer is to be read anew: %s", fault)
            except (nats.errors.Error, NotFoundError, JournalUnavailableError, OSError) as fault:
                logger.info("a consumer cannot be read: %s", type(fault).__name__)
            await asyncio.sleep(PAUSE)

    async def _read(
        self, take: Callable[[Msg], Awaitable[None]], room: Callable[[], Awaitable[int]]
    ) -> None:
        client = self.broker.client
        consumer = await self.consumer()
        inbox = client.new_inbox()
        messages: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await client.subscribe(inbox, cb=messages.put)
        try:
            while True:
                wanted = await room()
                await self._ask(consumer, inbox, wanted)
                async for message in self._answer(messages, wanted):
                    await take(message)
        finally:
            with suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()

    async def _ask(self, consumer: str, inbox: str, wanted: int) -> None:
        request = {
            "batch": wanted,
            "max_bytes": _OCTETS,
            "expires": int(_EXPIRES * _SECOND),
            "idle_heartbeat": int(_HEARTBEAT * _SECOND),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{consumer}"
        await self.broker.tell(subject, json.dumps(request).encode(), inbox)

    async def _answer(self, messages: asyncio.Queue[Msg], wanted: int) -> AsyncGenerator[Msg, None]:
        """The messages that answer a request, up to its end."""
        while wanted:
            message = await self._next(messages)
            headers = message.headers or {}
            status = headers.get(Header.STATUS.value)
            text = headers.get(Header.DESCRIPTION.value, "")
            if status is None:
                wanted -= 1
                yield message
            elif status in {"404", "408"} or "MaxBytes" in text:
                return  # nothing more of this request
            elif status != "100" and text != "Batch Completed":
                raise LostError(f"{status} {text}")

    async def _next(self, messages: asyncio.Queue[Msg]) -> Msg:
        if not messages.empty():
            return messages.get_nowait()
        try:
            async with self.broker.within(3 * _HEARTBEAT):
                return await messages.get()
        except TimeoutError:
            raise LostError("no sign of life") from None
