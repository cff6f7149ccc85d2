"""The journals of this package pass the kit that users get for their own."""

import sqlite3
from functools import partial
from pathlib import Path

import attrs
import pytest

from infobip_async.jetstream import ConnectOptions, NatsJournal
from infobip_async.journal import HandlerSettings, SqliteJournal
from infobip_async.journal.spool import SpoolJournal
from infobip_async.testing.journals import (
    CHECKS,
    Check,
    Engine,
    check_engine_away_at_start,
)

QUICK = HandlerSettings(first_delay=0.05, stop_timeout=0.1)

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


def nats_journal(access: ConnectOptions) -> NatsJournal:
    """A journal that waits for nothing long."""
    return NatsJournal(access, settings=QUICK, ack_wait=1)


def spool_journal(access: ConnectOptions, path: Path) -> SpoolJournal:
    """The same, with a file for the time without a broker."""
    return SpoolJournal(nats_journal(access), SqliteJournal(path))


@attrs.define
class Lock:
    """Holds a file against whoever opens it anew."""

    path: Path
    _connection: sqlite3.Connection | None = None

    async def take(self) -> None:
        """Lock it."""
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        self._connection.execute("pragma locking_mode=exclusive")
        self._connection.execute("begin exclusive")

    async def let_go(self) -> None:
        """Unlock it."""
        if self._connection:
            self._connection.close()


@every_check
async def test_sqlite(check: Check, tmp_path: Path) -> None:
    """A file."""
    await check(Engine(journal=partial(SqliteJournal, tmp_path / "posts.db", settings=QUICK)))


async def test_sqlite_locked(tmp_path: Path) -> None:
    """A file that somebody else holds at first."""
    lock = Lock(tmp_path / "posts.db")
    make = partial(SqliteJournal, lock.path, settings=QUICK)
    await check_engine_away_at_start(Engine(journal=make, away=lock.take, back=lock.let_go))


@every_check
async def test_nats(check: Check, server, access) -> None:
    """A broker that is killed and started again."""
    make = partial(nats_journal, access)
    await check(Engine(journal=make, away=server.kill, back=server.start))


@every_check
async def test_spool(check: Check, server, access, tmp_path: Path) -> None:
    """A broker that may be away as long as it likes."""
    make = partial(spool_journal, access, tmp_path / "spool.db")
    engine = Engine(journal=make, away=server.kill, back=server.start, stores_while_away=True)
    await check(engine)
