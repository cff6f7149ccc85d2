"""The thread that writes: groups, faults, and what becomes of those who wait."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from infobip_async.concurrency import sqlite_file, sqlite_thread
from infobip_async.concurrency.sqlite_file import FileKind
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from platforms import needs_free_names, needs_modes

SCHEMA = "create table things (name text primary key)"


class SqliteThread(sqlite_thread.SqliteThread):
    """A thread as a context, in which its file is open."""

    async def __aenter__(self) -> Self:
        await self.start_with(lambda _: None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@pytest.fixture
async def writer(tmp_path):
    """A writer that is open."""
    async with SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA) as writer:
        yield writer


def add(name: str):
    """Work that adds a thing."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("insert into things values (?)", (name,))
        return name.upper()

    return work


async def things(writer: SqliteThread, *, writes: bool = True) -> list[str]:
    """All that is in the file."""
    return await writer.do(
        lambda c: [name for (name,) in c.execute("select name from things order by name")],
        writes=writes,
    )


async def block(writer: SqliteThread) -> threading.Event:
    """Hold the thread up until the event is set, so that what comes meanwhile is one group."""
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(_: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(60)

    waiting = asyncio.ensure_future(writer.do(work))
    await begun.wait()
    release.waiting = waiting  # else nothing would refer to it
    return release


async def test_results_come_back(writer):
    """Each caller gets what its work returned, None included."""
    assert await asyncio.gather(writer.do(add("a")), writer.do(add("b"))) == ["A", "B"]
    assert await writer.do(lambda _: None) is None
    assert await things(writer) == ["a", "b"]


async def test_a_group_shares_a_commit(writer):
    """What waits at the same time is one transaction."""
    statements = []
    await writer.do(lambda c: c.set_trace_callback(statements.append))
    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(add(str(n)))) for n in range(50)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*works)
    assert [statement for statement in statements if "commit" in statement.lower()] == [
        "commit",
        "commit",
        "commit",
    ]


async def test_groups_are_bounded(writer, monkeypatch):
    """No more pieces than that are at stake together."""
    monkeypatch.setattr(sqlite_thread, "GROUP", 10)
    statements = []
    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(lambda c: c.set_trace_callback(statements.append)))]
    works += [asyncio.ensure_future(writer.do(add(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*works)
    assert statements.count("commit") == 3


async def test_a_failing_piece_does_not_fail_its_group(writer):
    """What it did is taken back, and its own exception comes out."""

    def work(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise KeyError("mine")

    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(piece)) for piece in (add("a"), work, add("b"))]
    await asyncio.sleep(0)
    release.set()
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert [outcomes[0], outcomes[2]] == ["A", "B"]
    assert isinstance(outcomes[1], KeyError)
    assert await things(writer) == ["a", "b"]


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, sqlite3.DatabaseError])
async def test_a_fault_of_the_file_in_one_piece(writer, tmp_path, kind):
    """It is told as such, where SQLite goes on, and does not fail the group either."""

    def work(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise kind("disk I/O error")

    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(piece)) for piece in (work, add("a"))]
    await asyncio.sleep(0)
    release.set()
    fault, done = await asyncio.gather(*works, return_exceptions=True)
    assert isinstance(fault, StorageUnavailableError)
    assert str(fault) == f"{tmp_path / 'file.db'} cannot be used: disk I/O error"
    assert done == "A"
    assert await things(writer) == ["a"]


async def test_damage_that_one_piece_meets(writer):
    """It fails the group and all that comes after, even where SQLite would go on."""

    def work(_: sqlite3.Connection) -> None:
        fault = sqlite3.DatabaseError("database disk image is malformed")
        fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise fault

    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(piece)) for piece in (add("a"), work)]
    await asyncio.sleep(0)
    release.set()
    faults = await asyncio.gather(*works, writer.do(add("b")), return_exceptions=True)
    assert [type(fault) for fault in faults] == [StorageUnavailableError] * 3
    assert all("damaged" in str(fault) for fault in faults)


async def test_a_broken_rule_of_the_tables_is_the_callers(writer):
    """It is no fault of the file."""
    await writer.do(add("a"))
    with pytest.raises(sqlite3.IntegrityError):
        await writer.do(add("a"))


