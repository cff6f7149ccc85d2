"""A lock that one process at a time has, and that goes with the process that had it."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from infobip_async.concurrency.sqlite_file import create_private, inode_of
from infobip_async.errors import StorageUnavailableError


class FileLock:
    """A lock on an empty file, which stays there for the next one.

    SQLite takes the lock, although nothing is ever written: SQLite knows how files are locked on
    every system, among several connections of one process as well. The operating system lets go of
    the lock when the process ends, however it ends; a child process does not inherit the lock.

    Args:
        path: the file; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def take(self) -> bool:
        """Take the lock if it is free.

        Returns:
            Whether it was free.

        Raises:
            StorageUnavailableError: the file can be neither made nor locked.
        """
        try:
            create_private(self._path)
            connection = sqlite3.connect(
                self._path, timeout=0, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as fault:
            raise StorageUnavailableError(f"{self._path} cannot be locked: {fault}") from None
        try:
            connection.execute("pragma journal_mode=memory")
            connection.execute("begin exclusive")
        except sqlite3.Error as fault:
            connection.close()
            if getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise StorageUnavailableError(f"{self._path} cannot be locked: {fault}") from None
        self._connection, self._inode = connection, inode_of(self._path)
        return True

    @property
    def held(self) -> bool:
        """Whether the lock was taken, and still keeps others out.

        It does not where the file was removed: another process would make and lock a new one.
        """
        return self._connection is not None and inode_of(self._path) == self._inode

    def release(self) -> None:
        """Let go of the lock, if it was taken."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
