"""One thread that writes to an SQLite file, with one fsync for everything that waits.

A piece of work is a function of the connection. Its changes are on disk as a whole before its
caller goes on, or none of them is. Pieces that wait at the same time share a commit: that is what
makes ``synchronous=FULL`` affordable.

Every file of ours says in its head what it is (``pragma application_id``) and which tables it has
(``pragma user_version``), so that a file of another kind is refused before anything is written.
"""

import asyncio
import copy
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

import attrs

from infobip_async.errors import LocalProtocolError, StorageUnavailableError

T = TypeVar("T")

GROUP: Final = 1_000
"""Most pieces of work that share a commit."""

_LOCK_TIMEOUT: Final = 0.2
"""Seconds to wait for a file that another process holds, before saying so."""

_LOG_LIMIT: Final = 16 * 1024 * 1024
"""Octets that the write-ahead log is cut to after a group that needed more."""


class FileKind(Enum):
    """What a file of ours holds: its application id, and its name in messages.

    All kinds stand in this one list, so that each file is refused by the name of what it is.
    """

    JOURNAL = (0x1B1F0A1, "a journal")
    LOOKUP_JOB = (0x1B1F0B1, "a job of lookups")
    SEND_JOB = (0x1B1F0B2, "a job of sends")

    def __init__(self, application_id: int, title: str) -> None:
        self.application_id = application_id
        self.title = title


_TITLES: Final = {kind.application_id: kind.title for kind in FileKind}


@attrs.define(eq=False)
class _Work(Generic[T]):
    """A piece of work, and the future of its outcome, which belongs to an event loop."""

    run: Callable[[sqlite3.Connection], T]
    outcome: asyncio.Future[T]
    result: T | None = None
    fault: Exception | None = None

    def resolve(self) -> None:
        """Give the outcome to the caller, if the caller still waits."""
        if self.outcome.done():
            return
        if self.fault is not None:
            self.outcome.set_exception(self.fault)
        else:
            self.outcome.set_result(self.result)  # type: ignore[arg-type]  # of a T that may be None


