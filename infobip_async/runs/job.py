"""What a job knows of its account and of its source, so that it goes on with no other.

A job file holds a keyed digest of the recipient and the content of each item. A later run with the
same file must bring the same items: rows may be appended, and with keys of one's own removed.
"""

import hmac
import sqlite3
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError

SCHEMA: Final = "create table if not exists source (salt blob not null, account blob not null);"
"""The table of the identity, for the schema of each kind of job."""

_OCTETS: Final = 16

WAYS_OUT: Final = (
    "go on with the source as it was (rows may be appended), or take another job file for this one"
)


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


def open_identity(connection: sqlite3.Connection, account: str, path: str | Path) -> Identity:
    """Read the identity of a job, or make one at its first use.

    Raises:
        LocalProtocolError: the job is another account's.
    """
    row = connection.execute("select salt, account from source").fetchone()
    if row is None:
        identity = Identity(token_bytes(_OCTETS))
        values = (identity.salt, identity.digest(account))
        connection.execute("insert into source values (?, ?)", values)
        return identity
    identity = Identity(row[0])
    if not hmac.compare_digest(row[1], identity.digest(account)):
        raise LocalProtocolError(f"{path} is a job of another account", field="job")
    return identity


@lru_cache(maxsize=1_000)
def text_of(content: object) -> str:
    """All that a value says, as its repr; cached, since many items share a message."""
    return repr(content)


def changed(path: str | Path, row: str) -> LocalProtocolError:
    """Make the error for a source that is not the job's.

    Args:
        path: the job.
        row: the first row that differs, and how.
    """
    return LocalProtocolError(
        f"this is not the source of the job {path}: {row}; nothing from there on was sent: "
        f"{WAYS_OUT}",
        field="job",
    )
