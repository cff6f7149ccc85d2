"""Deliveries in an SQLite file, which several processes may have open."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from infobip_async.concurrency.sqlite_file import FileKind, storable
from infobip_async.concurrency.sqlite_thread import SqliteThread
from infobip_async.deliveries.records import DeliveryKey, DeliveryRef, StoredDelivery
from infobip_async.deliveries.store import Change, Changed, DeliveryQuery
from infobip_async.errors import LocalProtocolError

_SCHEMA: Final = """
create table if not exists deliveries (
    id integer primary key autoincrement,
    message_id blob unique, key text unique, run text not null, msisdn text not null,
    created_at real not null, final integer not null, to_announce integer not null,
    label text not null, contradicted integer not null, changed integer not null, data text not null
);
create table if not exists parts (
    part_id blob primary key, delivery integer not null
) without rowid;
create index if not exists parts_of on parts (delivery);
create index if not exists by_age on deliveries (created_at);
create index if not exists open_ones on deliveries (created_at) where final = 0;
create index if not exists to_announce on deliveries (created_at) where to_announce = 1;
create index if not exists by_run on deliveries (run, created_at) where run != '';
create index if not exists by_label on deliveries (label, contradicted);
create index if not exists by_change on deliveries (changed);
"""
# The keys and ids of callers are any texts: as JSON and as octets they can hold lone surrogates.

_COLUMNS: Final = (
    "message_id, key, run, msisdn, created_at, final, to_announce, label, contradicted, changed,"
    " data"
)
_VALUES: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT: Final = f"insert into deliveries ({_COLUMNS}) values {_VALUES}"  # noqa: S608 - constants
_UPDATE: Final = f"update deliveries set ({_COLUMNS}) = {_VALUES} where id = ?"  # noqa: S608 - constants
_BY_KEY: Final = "select id, changed, data from deliveries where key = ?"
_BY_ID: Final = "select id, changed, data from deliveries where message_id = ?"
_BY_PART: Final = (
    "select id, changed, data from deliveries"
    " where id = (select delivery from parts where part_id = ?)"
)
_Row = tuple[int, int, str]
"""The id of a delivery in the file, the number of its last change, and the delivery."""

_PAGE: Final = 200
_POLL_SECONDS: Final = 0.25


class SqliteDeliveryStore:
    """Keeps deliveries in a file, for as many processes of this machine as have it open.

    ::

        async with Deliveries(client, router, store=SqliteDeliveryStore("deliveries.db")): ...

    A change is on disk before anybody hears of it (``synchronous=FULL``); changes that are made at
    the same time share an fsync. What another process changes is heard of within a quarter of a
    second. The file holds numbers, but no texts; a new one, or an empty one, becomes readable by
    its owner alone (mode 0600). Final deliveries stay until `Deliveries.forget` is called.

    Args:
        path: the file; made if there is none, but its directory is not.

    Raises:
        LocalProtocolError: when it is opened: there is no such directory, or the file is no store
            of deliveries.
        StorageUnavailableError: by every method: the file cannot be used now.
    """

    shared = True

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._thread = SqliteThread(path, FileKind.DELIVERIES, _SCHEMA, shared=True)
        self._own: set[int] = set()
        self._last = 0

    async def __aenter__(self) -> Self:
        self._last = await self._thread.start_to_look(_last_change)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.aclose()

    async def update(self, changes: Sequence[tuple[DeliveryRef, Change]]) -> Sequence[Changed]:
        """See `DeliveryStore.update`."""
        numbers: list[int] = []
        done = await self._thread.do(partial(self._update, changes, numbers))
        self._own.update(numbers)
        return done

    def _update(
        self,
        changes: Sequence[tuple[DeliveryRef, Change]],
        numbers: list[int],
        connection: sqlite3.Connection,
    ) -> list[Changed]:
        done: list[Changed] = []
        for ref, change in changes:
            row = _find(connection, ref)
            before = None if row is None else StoredDelivery.decode(row[2])
            after = change(before)
            done.append((before, after))
            if after is before:
                continue
            if row is not None and (after is None or before is None or after.ids != before.ids):
                connection.execute("delete from parts where delivery = ?", row[:1])
            if after is not None:
                numbers += self._put(connection, row, before, after)
            elif row is not None:
                connection.execute("delete from deliveries where id = ?", row[:1])
        return done

    def _put(
        self,
        connection: sqlite3.Connection,
        row: _Row | None,
        before: StoredDelivery | None,
        after: StoredDelivery,
    ) -> list[int]:
        """Write a delivery, in place of the row that it had; give the number of its change."""
        changed = 0 if row is None else row[1]
        news = before is not None and after.changes != before.changes
        if news:
            changed = _last_change(connection) + 1
        try:
            if row is None:
                delivery = connection.execute(_INSERT, _values(after, changed)).lastrowid
            else:
                delivery = row[0]
                connection.execute(_UPDATE, (*_values(after, changed), delivery))
            if after.part_ids and (before is None or before.ids != after.ids):
                parts = [(_octets(one), delivery) for one in after.part_ids]
                connection.executemany("insert into parts values (?, ?)", parts)
        except sqlite3.IntegrityError:
            raise LocalProtocolError("it belongs to another delivery", field="message_id") from None
        return [changed] if news else []

    async def scan(self, query: DeliveryQuery) -> AsyncIterator[StoredDelivery]:
        """See `DeliveryStore.scan`."""
        where, values = _conditions(query)
        sql = (
            f"select created_at, id, data from deliveries where {where}"  # noqa: S608 - constants
            f" and (created_at, id) > (?, ?) order by created_at, id limit {_PAGE}"
        )
        last: tuple[float, int] = (-1.0, 0)
        while rows := await self._read(sql, (*values, *last)):
            for _, _, data in rows:
                yield StoredDelivery.decode(data)
            last = rows[-1][:2]

    async def _read(self, sql: str, values: Sequence[object]) -> list[Any]:
        return await self._thread.do(
            lambda connection: connection.execute(sql, values).fetchall(), writes=False
        )

    async def delete(self, query: DeliveryQuery) -> int:
        """See `DeliveryStore.delete`."""
        where, values = _conditions(query)

        def work(connection: sqlite3.Connection) -> int:
            chosen = f"select id from deliveries where {where}"  # noqa: S608 - constants
            connection.execute(f"delete from parts where delivery in ({chosen})", values)  # noqa: S608 - likewise
            return connection.execute(
                f"delete from deliveries where {where}",  # noqa: S608 - likewise
                values,
            ).rowcount

        return await self._thread.do(work)

    async def counts(self) -> Mapping[str, int]:
        """See `DeliveryStore.counts`."""
        counts: Counter[str] = Counter()
        for label, number, contradicted in await self._read(
            "select label, count(*), sum(contradicted) from deliveries group by label", ()
        ):
            counts.update({label: number, "contradictions": contradicted})
        return counts

    async def follow(self) -> AsyncIterator[StoredDelivery]:
        """See `DeliveryStore.follow`."""
        version = None
        while True:
            # It changes with each commit of another connection, and costs no look at the table.
            [(now,)] = await self._read("pragma data_version", ())
            rows = [] if now == version else await self._read(_CHANGES, (self._last, _PAGE))
            if not rows:
                version = now
                await asyncio.sleep(_POLL_SECONDS)
            for self._last, data in rows:
                if self._last not in self._own:
                    yield StoredDelivery.decode(data)
                self._own.discard(self._last)


_LAST_CHANGE: Final = "select coalesce(max(changed), 0) from deliveries"
_CHANGES: Final = "select changed, data from deliveries where changed > ? order by changed limit ?"


def _last_change(connection: sqlite3.Connection) -> int:
    number: int = connection.execute(_LAST_CHANGE).fetchone()[0]
    return number


def _octets(message_id: str) -> bytes:
    return message_id.encode("utf-8", "surrogatepass")


def _key(key: DeliveryKey | None) -> str | None:
    return None if key is None else json.dumps([key.run, key.key])


def _find(connection: sqlite3.Connection, ref: DeliveryRef) -> _Row | None:
    if isinstance(ref, DeliveryKey):
        by_key: _Row | None = connection.execute(_BY_KEY, (_key(ref),)).fetchone()
        return by_key
    octets = (_octets(ref),)
    by_id: _Row | None = connection.execute(_BY_ID, octets).fetchone()
    return by_id or connection.execute(_BY_PART, octets).fetchone()


def _values(one: StoredDelivery, changed: int) -> tuple[object, ...]:
    """The values of `_COLUMNS`."""
    labels = one.labels
    return (
        _octets(one.message_id) or None,
        _key(one.key),
        storable(one.key.run if one.key else ""),
        storable(one.msisdn),
        one.created_at,
        one.state.is_final,
        bool(one.outbox),
        labels[0],
        len(labels) - 1,
        changed,
        one.encode(),
    )


def _conditions(query: DeliveryQuery) -> tuple[str, list[object]]:
    """Write a query as SQL. What chooses an index stands there as a constant."""
    conditions: list[str] = ["1"]
    values: list[object] = []
    if query.is_final is not None:
        conditions.append(f"final = {int(query.is_final)}")
    if query.to_announce:
        conditions.append("to_announce = 1")
    if query.created_before is not None:
        conditions.append("created_at < ?")
        values.append(query.created_before)
    if query.run is not None:
        conditions.append("run = ?" + " and run != ''" * bool(query.run))
        values.append(storable(query.run))
    if query.msisdn is not None:
        conditions.append("msisdn = ?")
        values.append(storable(query.msisdn))
    return " and ".join(conditions), values
