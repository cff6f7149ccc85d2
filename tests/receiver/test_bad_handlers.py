"""Handlers that end in every odd way, or do not end, while only memory holds what they get."""

import asyncio

import pytest

from infobip_async.errors import StorageUnavailableError
from infobip_async.models.events import DeliveryReport, InboundSms, UnreadableRow
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat
from infobip_async.receiver import acknowledge
from infobip_async.receiver.acknowledge import HandleThenAck
from infobip_async.router import Router
from infobip_async.text import reassembly

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'


class PanicError(BaseException):
    """As extensions in other languages raise it."""


@pytest.fixture
def router() -> Router:
    """A router that waits for parts for a minute."""
    return Router(parts_timeout=60.0)


def part(number: int) -> RawPush:
    """A push of one part of two, with a header longer than a message."""
    header = bytes([0, 3, 7, 2, number, 0x70, 150]) + bytes(150)
    octets = (bytes([len(header)]) + header + b"text").hex()
    return RawPush(PushKind.INBOUND_SMS, f"sender=1&bin={octets}&esmclass=64")


@pytest.mark.parametrize("fault", [SystemExit(1), KeyboardInterrupt(), PanicError()])
async def test_a_bad_end_is_not_acknowledged(router, fault):
    """The gateway is to send the push again, and the program goes on."""

    @router.on(DeliveryReport)
    async def fail(_: DeliveryReport) -> None:
        raise fault

    push = RawPush(PushKind.DELIVERY_REPORTS, body=REPORT)
    assert await HandleThenAck(router, PushFormat()).take(push) == 500


async def test_a_header_longer_than_a_message(router):
    """It is content like any other."""
    got: list[str | None] = []

    @router.on(InboundSms, whole=True)
    async def whole(sms: InboundSms) -> None:
        got.append(sms.text)

    receiver = HandleThenAck(router, PushFormat())
    assert [await receiver.take(part(number)) for number in (1, 2)] == [200, 200]
    assert got == ["texttext"]


async def test_parts_that_cannot_be_joined(router, monkeypatch):
    """They are set aside as one row, and not sent again for ever."""
    rows: list[UnreadableRow] = []

    @router.on(UnreadableRow)
    async def unreadable(row: UnreadableRow) -> None:
        rows.append(row)

    @router.on(InboundSms, whole=True)
    async def whole(_: InboundSms) -> None:
        raise AssertionError

    monkeypatch.setattr(reassembly.Parts, "join", {}.__getitem__)
    receiver = HandleThenAck(router, PushFormat())
    assert [await receiver.take(part(number)) for number in (1, 2)] == [200, 200]
    (row,) = rows
    assert row.reason == "TypeError while its parts were joined"
    assert row.raw.count("sender=1&bin=") == 2


@pytest.fixture
def hurried(monkeypatch) -> None:
    """A receiver that waits for no cancelled handler."""
    monkeypatch.setattr(acknowledge, "_SECONDS_AFTER_A_CANCELLATION", 0.001)


@pytest.mark.usefixtures("hurried")
async def test_a_stop_goes_on_without_a_handler_that_does_not_end(router, caplog):
    """It gets the parts that wait, and refuses to be cancelled."""
    release = asyncio.Event()

    @router.on(InboundSms, whole=True)
    async def refuse(_: InboundSms) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    receiver = HandleThenAck(router, PushFormat())
    assert await receiver.take(part(1)) == 200
    await receiver.finish(0.001)
    assert "handlers of incomplete messages are cancelled" in caplog.text
    assert asyncio.all_tasks() == {asyncio.current_task()}
    release.set()
    await asyncio.sleep(0)


async def test_a_handler_that_cancels_the_expiry(router):
    """The expiry goes on, and hands the other late messages on; the parts wait once more."""
    got: list[str] = []
    router.parts_timeout = router.reassembler.timeout = 0.0

    @router.on(InboundSms, whole=True)
    async def cancel(sms: InboundSms) -> None:
        got.append(sms.sender)
        if len(got) == 1:
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    receiver = HandleThenAck(router, PushFormat(), expiry_seconds=0.0)
    assert await receiver.take(part(1)) == 200
    async with asyncio.timeout(60), receiver.serve():
        while len(got) < 2:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
    assert got == ["1", "1"]


@pytest.mark.parametrize(
    ("others", "status", "traces"), [([], 503, 0), ([ValueError("a bug")], 500, 1)]
)
async def test_a_full_disk_is_said_in_a_line(router, caplog, others, status, traces):
    """With the way out, and without a trace: nothing is wrong with a program, unless there is."""
    faults = [StorageUnavailableError("a.db cannot be used: the disk is full: make room"), *others]

    @router.on(DeliveryReport)
    async def fail(_: DeliveryReport) -> None:
        raise ExceptionGroup("several", faults)

    push = RawPush(PushKind.DELIVERY_REPORTS, body=REPORT)
    assert await HandleThenAck(router, PushFormat()).take(push) == status
    assert sum(bool(record.exc_info) for record in caplog.records) == traces
    if not traces:
        (line,) = caplog.messages
        assert line == "refused a push to dlr: a.db cannot be used: the disk is full: make room"