async def test_a_full_disk(writer, tmp_path):
    """Nothing of the group is kept and that is said, until there is room again."""
    pages = await writer.do(lambda c: c.execute("pragma page_count").fetchone()[0])
    await writer.do(lambda c: c.execute(f"pragma max_page_count = {pages}").fetchall())
    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(add(name))) for name in ("a", "x" * 100_000, "b")]
    await asyncio.sleep(0)
    release.set()
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    full = f"{tmp_path / 'file.db'} cannot be used: database or disk is full: make room"
    assert [repr(outcome) for outcome in outcomes] == [f"StorageUnavailableError({full!r})"] * 3
    assert await things(writer) == []
    await writer.do(add("x" * 100_000))  # the limit was the connection's, and that was opened anew
    assert len(await things(writer)) == 1


async def test_a_commit_that_fails(tmp_path, monkeypatch):
    """The whole group has failed, and the file is opened anew for the next one."""
    failing = [True, False]  # from the end: the first commit is that of the opening

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql == "commit" and failing.pop():
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *parameters)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Failing))
    async with SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA) as writer:
        outcomes = await asyncio.gather(
            writer.do(add("a")), writer.do(add("b")), return_exceptions=True
        )
        assert [str(outcome) for outcome in outcomes] == [
            f"{tmp_path / 'file.db'} cannot be used: disk I/O error"
        ] * 2
        failing[:] = [False] * 9
        await writer.do(add("c"))
        assert await things(writer) == ["c"]


async def test_a_damaged_file(tmp_path):
    """It is refused with the way out, and again where the damage would not be met for a while."""
    path = tmp_path / "file.db"
    async with SqliteThread(path, FileKind.JOURNAL, SCHEMA) as writer:
        await writer.do(add("x" * 10_000))
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"nonsense" * 512 + pages[8192:])
    for _ in range(2):
        with pytest.raises(StorageUnavailableError, match=r"damaged: .* salvage .*file.db NEW"):
            await SqliteThread(path, FileKind.JOURNAL, SCHEMA).__aenter__()
        path.write_bytes(path.read_bytes()[:4096] + pages[4096:])


@pytest.mark.parametrize("shared", [False, True])
async def test_damage_that_shows_later(tmp_path, monkeypatch, shared):
    """What met it and all that comes after is refused, by other processes as well."""
    monkeypatch.setattr(sqlite_file, "_CHECKED_OCTETS", -1)
    path = tmp_path / "file.db"
    async with SqliteThread(path, FileKind.SEND_JOB, SCHEMA) as writer:
        await writer.do(lambda c: [add(f"{n:04}" + "x" * 2_000)(c) for n in range(100)])
    pages = path.read_bytes()
    path.write_bytes(pages[: 4096 * 4] + b"nonsense" * 512 * 30 + pages[4096 * 34 :])
    async with SqliteThread(path, FileKind.SEND_JOB, SCHEMA, shared=shared) as writer:
        for work in (things(writer), writer.do(add("a"))):
            with pytest.raises(StorageUnavailableError, match="damaged: it cannot be used"):
                await work
    with pytest.raises(StorageUnavailableError, match="damaged: it cannot be used"):
        await SqliteThread(path, FileKind.SEND_JOB, SCHEMA).__aenter__()


async def test_a_file_of_another_process(writer, tmp_path, monkeypatch):
    """It is refused, and taken when it is free."""
    monkeypatch.setattr(sqlite_file, "_LOCK_TIMEOUT", 0.001)
    await writer.do(add("a"))
    second = SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA)
    with pytest.raises(StorageUnavailableError, match="locked: something else uses it: try"):
        await second.__aenter__()
    second.start()
    with pytest.raises(StorageUnavailableError, match="locked"):
        await second.do(add("b"))
    await writer.aclose()
    await second.do(add("b"))
    assert await things(second) == ["a", "b"]
    await second.aclose()


async def test_nothing_ends_the_thread(writer):
    """Not even what is no `Exception`."""

    def work(_: sqlite3.Connection) -> None:
        raise SystemExit

    with pytest.raises(StorageUnavailableError):
        await writer.do(work)
    assert await writer.do(add("a")) == "A"


