"""Gives each change of a delivery to the handlers of `Delivery`: once, in order, and surely.

A change and the mark that handlers have not been given it yet are one write to the store, so that
a crash between the two loses nothing. The mark is taken off after the handlers succeeded.

- The process that made a change takes it up at once, for so many seconds (`LEASE`).
- Handlers of one delivery run one after the other, in the order of its changes.
- What nobody took up, or whose process died, is taken up by whoever looks for it first.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final

import attrs

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.tasks import TaskSet
from infobip_async.deliveries.records import Delivery, StoredDelivery
from infobip_async.deliveries.store import Changed, DeliveryQuery, DeliveryStore
from infobip_async.errors import StorageUnavailableError
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.router import Router

LEASE: Final = 30.0
"""Seconds for which changes are left to the process that took them up."""

_TURNS: Final = 1_000
"""Turns that are remembered."""

_logger = logger_of_faults("infobip_async.deliveries")


@attrs.define(eq=False)
class _Turn:
    """The order of the handlers of one delivery.

    Attributes:
        lock: whose turn it is.
        waiting: how many have the lock, or wait for it.
        given: the number of the last change that handlers have been given.
    """

    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    waiting: int = 0
    given: int = 0


class Outbox:
    """Knows which changes handlers have not been given yet."""

    def __init__(self, store: DeliveryStore, router: Router, clock: Callable[[], float]) -> None:
        self._store = store
        self._router = router
        router.handles(Delivery)  # a store may ask in a thread, which must not be the first to
        self._clock = clock
        self._marks: Batcher[StoredDelivery] = Batcher(self._mark)
        self._turns: dict[tuple[str, float], _Turn] = {}
        self._tasks = TaskSet()
        self._sparse_logger = SparseLogger(_logger)

    # --- what is written with a change ---

    def moved(self, before: StoredDelivery, after: StoredDelivery) -> StoredDelivery:
        """Mark a delivery whose state is another one after a change."""
        state = after.state
        if state == before.state:
            return after
        changes = before.changes + 1
        if self._router.handles(Delivery):
            announce_at = self._clock() + LEASE
        elif self._store.shared:  # another process may have handlers
            announce_at = self._clock()
        else:
            return attrs.evolve(after, changes=changes)
        outbox = (*before.outbox, state)
        return attrs.evolve(after, changes=changes, outbox=outbox, announce_at=announce_at)

    def taken(self, one: StoredDelivery, *, anyway: bool = False) -> StoredDelivery:
        """Take up what nobody does, or whatever is left to do."""
        now = self._clock()
        if not (one.outbox and self._router.handles(Delivery)):
            return one
        return attrs.evolve(one, announce_at=now + LEASE) if anyway or self._is_free(one) else one

    def _is_free(self, one: StoredDelivery) -> bool:
        return bool(one.outbox) and one.announce_at <= self._clock()

    def is_ours(self, changed: Changed) -> bool:
        """Whether a change took something up."""
        before, after = changed
        if before is None or after is None or not self._router.handles(Delivery):
            return False
        same = before.changes == after.changes and before.announce_at == after.announce_at
        return bool(after.outbox) and not same

    # --- handing on ---

    async def announce(self, one: StoredDelivery) -> None:
        """Give the handlers what they have not been given of a delivery.

        Raises:
            ExceptionGroup: of the handlers; the changes from there on are given again.
        """
        turn = self._turn(one)
        turn.waiting += 1
        try:
            async with turn.lock:
                await self._dispatch(one, turn)
        except Exception:
            with suppress(StorageUnavailableError):  # then they are free after the lease
                await self._store.update([(one.message_id, self._released)])
            raise
        finally:
            turn.waiting -= 1
            self._marks.add(one)

    async def _dispatch(self, one: StoredDelivery, turn: _Turn) -> None:
        first = one.changes - len(one.outbox) + 1
        for number, state in enumerate(one.outbox, first):
            if number > turn.given:
                await self._router.dispatch([one.view(state)])
                turn.given = number

    def _released(self, one: StoredDelivery | None) -> StoredDelivery | None:
        return one and attrs.evolve(one, announce_at=self._clock())

    def start(self, one: StoredDelivery) -> None:
        """Announce a delivery in the background."""
        self._tasks.start(self._announce_quietly(one))

    async def _announce_quietly(self, one: StoredDelivery) -> None:
        try:
            await self.announce(one)
        except Exception:
            self._sparse_logger.exception("handlers of a delivery failed; it is given again later")

    async def _mark(self, several: Sequence[StoredDelivery]) -> None:
        """Take the marks off that handlers have been given; a fault leaves them for later."""
        given = {one.message_id: self._turn(one).given for one in several}
        try:
            await self._store.update(
                [(one, partial(_without, number)) for one, number in given.items() if number]
            )
        except StorageUnavailableError as fault:
            self._sparse_logger.warning("handlers may be given a delivery again: %s", fault)
        finally:
            self._forget_turns()

    def _turn(self, one: StoredDelivery) -> _Turn:
        # An id can be used again for another message, which is stored at another time.
        return self._turns.setdefault((one.message_id, one.created_at), _Turn())

    def _forget_turns(self) -> None:
        """Let go of old turns. The latest stay for those who looked before a mark was off."""
        for key in list(islice(self._turns, max(len(self._turns) - _TURNS, 0))):
            if not self._turns[key].waiting:
                del self._turns[key]

    async def sweep(self, *, anyway: bool = False) -> None:
        """Announce what was left over.

        Args:
            anyway: also what others have taken up, as a process may that has died.
        """
        if not self._router.handles(Delivery):
            return
        async for one in self._store.scan(DeliveryQuery(to_announce=True)):
            if anyway or self._is_free(one):
                await self._take_up(one, anyway=anyway)

    def hear(self, one: StoredDelivery) -> None:
        """Announce what another process has changed and left to others, in the background."""
        if self._is_free(one) and self._router.handles(Delivery):
            self._tasks.start(self._take_up_quietly(one))

    async def _take_up_quietly(self, one: StoredDelivery) -> None:
        with suppress(StorageUnavailableError):  # then a sweep finds it
            await self._take_up(one)

    async def _take_up(self, one: StoredDelivery, *, anyway: bool = False) -> None:
        """Announce a delivery that others may have left over, unless somebody else does."""

        def take(now: StoredDelivery | None) -> StoredDelivery | None:
            return now and self.taken(now, anyway=anyway)

        [(before, after)] = await self._store.update([(one.ref, take)])
        if after is not None and after is not before:
            await self._announce_quietly(after)

    async def aclose(self, seconds: float) -> None:
        """Let handlers finish, for up to so many seconds, and write what they were given."""
        await self._tasks.drain(seconds)
        await self._tasks.cancel()
        await self._marks.aclose(seconds)


def _without(number: int, one: StoredDelivery | None) -> StoredDelivery | None:
    """Take the marks of the first changes off, up to a number."""
    if one is None or not one.outbox:
        return one
    left = max(one.changes - number, 0)
    return attrs.evolve(one, outbox=one.outbox[len(one.outbox) - left :] if left else ())
