"""Content that trips our own code up: it costs the event that brought it, and no other."""

import pytest

from infobip_async.journal import parts, reading
from infobip_async.models.events import DeliveryReport, Event, InboundSms, UnreadableRow
from infobip_async.text import reassembly


def poisoned(work, bad: str):
    """Make a function that fails on one event."""

    def do(event: Event) -> object:
        if isinstance(event, DeliveryReport) and event.message_id == bad:
            raise KeyError(bad)
        return work(event)

    return do


@pytest.mark.parametrize("name", ["ordering_key", "_fields"])
async def test_an_event_without_a_key_or_a_digest(bench, monkeypatch, name):
    """It is in quarantine, and its neighbours are handled."""
    monkeypatch.setattr(reading, name, poisoned(getattr(reading, name), "bad"))
    got, told = bench.record(DeliveryReport), bench.record(UnreadableRow)
    journal = await bench.start()
    await journal.put(bench.reports("a", "bad", "b"))
    await bench.emptied(journal)
    assert got.ids == ["a", "b"]
    assert told.ids == ["KeyError while it was read"]
    assert [(one.id, one.reason) async for one in journal.quarantine()] == [
        ("1:1", "KeyError while it was read")
    ]


async def test_a_message_that_cannot_be_joined(bench, monkeypatch):
    """All its parts are in quarantine; after the mend they are replayed, and joined."""
    whole, told = bench.record(InboundSms, whole=True), bench.record(UnreadableRow)
    with monkeypatch.context() as patch:
        patch.setattr(reassembly.Parts, "join", {}.__getitem__)
        journal = await bench.start()
        for number in (1, 2):
            await journal.put(bench.part(number, 2, f"part {number}, "))
        await bench.emptied(journal)
    assert told.ids == ["TypeError while its parts were joined"]
    assert [one.id async for one in journal.quarantine()] == ["1:0", "2:0"]
    assert await journal.replay() == 2
    await bench.emptied(journal)
    assert whole.ids == ["part 1, part 2, "]


async def test_a_part_that_cannot_be_added(bench, monkeypatch):
    """It is in quarantine, and the next message of its sender is handled."""
    whole = bench.record(InboundSms, whole=True)
    with monkeypatch.context() as patch:
        patch.setattr(parts.Reassembler, "collect", {}.__getitem__)
        journal = await bench.start()
        await journal.put(bench.part(1, 2, "part 1, "))
        await bench.emptied(journal)
    await journal.put(bench.inbound("sender=38598123123&text=Hello"))
    await bench.emptied(journal)
    assert whole.ids == ["Hello"]
    assert [one.reason async for one in journal.quarantine()] == ["TypeError while it was joined"]


async def test_headers_longer_than_a_message(bench):
    """They are content like any other, for more messages than there are workers."""
    whole = bench.record(InboundSms, whole=True)
    journal = await bench.start(concurrency=2)
    for sender in range(5):
        for number in (1, 2):
            header = bytes([0, 3, 7, 2, number, 0x70, 150]) + bytes(150)
            octets = (bytes([len(header)]) + header + b"text").hex()
            await journal.put(bench.inbound(f"sender={sender}&bin={octets}&esmclass=64"))
    await bench.emptied(journal)
    assert whole.ids == ["texttext"] * 5
