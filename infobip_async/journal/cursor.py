"""A place in a stream of its own, from which a process reads along, through any fault."""

from collections.abc import Awaitable, Callable
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy

from infobip_async.journal.broker import Broker
from infobip_async.journal.pulling import LostError, Pull

_AT_ONCE: Final = 500
_INACTIVE_SECONDS: Final = 60.0


class Cursor:
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

    def __init__(self, broker: Broker, stream: str, subject: str) -> None:
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
