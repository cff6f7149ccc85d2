"""One thread that writes to an SQLite file, with one fsync for everything that waits.

A piece of work is a function of the connection. It is on disk as a whole before its caller goes
on, or it never happened. Pieces that wait at the same time share a commit: that is what makes
``synchronous=FULL`` affordable.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import attrs

from infobip_async.errors import LocalProtocolError, StorageUnavailableError

T = TypeVar("T")

GROUP: Final = 1_000
"""Pieces of work that share a commit at the most."""

_LOCK_TIMEOUT: Final = 0.2
"""Seconds to wait for a file that another process holds, before saying so."""

_LOG_LIMIT: Final = 16 * 1024 * 1024
"""Octets that the write-ahead log keeps after it was bigger for one group."""


@attrs.define(eq=False)
class _Work(Generic[T]):
    """A piece of work, and the future of its outcome, which belongs to an event loop."""

    run: Callable[[sqlite3.Connection], T]
    outcome: asyncio.Future[T]
    result: T | None = None
    fault: Exception | None = None

    def settle(self) -> None:
        """Give the outcome to whoever waits for it, if someone still does."""
        if self.outcome.done():
            return
        if self.fault is not None:
            self.outcome.set_exception(self.fault)
        else:
            self.outcome.set_result(self.result)  # type: ignore[arg-type]  # of a T that may be None


class SqliteThread:
    """Runs pieces of work on one SQLite file, in a thread of its own.

    A failure of the file (full disk, lock, I/O error) fails what waits with
    `StorageUnavailableError`; the file is opened anew for what comes after.

    Args:
        path: the file; made where there is none.
        schema: statements that make the tables where they are missing.
    """

    def __init__(self, path: str | Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._queue: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise LocalProtocolError("it is open already", field="path")
        self._thread = threading.Thread(target=self._serve, name="infobip-journal", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish what waits, then close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    async def do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run a piece of work, and return its result once that is on disk.

        It goes on though the caller is cancelled. Nothing of the connection may leave it, a
        cursor least of all.

        Raises:
            StorageUnavailableError: the file could not be written; nothing of it was kept.
            Exception: what the work itself raised; nothing of it was kept.
        """
        if self._thread is None:
            raise StorageUnavailableError("the journal is not open")
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
        except BaseException as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            for work in group:
                work.fault = _unavailable(fault)
            self._close()
        for work in group:
            with suppress(RuntimeError):  # its loop was closed meanwhile
                work.outcome.get_loop().call_soon_threadsafe(work.settle)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT, isolation_level=None)
            self._connection = connection
            connection.execute("pragma locking_mode=exclusive")
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=full")
            connection.execute(f"pragma journal_size_limit={_LOG_LIMIT}")
            connection.executescript(self._schema)
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _attempt(connection: sqlite3.Connection, work: _Work[Any]) -> None:
    """Run one piece within a savepoint, so that its failure does not fail its group."""
    connection.execute("savepoint work")
    try:
        work.result = work.run(connection)
    except Exception as fault:
        if not connection.in_transaction:  # SQLite has taken everything back: the disk is full
            raise
        of_the_file = type(fault) in {sqlite3.OperationalError, sqlite3.DatabaseError}
        work.fault = _unavailable(fault) if of_the_file else fault
        connection.execute("rollback to work")
    connection.execute("release work")


def _unavailable(fault: BaseException) -> StorageUnavailableError:
    return StorageUnavailableError(f"the file cannot be written: {fault}")
