"""A gateway in place of the client, reports as they are pushed, and a clock that is set by hand."""

import itertools
from collections.abc import Awaitable, Callable, Sequence

import attrs

from infobip_async import (
    DeliveryReport,
    DeliveryStatus,
    Message,
    PartReceipt,
    Recipient,
    SendReceipt,
    TextMessage,
)
from infobip_async.bulk.run import BulkSend
from infobip_async.runs.run import Run
from infobip_async.runs.settings import RunSettings

HELLO = TextMessage("Hello", sender="Friend")
NUMBER = "38598514674"


def report(message_id: str, status: str = "DELIVERED", **fields: object) -> DeliveryReport:
    """A report as it is read from a push."""
    known = DeliveryStatus.__members__.get(status, DeliveryStatus.UNKNOWN)
    return DeliveryReport(message_id, known, status, **fields)


async def nothing(_: Sequence[Recipient]) -> None:
    """Let a request pass."""


@attrs.define
class Client:
    """Makes ids, and answers what it is told to: how many are accepted, or an error."""

    parts: int = 1
    answer: int | Exception | None = None
    meanwhile: Callable[[Sequence[Recipient]], Awaitable[None]] = nothing
    sent: list[Recipient] = attrs.field(factory=list)
    username: str = "user"
    _ids: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1))

    def make_message_id(self) -> str:
        """One after the other."""
        return f"id-{next(self._ids)}"

    def message_ids(self, _: Message, message_id: str) -> tuple[str, ...]:
        """As the composer numbers parts."""
        if self.parts == 1:
            return (message_id,)
        return tuple(f"{message_id}-{number}" for number in range(1, self.parts + 1))

    def send_many(self, source, *, job, **options):
        """As the client does, with requests of two."""
        exclude = options.pop("exclude", None)
        settings = RunSettings(batch_size=2, batch_age=0.01, window=100, **options)
        return Run(BulkSend(self, source, settings, exclude, job))

    async def send(self, _: Message, recipients: Sequence[Recipient]) -> SendReceipt:
        """Carry a request out."""
        self.sent += recipients
        await self.meanwhile(recipients)
        if isinstance(self.answer, Exception):
            raise self.answer
        accepted = len(recipients) if self.answer is None else self.answer
        several = tuple(recipients)
        return SendReceipt(several, (PartReceipt(accepted, None, several),))


@attrs.define
class Clock:
    """Shows the time that it was set to."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now