async def test_callers_that_are_cancelled(writer):
    """Their work goes on, and its outcome, good or bad, is nobody's."""
    unhandled = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(piece)) for piece in (add("a"), add("a"))]
    await asyncio.sleep(0)
    for work in works:
        work.cancel()
    release.set()
    assert await things(writer) == ["a"]
    assert unhandled == []


async def test_what_waits_is_finished_when_it_closes(tmp_path):
    """And what comes after is refused."""
    writer = await SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA).__aenter__()
    release = await block(writer)
    work = asyncio.ensure_future(writer.do(add("a")))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(writer.aclose())
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailableError, match="not open"):
        await writer.do(add("b"))
    release.set()
    assert await work == "A"
    await closing
    await writer.aclose()
    async with writer:
        assert await things(writer) == ["a"]


async def test_it_starts_once(writer):
    """Nor does another start harm the work of the first."""
    with pytest.raises(LocalProtocolError, match="open already") as caught:
        writer.start()
    assert caught.value.field == "path"
    await writer.open()
    assert await writer.do(add("a")) == "A"


def test_a_loop_that_is_gone(tmp_path):
    """Work whose loop was closed hurts nobody."""
    writer = SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA)

    async def leave() -> threading.Event:
        await writer.__aenter__()
        release = await block(writer)
        asyncio.ensure_future(writer.do(add("a")))  # noqa: RUF006 - it is left behind
        await asyncio.sleep(0)
        return release

    asyncio.run(leave()).set()

    async def come_back() -> list[str]:
        try:
            return await things(writer)
        finally:
            await writer.aclose()

    assert asyncio.run(come_back()) == ["a"]


async def test_how_safe_it_is(writer):
    """Each commit is synced, the file is ours alone, and its log does not keep its size."""
    expected = {
        "synchronous": 2,
        "journal_mode": "wal",
        "locking_mode": "exclusive",
        "journal_size_limit": 16 * 1024 * 1024,
        "application_id": 0x1B1F0A1,
        "user_version": 1,
        "busy_timeout": 200,
    }
    found = {
        name: (await writer.do(lambda c, name=name: c.execute(f"pragma {name}").fetchone()))[0]
        for name in expected
    }
    assert found == expected
    assert writer._thread.daemon  # a program can end that has not closed it


@needs_modes
async def test_who_can_read_it(writer, tmp_path):
    """A new file and its log are for their owner alone, whatever the umask is."""
    await writer.do(add("a"))
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
    assert modes == {"file.db": "0o600", "file.db-wal": "0o600"}


@needs_modes
async def test_an_empty_file_that_becomes_ours(tmp_path):
    """It is for its owner alone from then on: it was made for us, with the mode of any file."""
    path = tmp_path / "file.db"
    path.touch(0o644)
    async with SqliteThread(path, FileKind.JOURNAL, SCHEMA) as writer:
        await writer.do(add("a"))
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
    assert set(modes.values()) == {"0o600"}


@needs_modes
async def test_a_file_of_ours_keeps_the_mode_that_was_chosen_for_it(writer, tmp_path):
    """Such as for a group that looks into it."""
    await writer.do(add("a"))
    await writer.aclose()
    (tmp_path / "file.db").chmod(0o640)
    async with SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA) as again:
        await again.do(add("b"))
        assert oct((tmp_path / "file.db").stat().st_mode & 0o777) == "0o640"


@pytest.mark.parametrize("shared", [False, True])
async def test_who_only_looks_leaves_an_empty_file_empty(tmp_path, shared):
    """It holds nothing, until somebody writes: then it is theirs, and its rows are seen."""
    path = tmp_path / "file.db"
    path.touch()
    reader = SqliteThread(path, FileKind.JOURNAL, SCHEMA, shared=shared)
    async with aclosing(reader):
        await reader.start_to_look(lambda _: None)
        assert await things(reader, writes=False) == []
        assert path.read_bytes() == b""
        async with SqliteThread(path, FileKind.SEND_JOB, SCHEMA, shared=shared) as other:
            await other.do(add("a"))
        with pytest.raises(LocalProtocolError, match="not a journal, but a job of sends"):
            await things(reader, writes=False)


