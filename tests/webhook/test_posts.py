"""What good posts become, and what the gateway is answered."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from aiohttp import web

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    HlrReport,
    HlrStatus,
    InboundSms,
    UnreadableRow,
)
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.receiver import acknowledge
from infobip_async.receiver.probe import Probe

EXAMPLE = (
    b'<DeliveryReport><message  id="1023012301"  sentdate="" '
    b'donedate="2005/7/19 22:0:0"  status="NOT_SENT" /></DeliveryReport>'
)
DONE = datetime(2005, 7, 19, 22)  # noqa: DTZ001 - the wire has no zone
NOT_SENT = DeliveryReport("1023012301", DeliveryStatus.NOT_SENT, "NOT_SENT", None, DONE)
HLR_ROW = "23423423232;234234sdfsds-01-01;DELIVRD;2019011231213;385980501;0"
LOOKED_UP = HlrReport(
    "23423423232",
    "234234sdfsds-01-01",
    HlrStatus.DELIVRD,
    "DELIVRD",
    "2019011231213",
    "385980501",
    "0",
)


@pytest.mark.parametrize(
    "body",
    [
        EXAMPLE,
        EXAMPLE.replace(b"DeliveryReport", b"deliveryreport"),
        b"\r\n " + EXAMPLE,
        b'<?xml version="1.0" encoding="UTF-8"?>' + EXAMPLE,
        b"xml=" + quote(EXAMPLE).encode(),
    ],
)
@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/x-www-form-urlencoded", "image/png"]
)
async def test_the_documents_delivery_report(receiver, body, content_type):
    """The example of §3.1 is read in every form it comes in, whatever its Content-Type says."""
    reply = await receiver.post("dlr", body, Content_Type=content_type)

    assert (reply.status, reply.body) == (200, b"OK")
    assert receiver.events == [NOT_SENT]


@pytest.mark.parametrize("status", DeliveryStatus)
async def test_every_status(receiver, status):
    """All ten statuses of §3.1, and one beyond them."""
    reply = await receiver.post("dlr", EXAMPLE.replace(b"NOT_SENT", status.value.encode()))

    assert reply.status == 200
    assert [event.status for event in receiver.events] == [status]


async def test_an_empty_report(receiver):
    """A report without messages is a report."""
    reply = await receiver.post("dlr", b"<DeliveryReport/>")

    assert (reply.status, receiver.events) == (200, [])


@pytest.mark.parametrize("name", ["dlr", "DLR"])
async def test_a_hundred_hlr_rows(receiver, name):
    """The example of §5 a hundred times, which is what one post holds at the most."""
    body = f"{name}={quote(chr(10).join([HLR_ROW] * 100))}".encode()

    reply = await receiver.post("hlr", body)

    assert (reply.status, reply.body) == (200, b"OK")
    assert receiver.events == [LOOKED_UP] * 100


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sender=38598&text=ABC", InboundSms("38598", text="ABC")),
        ("sender=38598&text=caf%E9", InboundSms("38598", text="café")),  # Windows-1252
        (
            "sender=38598&text=&bin=00410042&datacoding=8",
            InboundSms("38598", text="AB", data=b"\0A\0B", data_coding=8),
        ),
        (
            "sender=38598&text=&bin=00FF&datacoding=4",
            InboundSms("38598", data=b"\0\xff", data_coding=4),
        ),
    ],
)
async def test_inbound_sms(receiver, query, expected):
    """Texts and octets of §6, each answered with an empty 200."""
    reply = await receiver.inbound(query)

    assert (reply.status, reply.body) == (200, b"")
    (sms,) = receiver.events
    assert (sms.sender, sms.text, sms.data) == (expected.sender, expected.text, expected.data)
    assert sms.data_coding == expected.data_coding


async def test_names_of_the_inbound_url(start):
    """The parameters are named as the account's URL names them, as in the example of §6."""
    receiver = await start(inbound={"who": "sender", "what": "text"})

    await receiver.inbound("who=38598123123&what=ABC")

    (sms,) = receiver.events
    assert (sms.sender, sms.text) == ("38598123123", "ABC")


async def test_zone(start):
    """Dates get the zone of the gateway where the user names it."""
    receiver = await start(zone=UTC)

    await receiver.post("dlr", EXAMPLE)

    assert receiver.events[0].done_at == datetime(2005, 7, 19, 22, tzinfo=UTC)


