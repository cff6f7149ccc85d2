"""Inbound messages in parts, which wait in memory for each other."""

import asyncio
import math
from functools import partial
from time import monotonic

import pytest

from infobip_async.models.events import InboundSms
from infobip_async.receiver import receiver as receiver_module
from infobip_async.receiver.acknowledge import HandleThenAck
from jumping import jump

PART = "sender=38598&esmclass=64&datacoding=8&bin=050003AA02{:02}00{}"
FIRST, SECOND = PART.format(1, "41"), PART.format(2, "42")


class Whole:
    """A handler of whole messages."""

    def __init__(self) -> None:
        self.got = asyncio.Queue()
        self.fault: Exception | None = None

    async def __call__(self, sms: InboundSms) -> None:
        """Handle a message."""
        self.got.put_nowait((sms.text, sms.missing))
        if self.fault:
            raise self.fault


@pytest.fixture
async def whole(receiver) -> Whole:
    """A handler of whole messages on the receiver."""
    handler = Whole()
    receiver.router.on(InboundSms, whole=True)(handler)
    return handler


async def test_parts_are_joined(receiver, whole):
    """A message is handled when its last part has come."""
    assert (await receiver.inbound(SECOND)).status == 200
    assert whole.got.empty()
    assert (await receiver.inbound(FIRST)).status == 200

    assert whole.got.get_nowait() == ("AB", ())
    assert len(receiver.events) == 2


async def test_a_part_waits_from_its_arrival(receiver, whole):
    """Parts are told the time as it is, on a clock that does not go back."""
    receiver.router.reassembler.timeout = 60.0
    before = monotonic()
    await receiver.inbound(FIRST)

    (parts,) = receiver.router.reassembler.take_due(math.inf)
    assert before <= parts.deadline - 60.0 <= monotonic()


async def test_parts_that_do_not_come(start, monkeypatch, caplog):
    """After some time an incomplete message is handed on, though handlers fail now and then."""
    soon = partial(HandleThenAck, expiry_seconds=0.005)
    monkeypatch.setattr(receiver_module, "HandleThenAck", soon)
    receiver = await start()
    receiver.router.reassembler.timeout = 0.01
    handler = Whole()
    handler.fault = ValueError("a handler's fault")
    receiver.router.on(InboundSms, whole=True)(handler)

    await receiver.inbound(FIRST)
    assert await handler.got.get() == ("A", (2,))
    assert await handler.got.get() == ("A", (2,))  # nobody else has it

    assert "handlers failed on incomplete messages" in caplog.text
    assert "a handler's fault" in caplog.text


async def test_a_fault_on_another_message_is_not_this_one_s(receiver):
    """A post is answered by what became of its own event."""
    receiver.router.reassembler.timeout = 0.0
    got = []

    @receiver.router.on(InboundSms, whole=True)
    async def handle(sms: InboundSms) -> None:
        got.append((sms.text, sms.missing))
        if sms.missing:
            raise ValueError

    assert (await receiver.inbound(FIRST)).status == 200
    assert (await receiver.inbound("sender=9&text=hi")).status == 200
    assert got == [("A", (2,)), ("hi", ())]
    assert len(receiver.router.reassembler.take_due(math.inf)) == 1


async def test_a_stop_hands_on_what_waits(receiver, whole):
    """What was acknowledged is not lost with the memory that it waits in."""
    await receiver.inbound(FIRST)

    await receiver.aclose()

    assert whole.got.get_nowait() == ("A", (2,))


async def test_a_stop_does_not_wait_for_ever_for_it(start, caplog):
    """A handler of what waited that takes too long does not hold the stop."""
    receiver = await start(stop_timeout=600)

    @receiver.router.on(InboundSms, whole=True)
    async def hang(_: InboundSms) -> None:
        await asyncio.Event().wait()

    await receiver.inbound(FIRST)
    stop = asyncio.create_task(receiver.app.shutdown())
    await jump(600)
    await stop

    assert "handlers of incomplete messages are cancelled" in caplog.text
