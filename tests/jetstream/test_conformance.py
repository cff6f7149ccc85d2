"""The journals of this package pass the kit that users get for their own."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import attrs
import pytest

from infobip_async.concurrency import sqlite_file
from infobip_async.jetstream import ConnectOptions, NatsJournal
from infobip_async.journal import Decode, HandlerSettings, SpoolJournal, SqliteJournal, worker
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router
from infobip_async.testing.journals import (
    CHECKS,
    Check,
    Engine,
    check_clean_stop,
    check_engine_away_at_start,
    check_put_then_crash,
    check_same_push_after_restart,
    check_same_push_twice,
)
from tests.jetstream.conftest import LIMIT

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
most_checks = pytest.mark.parametrize(
    "check",
    [
        # A child takes its time to start; the file's journal has one by default.
        pytest.param(check, marks=pytest.mark.proof) if check is check_put_then_crash else check
        for check in CHECKS
    ],
    ids=lambda check: check.__name__,
)


@pytest.fixture(scope="module", autouse=True)
def _helper_of_multiprocessing() -> None:
    """Its process is started with the first child, and stays: it is no test's fault."""
    if hasattr(resource_tracker, "ensure_running"):  # not on Windows
        resource_tracker.ensure_running()


def settings(check: Check) -> HandlerSettings:
    """A stop waits long for a busy disk, but where it waits for handlers that never end."""
    stop_timeout = 0.1 if check is check_clean_stop else LIMIT
    return HandlerSettings(first_delay=0.05, stop_timeout=stop_timeout)


def nats_journal(check: Check, access: ConnectOptions) -> NatsJournal:
    """Gives posts to another worker soon, or waits for the broker shortly, only where it has to."""
    if check is check_engine_away_at_start:
        access = attrs.evolve(access, timeout=1.0)
    ack_wait = 1.0 if check is check_put_then_crash else LIMIT
    return NatsJournal(access, settings=settings(check), ack_wait=ack_wait)


def spool_journal(check: Check, access: ConnectOptions, path: Path) -> SpoolJournal:
    """The same, with a file for the time without a broker."""
    return SpoolJournal(nats_journal(check, access), SqliteJournal(path))


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


@attrs.define
class Careless:
    """A journal that keeps nothing, and knows nothing again."""

    _router: Router = attrs.field(factory=Router)
    _decode: Decode = attrs.field(init=False)

    async def put(self, push: RawPush) -> None:
        """Have a post handled at once."""
        await self._router.dispatch(self._decode(push))

    @asynccontextmanager
    async def serve(self, router: Router, decode: Decode) -> AsyncIterator[None]:
        """Do nothing more than that."""
        self._router, self._decode = router, decode
        yield


@pytest.mark.parametrize("check", [check_same_push_twice, check_same_push_after_restart])
async def test_a_journal_that_is_not_fit(check: Check) -> None:
    """It is found out."""
    with pytest.raises(AssertionError, match="a report that came again was handled again"):
        await check(Engine(journal=Careless))


@every_check
async def test_sqlite(check: Check, tmp_path: Path) -> None:
    """A file."""
    make = partial(SqliteJournal, tmp_path / "posts.db", settings=settings(check))
    await check(Engine(journal=make))


async def test_sqlite_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody else holds at first."""
    monkeypatch.setattr(sqlite_file, "_TURN_TIMEOUT", 0.001)
    monkeypatch.setattr(worker, "_SECONDS_AFTER_A_FAULT", 0.01)
    lock = Lock(tmp_path / "posts.db")
    await check_engine_away_at_start(
        Engine(journal=partial(SqliteJournal, lock.path), away=lock.take, back=lock.let_go)
    )


@most_checks
async def test_nats(check: Check, server, access) -> None:
    """A broker that is killed and started again."""
    make = partial(nats_journal, check, access)
    await check(Engine(journal=make, away=server.kill, back=server.start))


@most_checks
async def test_spool(check: Check, server, access, tmp_path: Path) -> None:
    """A broker that may be away as long as it likes."""
    make = partial(spool_journal, check, access, tmp_path / "spool.db")
    engine = Engine(journal=make, away=server.kill, back=server.start, stores_while_away=True)
    await check(engine)
