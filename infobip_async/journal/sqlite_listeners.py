"""The listeners of an SQLite journal: processes that hear of reports which another one handles."""

import sqlite3

from infobip_async.journal.sqlite_tables import (
    LISTENED_FOR,
    NOT_KEPT,
    NOW,
    SECONDS_OF_A_LISTENER,
    page,
    readable_push,
)
from infobip_async.protocol.exchange import RawPush


def _newest(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("select coalesce(max(id), 0) from pushes").fetchone()[0]
    return found


def read_listened_for(
    connection: sqlite3.Connection, behind: int | None, limit: int
) -> tuple[int, list[RawPush]]:
    """Read the next pushes that somebody may listen for, handled or not.

    Args:
        connection: of the file.
        behind: the id of the last push that was looked at; None to look at none that is there.
        limit: most pushes to read; a page of big ones holds fewer.

    Returns:
        The id of the last push that was looked at, and the pushes.
    """
    if behind is None:
        return _newest(connection), []
    rows = page(
        connection,
        "select id, kind, query, body, received_at, trace from pushes"
        " where id > ? and kind = ? and wanted is null order by id limit ?",
        (behind, LISTENED_FOR, limit),
    )
    last = rows[-1][0] if rows else max(behind, _newest(connection))
    return last, [push for _, *columns in rows if (push := readable_push(columns))]


def listen(connection: sqlite3.Connection, name: str, since: int, behind: int) -> None:
    """Have pushes kept for a listener, also when they were handled.

    Args:
        connection: of the file.
        name: of the listener.
        since: what `behind` was before.
        behind: the id of the last push that the listener does not need any more.
    """
    told = f"insert or replace into listeners values (?, ?, {NOW})"  # noqa: S608 - a constant
    connection.execute(told, (name, behind))
    forget_listened_for(connection, since)


def stop_listening(connection: sqlite3.Connection, name: str) -> None:
    """Keep nothing for a listener any more."""
    connection.execute("delete from listeners where name = ?", (name,))
    forget_listened_for(connection)


def forget_listened_for(connection: sqlite3.Connection, since: int = 0) -> None:
    """Forget handled pushes that were kept for listeners, and that none needs any more.

    Args:
        connection: of the file.
        since: the id behind which to begin.
    """
    connection.execute(f"delete from listeners where at <= {NOW} - {SECONDS_OF_A_LISTENER}")  # noqa: S608 - constants
    connection.execute(f"delete from pushes where open = 0 and id > ? and {NOT_KEPT}", (since,))  # noqa: S608 - constants
