"""A kit of checks for delivery stores: those of this package, and those of your own.

A store that passes every check is fit for `Deliveries`::

    import pytest
    from infobip_async.testing import STORE_CHECKS, StoreCheck

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    async def test_my_store(check: StoreCheck, engine: MyEngine) -> None:
        await check(lambda: MyStore(engine))

Each check needs an empty engine of its own. A store that is not fit raises `AssertionError`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from infobip_async.bulk.items import SendOutcome
from infobip_async.deliveries.records import DeliveryKey, StoredDelivery
from infobip_async.deliveries.store import Change, DeliveryQuery, DeliveryStore
from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import DeliveryReport, DeliveryStatus
from infobip_async.testing.journals import expect

StoreCheck = Callable[[Callable[[], DeliveryStore]], Awaitable[None]]
"""A coroutine function that is given what makes a store on an engine, and raises
`AssertionError` if such a store is not fit. Stores that are made one after the other, or side by
side, have the same deliveries, if they are `shared`."""

_WRITERS: Final = 10
_SECONDS: Final = 60.0

_ODD: Final = "ł\n'\"\\\x00 \udc80"
"""What no engine may change: a caller may use any text as a key."""


def _message(number: int) -> StoredDelivery:
    return StoredDelivery(
        message_id=f"id-{number}",
        key=DeliveryKey(f"key-{number}"),
        msisdn=f"3859851467{number:02}",
        created_at=1_000.0 + number,
    )


def _to(after: StoredDelivery | None) -> Change:
    return lambda _: after


def _same(one: StoredDelivery | None) -> StoredDelivery | None:
    return one


async def _found(store: DeliveryStore, ref: str | DeliveryKey) -> StoredDelivery | None:
    [(_, after)] = await store.update([(ref, _same)])
    return after


async def check_deliveries_are_found(make: Callable[[], DeliveryStore]) -> None:
    """By their id, by their key, and by the ids of their parts; and others are not."""
    one = attrs.evolve(_message(1), part_ids=("id-1-1", "id-1-2"))
    alone = attrs.evolve(_message(2), key=None)
    async with make() as store:
        done = await store.update([(one.ref, _to(one)), (alone.ref, _to(alone))])
        expect(list(done) == [(None, one), (None, alone)], "a change gives what it changed")
        for ref in ("id-1", "id-1-1", "id-1-2", DeliveryKey("key-1")):
            expect(await _found(store, ref) == one, f"not found by {ref!r}")
        expect(await _found(store, "id-2") == alone, "not found without a key")
        for stranger in ("id-3", "key-1", DeliveryKey("id-1"), DeliveryKey("key-1", "run")):
            expect(await _found(store, stranger) is None, f"found by {stranger!r}")


async def check_values_are_kept(make: Callable[[], DeliveryStore]) -> None:
    """Every attribute, any text, dates with and without a zone."""
    reports = (
        DeliveryReport(
            "id-1", DeliveryStatus.UNKNOWN, "ODD", None, datetime(2026, 1, 1, tzinfo=UTC)
        ),
        DeliveryReport(_ODD, DeliveryStatus.SENT, "SENT", datetime(2026, 1, 1), None, {"a": _ODD}),  # noqa: DTZ001
    )
    states = (_message(1).state, attrs.evolve(_message(1), given=SendOutcome.SENT).state)
    one = StoredDelivery(
        message_id=_ODD,
        key=DeliveryKey(_ODD, _ODD),
        part_ids=(f"{_ODD}-1", f"{_ODD}-2"),
        msisdn="38598514674",
        created_at=1_000.25,
        given=SendOutcome.UNKNOWN,
        answered=True,
        reason=_ODD,
        known=reports,
        expired=True,
        digest=bytes(range(256)),
        owner=_ODD,
        changes=3,
        outbox=states,
        announce_at=2_000.5,
    )
    async with make() as store:
        await store.update([(one.ref, _to(one))])
        expect(await _found(store, _ODD) == one, "another value came back")


async def check_positions_are_no_keys(make: Callable[[], DeliveryStore]) -> None:
    """The item at position 1 is not the one with the key "1"."""
    position = StoredDelivery(key=DeliveryKey(1, "run"), created_at=1.0)
    named = StoredDelivery(key=DeliveryKey("1", "run"), created_at=2.0)
    async with make() as store:
        await store.update([(position.ref, _to(position)), (named.ref, _to(named))])
        expect(await _found(store, DeliveryKey(1, "run")) == position, "a position was lost")
        expect(await _found(store, DeliveryKey("1", "run")) == named, "a key was lost")


async def check_ids_that_change(make: Callable[[], DeliveryStore]) -> None:
    """A delivery gets other ids when it is sent again; the old ones lead nowhere."""
    first = attrs.evolve(_message(1), part_ids=("id-1-1", "id-1-2"))
    second = attrs.evolve(first, message_id="id-2", part_ids=())
    async with make() as store:
        await store.update([(first.ref, _to(first))])
        await store.update([(first.ref, _to(second))])
        for old in ("id-1", "id-1-1", "id-1-2"):
            expect(await _found(store, old) is None, "found by an id that it has no more")
        expect(await _found(store, "id-2") == second, "not found by its new id")
        await store.update([("id-2", _to(None))])
        for ref in ("id-2", DeliveryKey("key-1")):
            expect(await _found(store, ref) is None, "found although it was removed")


async def check_an_id_belongs_to_one(make: Callable[[], DeliveryStore]) -> None:
    """A second delivery of an id is refused, and the first one stays."""
    one, other = _message(1), attrs.evolve(_message(2), message_id="id-1")
    async with make() as store:
        await store.update([(one.ref, _to(one))])
        try:
            await store.update([(other.ref, _to(other))])
        except LocalProtocolError:
            expect(await _found(store, "id-1") == one, "the first delivery was changed")
            expect(await _found(store, other.ref) is None, "the second delivery was stored")
        else:
            raise AssertionError("two deliveries have one id")


async def check_changes_at_once(make: Callable[[], DeliveryStore]) -> None:
    """Nobody changes a delivery between the look at it and its change."""

    def count(one: StoredDelivery | None) -> StoredDelivery | None:
        return one and attrs.evolve(one, changes=one.changes + 1)

    async with make() as store:
        one = _message(1)
        await store.update([(one.ref, _to(one))])
        await asyncio.gather(*(store.update([("id-1", count)]) for _ in range(_WRITERS)))
        after = await _found(store, "id-1")
    expect(after is not None and after.changes == _WRITERS, "a change was lost")


async def check_scans(make: Callable[[], DeliveryStore]) -> None:
    """Each delivery that fits is given once, and no other."""
    final = DeliveryReport("id-3", DeliveryStatus.DELIVERED, "DELIVERED")
    several = [
        _message(1),
        attrs.evolve(_message(2), key=DeliveryKey("key-2", "run"), outbox=(_message(1).state,)),
        attrs.evolve(_message(3), known=(final,), part_ids=()),
        attrs.evolve(_message(4), key=None),
    ]
    queries = [
        (DeliveryQuery(), {"id-1", "id-2", "id-3", "id-4"}),
        (DeliveryQuery(is_final=False), {"id-1", "id-2", "id-4"}),
        (DeliveryQuery(is_final=True), {"id-3"}),
        (DeliveryQuery(created_before=1_003.0), {"id-1", "id-2"}),
        (DeliveryQuery(run="run"), {"id-2"}),
        (DeliveryQuery(run=""), {"id-1", "id-3", "id-4"}),
        (DeliveryQuery(msisdn=several[0].msisdn), {"id-1"}),
        (DeliveryQuery(to_announce=True), {"id-2"}),
        (DeliveryQuery(is_final=False, msisdn=several[2].msisdn), set()),
    ]
    async with make() as store:
        await store.update([(one.ref, _to(one)) for one in several])
        for query, ids in queries:
            found = [one.message_id async for one in store.scan(query)]
            expect(sorted(found) == sorted(ids), f"{query} finds {found}")


async def check_counts_and_deletes(make: Callable[[], DeliveryStore]) -> None:
    """Deliveries are counted by their state, and what is deleted is gone with its ids."""
    contradicting = (
        DeliveryReport("id-3", DeliveryStatus.NOT_DELIVERED, "NOT_DELIVERED"),
        DeliveryReport("id-3", DeliveryStatus.DELIVERED, "DELIVERED"),
    )
    several = [
        _message(1),
        attrs.evolve(_message(2), part_ids=("a", "b")),
        attrs.evolve(_message(3), known=contradicting),
    ]
    async with make() as store:
        await store.update([(one.ref, _to(one)) for one in several])
        counts = {name: count for name, count in (await store.counts()).items() if count}
        expected = {"under way": 2, "delivered": 1, "contradictions": 1}
        expect(counts == expected, f"counted {counts}")
        expect(await store.delete(DeliveryQuery(is_final=False)) == 2, "deleted others")  # noqa: PLR2004 - two
        for ref in ("id-1", "id-2", "a", "b", DeliveryKey("key-1")):
            expect(await _found(store, ref) is None, "found although it was deleted")
        expect(await _found(store, "id-3") == several[2], "too much was deleted")


async def check_others_are_heard(make: Callable[[], DeliveryStore]) -> None:
    """A shared store tells what another one changes, and keeps all for a third one."""
    one = _message(1)
    moved = attrs.evolve(one, given=SendOutcome.SENT, changes=1)
    if not make().shared:
        return
    async with make() as here, make() as there:
        await there.update([(one.ref, _to(one))])
        async with asyncio.timeout(_SECONDS):
            heard = asyncio.ensure_future(anext(here.follow()))
            await there.update([("id-1", _to(moved))])
            expect(await heard == moved, "another delivery was heard of")
        expect(await _found(here, "id-1") == moved, "not found in another store")
    async with make() as later:
        expect(await _found(later, "id-1") == moved, "lost with the store that wrote it")


STORE_CHECKS: Final[Sequence[StoreCheck]] = (
    check_deliveries_are_found,
    check_values_are_kept,
    check_positions_are_no_keys,
    check_ids_that_change,
    check_an_id_belongs_to_one,
    check_changes_at_once,
    check_scans,
    check_counts_and_deletes,
    check_others_are_heard,
)
"""All of them."""
