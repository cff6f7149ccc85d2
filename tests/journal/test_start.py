"""Files that no journal can be in, told at the start."""

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.journal import JournalCounts, SqliteJournal
from infobip_async.router import Router


@pytest.mark.parametrize("name", ["nowhere/posts.db", "notes.txt"])
async def test_a_file_that_no_waiting_mends(tmp_path, name):
    """A receiver that refused every post would be noticed too late."""
    (tmp_path / "notes.txt").write_text("These are notes, and no journal.")
    journal = SqliteJournal(tmp_path / name)
    with pytest.raises(LocalProtocolError, match=r"no directory|not a journal"):
        async with journal:
            pass
    with pytest.raises(LocalProtocolError, match=r"no directory|not a journal"):
        async with journal.serve(Router(), lambda _: []):
            pass
    assert (tmp_path / "notes.txt").read_text() == "These are notes, and no journal."


async def test_an_empty_file(tmp_path):
    """It may have been made for the journal."""
    (tmp_path / "posts.db").touch()
    async with SqliteJournal(tmp_path / "posts.db") as journal:
        assert [post async for post in journal.waiting()] == []
        assert await journal.counts() == JournalCounts(
            waiting=0, oldest=None, dead=0, quarantined=0, octets=0
        )
    assert (tmp_path / "posts.db").read_bytes() == b""  # or for something else
