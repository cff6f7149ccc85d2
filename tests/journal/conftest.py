"""A journal with a clock of its own, posts for it, and handlers that do as they are told."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import attrs
import pytest

from infobip_async.journal import HandlerSettings, SqliteJournal, StoredPush
from infobip_async.journal.base import EventState
from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    Event,
    HlrReport,
    HlrStatus,
    InboundSms,
    UnreadableRow,
)
from infobip_async.protocol import dlr_xml, hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.router import Router

START = 1_700_000_000.0

LIMIT = 60.0
"""Seconds that a wait for the disk may take: a busy one takes ten for a single fsync."""

T = TypeVar("T")


@attrs.define
class Time:
    """Time that passes when it is told to."""

    now: float = START
    waits: list[float] = attrs.field(factory=list)
    _sleepers: list[tuple[float, int, asyncio.Future[None]]] = attrs.field(factory=list)
    _order: "count[int]" = attrs.field(factory=count)

    def __call__(self) -> float:  # noqa: D102 - a clock
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Come back when so many seconds have passed."""
        self.waits.append(seconds)
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), waiter))
        await waiter

    @property
    def sleepers(self) -> int:
        """How many sleep now."""
        return sum(not waiter.done() for _, _, waiter in self._sleepers)

    def go_on(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds
        while self._sleepers and self._sleepers[0][0] <= self.now:
            waiter = heapq.heappop(self._sleepers)[2]
            if not waiter.done():
                waiter.set_result(None)


@attrs.define(eq=False)
class Recorder:
    """A handler that keeps what it gets, after it did what it was told to do with it."""

    events: list[Event] = attrs.field(factory=list)
    running: int = 0
    most_running: int = 0
    act: Callable[[Event], object] = lambda _: None
    _news: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, event: Event) -> None:  # noqa: D102 - a handler
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            outcome = self.act(event)
            if asyncio.isfuture(outcome) or asyncio.iscoroutine(outcome):
                await outcome
        finally:
            self.running -= 1
            self.events.append(event)
            self._news.set()

    @property
    def ids(self) -> list[str]:
        """What tells the events from each other, in the order in which they were done with."""
        return [_id(event) for event in self.events]

    async def several(self, events: Sequence[Event]) -> None:
        """The same for a batch."""
        for event in events:
            self.act(event)
        self.events.append(tuple(events))
        self._news.set()

    async def wait_for(self, number: int) -> list[Event]:
        """Wait until so many calls have ended."""
        async with asyncio.timeout(LIMIT):
            while len(self.events) < number:
                self._news.clear()
                await self._news.wait()
        return self.events


def _id(event: Event) -> str:
    match event:
        case DeliveryReport():
            return event.message_id
        case HlrReport():
            return event.destination
        case InboundSms():
            return event.text or ""
    assert isinstance(event, UnreadableRow)
    return event.reason


@attrs.define
class Bench:
    """Journals on one file, one after the other, and everything around them."""

    path: Path
    time: Time = attrs.field(factory=Time)
    router: Router = attrs.field(factory=Router)
    kinds: type[PushKind] = PushKind
    settings: dict[str, object] = attrs.field(factory=dict)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack)
    _settled: asyncio.Event = attrs.field(factory=asyncio.Event)

    def journal(self, **handling: object) -> SqliteJournal:
        """A journal on the file, which is not opened."""
        settings = {"clock": self.time, "sleep": self.time.sleep, "chance": lambda: 0.0}
        settings |= {"stop_timeout": LIMIT} | handling
        journal = SqliteJournal(self.path, settings=HandlerSettings(**settings), **self.settings)
        record = journal._storage.record

        async def record_and_tell(marks: Sequence[EventState]) -> None:
            await record(marks)
            self._settled.set()

        journal._storage.record = record_and_tell
        return journal

    async def start(self, **handling: object) -> SqliteJournal:
        """Serve a journal until the end of the test, or until `stop`."""
        return await self.serve(self.journal(**handling))

    async def serve(self, journal: SqliteJournal) -> SqliteJournal:
        """The same for one that was made before."""
        serving = journal.serve(self.router, partial(decode, settings=PushFormat()))
        await self._stack.enter_async_context(serving)
        return journal

    async def stop(self) -> None:
        """Stop the journal that was started."""
        await self._stack.aclose()

    def record(self, *types: type[Event], **options: object) -> Recorder:
        """Register a recorder for types of events."""
        recorder = Recorder()
        for kind in types:
            handler = recorder.several if "batch" in options else recorder
            self.router.on(kind, **options)(handler)
        return recorder

    async def pause(self, sleepers: int) -> None:
        """Wait until so many sleep."""
        await self.until(lambda: self.time.sleepers >= sleepers)

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        """Let others go on until a condition holds."""
        async with asyncio.timeout(LIMIT):
            while not condition():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)

    async def emptied(self, journal: SqliteJournal) -> None:
        """Wait until nothing waits in a journal; what is kept does not count."""
        await self.come_to([], lambda: self.look(journal))

    async def come_to(self, wanted: T, look: Callable[[], Awaitable[T]]) -> None:
        """Wait until a look into a journal finds what is wanted, which marks bring about."""
        async with asyncio.timeout(LIMIT):
            self._settled.clear()
            while await look() != wanted:
                await self._settled.wait()
                self._settled.clear()

    @staticmethod
    async def look(journal: SqliteJournal) -> list[StoredPush]:
        """What waits in a journal."""
        return [post async for post in journal.waiting()]

    def push(self, kind: PushKind, query: str = "", body: bytes = b"") -> RawPush:
        """A post that arrives now."""
        return RawPush(kind, query, body, self.time())

    def reports(self, *ids: str, status: str = "DELIVERED") -> RawPush:
        """A post of delivery reports on messages."""
        rows = [DeliveryReport(one, DeliveryStatus(status), status) for one in ids]
        return self.push(PushKind.DELIVERY_REPORTS, body=dlr_xml.encode_push(rows))

    def hlr(self, *destinations: str, lookup_id: str = "1-2-3", imsi: str = "") -> RawPush:
        """A post of HLR reports on numbers."""
        status = HlrStatus.DELIVRD
        rows = [HlrReport(one, lookup_id, status, "DELIVRD", imsi) for one in destinations]
        return self.push(PushKind.HLR_REPORTS, body=hlr_dlr.encode_push(rows))

    def inbound(self, query: str) -> RawPush:
        """A forwarded SMS."""
        return self.push(PushKind.INBOUND_SMS, query)

    def part(self, number: int, total: int, text: str, sender: str = "38598123123") -> RawPush:
        """A forwarded part of a longer SMS."""
        octets = (bytes([5, 0, 3, 7, total, number]) + text.encode()).hex()
        return self.inbound(
            f"sender={sender}&receiver=41793026727&bin={octets}&datacoding=0&esmclass=64"
        )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Everything for a journal, which is stopped after the test."""
    bench = Bench(tmp_path / "posts.db")
    yield bench
    await bench.stop()
