"""A number out of any file, by its kind; and out of jobs, which go on without the number."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from infobip_async import (
    LocalProtocolError,
    SqliteJournal,
    StorageUnavailableError,
    TextMessage,
    forget,
)
from infobip_async.bulk.items import Outgoing, SendOutcome
from infobip_async.bulk.job import SendJob
from infobip_async.cli.group import infobip_async
from infobip_async.deliveries.records import StoredDelivery
from infobip_async.deliveries.sqlite import SqliteDeliveryStore
from infobip_async.hlr.job import HlrJobFile
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.protocol.exchange import PushKind, RawPush

DIGITS, OTHER = "38598514674", "41793026727"
NUMBERS = [(0, OTHER), (1, DIGITS), (2, "38591")]


async def lookup_job(path: Path) -> None:
    """Leave a job in which all numbers were looked up."""
    async with HlrJobFile(path, "user") as job:
        await job.meet(NUMBERS)
        for position, number in NUMBERS:
            report = HlrReport(number, "id", HlrStatus.DELIVRD, "DELIVRD", "219101", "385", "0")
            result = HlrResult(number, HlrOutcome.REPORTED, "id", report)
            await job.record([(position, result)])


async def send_job(path: Path) -> None:
    """Leave a job with keys that are numbers, and with positions."""
    message = TextMessage("Hello", "Friend")
    items = [("+385 98 514674", DIGITS), (OTHER, OTHER), (2, DIGITS)]
    async with SendJob(path, "user") as job:
        await job.meet([(key, Outgoing(message, number)) for key, number in items])
        await job.record([one for one, _ in items], SendOutcome.SENT, "it was", answered=True)


async def test_a_job_of_lookups(tmp_path):
    """A later run of the same source goes on, and gives the number as unknown."""
    await lookup_job(tmp_path / "job")
    assert await forget("00385 98 514 674", tmp_path / "job") == 1
    octets = (tmp_path / "job").read_bytes()
    assert DIGITS.encode() not in octets
    assert OTHER.encode() in octets
    async with HlrJobFile(tmp_path / "job", "user") as job:
        records, changed = await job.meet(NUMBERS)
        assert changed is None
        assert [one.result.outcome.value for one in records] == ["reported", "unknown", "reported"]
        assert (records[1].result.report, records[1].result.reason) == (None, "forgotten")


async def test_a_job_of_sends(tmp_path):
    """What says the number goes; what holds a digest alone stays."""
    await send_job(tmp_path / "job")
    assert await forget(DIGITS, tmp_path / "job") == 1
    assert b"514674" not in (tmp_path / "job").read_bytes()
    with sqlite3.connect(tmp_path / "job") as connection:
        assert [key for (key,) in connection.execute("select key from items")] == [2, OTHER]
    connection.close()


async def test_a_store_of_deliveries(tmp_path):
    """The deliveries to the number go, also while a process has the store open."""
    path = tmp_path / "store"
    async with SqliteDeliveryStore(path) as store:
        for name, number in (("a", DIGITS), ("b", OTHER)):
            new = StoredDelivery(message_id=name, msisdn=number)
            await store.update([(name, lambda _, new=new: new)])
        assert await forget(DIGITS, path) == 1
        octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert DIGITS.encode() not in octets
    assert OTHER.encode() in octets


async def test_a_job_in_use(tmp_path):
    """It is left alone."""
    await lookup_job(tmp_path / "job")
    async with HlrJobFile(tmp_path / "job", "user"):
        with pytest.raises(StorageUnavailableError, match="locked"):
            await forget(DIGITS, tmp_path / "job")


@pytest.mark.parametrize("content", [b"", b"some notes", b"SQLite format 3\0" + b"nonsense" * 20])
async def test_what_is_no_file_of_ours(tmp_path, content):
    """It is refused, and not changed."""
    (tmp_path / "notes").write_bytes(content)
    with pytest.raises(LocalProtocolError, match="no file of infobip-async"):
        await forget(DIGITS, tmp_path / "notes")
    assert (tmp_path / "notes").read_bytes() == content


def test_the_command(tmp_path):
    """Each file has a line, and one that is in use changes the exit code."""

    async def fill() -> None:
        await lookup_job(tmp_path / "job")
        async with SqliteJournal(tmp_path / "journal") as journal:
            push = RawPush(PushKind.INBOUND_SMS, f"sender={DIGITS}&receiver=1&text=a")
            await journal.put(push)

    asyncio.run(fill())
    files = [str(tmp_path / name) for name in ("journal", "job")]
    done = CliRunner().invoke(infobip_async, ["forget", f"+{DIGITS}", *files])
    assert done.exit_code == 0
    assert done.stdout == "".join(f'{{"file": "{file}", "forgotten": 1}}\n' for file in files)
    with sqlite3.connect(files[1], isolation_level=None) as connection:
        connection.execute("begin immediate")
        again = CliRunner().invoke(infobip_async, ["forget", DIGITS, *reversed(files)])
    connection.close()
    assert again.exit_code == 6
    assert "locked" in again.stderr
    assert '"forgotten": 0' in again.stdout


def test_a_file_of_another_kind_among_others(tmp_path):
    """It is named, and no number is left in the files behind it."""

    async def fill() -> None:
        async with SqliteJournal(tmp_path / "journal") as journal:
            await journal.put(RawPush(PushKind.INBOUND_SMS, f"sender={DIGITS}&text=a"))

    asyncio.run(fill())
    (tmp_path / "notes").write_text(DIGITS)
    files = [str(tmp_path / name) for name in ("notes", "journal")]
    done = CliRunner().invoke(infobip_async, ["forget", DIGITS, *files])
    assert done.exit_code == 6
    assert "notes is no file of infobip-async" in done.stderr
    assert '"forgotten": 1' in done.stdout