async def test_what_is_taken(receiver, monkeypatch):
    """A push is taken with its kind, its raw query and body, and the time of its arrival."""
    taken = []
    monkeypatch.setattr(acknowledge, "decode", lambda push, _: taken.append(push) or [])
    before = time.time()

    await receiver.request("GET", "/a-secret-of-the-tests/inbound?text=a%20b+c", b"body")

    assert before <= taken[0].received_at <= time.time()
    at = taken[0].received_at
    assert taken == [RawPush(PushKind.INBOUND_SMS, "text=a%20b+c", b"body", at)]


async def test_a_failing_handler(receiver, caplog):
    """One failure answers 500, so that the gateway sends again; the other handlers run."""

    @receiver.router.on(DeliveryReport)
    async def fail(report: DeliveryReport) -> None:
        raise RemoteProtocolError("a fault of the handler")

    reply = await receiver.post("dlr", EXAMPLE)

    assert (reply.status, reply.body) == (500, b"500: Internal Server Error")
    assert receiver.events == [NOT_SENT]
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.name == "infobip_async.receiver"
    assert "a fault of the handler" in caplog.text
    assert "in fail" in caplog.text
    assert "1023012301" not in caplog.text


async def test_a_fault_of_our_own(receiver, monkeypatch, caplog):
    """A post that trips the reader up is set aside: it would do so each time that it comes."""
    got: list[UnreadableRow] = []

    @receiver.router.on(UnreadableRow)
    async def unreadable(row: UnreadableRow) -> None:
        got.append(row)

    monkeypatch.setattr(acknowledge, "decode", {}.__getitem__)

    assert (await receiver.post("dlr", EXAMPLE)).status == 400
    assert "tripped over a push to dlr" in caplog.text
    assert [row.reason for row in got] == ["TypeError while it was read"]


async def test_a_cancelled_handler(receiver, warnings_of):
    """A handler that ends in a cancellation has not succeeded either."""

    @receiver.router.on(DeliveryReport)
    async def cancelled(report: DeliveryReport) -> None:
        raise asyncio.CancelledError

    assert (await receiver.post("dlr", EXAMPLE)).status == 500
    assert warnings_of() == ["failed on a push to dlr"]


async def test_a_handler_that_cancels_its_own_task(receiver, warnings_of):
    """Its push is answered all the same, and is to be sent again."""

    @receiver.router.on(DeliveryReport)
    async def end(report: DeliveryReport) -> None:
        asyncio.current_task().cancel()
        raise asyncio.CancelledError

    for _ in range(3):
        assert (await receiver.post("dlr", EXAMPLE)).status == 500
    assert warnings_of() == [
        "handlers were cancelled on a push to dlr",
        "failed on a push to dlr",
    ]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_handler_that_cancels_its_task_costs_no_row_behind(receiver, waits):
    """Nor its neighbour, where the handler has ended before the cancellation comes."""
    ended: list[str] = []

    @receiver.router.on(HlrReport)
    async def cancel(report: HlrReport) -> None:
        if report.destination == "1":
            asyncio.current_task().cancel()
            if not waits:
                return
        await asyncio.sleep(0)
        ended.append(report.destination)

    rows = [HLR_ROW.replace("23423423232", one).encode() for one in "0123"]
    assert (await receiver.post("hlr", b"dlr=" + b"%0A".join(rows))).status == 500
    assert set(ended) == {*"023"}


async def test_a_handler_that_is_cancelled_costs_no_other_row(receiver):
    """All handlers run for all rows of the post."""

    @receiver.router.on(HlrReport)
    async def cancelled(report: HlrReport) -> None:
        if len(receiver.events) == 1:
            raise asyncio.CancelledError

    reply = await receiver.post("hlr", b"dlr=" + b"%0A".join([HLR_ROW.encode()] * 3))

    assert reply.status == 500
    assert len(receiver.events) == 3


@pytest.mark.parametrize("way", ["read", "text", "post"])
async def test_a_middleware_that_reads_the_body(start, secret, way):
    """What it has read is there for the receiver, too."""

    @web.middleware
    async def look(request: web.Request, handler):
        await getattr(request, way)()
        return await handler(request)

    def mount(app: web.Application) -> web.Application:
        host = web.Application(middlewares=[look])
        host.add_subapp("/sms/", app)
        return host

    receiver = await start(mount=mount)
    body = b"dlr=" + HLR_ROW.encode()
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    reply = await receiver.request("POST", f"/sms/{secret}/hlr", body, **form)

    assert reply.status == 200
    assert receiver.events == [LOOKED_UP]


