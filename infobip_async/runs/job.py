"""What a job knows of its account and of its source, so that it goes on with no other.

A job file holds a keyed digest of the recipient and the content of each item. A later run with the
same file must bring the same items: rows may be appended, and with keys of one's own removed.
"""

import asyncio
import hmac
import re
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import ClassVar, Final, Self

import attrs

from infobip_async.concurrency.sqlite_erasure import erase
from infobip_async.concurrency.sqlite_file import FileKind, SqliteFile
from infobip_async.concurrency.sqlite_thread import SqliteThread
from infobip_async.errors import LocalProtocolError

_SCHEMA: Final = "create table if not exists source (salt blob not null, account blob not null);"

_OCTETS: Final = 16

WAYS_OUT: Final = (
    "go on with the source as it was (rows may be appended), or take another job file for this one"
)


def row_of(key: str | int) -> str:
    """Name a row by its position; a key is not said, since it may tell whose it is."""
    return f"row {key + 1}" if isinstance(key, int) else "the row with a key"


@attrs.frozen
class Identity:
    """Tells the items of one job from changed ones, without holding what they say.

    Attributes:
        salt: makes the digests of one file useless for guessing at those of another.
    """

    salt: bytes = attrs.field(repr=False)

    def digest(self, *content: str) -> bytes:
        """Digest what an item says."""
        keyed = blake2b(key=self.salt, digest_size=_OCTETS)
        for text in content:
            octets = text.encode("utf-8", "surrogatepass")
            keyed.update(len(octets).to_bytes(8, "big") + octets)
        return keyed.digest()


class JobFile:
    """The file of a job: whose it is, and how far its source goes.

    Each kind of job derives from it, and adds its table of items.

    Args:
        path: the file; made where there is none. Only one process can have it open.
        account: whose job it is; None to take it as it is.

    Raises:
        LocalProtocolError: on entry: the file is no such job, or another account's.
        StorageUnavailableError: by every method: the file cannot be read or written, and nothing
            of what was to be written is.
    """

    kind: ClassVar[FileKind]
    tables: ClassVar[str]
    """The statements that make the table of items."""
    texts: ClassVar[str]
    """The query for the key of each item, and for the texts that may mention a number."""
    without: ClassVar[str]
    """The statement that forgets an item, by its key."""
    last_position: ClassVar[str]
    """The query for the position of the last item that has one."""
    rows: ClassVar[str]
    """What an item of the source is called in messages, in the plural."""

    def __init__(self, path: str | Path, account: str | None = None) -> None:
        self.path: Path = Path(path)
        self._account = account
        self._thread = SqliteThread(path, self.kind, _SCHEMA + self.tables)

    async def __aenter__(self) -> Self:
        self._identity = await self._thread.start_with(self._identify)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.aclose()

    def _identify(self, connection: sqlite3.Connection) -> Identity | None:
        """Read the identity of the job, or make one at its first use."""
        if self._account is None:
            return None
        row = connection.execute("select salt, account from source").fetchone()
        if row is None:
            identity = Identity(token_bytes(_OCTETS))
            values = (identity.salt, identity.digest(self._account))
            connection.execute("insert into source values (?, ?)", values)
            return identity
        identity = Identity(row[0])
        if not hmac.compare_digest(row[1], identity.digest(self._account)):
            raise LocalProtocolError(f"{self.path} is a job of another account", field="job")
        return identity

    @classmethod
    async def forget_number(cls, path: str | Path, mentions: re.Pattern[str]) -> int:
        """Forget the items of a job that mention a number, and write the file anew.

        Args:
            path: of the job, which nobody may use meanwhile.
            mentions: finds the number in a text.

        Returns:
            How many there were.

        Raises:
            StorageUnavailableError: the job cannot be rewritten now.
        """

        def work(connection: sqlite3.Connection) -> int:
            rows = connection.execute(cls.texts)
            found = [(key,) for key, *texts in rows if mentions.search(str(texts))]
            connection.executemany(cls.without, found)
            return len(found)

        file = SqliteFile(Path(path), cls.kind, _SCHEMA + cls.tables)
        return await asyncio.to_thread(erase, file, work)

    async def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    async def check_end(self, rows: int) -> LocalProtocolError | None:
        """Tell of a source that ends before the job does.

        Args:
            rows: rows of the source whose key is their position.
        """

        def read(connection: sqlite3.Connection) -> int:
            last: int | None = connection.execute(self.last_position).fetchone()[0]
            return 0 if last is None else last + 1

        known = await self._thread.do(read)
        if rows >= known:
            return None
        return self._changed(f"it ends after {rows:,} {self.rows}, and the job has {known:,}")

    def _changed(self, row: str, key: str | int | None = None) -> LocalProtocolError:
        """Make the error for a source that is not the job's.

        Args:
            row: the first row that differs, and how.
            key: of that row, or its position.
        """
        return LocalProtocolError(
            f"this is not the source of the job {self.path}: {row}; nothing from there on was sent:"
            f" {WAYS_OUT}",
            field="job",
            value=key if isinstance(key, str) else None,
        )

    async def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        await self._thread.do(lambda connection: connection.executemany(statement, rows).rowcount)


@lru_cache(maxsize=1_000)
def text_of(content: object) -> str:
    """All that a value says, as its repr; cached, since many items share a message."""
    return repr(content)
