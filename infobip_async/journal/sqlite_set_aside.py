"""What an SQLite journal has set aside: counted, read, put back, forgotten."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from infobip_async.journal.base import WHOLE_PUSH, JournalCounts, SetAside, State, set_aside_id
from infobip_async.journal.sqlite_tables import (
    SET_ASIDE,
    close,
    page,
    readable_push,
)


def count(connection: sqlite3.Connection) -> JournalCounts:
    """Count what is in a journal. All of it is read from indexes, whatever the pushes hold."""
    (waiting,) = connection.execute("select count(*) from pushes where open = 1").fetchone()
    oldest = connection.execute(
        "select received_at from pushes where open = 1 order by id limit 1"
    ).fetchone()
    aside = dict(
        connection.execute(
            f"select state, count(*) from states where state in ({SET_ASIDE}) group by state"  # noqa: S608 - constants
        )
    )
    return JournalCounts(
        waiting=waiting,
        oldest=oldest and oldest[0],
        dead=aside.get(State.DEAD.value, 0),
        quarantined=aside.get(State.QUARANTINED.value, 0),
        octets=_octets(connection),
    )


def _octets(connection: sqlite3.Connection) -> int:
    (path,) = connection.execute("select file from pragma_database_list").fetchone()
    if not path:  # in memory, in place of an empty file
        return 0
    octets = 0
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):  # another process may remove it now
            octets += Path(f"{path}{end}").stat().st_size
    return octets


def sweep(connection: sqlite3.Connection, before: float) -> None:
    """Forget what was set aside before a time, in seconds since the epoch."""
    places = connection.execute(
        f"select push, number from states where state in ({SET_ASIDE}) and at < ?",  # noqa: S608 - constants
        (before,),
    ).fetchall()
    discard(connection, places)


def read_set_aside(
    connection: sqlite3.Connection, state: State, after: tuple[int, int]
) -> list[SetAside]:
    """Read the next events that are set aside in a state, in order.

    Args:
        connection: of the file.
        state: the state.
        after: the push and the number of the last event that was read.
    """
    rows = page(
        connection,
        "select push, number, attempts, reason, at, kind, query, body, received_at, trace"
        " from states join pushes on id = push"
        " where state = ? and (push, number) > (?, ?) order by push, number",
        (state.value, *after),
    )
    return [
        SetAside(
            set_aside_id(push_id, number),
            readable_push(push),
            number,
            attempts,
            reason,
            at,
        )
        for push_id, number, attempts, reason, at, *push in rows
    ]


def find_set_aside(
    connection: sqlite3.Connection, states: Iterable[State], places: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Find which events, given by push and number, are set aside in one of some states."""
    found: list[tuple[int, int]] = connection.execute(
        "select push, number from states where state in (select value from json_each(?))"
        " and (push, number) in (select"
        " json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(?))"
        " order by push, number",
        (json.dumps([state.value for state in states]), json.dumps(places)),
    ).fetchall()
    return found


def put_back(connection: sqlite3.Connection, places: Sequence[tuple[int, int]]) -> None:
    """Have events that are set aside handled again, each push as a new one behind all others."""
    for push_id, numbers in groupby(places, itemgetter(0)):
        wanted = [number for _, number in numbers]
        connection.execute(
            "insert into pushes (origin, kind, query, body, received_at, trace, wanted)"
            " select coalesce(origin, id), kind, query, body, received_at, trace,"
            " coalesce(?, wanted) from pushes where id = ?",
            (None if WHOLE_PUSH in wanted else json.dumps(wanted), push_id),
        )
    discard(connection, places)


def discard(connection: sqlite3.Connection, places: Sequence[tuple[int, int]]) -> None:
    """Forget events that are set aside."""
    connection.executemany("update states set state = 'done' where push = ? and number = ?", places)
    ids = json.dumps([push_id for push_id, _ in places])
    closed = connection.execute(
        "select id from pushes where open = 0 and id in (select value from json_each(?))", (ids,)
    ).fetchall()
    close(connection, [push_id for (push_id,) in closed])


def discard_waiting(connection: sqlite3.Connection, places: Iterable[tuple[int, int]]) -> int:
    """Forget events that wait to be handled, or all of a push that do, and count the places."""
    count = 0
    for push_id, number in places:
        if number == WHOLE_PUSH:
            sql = "select count(*) from pushes where id = ? and open"
            (found,) = connection.execute(sql, (push_id,)).fetchone()
            close(connection, [push_id])
        else:
            found = connection.execute(
                "insert into states (push, number, state, attempts, reason, at)"
                " select id, ?, 'done', 0, '', 0 from pushes where id = ? and open"
                " on conflict do update set state = 'done', deaths = 0"
                " where state in ('failed', 'held')",
                (number, push_id),
            ).rowcount
        count += found
    return count
