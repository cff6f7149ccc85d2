"""One SQLite file of ours: what it is, how it is opened, and whether it can still be relied on.

Every file says in its head what it is (``pragma application_id``) and which tables it has (``pragma
user_version``), so that a file of another kind is refused before anything is written. A file in
which damage was found gets the version `_DAMAGED`: every process on the file refuses it then, also
after a restart that would not meet the damaged page for a while.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from enum import Enum
from pathlib import Path
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError, StorageUnavailableError

_LOCK_TIMEOUT: Final = 0.2
"""Seconds to wait for a file that another process has for itself, before saying so."""

_TURN_TIMEOUT: Final = 5.0
"""Seconds to wait for one's turn at a file that processes share; half a second is usual."""

_LOG_LIMIT: Final = 16 * 1024 * 1024
"""Octets that the write-ahead log is cut to after a group that needed more."""

_CHECKED_OCTETS: Final = 64 * 1024 * 1024
"""Files up to this size are searched for damage when they are opened first."""

_PRIVATE: Final = 0o600
"""The mode of what its owner alone can read and write."""

_MOUNTS: Final = Path("/proc/self/mounts")
_NETWORKS: Final = frozenset(
    {
        "afs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "lustre",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
_DAMAGED: Final = -1
_DAMAGES: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_WAYS_OUT: Final = {
    sqlite3.SQLITE_BUSY: "something else uses it: try again when that has ended",
    sqlite3.SQLITE_FULL: "make room",
    sqlite3.SQLITE_READONLY: "allow this user to write to the file and to its directory",
    sqlite3.SQLITE_CANTOPEN: "it must be a file that this user can read and write",
}
"""What a person can do where SQLite refuses to use a file."""


class FileKind(Enum):
    """What a file of ours holds: its application id, and its name in messages.

    All kinds stand in this one list, so that each file is refused by the name of what it is.
    """

    JOURNAL = (0x1B1F0A1, "a journal")
    LOOKUP_JOB = (0x1B1F0B1, "a job of lookups")
    SEND_JOB = (0x1B1F0B2, "a job of sends")
    DELIVERIES = (0x1B1F0C1, "a store of deliveries")

    def __init__(self, application_id: int, title: str) -> None:
        self.application_id = application_id
        self.title = title


_TITLES: Final = {kind.application_id: kind.title for kind in FileKind}


@attrs.define(eq=False)
class SqliteFile:
    """A file, and the connection to it while it is open. One thread at a time may use it.

    Attributes:
        path: the file. A new one, or an empty one, becomes readable and writable by its owner
            alone (mode 0600); its directory must be there.
        kind: what the file holds.
        schema: statements that make the tables of a new file; of a shared one with ``if not
            exists``, since two processes may make the tables at the same time.
        version: of the schema, from 1. A file of another version is refused.
        shared: whether other processes of this machine may have the file open meanwhile. Otherwise
            they are kept out.
        leaves_empty: whether an empty file is left so until something is written, and is read as
            one without rows: who only looks cannot know what the file is to be.
    """

    path: Path
    kind: FileKind
    schema: str
    version: int = attrs.field(default=1, kw_only=True)
    shared: bool = attrs.field(default=False, kw_only=True)
    leaves_empty: bool = attrs.field(default=False, init=False)
    _connection: sqlite3.Connection | None = attrs.field(default=None, init=False)
    _inode: tuple[int, int] | None = attrs.field(default=None, init=False)
    _beside: Mapping[Path, tuple[int, int] | None] = attrs.field(factory=dict, init=False)
    _stands_in: bool = attrs.field(default=False, init=False)

    def begin(self, *, writes: bool) -> sqlite3.Connection:
        """Open the file if it is not open, and begin a transaction.

        Args:
            writes: whether the transaction changes the file. One that does not waits for no other
                process, and lets none wait.

        Raises:
            LocalProtocolError: there is no such directory, or the file is of another kind or
                version, or no SQLite file. No waiting mends that.
            StorageUnavailableError: the file is damaged, or no longer where it was.
            sqlite3.Error: the file cannot be used now.
        """
        if self._stands_in:
            self.close()
        connection = self._connection or self._open(writes=writes)
        connection.execute("begin immediate" if writes else "begin")
        self._check_version(connection)
        return connection

    def _open(self, *, writes: bool) -> sqlite3.Connection:
        first = self._inode is None
        if first:
            self._create()
            if self.leaves_empty and not writes and not self.path.stat().st_size:
                return self._stand_in()
        elif (lost := self._lost_file()) is not None:
            raise lost  # another file would have other rows under the same ids
        timeout = _TURN_TIMEOUT if self.shared else _LOCK_TIMEOUT
        self._connection = connection = sqlite3.connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False
        )
        try:
            if not self.shared:
                _lock(connection)
            self._identify(connection)
        except sqlite3.DatabaseError as fault:
            if _is_error(fault, {sqlite3.SQLITE_NOTADB}):
                raise self._refusal("no SQLite file") from None
            raise
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.execute(f"pragma journal_size_limit={_LOG_LIMIT}")
        if first:
            self._look_for_damage(connection)
            self._inode = inode_of(self.path)
        self._check_version(connection)  # reads, and so the log and its index are there
        real = os.path.realpath(self.path)
        self._beside = {path: inode_of(path) for path in (Path(f"{real}-wal"), Path(f"{real}-shm"))}
        return connection

    def _stand_in(self) -> sqlite3.Connection:
        """Open a database without rows, in memory, in place of an empty file."""
        self._stands_in = True
        self._connection = connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        self._make_tables(connection)
        return connection

    def _create(self) -> None:
        """Make the file if there is none, so that only its owner can read numbers and texts."""
        if not self.path.parent.is_dir():
            raise LocalProtocolError(f"there is no directory {self.path.parent}", field="path")
        try:
            create_private(self.path)
        except OSError as fault:
            reason = f"{self.path} cannot be made: {fault.strerror}"
            raise StorageUnavailableError(reason) from None

    def _identify(self, connection: sqlite3.Connection) -> None:
        """Make the tables of an empty file; refuse a file that is not of our kind and version."""
        connection.execute("begin")  # both answers are about one moment
        found = _number(connection, "pragma application_id")
        is_new = not found and not _number(connection, "select count(*) from sqlite_schema")
        connection.execute("rollback")
        if is_new:
            with suppress(PermissionError):  # another user made the file, and decides on its mode
                self.path.chmod(_PRIVATE)
            self._make_tables(connection)
        elif found != self.kind.application_id:
            raise self._refusal(_TITLES.get(found, "a database of another program"))
        self._check_version(connection)

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        connection.executescript(
            f"begin immediate; {self.schema};"
            f" pragma application_id={self.kind.application_id};"
            f" pragma user_version={self.version}; commit"
        )

    def _check_version(self, connection: sqlite3.Connection) -> None:
        found = _number(connection, "pragma user_version")
        if found == self.version:
            return
        if found == _DAMAGED:
            raise self._refusal_of_damage()
        age = "a newer" if found > self.version else "an older"
        raise LocalProtocolError(
            f"{self.path} is {self.kind.title} of {age} version of infobip-async:"
            f" it has format {found}, and this version uses format {self.version}",
            field="path",
        )

    def _refusal(self, found: str) -> LocalProtocolError:
        return LocalProtocolError(
            f"{self.path} is not {self.kind.title}, but {found}", field="path"
        )

    def lost(self) -> StorageUnavailableError | None:
        """Say why the file is not to be used, where no path leads to it and its log any more.

        What is written to such a file, or to one that was emptied, would be found by nobody.
        """
        if self._stands_in:
            return None
        if (lost := self._lost_file()) is not None:
            return lost
        if self._connection is None:
            return None
        return next(
            (_loss_of(path) for path, was in self._beside.items() if inode_of(path) != was), None
        )

    def _lost_file(self) -> StorageUnavailableError | None:
        # An empty file takes its log with it when it is opened the next time.
        found = inode_of(self.path, least=1)
        return None if found == self._inode else _loss_of(self.path)

    def _look_for_damage(self, connection: sqlite3.Connection) -> None:
        if self.path.stat().st_size <= _CHECKED_OCTETS:
            (found,) = connection.execute("pragma quick_check(1)").fetchone()
            if found != "ok":
                raise self.mark_damaged()

    def mark_damaged(self) -> StorageUnavailableError:
        """Have every process refuse the file, as far as its head can still be written.

        Returns:
            What to raise.
        """
        if self._connection is not None:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                self._connection.execute(f"pragma user_version={_DAMAGED}")
        return self._refusal_of_damage()

    def _refusal_of_damage(self) -> StorageUnavailableError:
        way_out = "it cannot be used any more"
        if self.kind is FileKind.JOURNAL:
            way_out = (
                "stop what uses the file, and copy what can be read into a new one with"
                f" `infobip-async journal salvage {self.path} NEW`"
            )
        return StorageUnavailableError(f"{self.path} is damaged: {way_out}")

    def close(self) -> None:
        """Close the connection; `begin` opens the same file again."""
        self._stands_in = False
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def forget_place(self) -> None:
        """Let the next `begin` open whatever is at the path then."""
        self._inode = None


def kind_of(path: Path) -> FileKind | None:
    """Read what a file is; None if it is no file of ours.

    Raises:
        StorageUnavailableError: the file cannot be read now.
    """
    # By SQLite, although the id stands at a fixed octet: to close a file that this process has
    # open elsewhere would let go of its locks.
    try:
        address = f"{path.resolve().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, timeout=_LOCK_TIMEOUT, uri=True)) as file:
            file.execute("pragma writable_schema=on")  # opens a file whose end is missing, too
            found = _number(file, "pragma application_id")
    except sqlite3.Error as fault:
        if _is_error(fault, {sqlite3.SQLITE_NOTADB}):
            return None
        raise StorageUnavailableError(f"{path} cannot be read: {fault}") from None
    return next((kind for kind in FileKind if kind.application_id == found), None)


def create_private(path: Path) -> None:
    """Make an empty file, of its owner alone, where there is none.

    SQLite gives the write-ahead log the mode of the file.
    """
    # An existing file is left alone: to close it here would let go of the locks that this
    # process may have on it through another connection (POSIX locks belong to the process).
    with suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        os.close(os.open(os.path.realpath(path), flags, _PRIVATE))


def network_of(path: Path) -> str | None:
    """Name the file system of a file if it is one of a network, as far as the system tells."""
    place = os.path.realpath(path)
    try:
        table = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return None
    mounts = (line.split()[1:3] for line in table.splitlines())
    above = [(at, kind) for at, kind in mounts if f"{place}/".startswith(f"{at.rstrip('/')}/")]
    _, kind = max(above, key=lambda mount: len(mount[0]), default=("", ""))
    return kind if kind in _NETWORKS else None


def is_damage(fault: BaseException) -> bool:
    """Whether an error of SQLite tells that a file is damaged."""
    return _is_error(fault, _DAMAGES)


def reason_of(fault: BaseException) -> str:
    """Say why a file cannot be used now, and what there is to do."""
    if isinstance(fault, OSError):
        return fault.strerror or str(fault)
    way_out = _WAYS_OUT.get(getattr(fault, "sqlite_errorcode", 0) & 0xFF, "")
    return ": ".join(filter(None, (str(fault), way_out)))


def _is_error(fault: BaseException, codes: set[int]) -> bool:
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF in codes


def storable(text: str) -> str:
    """Escape lone surrogates, which SQLite refuses."""
    return text.encode(errors="backslashreplace").decode()


def inode_of(path: Path, *, least: int = 0) -> tuple[int, int] | None:
    """Tell a file from another one at the same path; None if none of so many octets is there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size >= least else None


def _loss_of(path: Path) -> StorageUnavailableError:
    return StorageUnavailableError(
        f"{path} was moved, removed, emptied or replaced while it was in use: put the file"
        " back, or restart to go on with what is there"
    )


def _lock(connection: sqlite3.Connection) -> None:
    """Keep other processes out until the file is closed.

    In this locking mode the lock stays after the transaction, so nobody can come between this and
    the check of what the file is. Nothing has been written to it so far.
    """
    connection.execute("pragma locking_mode=exclusive")
    connection.execute("begin exclusive")
    connection.execute("rollback")


def _number(connection: sqlite3.Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number
