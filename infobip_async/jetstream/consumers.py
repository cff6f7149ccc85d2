"""Consumers of JetStream that go on reading after any fault of the broker."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Final

import attrs
import nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import NotFoundError

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream.connection import RETRY_SECONDS, Connection

_EXPIRES: Final = 20.0
_HEARTBEAT: Final = 2.0
_MAX_OCTETS: Final = 64 * 1024 * 1024
_ORDERED_BATCH: Final = 500
_INACTIVE_SECONDS: Final = 60.0
_SECOND: Final = 1_000_000_000  # in the nanoseconds of the protocol

_logger = logging.getLogger("infobip_async.jetstream")

Handle = Callable[[Msg], Awaitable[None]]
"""Takes a message; the next one is read once it returns."""


class LostError(Exception):
    """The consumer is gone or skipped messages; create a new one."""


@attrs.define
class PullConsumer:
    """Reads messages of a consumer, as many at a time as there is room for.

    Attributes:
        connection: to the broker.
        stream: the stream.
        ensure: makes sure that the consumer exists, and gives its name; called again after
            each fault.
        shared: whether others read from the consumer, too, and wait for what is given back.
    """

    connection: Connection
    stream: str
    ensure: Callable[[], Awaitable[str]]
    shared: bool = False

    async def run(self, handle: Handle, capacity: Callable[[], Awaitable[int]]) -> None:
        """Read messages until cancelled.

        Args:
            handle: takes a message. After `LostError` and `StorageUnavailableError` reading
                begins anew, with a new consumer if that one is gone; it may raise nothing else.
            capacity: waits until there is room for messages, and says for how many.
        """
        while True:
            await self.connection.until_ready()
            try:
                await self._read(handle, capacity)
            except LostError as fault:
                _logger.info("a consumer is created anew: %s", fault)
            except (nats.errors.Error, NotFoundError, StorageUnavailableError, OSError) as fault:
                _logger.info("a consumer cannot be read: %s", type(fault).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, handle: Handle, capacity: Callable[[], Awaitable[int]]) -> None:
        consumer = await self.ensure()
        inbox = self.connection.client.new_inbox()
        messages: asyncio.Queue[Msg] = asyncio.Queue()
        try:
            async with self.connection.subscribe(inbox) as messages:
                while True:
                    count = await capacity()
                    await self._request(consumer, inbox, count)
                    async with aclosing(self._batch(messages, count)) as batch:
                        async for message in batch:
                            await handle(message)
        finally:
            if self.shared:
                await self._give_back(messages)

    async def _give_back(self, messages: asyncio.Queue[Msg]) -> None:
        """Have the broker give the messages that were not read to others, now."""
        with suppress(StorageUnavailableError):
            while not messages.empty():
                if reply := messages.get_nowait().reply:
                    await self.connection.publish(reply, b"-NAK")

    async def _request(self, consumer: str, inbox: str, count: int) -> None:
        """Ask for so many messages."""
        request = {
            "batch": count,
            "max_bytes": _MAX_OCTETS,
            "expires": int(_EXPIRES * _SECOND),
            "idle_heartbeat": int(_HEARTBEAT * _SECOND),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{consumer}"
        await self.connection.publish(subject, json.dumps(request).encode(), inbox)

    async def _batch(self, messages: asyncio.Queue[Msg], count: int) -> AsyncGenerator[Msg, None]:
        """Yield the messages that answer a request, until it is fulfilled or over."""
        while count:
            message = await self._next(messages)
            headers = message.headers or {}
            status = headers.get(Header.STATUS.value)
            text = headers.get(Header.DESCRIPTION.value, "")
            if status is None:
                count -= 1
                yield message
            elif status in {"404", "408"} or "MaxBytes" in text:
                return  # the request is over
            elif status != "100" and text != "Batch Completed":  # 100 is a heartbeat
                raise LostError(f"{status} {text}")

    async def _next(self, messages: asyncio.Queue[Msg]) -> Msg:
        if not messages.empty():
            return messages.get_nowait()
        try:
            async with self.connection.within(3 * _HEARTBEAT):
                return await messages.get()
        except TimeoutError:
            raise LostError("no heartbeat of the broker") from None


class OrderedConsumer:
    """Reads every message of some subjects of a stream, in order and without gaps.

    Its consumer on the broker is created anew behind the last message whenever it is gone, or
    skipped a message.

    Args:
        connection: to the broker.
        stream: the stream.
        subject: the subjects to read; ``*`` stands for any token.

    Attributes:
        last: the sequence number of the last message that was handled.
    """

    def __init__(self, connection: Connection, stream: str, subject: str) -> None:
        self.last = 0
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._delivered = 0

    async def run(self, handle: Handle) -> None:
        """Read messages until cancelled."""

        async def handle_next(message: Msg) -> None:
            sequence = message.metadata.sequence
            # The consumer numbers its deliveries: a gap is a message that got lost on the way.
            if sequence.consumer != self._delivered + 1:
                raise LostError("a message was skipped")
            self._delivered += 1
            await handle(message)
            self.last = sequence.stream

        consumer = PullConsumer(self._connection, self._stream, self._create)
        await consumer.run(handle_next, _capacity)

    async def _create(self) -> str:
        """Create a consumer that begins behind the last message that was handled."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.last + 1,
            filter_subject=self._subject,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_INACTIVE_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        info = await self._connection.call(lambda js: js.add_consumer(self._stream, config))
        self._delivered = 0
        return info.name


async def _capacity() -> int:
    return _ORDERED_BATCH
