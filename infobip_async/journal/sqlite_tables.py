"""The tables of an SQLite journal, and everything that is asked of them.

Whatever is asked takes few statements, each for many rows: between two of them the thread that
writes has to wait for its turn beside an event loop that is busy.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

import attrs

from infobip_async.journal.base import WHOLE_POST, EventState, RowDigests, State, StoredPush
from infobip_async.protocol.exchange import PushKind, RawPush

SCHEMA: Final = """
-- The ids of posts are never used again: rows that were seen refer to them.
create table posts (
    id integer primary key autoincrement, origin integer, kind text not null, query blob not null,
    body blob not null, received_at real not null, wanted text, open integer not null default 1
);
create table marks (
    post integer, number integer, state text not null, attempts integer not null,
    reason text not null, at real not null, primary key (post, number)
) without rowid;
create table seen (
    digest text primary key, post integer not null, at real not null
) without rowid;
create index seen_at on seen (at);
"""

_ROWS_AT_ONCE: Final = 100  # of six values each at the most: any SQLite takes 999
_OCTETS_AT_ONCE: Final = 256 * 1024
_KEPT: Final = ", ".join(f"'{state.value}'" for state in State if state.kept)


@attrs.frozen
class SetAside:
    """An event that waits for somebody's decision.

    Attributes:
        id: by which it is put back: the post and, where it is one event of it, its number.
        push: the post that brought it.
        number: its number there; `WHOLE_POST` where the post as a whole could not be read.
        attempts: times that its handlers were tried.
        reason: why; it may quote the event.
        at: since when, in seconds since the epoch.
    """

    id: str
    push: RawPush
    number: int
    attempts: int
    reason: str
    at: float


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
    """Keep posts, in order."""
    into = "insert into posts (kind, query, body, received_at)"
    _insert(connection, into, map(_values, pushes))


def _values(push: RawPush) -> tuple[object, ...]:
    query = push.query.encode("utf-8", "surrogatepass")  # which octets beyond ASCII may become
    return push.kind.value, query, push.body, push.received_at


def _push(kind: str, query: bytes, body: bytes, received_at: float) -> RawPush:
    return RawPush(PushKind(kind), query.decode("utf-8", "surrogatepass"), body, received_at)


def _page(connection: sqlite3.Connection, sql: str, values: Sequence[object]) -> list[Any]:
    """Rows of an answer, as many as hold so many octets, and one at least."""
    rows = []
    octets = 0
    with closing(connection.execute(sql, values)) as cursor:
        for row in cursor:
            rows.append(row)
            octets += sum(len(value) for value in row if isinstance(value, bytes))
            if octets > _OCTETS_AT_ONCE:
                break
    return rows


def read_open(connection: sqlite3.Connection, after: int, limit: int) -> list[StoredPush]:
    """The next posts that are not closed, in order.

    Args:
        connection: of the file.
        after: the id of the last one that was read.
        limit: posts at the most; there may be fewer, since big ones take their room.
    """
    rows = _page(
        connection,
        "select id, kind, query, body, received_at, coalesce(origin, id), wanted from posts"
        " where id > ? and open order by id limit ?",
        (after, limit),
    )
    if not rows:
        return []
    marks: defaultdict[int, dict[int, EventState]] = defaultdict(dict)
    for post, number, state, attempts in connection.execute(
        "select post, number, state, attempts from marks where post between ? and ?",
        (rows[0][0], rows[-1][0]),
    ).fetchall():
        marks[post][number] = EventState(post, number, State(state), attempts)
    return [
        StoredPush(
            post, _push(*push), origin, wanted and frozenset(json.loads(wanted)), marks[post]
        )
        for post, *push, origin, wanted in rows
    ]


def claim(
    connection: sqlite3.Connection, claims: Sequence[RowDigests], seconds: float
) -> list[frozenset[int]]:
    """Remember rows for so many seconds, and say which came before; see `Storage.claim`."""
    rows = [
        (digest, one.post.origin, one.post.push.received_at)
        for one in claims
        for digest in one.digests.values()
    ]
    if not rows:
        return [frozenset()] * len(claims)
    if _insert(connection, "insert or ignore into seen", rows) == len(rows):
        repeated = [frozenset[int]()] * len(claims)
    else:
        repeated = _repeated(connection, claims, seconds)
    # More are forgotten than come, so that the table does not outgrow its time.
    connection.execute(
        "delete from seen where digest in"
        " (select digest from seen where at <= ? order by at limit ?)",
        (max(at for _, _, at in rows) - seconds, 2 * len(rows)),
    )
    return repeated


def _repeated(
    connection: sqlite3.Connection, claims: Sequence[RowDigests], seconds: float
) -> list[frozenset[int]]:
    """The rows of each claim that another post brought before, within so many seconds."""
    digests = [digest for one in claims for digest in one.digests.values()]
    found = {
        digest: (post, at)
        for digest, post, at in connection.execute(
            "select digest, post, at from seen where digest in (select value from json_each(?))",
            (json.dumps(digests),),
        ).fetchall()
    }
    changed = {}
    repeated: list[set[int]] = [set() for _ in claims]
    for one, numbers in zip(claims, repeated, strict=True):
        arrived = one.post.push.received_at
        for number, digest in one.digests.items():
            owner, at = found[digest]
            if owner == one.post.origin:
                continue
            if at <= arrived - seconds:
                owner = one.post.origin
            else:
                numbers.add(number)
            found[digest] = changed[digest] = owner, max(at, arrived)
    connection.executemany(
        "update seen set post = ?, at = ? where digest = ?",
        [(owner, at, digest) for digest, (owner, at) in changed.items()],
    )
    return [frozenset(numbers) for numbers in repeated]


def settle(connection: sqlite3.Connection, marks: Sequence[EventState]) -> None:
    """Write marks down, and forget what is done with; see `Storage.settle`."""
    closed = {mark.post for mark in marks if mark.closes}
    rows = [
        (mark.post, mark.number, mark.state.value, mark.attempts, _plain(mark.reason), mark.at)
        for mark in marks
        if mark.state.kept or mark.post not in closed
    ]
    _insert(connection, "insert or replace into marks", rows)
    if closed:
        _close(connection, closed)


def _plain(reason: str) -> str:
    """As SQLite can take it."""
    return reason.encode(errors="backslashreplace").decode()


def _close(connection: sqlite3.Connection, posts: Iterable[int]) -> None:
    """Forget posts, but for those with events that are kept."""
    ids = (json.dumps(list(posts)),)
    chosen = "(select value from json_each(?))"
    unmarked = "not exists (select 1 from marks where post = posts.id)"
    for statement in (
        f"delete from marks where post in {chosen} and state not in ({_KEPT})",  # noqa: S608 - constants
        f"update posts set open = 0 where id in {chosen}",  # noqa: S608 - a constant
        f"delete from posts where id in {chosen} and {unmarked}",  # noqa: S608 - constants
    ):
        connection.execute(statement, ids)


def read_set_aside(
    connection: sqlite3.Connection, state: State, after: tuple[int, int]
) -> list[SetAside]:
    """The next events of a state that are kept, in order, after a post and a number."""
    rows = _page(
        connection,
        "select post, number, attempts, reason, at, kind, query, body, received_at"
        " from marks join posts on id = post"
        " where state = ? and (post, number) > (?, ?) order by post, number",
        (state.value, *after),
    )
    return [
        SetAside(
            str(post) if number == WHOLE_POST else f"{post}:{number}",
            _push(*push),
            number,
            attempts,
            reason,
            at,
        )
        for post, number, attempts, reason, at, *push in rows
    ]


def find_set_aside(
    connection: sqlite3.Connection, states: Iterable[State], places: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Those of some posts and numbers that are kept in one of some states."""
    found: list[tuple[int, int]] = connection.execute(
        "select post, number from marks where state in (select value from json_each(?))"
        " and (post, number) in (select"
        " json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(?))"
        " order by post, number",
        (json.dumps([state.value for state in states]), json.dumps(places)),
    ).fetchall()
    return found


def put_back(connection: sqlite3.Connection, places: Sequence[tuple[int, int]]) -> None:
    """Let events that are kept come once more, each post as a new one behind all others."""
    for post, numbers in groupby(places, itemgetter(0)):
        wanted = [number for _, number in numbers]
        connection.execute(
            "insert into posts (origin, kind, query, body, received_at, wanted)"
            " select coalesce(origin, id), kind, query, body, received_at, coalesce(?, wanted)"
            " from posts where id = ?",
            (None if WHOLE_POST in wanted else json.dumps(wanted), post),
        )
    discard(connection, places)


def discard(connection: sqlite3.Connection, places: Sequence[tuple[int, int]]) -> None:
    """Forget events that are kept."""
    connection.executemany("update marks set state = 'done' where post = ? and number = ?", places)
    posts = json.dumps([post for post, _ in places])
    closed = connection.execute(
        "select id from posts where not open and id in (select value from json_each(?))", (posts,)
    ).fetchall()
    _close(connection, [post for (post,) in closed])
