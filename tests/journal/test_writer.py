"""The thread that writes: groups, faults, and what becomes of those who wait."""

import asyncio
import sqlite3
import threading
from functools import partial

import pytest

from infobip_async.errors import JournalUnavailableError
from infobip_async.journal import writer as writer_module
from infobip_async.journal.writer import Writer

SCHEMA = "create table if not exists things (name text primary key)"


@pytest.fixture
async def writer(tmp_path):
    """A writer that is open."""
    async with Writer(tmp_path / "file.db", SCHEMA) as writer:
        yield writer


def add(name: str):
    """Work that adds a thing."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("insert into things values (?)", (name,))
        return name.upper()

    return work


async def things(writer: Writer) -> list[str]:
    """All that is in the file."""
    return await writer.do(
        lambda c: [name for (name,) in c.execute("select name from things order by name")]
    )


async def block(writer: Writer) -> threading.Event:
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
    monkeypatch.setattr(writer_module, "GROUP", 10)
    statements = []
    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(lambda c: c.set_trace_callback(statements.append)))]
    works += [asyncio.ensure_future(writer.do(add(str(n)))) for n in range(24)]
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


async def test_a_broken_rule_of_the_tables_is_the_callers(writer):
    """It is no fault of the file."""
    await writer.do(add("a"))
    with pytest.raises(sqlite3.IntegrityError):
        await writer.do(add("a"))


async def test_a_full_disk(writer):
    """Nothing of the group is kept and that is said, until there is room again."""
    pages = await writer.do(lambda c: c.execute("pragma page_count").fetchone()[0])
    await writer.do(lambda c: c.execute(f"pragma max_page_count = {pages}").fetchall())
    release = await block(writer)
    works = [asyncio.ensure_future(writer.do(add(name))) for name in ("a", "x" * 100_000, "b")]
    await asyncio.sleep(0)
    release.set()
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == [
        "JournalUnavailableError('the file cannot be written: database or disk is full')"
    ] * 3
    assert await things(writer) == []
    await writer.do(add("x" * 100_000))  # the limit was the connection's, and that was opened anew
    assert len(await things(writer)) == 1


async def test_a_commit_that_fails(tmp_path, monkeypatch):
    """The whole group has failed, and the file is opened anew for the next one."""
    failing = [True]

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql == "commit" and failing.pop():
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *parameters)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Failing))
    async with Writer(tmp_path / "file.db", SCHEMA) as writer:
        outcomes = await asyncio.gather(
            writer.do(add("a")), writer.do(add("b")), return_exceptions=True
        )
        assert [str(outcome) for outcome in outcomes] == [
            "the file cannot be written: disk I/O error"
        ] * 2
        failing[:] = [False] * 9
        await writer.do(add("c"))
        assert await things(writer) == ["c"]


async def test_a_damaged_file(tmp_path):
    """It cannot be used, which is a fault of the file."""
    (tmp_path / "file.db").write_bytes(b"nonsense" * 1_000)
    async with Writer(tmp_path / "file.db", SCHEMA) as writer:
        with pytest.raises(JournalUnavailableError, match="not a database"):
            await writer.do(add("a"))


async def test_damage_that_shows_later(writer):
    """Also where only one piece of work meets it."""

    def work(_: sqlite3.Connection) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(JournalUnavailableError, match="malformed"):
        await writer.do(work)


async def test_a_file_of_another_process(writer, tmp_path, monkeypatch):
    """It is refused, and taken when it is free."""
    monkeypatch.setattr(writer_module, "_LOCK_TIMEOUT", 0.001)
    await writer.do(add("a"))
    async with Writer(tmp_path / "file.db", SCHEMA) as second:
        with pytest.raises(JournalUnavailableError, match="locked"):
            await second.do(add("b"))
        await writer.aclose()
        await second.do(add("b"))
        assert await things(second) == ["a", "b"]


async def test_nothing_ends_the_thread(writer):
    """Not even what is no `Exception`."""

    def work(_: sqlite3.Connection) -> None:
        raise SystemExit

    with pytest.raises(JournalUnavailableError):
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
    writer = await Writer(tmp_path / "file.db", SCHEMA).__aenter__()
    release = await block(writer)
    work = asyncio.ensure_future(writer.do(add("a")))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(writer.aclose())
    await asyncio.sleep(0)
    with pytest.raises(JournalUnavailableError, match="not open"):
        await writer.do(add("b"))
    release.set()
    assert await work == "A"
    await closing
    await writer.aclose()
    async with writer:
        assert await things(writer) == ["a"]


def test_a_loop_that_is_gone(tmp_path):
    """Work whose loop was closed hurts nobody."""
    writer = Writer(tmp_path / "file.db", SCHEMA)

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
        "busy_timeout": 200,
    }
    found = {
        name: (await writer.do(lambda c, name=name: c.execute(f"pragma {name}").fetchone()))[0]
        for name in expected
    }
    assert found == expected
    assert writer._thread.daemon  # a program can end that has not closed it


async def test_the_log_is_bounded(writer, tmp_path, monkeypatch):
    """After a group that needed a long one, it is cut."""
    log = tmp_path / "file.db-wal"
    monkeypatch.setattr(writer_module, "_LOG_LIMIT", 1_000_000)
    await writer.do(add("x" * 5_000_000))
    assert log.stat().st_size > 5_000_000
    for number in range(3):
        await writer.do(add(str(number)))
    assert log.stat().st_size <= 1_000_000
