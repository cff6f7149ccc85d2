"""The tables of an SQLite journal, and everything that is asked of them.

Each question takes few statements for many rows: between two statements the thread that writes
has to wait for its turn beside a busy event loop.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

import attrs

from infobip_async.concurrency.sqlite_file import storable
from infobip_async.journal.base import (
    EventState,
    RowDigests,
    State,
    StoredPush,
)
from infobip_async.protocol.exchange import PushKind, RawPush

SCHEMA: Final = """
-- The ids of pushes are never used again: seen rows refer to them.
create table if not exists pushes (
    id integer primary key autoincrement, origin integer, kind text not null, query blob not null,
    body blob not null, received_at real not null, trace text, wanted text,
    open integer not null default 1
);
create index if not exists pushes_by_open on pushes (open);
create table if not exists states (
    push integer, number integer, state text not null, attempts integer not null,
    reason text not null, at real not null, deaths integer not null default 0,
    primary key (push, number)
) without rowid;
create index if not exists states_set_aside on states (state, at)
    where state in ('dead', 'quarantined');
create table if not exists seen (
    digest blob primary key, push integer not null, at real not null
) without rowid;
create index if not exists seen_at on seen (at);
-- Processes that listen for reports: behind which push each one is, and when it said so.
create table if not exists listeners (
    name text primary key, behind integer not null, at integer not null
) without rowid;
"""

_ROWS_AT_ONCE: Final = 100  # of up to seven values each: any SQLite takes 999
_OCTETS_AT_ONCE: Final = 256 * 1024
SET_ASIDE: Final = ", ".join(f"'{state.value}'" for state in State if state.set_aside)

# Seconds since the epoch; not by our clock, which tests may set.
NOW: Final = "cast(strftime('%s', 'now') as integer)"
SECONDS_OF_A_LISTENER: Final = 30
LISTENED_FOR: Final = PushKind.HLR_REPORTS.value
_LEAST_BEHIND: Final = (
    f"(select min(behind) from listeners where at > {NOW} - {SECONDS_OF_A_LISTENER})"  # noqa: S608 - constants
)
NOT_KEPT: Final = (
    "not exists (select 1 from states where push = pushes.id)"  # noqa: S608 - constants
    f" and (kind != '{LISTENED_FOR}' or id <= coalesce({_LEAST_BEHIND}, id))"
)


def _insert(connection: sqlite3.Connection, into: str, rows: Iterable[Sequence[object]]) -> int:
    """Insert rows, and count those that were not ignored."""
    inserted = 0
    rest = iter(rows)
    while chunk := list(islice(rest, _ROWS_AT_ONCE)):
        row = f"({', '.join('?' * len(chunk[0]))})"
        inserted += connection.execute(
            f"{into} values {', '.join([row] * len(chunk))}",
            [value for values in chunk for value in values],
        ).rowcount
    return inserted


def insert(connection: sqlite3.Connection, pushes: Sequence[RawPush]) -> None:
    """Store pushes, in order."""
    into = "insert into pushes (kind, query, body, received_at, trace)"
    _insert(connection, into, map(_values, pushes))


def _values(push: RawPush) -> tuple[object, ...]:
    # A query may hold surrogates, which stand for octets beyond ASCII that are not UTF-8.
    query = push.query.encode("utf-8", "surrogatepass")
    trace = json.dumps(dict(push.trace_context)) if push.trace_context else None
    return push.kind.value, query, push.body, push.received_at, trace


def push_of(kind: str, query: bytes, body: bytes, received_at: float, trace: str | None) -> RawPush:
    """Make a push of the columns that hold one.

    Raises:
        Exception: no version of ours has written the row so.
    """
    if {type(query), type(body)} != {bytes}:
        raise TypeError("the columns have other types")
    text = query.decode("utf-8", "surrogatepass")
    return RawPush(PushKind(kind), text, body, received_at, json.loads(trace) if trace else {})


def readable_push(columns: Sequence[Any]) -> RawPush | None:
    """Make a push of its columns; None where they hold none."""
    try:
        return push_of(*columns)
    except Exception:  # noqa: BLE001 - why it cannot be read is in the reason
        return None


def page(connection: sqlite3.Connection, sql: str, values: Sequence[object]) -> list[Any]:
    """Rows of an answer until their blobs fill a page, and at least one."""
    rows = []
    octets = 0
    with closing(connection.execute(sql, values)) as cursor:
        for row in cursor:
            rows.append(row)
            octets += sum(len(value) for value in row if isinstance(value, bytes))
            if octets > _OCTETS_AT_ONCE:
                break
    return rows


def has_open(connection: sqlite3.Connection, after: int) -> bool:
    """Whether a push that is not closed came after another one."""
    ask = "select 1 from pushes where id > ? and open = 1 limit 1"
    return connection.execute(ask, (after,)).fetchone() is not None


@attrs.frozen
class UnreadablePush:
    """A push whose row no version of ours has written so.

    Attributes:
        id: its id.
        reason: why it cannot be read; it may quote the row.
    """

    id: int
    reason: str


def read_open(
    connection: sqlite3.Connection, after: int, limit: int
) -> list[StoredPush | UnreadablePush]:
    """Read the next pushes that are not closed, in order.

    Args:
        connection: of the file.
        after: the id of the last push that was read.
        limit: most pushes to read; a page of big ones holds fewer.
    """
    rows = page(
        connection,
        "select id, kind, query, body, received_at, trace, coalesce(origin, id), wanted"
        " from pushes where id > ? and open = 1 order by id limit ?",
        (after, limit),
    )
    if not rows:
        return []
    states = defaultdict(list)
    for push_id, *state in connection.execute(
        "select push, number, state, attempts, deaths from states where push between ? and ?",
        (rows[0][0], rows[-1][0]),
    ).fetchall():
        states[push_id].append(state)
    return [_stored(row, states[row[0]]) for row in rows]


def _stored(row: Sequence[Any], states: Iterable[Sequence[Any]]) -> StoredPush | UnreadablePush:
    """Make what is known of a push of the columns that `read_open` asks for."""
    push_id, *columns, origin, wanted = row
    try:
        return StoredPush(
            push_id,
            push_of(*columns),
            origin,
            wanted and frozenset(json.loads(wanted)),
            {
                number: EventState(push_id, number, State(state), attempts, deaths=deaths)
                for number, state, attempts, deaths in states
            },
        )
    except Exception as fault:  # noqa: BLE001 - whatever it is, the pushes behind it can be read
        return UnreadablePush(push_id, f"the row cannot be read: {fault!r}")


def claim(
    connection: sqlite3.Connection, claims: Sequence[RowDigests], seconds: float
) -> list[frozenset[int]]:
    """Remember rows for some seconds, and tell which ones came before; see `Storage.claim`."""
    rows = [
        (digest, one.stored.origin, one.stored.push.received_at)
        for one in claims
        for digest in one.digests.values()
    ]
    if not rows:
        return [frozenset()] * len(claims)
    # In the order of the tree: so each page of the tree is looked for once. Of equal rows, that of
    # the first push comes first.
    rows.sort()
    if _insert(connection, "insert or ignore into seen", rows) == len(rows):
        repeated = [frozenset[int]()] * len(claims)
    else:
        repeated = _repeated(connection, claims, seconds)
    # Each call forgets up to twice as many rows as it brings, so the table shrinks to its window.
    connection.execute(
        "delete from seen where digest in"
        " (select digest from seen where at <= ? order by at limit ?)",
        (max(at for _, _, at in rows) - seconds, 2 * len(rows)),
    )
    return repeated


def _seen(
    connection: sqlite3.Connection, digests: Sequence[bytes]
) -> list[tuple[bytes, int, float]]:
    places = ", ".join("?" * len(digests))
    query = f"select digest, push, at from seen where digest in ({places})"  # noqa: S608 - places
    return connection.execute(query, digests).fetchall()


def _repeated(
    connection: sqlite3.Connection, claims: Sequence[RowDigests], seconds: float
) -> list[frozenset[int]]:
    """Find the rows of each claim that another push brought before, within some seconds."""
    digests = [digest for one in claims for digest in one.digests.values()]
    found = {
        digest: (push_id, at)
        for start in range(0, len(digests), _ROWS_AT_ONCE)
        for digest, push_id, at in _seen(connection, digests[start : start + _ROWS_AT_ONCE])
    }
    changed = {}
    repeated: list[set[int]] = [set() for _ in claims]
    for one, numbers in zip(claims, repeated, strict=True):
        arrived = one.stored.push.received_at
        for number, digest in one.digests.items():
            owner, at = found[digest]
            if owner == one.stored.origin:
                continue
            if at <= arrived - seconds:
                owner = one.stored.origin
            else:
                numbers.add(number)
            found[digest] = changed[digest] = owner, max(at, arrived)
    connection.executemany(
        "update seen set push = ?, at = ? where digest = ?",
        [(owner, at, digest) for digest, (owner, at) in changed.items()],
    )
    return [frozenset(numbers) for numbers in repeated]


def record(connection: sqlite3.Connection, states: Sequence[EventState]) -> None:
    """Write states down, and forget closed pushes; see `Storage.record`."""
    closed = {one.push_id for one in states if one.closes}
    rows = [
        (
            *(one.push_id, one.number, one.state.value, one.attempts),
            *(storable(one.reason), one.at, one.deaths),
        )
        for one in states
        if one.state.set_aside or one.push_id not in closed
    ]
    _insert(connection, "insert or replace into states", rows)
    if closed:
        close(connection, closed)
    if kept := {one.push_id for one in states if one.state is not State.DONE}:
        # Of a push that was discarded while its events were being handled.
        connection.execute(
            "delete from states where push in (select value from json_each(?))"
            " and push not in (select id from pushes)",
            (json.dumps(list(kept)),),
        )


def suspect(connection: sqlite3.Connection, places: Iterable[tuple[int, int]]) -> int:
    """Note that a process died while handlers had these events, unless that is known.

    Returns:
        How many of them are still to be handled.
    """
    before = connection.total_changes
    connection.executemany(
        "insert into states (push, number, state, attempts, reason, at, deaths)"
        " select id, ?, 'failed', 0, '', 0, 1 from pushes where id = ? and open"
        " on conflict do update set deaths = max(deaths, 1) where state in ('failed', 'held')",
        [(number, push_id) for push_id, number in places],
    )
    return connection.total_changes - before


def close(connection: sqlite3.Connection, push_ids: Iterable[int]) -> None:
    """Forget pushes, except those with events that are set aside, or that are listened for."""
    ids = (json.dumps(list(push_ids)),)
    chosen = "(select value from json_each(?))"
    for statement in (
        f"delete from states where push in {chosen} and state not in ({SET_ASIDE})",  # noqa: S608 - constants
        f"delete from pushes where id in {chosen} and {NOT_KEPT}",  # noqa: S608 - constants
        f"update pushes set open = 0 where id in {chosen}",  # noqa: S608 - a constant
    ):
        connection.execute(statement, ids)
