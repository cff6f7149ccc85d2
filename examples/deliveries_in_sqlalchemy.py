"""Deliveries in your application's own database, on SQLAlchemy's async engine.

An order and the delivery of its confirmation are written in one transaction: there is no order
whose confirmation nobody knows of, and no confirmation without its order.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from infobip_async import (
    Deliveries,
    DeliveryKey,
    DeliveryQuery,
    InfobipClient,
    LocalProtocolError,
    Router,
    StoredDelivery,
    TextMessage,
)

Ref = str | DeliveryKey
Change = Callable[[StoredDelivery | None], StoredDelivery | None]
Changed = tuple[StoredDelivery | None, StoredDelivery | None]

tables = sa.MetaData()
orders = sa.Table("orders", tables, sa.Column("number", sa.Integer, primary_key=True))
deliveries = sa.Table(
    "deliveries",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False, index=True),
    sa.Column("is_final", sa.Boolean, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)
names = sa.Table(  # the key, the id and the ids of parts of each
    "delivery_names",
    tables,
    sa.Column("name", sa.String(500), primary_key=True),
    sa.Column("delivery", sa.Integer, nullable=False, index=True),
)
changes = sa.Table(
    "delivery_changes",
    tables,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("delivery", sa.Integer, nullable=False),
    sa.Column("by", sa.String(32), nullable=False),
)

Statements = list[sa.Executable]
_together: ContextVar[Statements] = ContextVar("together")


def name_of(ref: Ref) -> str:
    return json.dumps([ref.run, ref.key] if isinstance(ref, DeliveryKey) else ref)


def names_of(one: StoredDelivery | None) -> set[str]:
    if one is None:
        return set()
    refs = {one.key, one.message_id, *one.ids} - {None, ""}
    return {name_of(ref) for ref in refs if ref is not None}


class SqlAlchemyDeliveryStore:
    """A store for `Deliveries`; `infobip_async.testing.STORE_CHECKS` say that it is fit."""

    shared = True

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._own = uuid4().hex
        self._last = 0

    async def __aenter__(self) -> Self:
        async with self._engine.begin() as connection:
            await connection.run_sync(tables.create_all)
            self._last = await connection.scalar(sa.select(sa.func.max(changes.c.number))) or 0
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()

    @contextmanager
    def together(self, *statements: sa.Executable) -> Iterator[None]:
        """Execute statements in the transaction that stores the next delivery."""
        token = _together.set(list(statements))
        try:
            yield
        finally:
            _together.reset(token)

    async def update(self, several: Sequence[tuple[Ref, Change]]) -> Sequence[Changed]:
        """Change deliveries in one transaction, which begins anew where another was faster."""
        waiting = _together.get([])
        statements = tuple(waiting)
        while True:
            async with self._engine.connect() as connection:
                try:
                    for statement in statements:
                        await connection.execute(statement)
                    done = [await self._change(connection, *one) for one in several]
                    await connection.commit()
                except (BlockingIOError, sa.exc.OperationalError):  # another was faster: try again
                    await connection.rollback()
                    await asyncio.sleep(0.01)
                    continue
            waiting.clear()
            return done

    async def _change(self, connection: AsyncConnection, ref: Ref, change: Change) -> Changed:
        wanted = sa.select(names.c.delivery).where(names.c.name == name_of(ref))
        query = sa.select(deliveries).where(deliveries.c.id == wanted.scalar_subquery())
        row = (await connection.execute(query)).one_or_none()
        before = None if row is None else StoredDelivery.decode(row.data)
        after = change(before)
        if after is before:
            return before, after
        number = await self._write(connection, row, after)
        if after is None or before is None or names_of(after) != names_of(before):
            await self._name(connection, number, after)
        if before is not None and after is not None and after.changes != before.changes:
            values = {"delivery": number, "by": self._own}
            await connection.execute(changes.insert().values(values))
        return before, after

    async def _write(
        self,
        connection: AsyncConnection,
        row: sa.Row[tuple[object, ...]] | None,
        after: StoredDelivery | None,
    ) -> int:
        """Write over the version that was read; another one is a reason to read again."""
        values = (
            {}
            if after is None
            else {
                "created_at": after.created_at,
                "is_final": after.state.is_final,
                "data": after.encode(),
            }
        )
        if row is None:
            result = await connection.execute(deliveries.insert().values(version=1, **values))
            return int(result.inserted_primary_key[0])  # type: ignore[index]  # of an insert
        same = (deliveries.c.id == row.id) & (deliveries.c.version == row.version)
        statement: sa.Update | sa.Delete = deliveries.delete().where(same)
        if after is not None:
            statement = deliveries.update().where(same).values(version=row.version + 1, **values)
        if not (await connection.execute(statement)).rowcount:
            raise BlockingIOError
        return int(row.id)

    async def _name(
        self, connection: AsyncConnection, number: int, after: StoredDelivery | None
    ) -> None:
        await connection.execute(names.delete().where(names.c.delivery == number))
        rows = [{"name": name, "delivery": number} for name in names_of(after)]
        if not rows:
            return
        try:
            await connection.execute(names.insert(), rows)
        except IntegrityError:
            raise LocalProtocolError("it belongs to another delivery", field="message_id") from None

    async def scan(self, query: DeliveryQuery) -> AsyncIterator[StoredDelivery]:
        """Give the deliveries that fit, the oldest first."""
        wanted = sa.select(deliveries.c.id, deliveries.c.data).order_by(deliveries.c.created_at)
        if query.is_final is not None:
            wanted = wanted.where(deliveries.c.is_final == query.is_final)
        if query.created_before is not None:
            wanted = wanted.where(deliveries.c.created_at < query.created_before)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(wanted)).all()
        for row in rows:
            one = StoredDelivery.decode(row.data)
            if query.fits(one):
                yield one

    async def delete(self, query: DeliveryQuery) -> int:
        """Forget the deliveries that fit."""
        found = [one async for one in self.scan(query)]
        await self.update([(one.ref, lambda _: None) for one in found])
        return len(found)

    async def counts(self) -> Mapping[str, int]:
        """Count the deliveries by what became of them."""
        counts: Counter[str] = Counter()
        async for one in self.scan(DeliveryQuery()):
            counts.update(one.labels)
        return counts

    async def follow(self) -> AsyncIterator[StoredDelivery]:
        """Give the deliveries that others change."""
        query = sa.select(changes.c.number, changes.c.by, deliveries.c.data).join_from(
            changes, deliveries, changes.c.delivery == deliveries.c.id
        )
        while True:
            new = query.where(changes.c.number > self._last).order_by(changes.c.number)
            async with self._engine.connect() as connection:
                rows = (await connection.execute(new)).all()
            for row in rows:
                self._last = row.number
                if row.by != self._own:
                    yield StoredDelivery.decode(row.data)
            await asyncio.sleep(0.25)


async def main() -> None:
    engine = create_async_engine(os.environ.get("DATABASE", "sqlite+aiosqlite:///shop.db"))
    store = SqlAlchemyDeliveryStore(engine)
    async with (
        InfobipClient.from_env() as client,
        Deliveries(client, Router(), store=store, poll_interval=1) as sent,
    ):
        order = orders.insert().values(number=17)
        with store.together(order):
            await sent.send(TextMessage("Thank you!", sender="Shop"), "38598514674", key="order-17")
        final = await sent.wait(key="order-17", timeout=3600)
        print(f"confirmation of {final.key}: delivered {final.delivered}")


if __name__ == "__main__":
    asyncio.run(main())
