"""Changes of an SQLite file after which nothing of the old content is left in its octets."""

import sqlite3
import time
from collections.abc import Callable
from typing import Final

from infobip_async.concurrency.sqlite_file import SqliteFile, is_damage
from infobip_async.errors import StorageUnavailableError

_SECONDS: Final = 10.0
_PAUSE: Final = 0.01


def erase(file: SqliteFile, work: Callable[[sqlite3.Connection], int]) -> int:
    """Run work that forgets rows, and write the whole file anew.

    What is deleted stays in free pages, and in the write-ahead log, until other rows take its
    place; so does what was deleted long before. Other processes may use a shared file meanwhile,
    and wait for a second or so for each gigabyte.

    Returns:
        What the work returned.

    Raises:
        StorageUnavailableError: the file cannot be used now, or somebody reads in it for ten
            seconds. It is to be tried again then: old octets may be left.
    """
    try:
        connection = file.begin(writes=True)
        count = work(connection)
        connection.execute("commit")
        connection.execute("vacuum")
        _empty_log(connection, file)
    except sqlite3.Error as fault:
        if is_damage(fault):
            raise file.mark_damaged() from None
        raise StorageUnavailableError(
            f"{file.path} cannot be rewritten: {fault}; try again when nothing else uses the file"
        ) from None
    finally:
        file.close()
        file.forget_place()
    return count


def _empty_log(connection: sqlite3.Connection, file: SqliteFile) -> None:
    """Copy the write-ahead log into the file, and cut it, as soon as nobody reads in it."""
    deadline = time.monotonic() + _SECONDS
    while connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise StorageUnavailableError(f"{file.path} is read all the time: try again")
        time.sleep(_PAUSE)