class SqliteThread:
    """Runs pieces of work on one SQLite file, in a thread of its own.

    A failure of the file (full disk, lock, I/O error) fails what waits with
    `StorageUnavailableError`; the file is opened anew for what comes after. One process at a time
    can have the file open.

    As a context manager it opens the file at once; `start` leaves that to the first piece of work.

    Args:
        path: the file. A new one is readable and writable by its owner alone (mode 0600); its
            directory must be there.
        kind: what the file holds.
        schema: statements that make the tables of a new file.
        version: of the schema, from 1. A file of another version is refused.

    Raises:
        LocalProtocolError: by everything that opens the file: there is no such directory, or the
            file is of another kind or version, or no SQLite file. No waiting mends that.
        StorageUnavailableError: by everything that opens the file: it cannot be used now.
    """

    def __init__(self, path: str | Path, kind: FileKind, schema: str, *, version: int = 1) -> None:
        self._path = Path(path)
        self._kind = kind
        self._schema = schema
        self._version = version
        self._queue: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self.start()
        try:
            await self.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def start(self) -> None:
        """Start the thread. The file is opened with the first piece of work."""
        if self._thread is not None:
            raise LocalProtocolError("the file is open already", field="path")
        self._thread = threading.Thread(target=self._serve, name="infobip-sqlite", daemon=True)
        self._thread.start()

    async def open(self) -> None:
        """Open the file if it is not open; this proves that it can be used."""
        await self.do(lambda _: None)

    async def aclose(self) -> None:
        """Finish what waits, then close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    async def do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run a piece of work, and return its result once its changes are on disk.

        The work goes on even if the caller is cancelled.

        Args:
            run: the work. It must not let anything of the connection out, such as a cursor: only
                the thread may use these.

        Raises:
            StorageUnavailableError: the file could not be written; no change was kept.
            Exception: what the work itself raised; no change was kept.
        """
        if self._thread is None:
            raise StorageUnavailableError("the file is not open")
        work: _Work[T] = _Work(run, asyncio.get_running_loop().create_future())
        self._queue.put(work)
        return await work.outcome

    # --- in the thread ---

    def _serve(self) -> None:
        """Take groups of what waits, until there is nothing more to come."""
        while (work := self._queue.get()) is not None:
            group = [work]
            with suppress(queue.Empty):
                while len(group) < GROUP:
                    if (more := self._queue.get_nowait()) is None:
                        self._queue.put(None)  # for the loop above
                        break
                    group.append(more)
            self._commit(group)
        self._close()

    def _commit(self, group: Sequence[_Work[Any]]) -> None:
        try:
            connection = self._open()
            connection.execute("begin immediate")
            for work in group:
                _attempt(connection, work)
            connection.execute("commit")
        except BaseException as fault:  # noqa: BLE001 - whatever it is, no caller may wait for ever
            for work in group:
                work.fault = _fault_of_file(fault)
            self._close()
        for work in group:
            with suppress(RuntimeError):  # its loop was closed meanwhile
                work.outcome.get_loop().call_soon_threadsafe(work.resolve)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._create()
            connection = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT, isolation_level=None)
            self._connection = connection
            self._lock(connection)
            self._identify(connection)
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=full")
            connection.execute(f"pragma journal_size_limit={_LOG_LIMIT}")
        return self._connection

    def _create(self) -> None:
        """Make the file if there is none, so that only its owner can read numbers and texts.

        SQLite gives the write-ahead log the mode of the file.
        """
        if not self._path.parent.is_dir():
            raise LocalProtocolError(f"there is no directory {self._path.parent}", field="path")
        # An existing file is left alone: to close it here would let go of the locks that this
        # process may have on it through another connection (POSIX locks belong to the process).
        with suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(os.open(os.path.realpath(self._path), flags, 0o600))

    def _lock(self, connection: sqlite3.Connection) -> None:
        """Keep other processes out until the file is closed.

        In this locking mode the lock stays after the transaction, so nobody can come between this
        and the check of what the file is. Nothing has been written to it so far.
        """
        connection.execute("pragma locking_mode=exclusive")
        try:
            connection.execute("begin exclusive")
        except sqlite3.DatabaseError as fault:
            if fault.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise self._refusal("no SQLite file") from None
            raise
        connection.execute("rollback")

    def _identify(self, connection: sqlite3.Connection) -> None:
        """Make the tables of an empty file; refuse a file that is not of our kind and version."""
        kind, version = self._kind, self._version
        found = _number(connection, "pragma application_id")
        if not found and not _number(connection, "select count(*) from sqlite_schema"):
            connection.executescript(
                f"begin; {self._schema}; pragma application_id={kind.application_id};"
                f" pragma user_version={version}; commit"
            )
            return
        if found != kind.application_id:
            raise self._refusal(_TITLES.get(found, "a database of another program"))
        found = _number(connection, "pragma user_version")
        if found != version:
            age = "a newer" if found > version else "an older"
            raise LocalProtocolError(
                f"{self._path} is {kind.title} of {age} version of infobip-async:"
                f" it has format {found}, and this version uses format {version}",
                field="path",
            )

    def _refusal(self, found: str) -> LocalProtocolError:
        return LocalProtocolError(
            f"{self._path} is not {self._kind.title}, but {found}", field="path"
        )

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _number(connection: sqlite3.Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number


def _attempt(connection: sqlite3.Connection, work: _Work[Any]) -> None:
    """Run one piece within a savepoint, so that its failure does not fail its group."""
    connection.execute("savepoint work")
    try:
        work.result = work.run(connection)
    except Exception as fault:
        if not connection.in_transaction:  # SQLite has rolled everything back: the disk is full
            raise
        of_the_file = type(fault) in {sqlite3.OperationalError, sqlite3.DatabaseError}
        work.fault = _fault_of_file(fault) if of_the_file else fault
        connection.execute("rollback to work")
    connection.execute("release work")


def _fault_of_file(fault: BaseException) -> Exception:
    """Make the error for one caller; tasks must not share one traceback."""
    if isinstance(fault, LocalProtocolError):
        return copy.copy(fault)
    return StorageUnavailableError(f"the file cannot be written: {fault}")
