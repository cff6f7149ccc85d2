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

Nothing that an event does ends this work (see `attempts` and `suspects`):

- Whatever ends its handlers is a fault of the event, and counts as an attempt.
- A handler that goes on although it was cancelled keeps the ordering key of its event, but not its
  worker: another one takes the place.
- An event that was being handled when a process died is a suspect. It is handled while nothing
  else is, and that is written down before. So a further death speaks against this event alone. It
  may still be chance, such as a deploy that kills: before the next attempt the process has to live
  for a while. One that is killed again and again does not come to it, whoever kills it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, Self, TypeVar

import attrs

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.keyed_queue import KeyedQueue, WorkQueue
from infobip_async.concurrency.stop_deadline import time_to_stop
from infobip_async.concurrency.tasks import LastingTasks, TaskSet, abandon
from infobip_async.journal.attempts import Attempts, delay_after
from infobip_async.journal.base import (
    WHOLE_PUSH,
    Decode,
    EventState,
    RowDigests,
    State,
    Storage,
    StoredPush,
)
from infobip_async.journal.items import Item, states_of_done
from infobip_async.journal.outcomes import Outcomes
from infobip_async.journal.parts import StoredParts
from infobip_async.journal.reading import Reading, read
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.suspects import KILLED, MOST_DEATHS, Numbers, Suspects
from infobip_async.models.events import DeliveryReport, Event, HlrReport, InboundSms, UnreadableRow
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.router import Router

T = TypeVar("T")

_logger = logger_of_faults("infobip_async.journal")

_PUSHES_AT_ONCE: Final = 256
_SECONDS_AFTER_A_FAULT: Final = 1.0
_SECONDS_BETWEEN_EXPIRIES: Final = 10.0
_SECONDS_AFTER_A_CANCELLATION: Final = 1.0
_SECONDS_OF_THE_LAST_WRITE: Final = 1.0  # at least: else all that was handled is handled again
_AS_OF_ATTEMPTS: Final = 2  # in advance: the pause after a death is 4 to 8 s, and twice that


@attrs.frozen(eq=False)
class _Handled:
    """Items that went through their handlers together, and the states to record.

    Without states, all items are done with. `queue` gets their place back; None where they have
    none.
    """

    items: Sequence[Item]
    states: Sequence[EventState] | None
    failed: bool = False
    queue: WorkQueue[Item] | None = None


