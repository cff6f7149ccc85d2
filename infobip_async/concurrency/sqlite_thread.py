"""One thread that works on an SQLite file, with one fsync for everything that waits.

A piece of work is a function of the connection. Its changes are on disk as a whole before its
caller goes on, or none of them is. Pieces that wait at the same time share a commit: that is what
makes ``synchronous=FULL`` affordable.
"""

import asyncio
import copy
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import attrs

from infobip_async.concurrency.sqlite_file import FileKind, SqliteFile, is_damage, reason_of
from infobip_async.errors import LocalProtocolError, StorageUnavailableError

T = TypeVar("T")

GROUP: Final = 1_000
"""Most pieces of work that share a commit."""


@attrs.define(eq=False)
class _Work(Generic[T]):
    """A piece of work, and the future of its outcome, which belongs to an event loop."""

    run: Callable[[sqlite3.Connection], T]
    outcome: asyncio.Future[T]
    writes: bool
    anywhere: bool
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
    `StorageUnavailableError`; the file is opened anew for what comes after. A file that was moved,
    removed or replaced while it was in use is refused until it is back, and a damaged one for good.

    `start_with` opens the file at once; `start` leaves that to the first piece of work.

    Args: as `SqliteFile`.

    Raises:
        LocalProtocolError: by everything that opens the file: there is no such directory, or the
            file is of another kind or version, or no SQLite file. No waiting mends that.
        StorageUnavailableError: by everything that opens the file: it cannot be used now.
    """

    def __init__(
        self,
        path: str | Path,
        kind: FileKind,
        schema: str,
        *,
        version: int = 1,
        shared: bool = False,
    ) -> None:
        self._file = SqliteFile(Path(path), kind, schema, version=version, shared=shared)
        self._queue: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. The file is opened with the first piece of work."""
        if self._thread is not None:
            raise LocalProtocolError("the file is open already", field="path")
        self._thread = threading.Thread(target=self._serve, name="infobip-sqlite", daemon=True)
        self._thread.start()

    async def start_to_look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Start the thread with a look into the file: an empty one is left so until a write."""
        self._file.leaves_empty = True
        return await self.start_with(look, writes=False)

    async def start_with(self, run: Callable[[sqlite3.Connection], T], *, writes: bool = True) -> T:
        """Start the thread with a piece of work; it ends again if that cannot be done."""
        self.start()
        try:
            return await self.do(run, writes=writes)
        except BaseException:
            await self.aclose()
            raise

    async def open(self) -> None:
        """Open the file if it is not open; this proves that it can be used."""
        await self.do(lambda _: None)

    async def aclose(self) -> None:
        """Finish what waits, then close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    async def do(
        self, run: Callable[[sqlite3.Connection], T], *, writes: bool = True, anywhere: bool = False
    ) -> T:
        """Run a piece of work, and return its result once its changes are on disk.

        The work goes on even if the caller is cancelled.

        Args:
            run: the work. It must not let anything of the connection out, such as a cursor: only
                the thread may use these.
            writes: whether the work changes the file. Work that does not waits for no other
                process, and lets none wait.
            anywhere: whether to do the work also on a file that was moved or removed meanwhile.

        Raises:
            StorageUnavailableError: the file could not be written; no change was kept.
            Exception: what the work itself raised; no change was kept.
        """
        if self._thread is None:
            raise StorageUnavailableError("the file is not open")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = _Work(run, outcome, writes, anywhere)
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
        self._file.close()
        self._file.forget_place()

    def _commit(self, group: Sequence[_Work[Any]]) -> None:
        try:
            connection = self._file.begin(writes=any(work.writes for work in group))
            lost = self._file.lost()
            for work in group:
                if lost is None or work.anywhere:
                    self._attempt(connection, work)
                else:
                    work.fault = self._fault(lost)
            connection.execute("commit")
        except BaseException as fault:  # noqa: BLE001 - whatever it is, no caller may wait for ever
            reason = self._file.mark_damaged() if is_damage(fault) else fault
            for work in group:
                work.fault = self._fault(reason)
            self._file.close()
        for work in group:
            with suppress(RuntimeError):  # its loop was closed meanwhile
                work.outcome.get_loop().call_soon_threadsafe(work.resolve)

    def _attempt(self, connection: sqlite3.Connection, work: _Work[Any]) -> None:
        """Run one piece within a savepoint, so that its failure does not fail its group."""
        connection.execute("savepoint work")
        try:
            work.result = work.run(connection)
        except Exception as fault:
            # SQLite has rolled everything back: the disk is full. Damage concerns all that waits.
            if not connection.in_transaction or is_damage(fault):
                raise
            of_the_file = type(fault) in {sqlite3.OperationalError, sqlite3.DatabaseError}
            work.fault = self._fault(fault) if of_the_file else fault
            connection.execute("rollback to work")
        connection.execute("release work")

    def _fault(self, fault: BaseException) -> Exception:
        """Make the error for one caller; tasks must not share one traceback."""
        if isinstance(fault, LocalProtocolError | StorageUnavailableError):
            return copy.copy(fault)
        return StorageUnavailableError(f"{self._file.path} cannot be used: {reason_of(fault)}")
