"""Messages pulled from JetStream consumers, through any fault of the broker."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final

import attrs
import nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy, Header
from nats.js.errors import NotFoundError

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream.connection import PAUSE, Connection, logger

_EXPIRES: Final = 20.0
_HEARTBEAT: Final = 2.0
_OCTETS: Final = 64 * 1024 * 1024
_AT_ONCE: Final = 500
_INACTIVE_SECONDS: Final = 60.0
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

    broker: Connection
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
            except (nats.errors.Error, NotFoundError, StorageUnavailableError, OSError) as fault:
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


class OrderedConsumer:
    """Reads every message of some subjects of a stream, in order and without gaps.

    The broker's consumer is made anew behind the last message whenever it is gone, or a message
    is missing.

    Args:
        broker: the broker.
        stream: the stream.
        subject: the subjects to read, with ``*`` for any.

    Attributes:
        last: the number in the stream of the last message that was read.
    """

    def __init__(self, broker: Connection, stream: str, subject: str) -> None:
        self.last = 0
        self._broker = broker
        self._stream = stream
        self._subject = subject
        self._delivered = 0

    async def run(self, take: Callable[[Msg], Awaitable[None]]) -> None:
        """Read for ever.

        Args:
            take: takes a message; the next is read when it is done with it.
        """

        async def take_next(message: Msg) -> None:
            sequence = message.metadata.sequence
            if sequence.consumer != self._delivered + 1:
                raise LostError("messages are missing")
            self._delivered += 1
            await take(message)
            self.last = sequence.stream

        await Pull(self._broker, self._stream, self._consumer).run(take_next, _room)

    async def _consumer(self) -> str:
        """Make a consumer behind what was read last."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.last + 1,
            filter_subject=self._subject,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_INACTIVE_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        info: ConsumerInfo = await self._broker.manage(
            lambda js: js.add_consumer(self._stream, config)
        )
        self._delivered = 0
        return info.name


async def _room() -> int:
    return _AT_ONCE
