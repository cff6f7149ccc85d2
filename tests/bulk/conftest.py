"""A gateway in place of the client, that can be told what to answer, and time that is skipped."""

import asyncio
import itertools
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from infobip_async import Message, PartReceipt, Recipient, SendReceipt
from infobip_async.bulk.items import SendResult
from infobip_async.bulk.run import BulkSend, Source
from infobip_async.errors import RunStoppedError
from infobip_async.runs.run import Run
from infobip_async.runs.settings import RunSettings
from infobip_async.text.segments import preview
from jumping import JumpingLoop
from skipping import SkippingLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """The engine alone needs no time; threads and sockets do, but for what a test skips."""
    if item.path.stem == "test_run":
        return {"skipping": SkippingLoop}
    return {"jumping": JumpingLoop}


async def _nothing() -> None:
    """Answer at once."""


@attrs.define
class Gateway:
    """What was sent and when, and what is answered: an exception, or how many are accepted."""

    answer: Callable[[Message, Sequence[Recipient]], int | Exception] = lambda _, recipients: len(
        recipients
    )
    requests: list[tuple[Message, list[Recipient]]] = attrs.field(factory=list)
    tries: list[tuple[float, int]] = attrs.field(factory=list)
    pause: Callable[[], Awaitable[object]] = _nothing
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    in_flight: int = 0
    most_in_flight: int = 0
    ids: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1))

    async def send(self, message: Message, recipients: Sequence[Recipient]) -> SendReceipt:
        """Count what arrives, and answer."""
        self.entered.set()
        self.tries.append((asyncio.get_running_loop().time(), len(recipients)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.pause()
            answer = self.answer(message, recipients)
            if isinstance(answer, Exception):
                raise answer
            self.requests.append((message, list(recipients)))
            several = tuple(recipients)
            return SendReceipt(several, (PartReceipt(answer, Decimal(1), several),))
        finally:
            self.in_flight -= 1

    def make_message_id(self) -> str:
        """One after the other."""
        return f"id-{next(self.ids)}"

    def message_ids(self, message: Message, message_id: str) -> tuple[str, ...]:
        """Every message that can be sent goes out in one request."""
        preview(message)
        return (message_id,)

    username: str = "user"
    balance: Decimal = Decimal(1_000)

    async def credits(self) -> Decimal:
        """What is left."""
        return self.balance

    @property
    def sent(self) -> list[str]:
        """The numbers of all requests, in order."""
        return [recipient.msisdn for _, several in self.requests for recipient in several]


@pytest.fixture
def gateway() -> Gateway:
    """A gateway that accepts everything."""
    return Gateway()


DEFAULT = RunSettings(
    batch_size=10,
    batch_age=600.0,  # nothing depends on how soon the next item comes
    concurrency=4,
    window=100,
    unreachable_timeout=30.0,
    stop_timeout=1.0,
)


@pytest.fixture
def bulk(gateway: Gateway):
    """Make a bulk send with small settings."""

    def make(source: Source, *, exclude=None, job=None, **settings: object) -> Run[SendResult]:
        return Run(BulkSend(gateway, source, attrs.evolve(DEFAULT, **settings), exclude, job))

    return make


@pytest.fixture
def run(bulk):
    """Run a bulk send to its end, and give all of its results."""

    async def run(source: Source, **settings: object) -> list[SendResult]:
        return [result async for result in bulk(source, **settings)]

    return run


async def take(results: AsyncIterable[SendResult], found: list[SendResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in results:
        found.append(result)  # noqa: PERF401 - a comprehension loses them


@attrs.define
class Stopped:
    """What a run gave before it could not go on, and why."""

    results: list[SendResult] = attrs.field(factory=list)
    why: RunStoppedError | None = None

    @property
    def cause(self) -> BaseException | None:
        """What came from the gateway."""
        return self.why.__cause__ if self.why else None


@pytest.fixture
def stopped(bulk):
    """Run a bulk send that cannot go on, and give its results and the reason."""

    async def stopped(source: Source, **settings: object) -> Stopped:
        found = Stopped()
        with pytest.raises(RunStoppedError) as caught:
            await take(bulk(source, **settings), found.results)
        found.why = caught.value
        return found

    return stopped
