"""The messages that this process works on, while no other process gets them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Final

import attrs
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from infobip_async.concurrency.tasks import LastingTasks, TaskSet
from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.consumers import Handle, PullConsumer

_HEARTBEATS: Final = 3  # within `ack_wait`, so that one may be late
_MOST_REMEMBERED: Final = 50_000  # messages that were done with; they take some 8 MiB

_logger = logging.getLogger("infobip_async.jetstream")


@attrs.define(eq=False, kw_only=True)
class Lease:
    """Messages of a durable consumer that several processes share.

    The broker gives a message to one process. It gives the message to another one unless the
    first says within `ack_wait` that it still works on it, or is done with it.

    Attributes:
        connection: to the broker.
        stream: the stream.
        consumer: the name of the consumer.
        ack_wait: seconds that the broker waits for a word about a message.
        max_in_hand: messages that all processes together may have in hand; -1 for no limit.
        subject: the subjects of the messages; None for all of the stream.
        tasks: what works on the messages; cancelled before messages are given back.
    """

    connection: Connection
    stream: str
    consumer: str
    ack_wait: float
    max_in_hand: int = -1
    subject: str | None = None
    tasks: TaskSet = attrs.field(factory=TaskSet, init=False)
    _messages: dict[int, Msg] = attrs.field(factory=dict, init=False)
    # A broker that is killed forgets acknowledgements that it has confirmed, and gives their
    # messages out again. The time tells a message from one of a stream that was made anew.
    _done: dict[int, datetime] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._messages

    def __getitem__(self, sequence: int) -> Msg:
        """The latest delivery of a message in hand."""
        return self._messages[sequence]

    async def declare(self) -> str:
        """Create the consumer if it is missing, and give its name."""
        config = ConsumerConfig(
            durable_name=self.consumer,
            filter_subject=self.subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait,
            max_deliver=-1,
            max_ack_pending=self.max_in_hand,
        )
        await self.connection.ensure_consumer(self.stream, config)
        return self.consumer

    @asynccontextmanager
    async def open(
        self, handle: Handle, capacity: Callable[[], Awaitable[int]]
    ) -> AsyncIterator[None]:
        """Take messages in hand, and give back in the end what is not done with.

        Args:
            handle: takes a message that was not in hand. If it raises, the message comes again.
            capacity: waits until there is room for messages, and says for how many.
        """

        async def take(message: Msg) -> None:
            sequence = message.metadata.sequence.stream
            if self._done.get(sequence) == message.metadata.timestamp:
                with suppress(StorageUnavailableError):  # else it comes once more
                    await self.connection.publish(message.reply, b"+ACK")
                return
            known = sequence in self._messages
            self._messages[sequence] = message  # the broker listens to its latest delivery
            if not known:
                try:
                    await handle(message)
                except Exception:
                    self.drop(sequence)  # nobody works on it
                    raise

        consumer = PullConsumer(self.connection, self.stream, self.declare, shared=True)
        lasting = LastingTasks("journal", _logger)
        lasting.start(partial(consumer.run, take, capacity))
        lasting.start(self._beat)
        try:
            yield
        finally:
            await lasting.end()
            await self.tasks.cancel()
            await self._give_back()
            self._messages.clear()

    async def acknowledge(self, sequence: int) -> None:
        """Have the broker confirm that a message is done with.

        Raises:
            StorageUnavailableError: no confirmation came; the message stays in hand.
        """
        # A broker that was killed may have forgotten that it gave the message out, and then does
        # not answer. It gives the message out again, so there is no point in waiting for longer.
        message = self._messages[sequence]
        await self.connection.request(message.reply, b"+ACK", at_most=self.ack_wait)
        self._done[sequence] = message.metadata.timestamp
        if len(self._done) > _MOST_REMEMBERED:
            del self._done[next(iter(self._done))]
        self.drop(sequence)

    def drop(self, sequence: int) -> None:
        """Leave a message to the broker, which gives it out again if it was not acknowledged."""
        self._messages.pop(sequence, None)

    async def _beat(self) -> None:
        """Tell the broker again and again that the messages in hand are still worked on."""
        while True:
            await asyncio.sleep(self.ack_wait / _HEARTBEATS)
            with suppress(StorageUnavailableError):
                await self._tell_all(b"+WPI")

    async def _give_back(self) -> None:
        """Have the broker give the messages to others now, and not after `ack_wait`."""
        with suppress(StorageUnavailableError):
            await self._tell_all(b"-NAK")

    async def _tell_all(self, what: bytes) -> None:
        for message in tuple(self._messages.values()):
            await self.connection.publish(message.reply, what)