async def test_a_middleware_that_takes_the_body_away(start, secret, warnings_of):
    """The gateway is not told that we have what we have not."""

    @web.middleware
    async def take(request: web.Request, handler):
        await request.content.read()
        return await handler(request)

    def mount(app: web.Application) -> web.Application:
        host = web.Application(middlewares=[take])
        host.add_subapp("/sms/", app)
        return host

    receiver = await start(mount=mount)
    for _ in range(3):
        reply = await receiver.request("POST", f"/sms/{secret}/hlr", b"dlr=" + HLR_ROW.encode())
        assert reply.status == 500

    lines = warnings_of()
    assert lines.count("something in front of the receiver has taken the body away") == 1


@pytest.mark.parametrize("text", ["a#b", "*123#", "#"])
async def test_a_text_with_a_bare_number_sign(receiver, text):
    """It is not the end of the query, nor of the text."""
    assert (await receiver.inbound(f"sender=1&text={text}")).status == 200
    assert receiver.events[0].text == text


async def test_a_long_text(receiver):
    """A query may be as long as the limits say, which is more than aiohttp would take."""
    long = "%D0%96" * 10_000

    assert (await receiver.inbound(f"sender=1&text={long}")).status == 200
    assert receiver.events[0].text == "Ж" * 10_000
    assert (await receiver.inbound(f"sender=1&text={long}{long[:6000]}")).status == 414


async def test_a_probe(receiver, secret):
    """It is answered with what arrived, and no handler hears of it."""
    probe, body = Probe.make(PushKind.HLR_REPORTS, secret, "n0nce"), b"dlr=1;2;DELIVRD;;;0"

    reply = await receiver.post(f"hlr?{probe.query}", body)

    assert (reply.status, reply.body.decode()) == (200, probe.answer(body))
    assert receiver.events == []


async def test_what_cannot_be_read_as_a_whole(receiver):
    """It goes to the handlers of such rows, and the gateway hears of it, whatever they do."""
    rows = []

    @receiver.router.on(UnreadableRow)
    async def keep(row: UnreadableRow) -> None:
        rows.append(row.raw)
        raise ValueError

    assert (await receiver.inbound("sender=1&text=a&text=b")).status == 400
    assert (await receiver.post("dlr", b"<no")).status == 400
    assert rows == ["sender=1&text=a&text=b", "<no"]
    assert receiver.events == []


async def test_a_row_is_set_aside(receiver, warnings_of, caplog):
    """A bad row costs its neighbours nothing; what it holds is not logged, at any level."""
    rows = [HLR_ROW.encode(), b"385981;1;DELIVRD;\xff;;0", b"385982;too;few", HLR_ROW.encode()]

    reply = await receiver.post("hlr", b"dlr=" + b"%0A".join(rows))

    assert reply.status == 200
    assert receiver.events == [LOOKED_UP] * 2
    (warning,) = warnings_of()
    assert warning.startswith("set 2 unreadable rows aside, the first: ")
    assert "3859" not in warning
    assert "385982;too;few" not in caplog.text


async def test_a_handler_of_unreadable_rows(receiver, warnings_of):
    """What was set aside goes to the handlers that ask for it, instead of the log."""
    rows = []

    @receiver.router.on(UnreadableRow)
    async def unreadable(row: UnreadableRow) -> None:
        rows.append(row.raw)

    reply = await receiver.post("dlr", EXAMPLE.replace(b"</D", b"<message/></D"))

    assert (reply.status, rows, warnings_of()) == (200, ["<message />"], [])


async def test_nothing_but_unreadable_rows(receiver):
    """A post without one readable row was not understood."""
    reply = await receiver.post("hlr", b"dlr=a;b\nc;d")

    assert (reply.status, receiver.events) == (400, [])


async def test_no_handler(start, warnings_of):
    """Without a handler an event is acknowledged, with one warning per type."""
    receiver = await start(handlers=False)

    replies = [await receiver.post("dlr", EXAMPLE) for _ in range(2)]
    replies.append(await receiver.post("hlr", f"dlr={HLR_ROW}".encode()))

    assert [reply.status for reply in replies] == [200] * 3
    assert warnings_of() == [
        "DeliveryReport is acknowledged without a handler",
        "HlrReport is acknowledged without a handler",
    ]
