"""A person's number out of a journal: in every spelling, and nowhere in the octets of the file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from infobip_async.concurrency import sqlite_erasure, sqlite_file
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal.base import EventState, State
from infobip_async.models.events import DeliveryReport, HlrReport, InboundSms
from infobip_async.protocol.exchange import PushKind

DIGITS = "38598514674"
OTHER = "41793026727"


def octets(path: Path) -> bytes:
    """All that is in the files of a journal."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


async def test_events_that_wait(bench):
    """They are gone, and their neighbours are handled."""
    async with bench.journal() as journal:
        await journal.put(bench.hlr(OTHER, DIGITS, "49170111222", imsi="219101"))
        await journal.put(bench.inbound(f"sender=%2B385+98+514674&receiver={OTHER}&text=hello"))
        await journal.put(bench.inbound(f"sender={OTHER}&receiver=1&text=kept"))
        await journal.put(bench.reports("a", f"id-{DIGITS}", "b"))
        assert await journal.forget(msisdn="+385 98 514 674") == 3
    for spelling in (DIGITS.encode(), b"%2B385+98+514674", b"hello"):
        assert spelling not in octets(bench.path)
    got = bench.record(HlrReport, InboundSms, DeliveryReport)
    journal = await bench.start()
    await got.wait_for(5)
    assert sorted(got.ids) == sorted([OTHER, "49170111222", "kept", "a", "b"])
    await bench.emptied(journal)


async def test_what_was_set_aside(bench):
    """Dead letters, what cannot be read, and what handlers have said of the number."""
    async with bench.journal() as journal:
        await journal.put(bench.hlr(DIGITS, OTHER))
        await journal.put(bench.push(PushKind.HLR_REPORTS, body=f"{DIGITS} nonsense".encode()))
        await journal.put(bench.reports("a"))
        await journal._storage.record(
            [
                EventState(1, 0, State.DEAD, 1, "", 1.0),
                EventState(1, 1, State.DEAD, 1, f"failed with {DIGITS}", 1.0, closes=True),
                EventState(2, -1, State.QUARANTINED, 0, "", 1.0, closes=True),
                EventState(3, 0, State.DEAD, 1, f"KeyError: '+{DIGITS}'", 1.0, closes=True),
            ]
        )
        assert await journal.forget(msisdn=DIGITS) == 2
        dead = [one async for one in journal.dead()]
        assert [(one.id, one.reason) for one in dead] == [
            ("1:1", "failed with (forgotten)"),
            ("3:0", "KeyError: '+(forgotten)'"),
        ]
        assert dead[0].read().destination == OTHER
        assert (await journal.counts()).quarantined == 0
    assert DIGITS.encode() not in octets(bench.path)


async def test_what_was_handled_long_ago(bench):
    """Nothing of it is left in the free pages of the file."""
    got = bench.record(InboundSms)
    journal = await bench.start()
    await journal.put(bench.inbound(f"sender={DIGITS}&receiver=1&text=hello"))
    await got.wait_for(1)
    await bench.emptied(journal)
    assert DIGITS.encode() in octets(bench.path)
    assert await journal.forget(msisdn=DIGITS) == 0
    assert DIGITS.encode() not in octets(bench.path)
    await journal.put(bench.inbound(f"sender={OTHER}&receiver=1&text=b"))
    await got.wait_for(2)


async def test_a_push_whose_other_events_were_handled(bench):
    """It is done with."""
    async with bench.journal() as journal:
        await journal.put(bench.hlr(DIGITS, OTHER))
        await journal._storage.record([EventState(1, 1, State.DONE)])
        await journal.forget(msisdn=DIGITS)
        assert (await journal.counts()).waiting == 0


async def test_a_reader_that_does_not_end(bench, monkeypatch):
    """It is told that old octets may be left."""
    monkeypatch.setattr(sqlite_erasure, "_SECONDS", 0.0)
    monkeypatch.setattr(sqlite_file, "_TURN_TIMEOUT", 0.001)
    async with bench.journal() as journal:
        await journal.put(bench.reports("a"))
        with closing(sqlite3.connect(bench.path, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select * from pushes").fetchall()
            with pytest.raises(StorageUnavailableError, match="try again"):
                await journal.forget(msisdn=DIGITS)
        assert await journal.forget(msisdn=DIGITS) == 0


async def test_what_is_no_number(bench):
    """It is refused before anything is changed."""
    with pytest.raises(LocalProtocolError, match="leading 0"):
        await bench.journal().forget(msisdn="098514674")
