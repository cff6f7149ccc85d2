"""A new journal of what can still be read of a damaged one."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import attrs

from infobip_async.concurrency.sqlite_file import FileKind, SqliteFile, kind_of
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal.sqlite_tables import SCHEMA

_LOCK_TIMEOUT: Final = 0.2
_MOST_ATTEMPTS: Final = 100_000
"""Ids that are tried behind the last row, where nothing tells the last id."""


@attrs.frozen(kw_only=True)
class Salvaged:
    """What was copied from a damaged journal.

    Attributes:
        pushes: how many were copied.
        lost: how many the journal had besides; None where that cannot be read either.
        complete: whether all was copied that is known about events that were handled before.
            Otherwise some of them may be handled again.
    """

    pushes: int
    lost: int | None
    complete: bool


async def salvage(path: str | Path, new: str | Path) -> Salvaged:
    """Copy what can be read of a damaged journal into a new one.

    The rows are found by their ids: what stands below a damaged inner page of the tree is lost.

    Args:
        path: the damaged journal, which nobody may use meanwhile. It is left as it is.
        new: the file to make.

    Raises:
        LocalProtocolError: `path` is no journal, or `new` is there already.
        StorageUnavailableError: the journal is in use, or `new` cannot be written.
    """
    return await asyncio.to_thread(_salvage, Path(path), Path(new))


def _salvage(path: Path, new: Path) -> Salvaged:
    if new.exists():
        raise LocalProtocolError(f"{new} is there already: name a new file", field="new")
    if not path.exists() or kind_of(path) is not FileKind.JOURNAL:
        raise LocalProtocolError(f"{path} is not a journal", field="path")
    target = SqliteFile(new, FileKind.JOURNAL, SCHEMA)
    with closing(_open(path)) as source:
        try:
            into = target.begin(writes=True)
            found = _copy(source, into)
            into.execute("commit")
        except sqlite3.Error as fault:
            target.close()
            new.unlink(missing_ok=True)  # so that the same command can be given again
            raise StorageUnavailableError(f"{new} cannot be written: {fault}") from None
        finally:
            target.close()
    return found


def _open(path: Path) -> sqlite3.Connection:
    """Open a journal that nobody else has open."""
    source = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
    try:
        source.execute("pragma writable_schema=on")  # opens a file whose end is missing, too
        source.execute("pragma locking_mode=exclusive")
        source.execute("begin exclusive")
    except sqlite3.Error as fault:
        source.close()
        raise StorageUnavailableError(
            f"{path} cannot be copied: {fault}; stop what uses the file first"
        ) from None
    return source


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> Salvaged:
    pushes, complete = 0, True
    for push in _pushes(source):
        with suppress(sqlite3.IntegrityError):  # its columns are not what they were
            pushes += _insert(target, "pushes", push)
        complete &= _copy_all(
            source, target, "states", "select * from states where push = ?", push[0]
        )
    # From both ends: behind a damaged page in the middle there is more.
    if not _copy_all(source, target, "seen", "select * from seen order by digest"):
        complete = False
        _copy_all(source, target, "seen", "select * from seen order by digest desc")
    known = _number(source, "select count(*) from pushes indexed by pushes_by_open where open >= 0")
    lost = None if known is None else max(known - pushes, 0)
    return Salvaged(pushes=pushes, lost=lost, complete=complete)


def _pushes(source: sqlite3.Connection) -> Iterator[Sequence[Any]]:
    """Read the pushes that can be read, by their ids."""
    last = _number(source, "select seq from sqlite_sequence where name = 'pushes'")
    rows = _Rows(source)
    while not rows.at_end:
        yield from rows.read()
        rows.after += 1  # the next row cannot be read, or one behind that
        rows.at_end |= rows.after >= (rows.last_read + _MOST_ATTEMPTS if last is None else last)


@attrs.define
class _Rows:
    """The rows of a damaged table, read stretch by stretch.

    Attributes:
        source: the journal.
        after: the id behind which to read on.
        last_read: the id of the last row that could be read.
        at_end: whether nothing more is there.
    """

    source: sqlite3.Connection
    after: int = 0
    last_read: int = 0
    at_end: bool = False

    def read(self) -> Iterator[Sequence[Any]]:
        """Read up to a row that cannot be read."""
        with suppress(sqlite3.DatabaseError):
            sql = "select * from pushes where id > ? order by id"
            for row in self.source.execute(sql, (self.after,)):
                self.after = self.last_read = row[0]
                yield row
            self.at_end = True


def _copy_all(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, query: str, *values: int
) -> bool:
    """Copy rows up to the first that cannot be read; tell whether there was none."""
    try:
        for row in source.execute(query, values):
            _insert(target, table, row)
    except sqlite3.DatabaseError:
        return False
    return True


def _insert(target: sqlite3.Connection, table: str, row: Sequence[Any]) -> int:
    """Copy a row, and count it: one without a column that must be there is left out."""
    places = ", ".join("?" * len(row))
    copied = target.execute(f"insert or ignore into {table} values ({places})", row)  # noqa: S608 - our own names
    return copied.rowcount


def _number(source: sqlite3.Connection, query: str) -> int | None:
    try:
        row = source.execute(query).fetchone()
    except sqlite3.DatabaseError:
        return None
    return row and int(row[0])
