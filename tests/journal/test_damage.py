"""Damaged journals: rows that make no push, pages that are overwritten, and the way out."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from infobip_async import forget
from infobip_async.concurrency import sqlite_file
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal import Salvaged, SqliteJournal, salvage
from infobip_async.models.events import DeliveryReport

PAGE = 4096
PUSHES = 60


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'nonsense'",
        "query = 'a text'",
        "query = x'ff'",
        "body = 7",
        "trace = '{'",
        "wanted = '['",
        "wanted = '7'",
    ],
)
async def test_a_row_that_makes_no_push(bench, change, caplog):
    """It is set aside, and what is behind it is handled; it can be looked at and decided about."""
    async with bench.journal() as journal:
        for name in ("a", "b", "c"):
            await journal.put(bench.reports(name))
        sql = f"update pushes set {change} where id = 2"  # noqa: S608 - our own
        await journal._thread.do(lambda connection: connection.execute(sql).rowcount)
        assert len(await bench.look(journal)) == 2
    got = bench.record(DeliveryReport)
    journal = await bench.start()
    await got.wait_for(2)
    await journal.put(bench.reports("d"))
    await got.wait_for(3)
    assert got.ids == ["a", "c", "d"]
    assert "1 rows of the journal" in caplog.text
    (one,) = [one async for one in journal.quarantine()]
    assert (one.id, one.read(), one.at) == ("2", None, bench.time())
    assert "the row cannot be read" in one.reason
    assert await journal.discard(["2"]) == 1
    assert (await journal.counts()).quarantined == 0


async def test_a_state_that_makes_no_sense(bench):
    """As if its push could not be read."""
    async with bench.journal() as journal:
        await journal.put(bench.reports("a"))
        await journal.put(bench.reports("b"))
        sql = (
            "insert into states values (1, 0, 'nonsense', 0, '', 0"
            + ", 0"
            * (
                len(
                    await journal._thread.do(
                        lambda c: c.execute("pragma table_info(states)").fetchall()
                    )
                )
                - 6
            )
            + ")"
        )
        await journal._thread.do(lambda connection: connection.execute(sql).rowcount)
    got = bench.record(DeliveryReport)
    await bench.start()
    await got.wait_for(1)
    assert got.ids == ["b"]


async def filled(bench, *, handled: int = 0) -> bytes:
    """Make a journal of big pushes, and give its octets."""
    async with bench.journal() as journal:
        for number in range(handled):
            await journal.put(bench.reports(f"handled {number}"))
        for number in range(PUSHES):
            await journal.put(bench.reports(f"{number:02}" + "x" * 2_000))
        await journal._thread.do(
            lambda c: c.execute("delete from pushes where id <= ?", (handled,)).rowcount
        )
    return bench.path.read_bytes()


def overwrite(path: Path, first: int, pages: int = 1) -> None:
    """Overwrite pages, counted from 0."""
    octets = path.read_bytes()
    end = (first + pages) * PAGE
    path.write_bytes(octets[: first * PAGE] + b"nonsense" * (pages * PAGE // 8) + octets[end:])


async def ids(path: Path) -> list[int]:
    """What waits in a journal."""
    async with SqliteJournal(path) as journal:
        return [push.id async for push in journal.waiting()]


@pytest.mark.parametrize("checked", [True, False])
async def test_pages_in_the_middle(bench, monkeypatch, caplog, tmp_path, checked):
    """Pushes are refused, with the way out; that gives back all but what the pages held."""
    if not checked:
        monkeypatch.setattr(sqlite_file, "_CHECKED_OCTETS", -1)
    pages = len(await filled(bench)) // PAGE
    overwrite(bench.path, pages // 2, 3)
    journal = await bench.start()
    await bench.until(lambda: "salvage" in caplog.text)
    with pytest.raises(StorageUnavailableError, match="salvage"):
        await journal.put(bench.reports("a"))
    await bench.stop()
    found = await salvage(bench.path, tmp_path / "new")
    left = await ids(tmp_path / "new")
    assert PUSHES - 12 < found.pushes < PUSHES
    assert found == Salvaged(pushes=len(left), lost=PUSHES - len(left), complete=True)
    assert {1, PUSHES} < set(left)


@pytest.mark.parametrize("missing", [PAGE - 1000, PAGE, 10 * PAGE])
async def test_an_end_that_is_missing(bench, tmp_path, missing):
    """What is before it is copied, and no more is said to be than can be served."""
    octets = await filled(bench)
    bench.path.write_bytes(octets[:-missing])
    with pytest.raises(StorageUnavailableError, match="salvage"):
        await bench.journal().__aenter__()
    found = await salvage(bench.path, tmp_path / "new")
    left = await ids(tmp_path / "new")
    assert 0 < found.pushes == len(left) < PUSHES
    with pytest.raises(StorageUnavailableError, match="salvage"):
        await forget("38598514674", bench.path)


async def test_a_list_of_free_pages(bench, tmp_path):
    """It is found at the start, and costs no push."""
    octets = await filled(bench, handled=200)
    with closing(sqlite3.connect(bench.path)) as connection:
        assert connection.execute("pragma freelist_count").fetchone()[0]
    trunk = int.from_bytes(octets[32:36], "big") - 1
    overwrite(bench.path, trunk)
    with pytest.raises(StorageUnavailableError, match="salvage"):
        await bench.journal().__aenter__()
    assert await salvage(bench.path, tmp_path / "new") == Salvaged(
        pushes=PUSHES, lost=0, complete=True
    )
    async with SqliteJournal(tmp_path / "new") as journal:
        await journal.put(bench.reports("a"))
        assert [push.id async for push in journal.waiting()][-1] == 200 + PUSHES + 1


@pytest.mark.parametrize("step", [40, pytest.param(1, marks=pytest.mark.proof)])
async def test_any_page(bench, tmp_path, step):
    """Whichever page is overwritten, nothing hangs, and what is copied can be served."""
    octets = await filled(bench, handled=100)
    for number in range(1, len(octets) // PAGE, step):
        bench.path.write_bytes(octets)
        overwrite(bench.path, number)
        new = tmp_path / f"new {number}"
        found = await salvage(bench.path, new)
        assert len(await ids(new)) == found.pushes


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_text("notes"), "is not a journal"),
        (lambda path: sqlite3.connect(path).executescript("create table a (b)").close(), "not a"),
        (lambda _: None, "is not a journal"),
    ],
)
async def test_what_is_no_journal(tmp_path, make: Callable[[Path], object], why):
    """Nothing is made of it."""
    make(tmp_path / "old")
    with pytest.raises(LocalProtocolError, match=why):
        await salvage(tmp_path / "old", tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_a_journal_in_use(bench, tmp_path):
    """It would get more pushes after it was copied."""
    await bench.start()
    with pytest.raises(StorageUnavailableError, match="stop what uses the file first"):
        await salvage(bench.path, tmp_path / "new")


async def test_a_file_that_cannot_be_made(bench, tmp_path, monkeypatch):
    """It is told in the library's own words."""
    await filled(bench)
    monkeypatch.setattr(sqlite_file.os, "open", _refuse)
    with pytest.raises(StorageUnavailableError, match="cannot be made: Permission denied"):
        await salvage(bench.path, tmp_path / "new")


def _refuse(*_: object) -> int:
    raise PermissionError(13, "Permission denied")


async def test_a_file_that_is_there(bench, tmp_path):
    """It is not overwritten."""
    await filled(bench)
    (tmp_path / "new").write_text("notes")
    with pytest.raises(LocalProtocolError, match="is there already"):
        await salvage(bench.path, tmp_path / "new")
    assert (tmp_path / "new").read_text() == "notes"
