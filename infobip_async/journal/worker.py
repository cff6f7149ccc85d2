"""The half of a journal that all storages share: from stored pushes to handled events.

::

    take, decode, claim ──► KeyedQueue ──► WorkQueue ──► handlers ──► Batcher: record
                            one at a time  one for each                  │
                            for each key   type                          │
                                 ▲              ▲                        │
                                 │ next of      │ same event,            │
                                 └ the key ◄────┴ again later ◄──────────┘

The order of these steps keeps the promises of a journal:

- An event leaves its ordering key only when its state is on disk. So the next event of the key is
  not begun before, and after a crash no event of a key is handled before an earlier one.
- A worker goes on as soon as its handlers have ended; only the place in its `WorkQueue` waits for
  the disk. So many events share a write, and at most `in_flight` are repeated after a crash.
- A retry sleeps outside the workers, and keeps its ordering key meanwhile: it holds up the events
  of its own key, and no others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Self, TypeVar

import attrs

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.keyed_queue import KeyedQueue, WorkQueue
from infobip_async.concurrency.reusable_timeout import ReusableTimeout
from infobip_async.concurrency.stopping import time_to_stop
from infobip_async.concurrency.tasks import TaskSet
from infobip_async.errors import RemoteProtocolError
from infobip_async.journal.base import (
    WHOLE_PUSH,
    Decode,
    EventState,
    RowDigests,
    State,
    Storage,
    StoredPush,
)
from infobip_async.journal.items import Item, digests_of, items_of
from infobip_async.journal.parts import StoredParts
from infobip_async.journal.settings import HandlerSettings
from infobip_async.models import DeliveryReport, Event, HlrReport, InboundSms, UnreadableRow
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import unreadable
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router

T = TypeVar("T")

_logger = logger_of_faults("infobip_async.journal")

# Bigger bodies are decoded in a thread: 2 MiB can hold rows for more than a second of work.
_BIG: Final = 64 * 1024
_PUSHES_AT_ONCE: Final = 256
_LONGEST_REASON: Final = 500
_SECONDS_AFTER_A_FAULT: Final = 1.0
_SECONDS_BETWEEN_EXPIRIES: Final = 10.0


@attrs.frozen(eq=False)
class _Handled:
    """Items that went through their handlers together, and the states to record."""

    items: Sequence[Item]
    states: Sequence[EventState]
    failed: bool = False


class JournalWorker:
    """Hands what a storage holds to a router, as a context.

    Args:
        storage: holds the pushes.
        router: where the events go.
        decode: reads a push.
        settings: how events are handled.
    """

    def __init__(
        self, storage: Storage, router: Router, decode: Decode, settings: HandlerSettings
    ) -> None:
        self._storage = storage
        self._router = router
        self._decode = decode
        self._settings = settings
        self._recording: Batcher[_Handled] = Batcher(self._record)
        self._order: KeyedQueue[Item] = KeyedQueue()
        self._room = asyncio.Event()
        # A queue for each type: slow handlers of one type do not hold up another.
        types = (DeliveryReport, HlrReport, InboundSms, UnreadableRow)
        self._queues: dict[type[Event], WorkQueue[Item]] = {
            kind: WorkQueue(settings.in_flight) for kind in types
        }
        self._warned: set[type[Event]] = set()
        self._parts = StoredParts(router.parts_timeout, router.parts_limit)
        self._last_arrival = 0.0
        self._caught_up = False
        self._workers = TaskSet(_log_end)
        self._others = TaskSet(_log_end)

    async def __aenter__(self) -> Self:
        for queue in self._queues.values():
            for _ in range(self._settings.concurrency):
                self._workers.start(self._work(queue))
        self._others.start(self._take_in())
        self._others.start(self._expire())
        return self

    async def __aexit__(self, *_: object) -> None:
        for queue in self._queues.values():
            queue.close()
        await self._others.cancel()
        if not await self._workers.drain(time_to_stop(self._settings.stop_timeout)):
            _logger.warning("%d calls of handlers are cancelled", len(self._workers))
            await self._workers.cancel()
        await self._recording.aclose(self._settings.stop_timeout)
        await self._others.cancel()  # retries that were put off meanwhile

    async def _until_it_answers(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask the storage, every second until it can answer.

        A storage that is away for an hour must cost no event. Everything here waits for it then.
        """
        told = False
        while True:
            try:
                return await call()
            except Exception as fault:  # noqa: BLE001 - whatever it is, the work must go on later
                if not told:
                    _logger.error("the journal cannot be used: %s", fault)  # noqa: TRY400 - no trace of ours
                    told = True
                await self._settings.sleep(_SECONDS_AFTER_A_FAULT)

    # --- from the storage into the queues ---

    async def _take_in(self) -> None:
        while True:
            while len(self._order) >= self._settings.window:
                self._room.clear()
                await self._room.wait()
            pushes = await self._until_it_answers(lambda: self._storage.take(_PUSHES_AT_ONCE))
            self._caught_up = not pushes
            if pushes:
                await self._admit_all(pushes)
            else:
                await self._storage.wait()
                self._caught_up = False

    async def _admit_all(self, pushes: Sequence[StoredPush]) -> None:
        read = [await self._read(stored.push) for stored in pushes]
        claims = [
            RowDigests(stored, digests) for stored, (_, digests) in zip(pushes, read, strict=True)
        ]
        repeated = await self._until_it_answers(lambda: self._storage.claim(claims))
        for stored, (events, _), numbers in zip(pushes, read, repeated, strict=True):
            self._admit(stored, events, numbers)

    async def _read(self, push: RawPush) -> tuple[list[tuple[int, Event]], dict[int, str]]:
        """Give the events of a push by number, and the digests of its rows."""
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
        self, stored: StoredPush, events: Sequence[tuple[int, Event]], repeated: frozenset[int]
    ) -> None:
        """Queue the events of a push, except those with a final state and repeated rows."""
        self._last_arrival = stored.push.received_at
        items = items_of(stored, events, repeated, join=self._router.joins)
        if not items:
            done = EventState(stored.id, WHOLE_PUSH, State.DONE, closes=True)
            self._recording.add(_Handled((), (done,)))
        for item in items:
            if item.part:
                self._parts.expect(item)
            self._enqueue(item)

    def _enqueue(self, item: Item, *, first: bool = False) -> None:
        if self._order.add(item.key, item, first=first):
            self._queues[type(item.event)].put(item)

    def _finish(self, item: Item) -> None:
        following = self._order.finish(item.key)
        if following is not None:
            self._queues[type(following.event)].put(following)
        self._room.set()

    # --- from the queues to the router ---

    async def _work(self, queue: WorkQueue[Item]) -> None:
        limit = ReusableTimeout(self._settings.time_limit)
        try:
            while items := await queue.get(self._most, Item.alike):
                self._warn(type(items[0].event))
                fault = await self._attempt(items, limit)
                # Not awaited: the worker goes on while the states are written.
                self._recording.add(_Handled(items, self._states(items, fault), fault is not None))
        finally:
            limit.close()

    def _most(self, item: Item) -> int:
        return 1 if item.alone else self._router.batch_size(type(item.event))

    def _warn(self, kind: type[Event]) -> None:
        if kind not in self._warned and not self._router.handles(kind):
            self._warned.add(kind)
            _logger.warning("%s is acknowledged without a handler", kind.__name__)

    async def _attempt(self, items: Sequence[Item], limit: ReusableTimeout) -> Exception | None:
        """Run the handlers once, and give what went wrong."""
        first = items[0]
        try:
            with limit:
                if first.parts and isinstance(first.event, InboundSms):
                    await self._router.dispatch_whole(first.event)
                elif not first.held:  # the handlers of a held part ran before a restart
                    await self._router.dispatch([item.event for item in items])
        except TimeoutError:
            return TimeoutError(f"took longer than {self._settings.time_limit} s")
        except Exception as fault:  # noqa: BLE001 - handlers may raise what they like
            return fault
        return None

    def _states(self, items: Sequence[Item], fault: Exception | None) -> list[EventState]:
        """Make the states of items that went through their handlers together."""
        if fault is None:
            return [state for item in items for state in self._states_of_success(item)]
        for item in items:
            item.attempts += 1
        _logger.warning(
            "handlers failed on %d of %s, attempt %d",
            len(items),
            type(items[0].event).__name__,
            items[0].attempts,
            exc_info=fault,
        )
        return [state for item in items for state in self._states_of_failure(item, fault)]

    def _states_of_success(self, item: Item) -> Iterable[EventState]:
        if item.part:
            return self._states_of_part(item)
        if isinstance(item.event, UnreadableRow):
            return self._quarantine(item, item.event)
        return item.states(State.DONE)

    def _states_of_part(self, item: Item) -> Iterable[EventState]:
        """Join a part whose own handlers succeeded, and queue the messages that it completes.

        A part gets its final state with the message that has it: until then it is held, so that it
        is there again after a crash.
        """
        if not item.held:
            item.attempts = 0  # attempts at the whole message are counted anew
        messages, state = self._parts.add(item, self._arrived())
        self._enqueue_first(messages)
        if state is None or (state is State.HELD and item.held):
            return ()  # nothing new to record
        return item.states(state)

    def _states_of_failure(self, item: Item, fault: Exception) -> Iterable[EventState]:
        reason, now = _describe(fault), self._settings.clock()
        if not self._exhausted(item):
            # The parts of a whole message stay held: their own handlers must not run again.
            return item.states(State.HELD if item.parts else State.FAILED, reason, now)
        self._parts.forget(item)
        if isinstance(item.event, UnreadableRow):
            return self._quarantine(item, item.event)
        _logger.error("%s is a dead letter of the journal", type(item.event).__name__)
        return item.states(State.DEAD, reason, now)

    def _exhausted(self, item: Item) -> bool:
        return item.attempts >= self._settings.attempts

    def _quarantine(self, item: Item, row: UnreadableRow) -> Iterable[EventState]:
        _logger.warning("an unreadable row is in the journal's quarantine: %s", row.reason)
        return item.states(State.QUARANTINED, row.reason, self._settings.clock())

    async def _record(self, handled: Sequence[_Handled]) -> None:
        """Write states down; only then let go on what waited for them."""
        if states := [state for one in handled for state in one.states]:
            await self._until_it_answers(lambda: self._storage.record(states))
        for one in handled:
            for item in one.items:
                if one.failed and not self._exhausted(item):
                    self._others.start(self._try_again(item))
                else:
                    self._finish(item)
            if one.items:
                self._queues[type(one.items[0].event)].give_back()

    async def _try_again(self, item: Item) -> None:
        await self._settings.sleep(self._settings.delay(item.attempts))
        self._queues[type(item.event)].put(item)

    # --- parts of messages ---

    def _arrived(self) -> float:
        """Give the time up to which all pushes that arrived were read from the storage."""
        return self._settings.clock() if self._caught_up else self._last_arrival

    def _enqueue_first(self, messages: Iterable[Item]) -> None:
        """Queue whole messages before later events of the same sender."""
        for message in messages:
            self._enqueue(message, first=True)

    async def _expire(self) -> None:
        while True:
            await self._settings.sleep(_SECONDS_BETWEEN_EXPIRIES)
            self._enqueue_first(self._parts.take_due(self._arrived()))


def _log_end(task: "asyncio.Task[object]") -> None:
    """Log the end of a task by a fault of our own: part of the work stands still then."""
    if not task.cancelled() and (fault := task.exception()):
        _logger.critical("a part of the journal has failed", exc_info=fault)


def _unreadable(push: RawPush, reason: str) -> list[tuple[int, Event]]:
    return [(WHOLE_PUSH, unreadable(push, reason))]


def _describe(fault: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(fault, ExceptionGroup):
        return "; ".join(map(_describe, fault.exceptions))[:_LONGEST_REASON]
    return f"{type(fault).__name__}: {fault}"[:_LONGEST_REASON]