class JournalWorker:
    """Hands what a storage holds to a router, as a context."""

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
        self._suspects = Suspects(self._queues.values(), settings.chance)
        self._warned: set[type[Event]] = set()
        self._lines = SparseLogger(_logger)
        self._parts = StoredParts(router.parts_timeout, router.parts_limit)
        self._outcomes = Outcomes(
            settings, self._parts, self._arrived, self._enqueue_first, router.watch
        )
        self._last_arrival = 0.0
        self._caught_up = False
        self._workers = LastingTasks("journal", _logger, self._pause)
        self._numbers = Numbers()
        self._given_up = TaskSet()
        self._others = LastingTasks("journal", _logger, self._pause)
        self._retries = LastingTasks("journal", _logger, self._pause)
        self._closed = False
        self._taken: Sequence[StoredPush] = ()

    async def __aenter__(self) -> Self:
        for queue in self._queues.values():
            for _ in range(self._settings.concurrency):
                self._workers.start(partial(self._work, queue))
        self._workers.start(self._work_alone)
        self._others.start(self._take_in)
        self._others.start(self._expire)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._workers.ending = True
        self._suspects.close()
        self._survived()  # whoever stops the process may kill it, too
        await self._others.end()
        workers = self._workers.tasks
        if not await workers.drain(time_to_stop(self._settings.stop_timeout)):
            _logger.warning("%d calls of handlers are cancelled", len(workers))
        late = await abandon((*workers, *self._given_up), _SECONDS_AFTER_A_CANCELLATION)
        if late:
            _logger.error("%d calls of handlers go on although they were cancelled", late)
            for number in range(self._numbers.known):
                self._storage.note(number, ())  # the process has not died of them
        seconds = time_to_stop(self._settings.stop_timeout)
        await self._recording.aclose(max(seconds, _SECONDS_OF_THE_LAST_WRITE))
        self._closed = True
        await self._retries.end()  # those that were put off meanwhile included

    async def _pause(self) -> None:
        await self._settings.sleep(_SECONDS_AFTER_A_FAULT)

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
                await self._pause()

    # --- from the storage into the queues ---

    async def _take_in(self) -> None:
        while True:
            while len(self._order) >= self._settings.window:
                self._room.clear()
                await self._room.wait()
            if not self._taken:  # else this was cancelled before it could queue them
                self._taken = await self._until_it_answers(
                    lambda: self._storage.take(_PUSHES_AT_ONCE)
                )
            self._caught_up = not self._taken
            if self._taken:
                try:
                    await self._admit_all(self._taken)
                except Exception:
                    self._taken = ()  # they may be queued in part: what trips us up once does again
                    raise
                self._taken = ()
            else:
                await self._storage.wait()
                self._caught_up = False

    async def _admit_all(self, pushes: Sequence[StoredPush]) -> None:
        readings = [await read(stored, self._decode) for stored in pushes]
        claims = [RowDigests(one.stored, one.digests) for one in readings]
        repeated = await self._until_it_answers(lambda: self._storage.claim(claims))
        for one, numbers in zip(readings, repeated, strict=True):
            self._router.watch.count("infobip.journal.repeated", len(numbers), {})
            self._admit(one, numbers)

    def _admit(self, reading: Reading, repeated: frozenset[int]) -> None:
        """Queue the events of a push, except those with a final state and repeated rows."""
        self._last_arrival = reading.stored.push.received_at
        items = reading.items(repeated, join=self._router.joins)
        if not items:
            done = EventState(reading.stored.id, WHOLE_PUSH, State.DONE, closes=True)
            self._recording.add(_Handled((), (done,)))
        for kind in {type(item.event) for item in items}:
            self._warn(kind)
        for item in items:
            if item.part:
                self._parts.expect(item)
            self._enqueue(item)

    def _enqueue(self, item: Item, *, first: bool = False) -> None:
        if self._order.add(item.key, item, first=first):
            self._put(item)

    def _put(self, item: Item) -> None:
        if not item.suspect:
            self._queues[type(item.event)].put(item)
        elif 1 < item.deaths <= MOST_DEATHS:
            self._retries.start(partial(self._suspect_again, item))
        else:
            self._suspects.put(item)

    async def _suspect_again(self, item: Item) -> None:
        """Handle an event alone once more, if the process lives for long enough."""
        await self._settings.sleep(delay_after(_AS_OF_ATTEMPTS + item.deaths, self._settings))
        self._suspects.put(item)

    def _finish(self, item: Item) -> None:
        following = self._order.finish(item.key)
        if following is not None:
            self._put(following)
        self._room.set()

    # --- from the queues to the router ---

    async def _work(self, queue: WorkQueue[Item]) -> None:
        attempts, number = self._attempts(queue), self._numbers.take()
        try:
            while not attempts.given_up and (items := await queue.get(self._most, Item.alike)):
                places = (
                    items[0].places
                    if len(items) == 1
                    else [row for item in items for row in item.places]
                )
                self._storage.note(number, places)
                self._suspects.others += 1
                fault = await attempts.run(items)
                # Not waited for: the worker goes on while the states are written.
                self._handled(items, fault, attempts, queue)
                attempts.check(fault)
                if not queue.ready:  # else the next note takes the place of this one
                    self._storage.note(number, ())
        finally:
            attempts.close()
            if not self._closed:
                self._storage.note(number, ())
                self._numbers.give_back(number)

    async def _work_alone(self) -> None:
        attempts = self._attempts(None)
        try:
            while not attempts.given_up and (item := await self._suspects.get()):
                if item.deaths > MOST_DEATHS:
                    states = self._outcomes.set_aside(item, KILLED)
                    self._recording.add(_Handled([item], states))
                else:
                    await self._handle_alone(item, attempts)
        finally:
            attempts.close()

    async def _handle_alone(self, item: Item, attempts: Attempts) -> None:
        """Handle a suspect. If the process dies of it, the disk says so already."""
        self._suspects.alone = item
        states = self._outcomes.suspected(item, item.deaths + 1)
        await self._until_it_answers(lambda: self._storage.record(states))
        fault = await attempts.run([item])
        if not attempts.given_up:
            self._suspects.alone = None
        item.deaths = 0
        # Waited for: if the next suspect kills the process, this one has survived.
        await self._handled([item], fault, attempts, None).wait()
        attempts.check(fault)

    def _attempts(self, queue: WorkQueue[Item] | None) -> Attempts:
        """Make the calls of one worker, whose items come from a queue, or are suspects."""
        return Attempts(
            self._router,
            self._settings.time_limit,
            lambda: self._workers.ending,
            partial(self._replace, queue),
        )

    def _replace(self, queue: WorkQueue[Item] | None, attempts: Attempts) -> None:
        """Let another worker take the place of one whose handlers do not end."""
        self._lines.error(
            "a handler goes on although it took longer than %s s and was cancelled:"
            " its ordering key is closed until it ends",
            self._settings.time_limit,
        )
        self._workers.tasks.leave(attempts.task)
        self._given_up.adopt(attempts.task)
        if queue is None:
            self._survived()
            self._workers.start(self._work_alone)
        else:
            self._suspects.others -= 1
            queue.give_back()
            self._workers.start(partial(self._work, queue))

    def _survived(self) -> None:
        """Take back what the disk says of a suspect: a death would prove nothing from now on."""
        if (alone := self._suspects.alone) is not None:
            self._suspects.alone = None
            states = self._outcomes.suspected(alone, alone.deaths - 1)
            self._recording.add(_Handled((), states))

    def _handled(
        self,
        items: Sequence[Item],
        fault: Exception | None,
        attempts: Attempts,
        queue: WorkQueue[Item] | None,
    ) -> asyncio.Event:
        """Have it recorded what became of items, and give what is set once it is."""
        if self._closed:  # the stop has not waited for them: they come again at the next start
            raise asyncio.CancelledError
        if attempts.given_up:
            queue = None  # another worker has the place
        elif queue is not None:
            self._suspects.others -= 1
        states = self._outcomes.of(items, fault)
        return self._recording.add(_Handled(items, states, fault is not None, queue))

    def _most(self, item: Item) -> int:
        size = self._router.batch_size(type(item.event))
        return 1 if size == 1 or item.alone else size

    def _warn(self, kind: type[Event]) -> None:
        if kind not in self._warned and not self._router.handles(kind):
            self._warned.add(kind)
            _logger.warning("%s is acknowledged without a handler", kind.__name__)

    async def _record(self, handled: Sequence[_Handled]) -> None:
        """Write states down; only then let go on what waited for them."""
        states = [state for one in handled for state in one.states or ()]
        states += states_of_done(
            item for one in handled if one.states is None for item in one.items
        )
        if states:
            await self._until_it_answers(lambda: self._storage.record(states))
        for one in handled:
            for item in one.items:
                if one.failed and not self._outcomes.exhausted(item):
                    self._retries.start(partial(self._try_again, item))
                else:
                    self._finish(item)
            if one.queue is not None:
                one.queue.give_back()

    async def _try_again(self, item: Item) -> None:
        await self._settings.sleep(delay_after(item.attempts, self._settings))
        self._put(item)

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
