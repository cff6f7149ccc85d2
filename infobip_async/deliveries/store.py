"""What `Deliveries` asks of a store, and the store in memory."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, Protocol, Self

import attrs

from infobip_async.deliveries.records import DeliveryKey, DeliveryRef, StoredDelivery
from infobip_async.errors import LocalProtocolError

Change = Callable[[StoredDelivery | None], StoredDelivery | None]
"""Makes a delivery of what a store has, None standing for nothing; it may be called again."""

Changed = tuple[StoredDelivery | None, StoredDelivery | None]
"""A delivery before and after a change."""

_TURN: Final = 1_000
"""Deliveries that are looked at before others on the event loop have their turn."""


@attrs.frozen(kw_only=True)
class DeliveryQuery:
    """Which deliveries are meant: those that fit everything given, or all.

    Attributes:
        is_final: whether they are final.
        created_before: seconds since the epoch.
        run: the name of their run; empty for those that were sent alone.
        msisdn: the number of the recipient.
        to_announce: those with states that handlers have not been given.
    """

    is_final: bool | None = None
    created_before: float | None = None
    run: str | None = None
    msisdn: str | None = None
    to_announce: bool = False

    def fits(self, one: StoredDelivery) -> bool:
        """Whether a delivery is meant."""
        return (
            (self.created_before is None or one.created_at < self.created_before)
            and (self.run is None or (one.key.run if one.key else "") == self.run)
            and (self.msisdn is None or one.msisdn == self.msisdn)
            and (bool(one.outbox) or not self.to_announce)
            and (self.is_final is None or one.state.is_final is self.is_final)
        )


class DeliveryStore(Protocol):
    """Keeps deliveries. `infobip_async.testing.STORE_CHECKS` tells whether a store is fit.

    All methods may raise `StorageUnavailableError`; then nothing was changed, or all of it was.
    """

    @property
    def shared(self) -> bool:
        """Whether it outlives the process, or others have it open, too."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(self, *_: object) -> None:
        """Close it."""

    async def update(self, changes: Sequence[tuple[DeliveryRef, Change]]) -> Sequence[Changed]:
        """Change deliveries, in order; each is on disk on return.

        Between the look at a delivery and its change nobody else changes it. An id or a key that
        a delivery had before the change and has no more finds nothing then.

        Raises:
            LocalProtocolError: an id belongs to another delivery; nothing was changed.
        """

    def scan(self, query: DeliveryQuery) -> AsyncIterator[StoredDelivery]:
        """Give the deliveries that fit, the oldest first. Others may be changed meanwhile."""

    async def delete(self, query: DeliveryQuery) -> int:
        """Forget the deliveries that fit, and tell how many there were."""

    async def counts(self) -> Mapping[str, int]:
        """Count the deliveries under their `StoredDelivery.labels`."""

    def follow(self) -> AsyncIterator[StoredDelivery]:
        """Give deliveries whose state others have changed since it was opened, as they are then.

        It ends at once where there are no others.
        """


class MemoryDeliveryStore:
    """Keeps deliveries in the memory of this process: the store of `Deliveries` by default.

    A delivery that waits for its reports takes 400 to 600 octets. Final ones stay until
    `Deliveries.forget` is called.
    """

    shared = False

    def __init__(self) -> None:
        self._by_id: dict[str, StoredDelivery] = {}
        # A dictionary for each run: keys as pairs of run and key would cost memory.
        self._by_key: defaultdict[str, dict[str | int, StoredDelivery]] = defaultdict(dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Keep everything, for the next `Deliveries` on it."""

    def _find(self, ref: DeliveryRef) -> StoredDelivery | None:
        if isinstance(ref, DeliveryKey):
            return self._by_key[ref.run].get(ref.key)
        return self._by_id.get(ref)

    async def update(self, changes: Sequence[tuple[DeliveryRef, Change]]) -> Sequence[Changed]:
        """See `DeliveryStore.update`."""
        done: list[Changed] = []
        try:
            for ref, change in changes:
                before = self._find(ref)
                after = change(before)
                if after is not before:
                    self._put(before, after)
                done.append((before, after))
        except BaseException:
            for before, after in reversed(done):
                self._put(after, before)
            raise
        return done

    def _put(self, before: StoredDelivery | None, after: StoredDelivery | None) -> None:
        ids = _ids(after)
        for one in ids:
            owner = self._by_id.get(one)
            if owner is not None and owner is not before:
                raise LocalProtocolError("it belongs to another delivery", field="message_id")
        for one in _ids(before):
            if one not in ids:
                del self._by_id[one]
        if before and before.key and not (after and after.key):
            del self._by_key[before.key.run][before.key.key]
        if after is not None:
            self._by_id.update(dict.fromkeys(ids, after))
            if after.key is not None:
                self._by_key[after.key.run][after.key.key] = after

    def _all(self) -> list[StoredDelivery]:
        """A copy, so that others may be changed while it is gone through."""
        out = [one for ref, one in self._by_id.items() if ref == one.message_id]
        return out + [
            one for run in self._by_key.values() for one in run.values() if not one.message_id
        ]

    async def scan(self, query: DeliveryQuery) -> AsyncIterator[StoredDelivery]:
        """See `DeliveryStore.scan`."""
        for at, one in enumerate(self._all(), 1):
            if query.fits(one):
                yield one
            if not at % _TURN:
                await asyncio.sleep(0)

    async def delete(self, query: DeliveryQuery) -> int:
        """See `DeliveryStore.delete`."""
        count = 0
        async for one in self.scan(query):
            if self._find(one.ref) is one:
                self._put(one, None)
                count += 1
        return count

    async def counts(self) -> Mapping[str, int]:
        """See `DeliveryStore.counts`."""
        counts: Counter[str] = Counter()
        async for one in self.scan(DeliveryQuery()):
            counts.update(one.labels)
        return counts

    async def follow(self) -> AsyncIterator[StoredDelivery]:
        """End at once: nobody else has this store."""
        nobody: tuple[StoredDelivery, ...] = ()
        for one in nobody:
            yield one


def _ids(one: StoredDelivery | None) -> set[str]:
    return set() if one is None else {*one.ids, one.message_id} - {""}
