"""The half of a journal that all storages share: from kept posts to handled events.

A post is read, its rows are told from those that came before, and its events go to the router:
one at a time for each message id, in the order of arrival. What became of an event is on disk
before the next of its id is begun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import attrs

from infobip_async.errors import RemoteProtocolError
from infobip_async.journal.handling import Handling
from infobip_async.journal.items import Item, items_of
from infobip_async.journal.joining import Joining
from infobip_async.journal.lanes import Lanes, Line
from infobip_async.journal.limits import TimeLimit
from infobip_async.journal.rows import digests_of
from infobip_async.journal.seam import WHOLE_POST, Claim, Decode, KeptPost, Mark, State, Storage
from infobip_async.journal.together import Together
from infobip_async.logs import logger_of_faults
from infobip_async.models import DeliveryReport, Event, HlrReport, InboundSms, UnreadableRow
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import unreadable
from infobip_async.router import Router

T = TypeVar("T")

_logger = logger_of_faults("infobip_async.journal")

# Bigger bodies are decoded in a thread: 2 MiB can hold rows for more than a second of work.
_BIG: Final = 64 * 1024
_POSTS_AT_ONCE: Final = 256
_LONGEST_REASON: Final = 500
_SECONDS_AFTER_A_FAULT: Final = 1.0
_SECONDS_BETWEEN_EXPIRIES: Final = 10.0


@attrs.frozen(eq=False)
class _Ended:
    """Items that went through their handlers together, and what is to be written down of it."""

    items: Sequence[Item]
    marks: Sequence[Mark]
    failed: bool = False


class Worker:
    """Hands what a storage keeps to a router, as a context.

    Args:
        storage: keeps the posts.
        router: where the events go.
        decode: reads a push.
        handling: the settings.
    """

    def __init__(
        self, storage: Storage, router: Router, decode: Decode, handling: Handling
    ) -> None:
        self._storage = storage
        self._router = router
        self._decode = decode
        self._handling = handling
        self._ended: Together[_Ended] = Together(self._settle)
        self._lanes: Lanes[Item] = Lanes()
        self._room = asyncio.Event()
        # A line for each type: slow handlers of one do not hold up another.
        types = (DeliveryReport, HlrReport, InboundSms, UnreadableRow)
        self._lines: dict[type[Event], Line[Item]] = {
            kind: Line(handling.in_flight) for kind in types
        }
        self._warned: set[type[Event]] = set()
        self._joining = Joining(router.reassembler.timeout, router.reassembler.limit)
        self._last_arrival = 0.0
        self._caught_up = False
        self._workers: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for line in self._lines.values():
            for _ in range(self._handling.concurrency):
                self._start(self._work(line), self._workers)
        self._start(self._take_in(), self._others)
        self._start(self._expire(), self._others)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for line in self._lines.values():
            line.close()
        await _cancel(self._others)
        seconds = self._handling.stop_seconds
        if self._workers:
            await asyncio.wait(self._workers, timeout=seconds)
        if self._workers:
            _logger.warning("%d calls of handlers are cancelled", len(self._workers))
            await _cancel(self._workers)
        await self._ended.aclose(seconds)
        await _cancel(self._others)  # attempts that were put off meanwhile

    @staticmethod
    def _start(work: Coroutine[object, object, None], tasks: set[asyncio.Task[None]]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (fault := task.exception()):
                _logger.critical("a part of the journal has failed", exc_info=fault)

        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(ended)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask the storage until it can answer."""
        told = False
        while True:
            try:
                return await call()
            except Exception as fault:  # noqa: BLE001 - whatever it is, the work must go on later
                if not told:
                    _logger.error("the journal cannot be used: %s", fault)  # noqa: TRY400 - no trace of ours
                    told = True
                await self._handling.sleep(_SECONDS_AFTER_A_FAULT)

    # --- from the storage into lanes ---

    async def _take_in(self) -> None:
        while True:
            while len(self._lanes) >= self._handling.window:
                self._room.clear()
                await self._room.wait()
            posts = await self._insist(lambda: self._storage.take(_POSTS_AT_ONCE))
            self._caught_up = not posts
            if posts:
                await self._admit_all(posts)
            else:
                await self._storage.wait()
                self._caught_up = False

    async def _admit_all(self, posts: Sequence[KeptPost]) -> None:
        read = [await self._read(post.push) for post in posts]
        claims = [Claim(post, digests) for post, (_, digests) in zip(posts, read, strict=True)]
        repeated = await self._insist(lambda: self._storage.claim(claims))
        for post, (events, _), numbers in zip(posts, read, repeated, strict=True):
            self._admit(post, events, numbers)

    async def _read(self, push: RawPush) -> tuple[list[tuple[int, Event]], dict[int, str]]:
        """The events of a push by number, and the digests of its rows."""
        try:
            if len(push.body) > _BIG:
                events = await asyncio.to_thread(self._decode, push)
            else:
                events = self._decode(push)
        except RemoteProtocolError as fault:
            return _unreadable(push, str(fault)), {}
        except Exception as fault:  # noqa: BLE001 - a fault of the parser costs no report
            return _unreadable(push, f"{type(fault).__name__} while it was read"), {}
        return list(enumerate(events)), digests_of(events)

    def _admit(
        self, kept: KeptPost, events: Sequence[tuple[int, Event]], repeated: frozenset[int]
    ) -> None:
        """Let the events of a post into their lanes, but for those that are done with."""
        self._last_arrival = kept.push.received_at
        items = items_of(kept, events, repeated, join=self._router.joins)
        if not items:
            self._ended.add(_Ended((), (Mark(kept.id, WHOLE_POST, State.DONE, closes=True),)))
        for item in items:
            if item.part:
                self._joining.expect(item)
            self._enter(item)

    def _enter(self, item: Item, *, first: bool = False) -> None:
        if self._lanes.enter(item.lane, item, first=first):
            self._lines[type(item.event)].put(item)

    def _leave(self, item: Item) -> None:
        following = self._lanes.leave(item.lane)
        if following is not None:
            self._lines[type(following.event)].put(following)
        self._room.set()

    # --- from lanes to the router ---

    async def _work(self, line: Line[Item]) -> None:
        limit = TimeLimit(self._handling.time_limit)
        try:
            while items := await line.get(self._most, Item.alike):
                self._warn(type(items[0].event))
                fault = await self._attempt(items, limit)
                self._ended.add(_Ended(items, self._outcomes(items, fault), fault is not None))
        finally:
            limit.close()

    def _most(self, item: Item) -> int:
        return 1 if item.alone else self._router.batch_size(type(item.event))

    def _warn(self, kind: type[Event]) -> None:
        if kind not in self._warned and not self._router.handles(kind):
            self._warned.add(kind)
            _logger.warning("%s is acknowledged without a handler", kind.__name__)

    async def _attempt(self, items: Sequence[Item], limit: TimeLimit) -> Exception | None:
        """Run the handlers; what goes wrong is given back."""
        first = items[0]
        try:
            with limit:
                if first.parts and isinstance(first.event, InboundSms):
                    await self._router.dispatch_whole(first.event)
                elif not first.held:
                    await self._router.dispatch([i.event for i in items], join=not first.part)
        except TimeoutError:
            return TimeoutError(f"took longer than {self._handling.time_limit} s")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            return RuntimeError("a handler was cancelled by something of its own")
        except Exception as fault:  # noqa: BLE001 - handlers may raise what they like
            return fault
        return None

    def _outcomes(self, items: Sequence[Item], fault: Exception | None) -> list[Mark]:
        if fault is None:
            return [mark for item in items for mark in self._outcome(item)]
        for item in items:
            item.attempts += 1
        _logger.warning(
            "handlers failed on %d of %s, attempt %d",
            len(items),
            type(items[0].event).__name__,
            items[0].attempts,
            exc_info=fault,
        )
        return [mark for item in items for mark in self._outcome_of_a_fault(item, fault)]

    def _outcome(self, item: Item) -> Iterable[Mark]:
        """What becomes of an item that was handled."""
        if item.part:
            if not item.held:
                item.attempts = 0  # those of the whole message are counted anew
            messages, state = self._joining.take(item, self._until())
            self._hand_on(messages)
            if state is None or (state is State.HELD and item.held):
                return ()
            return item.mark(state)
        if isinstance(item.event, UnreadableRow):
            return self._quarantine(item, item.event)
        return item.mark(State.DONE)

    def _outcome_of_a_fault(self, item: Item, fault: Exception) -> Iterable[Mark]:
        reason, now = _describe(fault), self._handling.clock()
        if not self._exhausted(item):
            return item.mark(State.HELD if item.parts else State.FAILED, reason, now)
        self._joining.forget(item)
        if isinstance(item.event, UnreadableRow):
            return self._quarantine(item, item.event)
        _logger.error("%s is a dead letter of the journal", type(item.event).__name__)
        return item.mark(State.DEAD, reason, now)

    def _exhausted(self, item: Item) -> bool:
        return item.attempts >= self._handling.attempts

    def _quarantine(self, item: Item, row: UnreadableRow) -> Iterable[Mark]:
        _logger.warning("what cannot be read is in the journal's quarantine: %s", row.reason)
        return item.mark(State.QUARANTINED, row.reason, self._handling.clock())

    async def _settle(self, ended: Sequence[_Ended]) -> None:
        """Write down what became of items; then what waited for them can go on."""
        if marks := [mark for one in ended for mark in one.marks]:
            await self._insist(lambda: self._storage.settle(marks))
        for one in ended:
            for item in one.items:
                if one.failed and not self._exhausted(item):
                    self._start(self._try_again(item), self._others)
                else:
                    self._leave(item)
            if one.items:
                self._lines[type(one.items[0].event)].give_back()

    async def _try_again(self, item: Item) -> None:
        await self._handling.sleep(self._handling.delay(item.attempts))
        self._lines[type(item.event)].put(item)

    # --- parts of messages ---

    def _until(self) -> float:
        """Up to when everything that arrived is in a lane, or was handled."""
        return self._handling.clock() if self._caught_up else self._last_arrival

    def _hand_on(self, messages: Iterable[Item]) -> None:
        for message in messages:
            self._enter(message, first=True)

    async def _expire(self) -> None:
        while True:
            await self._handling.sleep(_SECONDS_BETWEEN_EXPIRIES)
            self._hand_on(self._joining.give_up(self._until()))


def _unreadable(push: RawPush, reason: str) -> list[tuple[int, Event]]:
    return [(WHOLE_POST, unreadable(push, reason))]


def _describe(fault: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(fault, ExceptionGroup):
        return "; ".join(map(_describe, fault.exceptions))[:_LONGEST_REASON]
    return f"{type(fault).__name__}: {fault}"[:_LONGEST_REASON]


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    several = set(tasks)
    for task in several:
        task.cancel()
    await asyncio.gather(*several, return_exceptions=True)