async def test_who_looks_into_an_empty_file_can_write_to_it(tmp_path):
    """What was written is found then."""
    path = tmp_path / "file.db"
    path.touch()
    writer = SqliteThread(path, FileKind.JOURNAL, SCHEMA)
    async with aclosing(writer):
        await writer.start_to_look(lambda _: None)
        await writer.do(add("a"))
        assert await things(writer, writes=False) == ["a"]
    async with SqliteThread(path, FileKind.JOURNAL, SCHEMA) as reader:
        assert await things(reader, writes=False) == ["a"]


@needs_modes
async def test_a_link_to_a_file_that_is_not_there(tmp_path):
    """The file is made where the link leads to."""
    (tmp_path / "link.db").symlink_to(tmp_path / "file.db")
    async with SqliteThread(tmp_path / "link.db", FileKind.JOURNAL, SCHEMA):
        assert oct((tmp_path / "file.db").stat().st_mode & 0o777) == "0o600"


def foreign(path: Path) -> None:
    """Make the database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("create table posts (id integer); insert into posts values (7)")


def ours(kind: FileKind, version: int) -> Callable[[Path], None]:
    """What makes a file of a kind and a version."""

    def make(path: Path) -> None:
        async def use() -> None:
            async with SqliteThread(path, kind, SCHEMA, version=version) as writer:
                await writer.do(add("a"))

        asyncio.run(use())

    return make


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (foreign, "is not a journal, but a database of another program"),
        (ours(FileKind.SEND_JOB, 1), "is not a journal, but a job of sends"),
        (ours(FileKind.LOOKUP_JOB, 7), "is not a journal, but a job of lookups"),
        (ours(FileKind.JOURNAL, 3), "a journal of a newer version of infobip-async: it has format"),
        (ours(FileKind.JOURNAL, 1), "a journal of an older version"),
        (lambda path: path.write_text("Some notes."), "is not a journal, but no SQLite file"),
        (lambda path: path.write_bytes(b"nonsense" * 1_000), "is not a journal, but no SQLite"),
    ],
)
def test_a_file_of_another_kind(tmp_path, make, why):
    """It is refused by what it is, each time that it is opened, and not changed."""
    path = tmp_path / "file.db"
    make(path)
    before = path.read_bytes()
    thread = SqliteThread(path, FileKind.JOURNAL, SCHEMA, version=2)

    async def use() -> None:
        with pytest.raises(LocalProtocolError, match=why) as caught:
            await thread.__aenter__()
        assert caught.value.field == "path"
        thread.start()
        faults = await asyncio.gather(thread.open(), thread.do(add("a")), return_exceptions=True)
        assert [type(fault) for fault in faults] == [LocalProtocolError] * 2
        await thread.aclose()

    asyncio.run(use())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["file.db"]


async def test_two_who_open_one_file(tmp_path, monkeypatch):
    """The second one in the same process is kept out, and lets go of no lock of the first."""
    monkeypatch.setattr(sqlite_file, "_LOCK_TIMEOUT", 0.001)
    path = tmp_path / "file.db"
    async with SqliteThread(path, FileKind.JOURNAL, SCHEMA):
        with pytest.raises(StorageUnavailableError, match="locked"):
            await SqliteThread(path, FileKind.JOURNAL, SCHEMA).__aenter__()
        program = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('begin')"
        program += ".execute('select * from things')"
        other = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program], capture_output=True, check=False
        )
        assert b"locked" in other.stderr


async def test_the_log_is_bounded(tmp_path, monkeypatch):
    """After a group that needed a long one, it is cut."""
    log = tmp_path / "file.db-wal"
    monkeypatch.setattr(sqlite_file, "_LOG_LIMIT", 1_000_000)
    async with SqliteThread(tmp_path / "file.db", FileKind.JOURNAL, SCHEMA) as writer:
        await writer.do(add("x" * 5_000_000))
        assert log.stat().st_size > 5_000_000
        for number in range(3):
            await writer.do(add(str(number)))
        assert log.stat().st_size <= 1_000_000


SHARED = "create table if not exists things (name text primary key)"


async def test_a_shared_file(tmp_path):
    """Several make, write and read it at once."""
    threads = [SqliteThread(tmp_path / "a", FileKind.JOURNAL, SHARED, shared=True) for _ in "1234"]
    await asyncio.gather(*(thread.__aenter__() for thread in threads))
    works = [thread.do(add(f"{n}{m}")) for n, thread in enumerate(threads) for m in range(50)]
    await asyncio.gather(*works)
    assert [len(await things(thread)) for thread in threads] == [200] * 4
    await asyncio.gather(*(thread.aclose() for thread in threads))


@needs_modes
async def test_who_can_read_a_shared_file(tmp_path):
    """As one that is not shared; all three files of it."""
    async with SqliteThread(tmp_path / "a", FileKind.JOURNAL, SHARED, shared=True) as thread:
        await thread.do(add("a"))
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
        assert modes == {"a": "0o600", "a-wal": "0o600", "a-shm": "0o600"}


async def test_reading_beside_a_writer(tmp_path, monkeypatch):
    """Work that writes nothing waits for nobody, and lets nobody wait."""
    monkeypatch.setattr(sqlite_file, "_TURN_TIMEOUT", 0.0)
    one, other = (SqliteThread(tmp_path / "a", FileKind.JOURNAL, SHARED, shared=True) for _ in "12")
    async with one, other:
        release = await block(one)
        look = "select count(*) from things"
        count = await other.do(lambda c: c.execute(look).fetchone(), writes=False)
        with pytest.raises(StorageUnavailableError, match="locked"):
            await other.do(add("a"))
        release.set()
        assert count == (0,)


def remove(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def replace(path: Path) -> None:
    """Put another file of the same kind there."""
    path.rename(path.with_name("moved"))
    path.write_bytes(path.with_name("moved").read_bytes())


def empty(path):
    """Cut it to nothing, as ``logrotate`` does, or a shell by mistake."""
    path.write_bytes(b"")


def remove_log(path):
    """Remove the log alone, which has what was written last."""
    path.with_name(f"{path.name}-wal").unlink()


def remove_index(path):
    """Remove the index of the log: a process that comes now would make another one."""
    path.with_name(f"{path.name}-shm").unlink()


@needs_free_names
@pytest.mark.parametrize("take", [empty, remove_log, remove_index])
async def test_a_file_that_loses_a_part(tmp_path, take):
    """Nothing is written that nobody would find after a restart."""
    path = tmp_path / "a"
    async with SqliteThread(path, FileKind.JOURNAL, SHARED, shared=True) as writer:
        await writer.do(add("a"))
        take(path)
        with pytest.raises(StorageUnavailableError, match="emptied or replaced"):
            await writer.do(add("b"))
        assert await writer.do(add("c"), anywhere=True) == "C"


@needs_free_names
@pytest.mark.parametrize("take", [remove, replace])
@pytest.mark.parametrize("shared", [False, True])
async def test_a_file_that_is_taken_away(tmp_path, take, shared):
    """Nothing is written to it, but what belongs to what it has, and nothing to another one."""
    path = tmp_path / "a"
    async with SqliteThread(path, FileKind.JOURNAL, SHARED, shared=shared) as writer:
        await writer.do(add("a"))
        take(path)
        with pytest.raises(StorageUnavailableError, match="moved, removed, emptied or replaced"):
            await writer.do(add("b"))
        assert await writer.do(add("c"), anywhere=True) == "C"
        with pytest.raises(StorageUnavailableError):
            await writer.do(lambda _: sys.exit(), anywhere=True)  # which has the file opened anew
        for again in (writer.do(add("d")), writer.do(add("d"), anywhere=True)):
            with pytest.raises(
                StorageUnavailableError, match="moved, removed, emptied or replaced"
            ):
                await again


@needs_free_names
async def test_a_file_that_comes_back(writer, tmp_path):
    """It is used again."""
    (tmp_path / "file.db").rename(tmp_path / "moved")
    with pytest.raises(StorageUnavailableError, match="moved, removed, emptied or replaced"):
        await writer.do(add("b"))
    (tmp_path / "moved").rename(tmp_path / "file.db")
    assert await writer.do(add("b")) == "B"
