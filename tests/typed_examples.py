"""Right and wrong uses of what users see, for ``mypy --strict``: this file is checked, never run.

What is wrong bears the error that mypy must report there: a line that it takes for right would
make the ignore an unused one, which is an error as well.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_type

import httpx
from aiohttp import web

from infobip_async import (
    Alphabet,
    BinaryMessage,
    Deliveries,
    Delivery,
    DeliveryReport,
    DeliveryStatus,
    Endpoints,
    GatewayRefusedError,
    HlrLookups,
    HlrOutcome,
    HlrReport,
    HlrResult,
    HlrStatus,
    HlrSubmission,
    InboundSms,
    InfobipClient,
    LocalProtocolError,
    LookupTimeoutError,
    Npi,
    OutcomeUnknownError,
    Outgoing,
    Recipient,
    RemoteProtocolError,
    Router,
    SendOutcome,
    SendReceipt,
    SendResult,
    SqliteDeliveryStore,
    SqliteJournal,
    TextMessage,
    Ton,
    Ucs2Form,
    WapBookmark,
    preview,
)
from infobip_async.lists import ListRemark, read_exclusions, read_list, survey
from infobip_async.simulator import HandsetMessage, HlrAnswer, Phone, Simulator
from infobip_async.webhook import callback_urls, webhook_app

TEXT = TextMessage("Hello", sender="Friend")


# --- messages ---


def messages() -> None:
    """What can be written, and what cannot."""
    TextMessage("Hello", "Friend", flash=True, source_addr_ton=Ton.ALPHANUMERIC)
    BinaryMessage(b"BCD", "Friend", data_coding=4, esm_class=64, udh=b"", dest_addr_npi=Npi.ISDN)
    WapBookmark("Title", "http://a.example", "Friend")

    TextMessage("Hello")  # type: ignore[call-arg]
    TextMessage(b"Hello", "Friend")  # type: ignore[arg-type]
    TextMessage("Hello", "Friend", source_addr_ton=9)  # type: ignore[arg-type]
    BinaryMessage("BCD", "Friend")  # type: ignore[arg-type]
    WapBookmark("Title", "Friend")  # type: ignore[call-arg]
    Recipient(385911234567)  # type: ignore[arg-type]
    TEXT.text = "Bye"  # type: ignore[misc]


def previews() -> None:
    """Of a message or a text."""
    seen = preview(TEXT)
    assert_type(seen.alphabet, Alphabet)
    assert_type(seen.parts, tuple[int, ...])
    assert_type(seen.units, int)
    assert_type(seen.remaining, int)
    preview("Hello")
    preview(b"Hello")  # type: ignore[arg-type]
    preview(TEXT, ucs2="binary")  # type: ignore[arg-type]


# --- the client ---


def clients(http: httpx.AsyncClient) -> None:
    """How one is made."""
    InfobipClient("user", "password")
    InfobipClient("user", "password", endpoints=Endpoints.at("http://127.0.0.1:8080"))
    InfobipClient("user", "password", http=http, concurrency=10, read_timeout=None, zone=UTC)
    InfobipClient("user", "password", ucs2=Ucs2Form.TEXT, reference_width=16)
    assert_type(InfobipClient.from_env(), InfobipClient)
    assert_type(Endpoints.later(), Endpoints)

    InfobipClient("user")  # type: ignore[call-arg]
    InfobipClient("user", "password", Endpoints())  # type: ignore[call-arg]
    InfobipClient("user", "password", endpoints="http://127.0.0.1:8080")  # type: ignore[arg-type]
    InfobipClient("user", "password", reference_width=7)  # type: ignore[arg-type]
    InfobipClient("user", "password", http=httpx.Client())  # type: ignore[arg-type]
    InfobipClient("user", "password", timeout=5)  # type: ignore[call-arg]
    Endpoints("http://127.0.0.1:8080")  # type: ignore[call-arg]


async def sending(client: InfobipClient) -> None:
    """One message to one or several."""
    receipt = await client.send(TEXT, ["38598514674", "41793026727"])
    assert_type(receipt, SendReceipt)
    assert_type(receipt.accepted, int)
    assert_type(receipt.credits, Decimal | None)
    assert_type(receipt.recipients[0].msisdn, str)
    assert_type(receipt.recipients[0].message_id, str | None)
    await client.send(TEXT, "38598514674")
    await client.send(TEXT, Recipient("38598514674", "id-1"), registered=True)
    await client.send(TEXT, (Recipient("38598514674"), "41793026727"))
    assert_type(await client.send_one(TEXT, "38598514674"), str)

    await client.send("Hello", "38598514674")  # type: ignore[arg-type]
    await client.send(TEXT, 38598514674)  # type: ignore[arg-type]
    await client.send(TEXT, "38598514674", False)  # type: ignore[call-arg]
    await client.send(TEXT)  # type: ignore[call-arg]
    await client.send_one(TEXT, ["38598514674"])  # type: ignore[arg-type]
    client.send(TEXT, "38598514674").accepted  # type: ignore[attr-defined]  # noqa: B018 - wrong on purpose


async def sending_many(client: InfobipClient, more: AsyncIterator[Outgoing]) -> None:
    """From any source."""
    async for result in client.send_many([(TEXT, "38598514674")], rate=10, job="job.db"):
        assert_type(result, SendResult)
        assert_type(result.outcome, SendOutcome)
        assert_type(result.message_ids, tuple[str, ...])
    async with aclosing(client.send_many(more)) as results:
        assert_type(await anext(results), SendResult)

    client.send_many([TEXT])  # type: ignore[list-item]
    client.send_many([(TEXT, "38598514674")], on_unknown="guess")  # type: ignore[arg-type]
    client.send_many([(TEXT, "38598514674")], speed=10)  # type: ignore[call-arg]


async def lists(client: InfobipClient) -> None:
    """People in a file, and the messages to them."""
    people = read_list("people.csv", recipient="number", country="HR")
    for row in people:
        assert_type(row.line, int)
        assert_type(row.msisdn, str)
        assert_type(row.key, str | None)
        assert_type(row.cells, dict[str, str])
    async for result in client.send_many(people.messages("Hi {name}", sender="Shop")):
        assert_type(result, SendResult)

    read_list("people.csv", column="number")  # type: ignore[call-arg]
    exclude: frozenset[str] = read_exclusions("stop.txt", country="HR")
    found = await survey(people, "Hi {name}", sender="Shop", exclude=exclude)
    assert_type(found.parts, int)
    assert_type(people.faults, tuple[ListRemark, ...])
    async for number in people.numbers():
        assert_type(number.row.position, int)
    people.messages(b"Hi", sender="Shop")  # type: ignore[arg-type]


async def account(client: InfobipClient) -> None:
    """Credits and reports."""
    assert_type(await client.credits(), Decimal)
    reports = await client.pull_reports()
    assert_type(reports, tuple[DeliveryReport, ...])
    assert_type(reports[0].status, DeliveryStatus)
    assert_type(reports[0].raw_status, str)
    assert_type(reports[0].done_at, datetime | None)
    await client.pull_reports(["id-1", "id-2"])
    async for report in client.poll_reports(interval=10):
        assert_type(report, DeliveryReport)
    async with aclosing(client.poll_reports()) as polling:
        assert_type(await anext(polling), DeliveryReport)

    await client.pull_reports([1])  # type: ignore[list-item]
    await client.poll_reports()  # type: ignore[misc]
    for report in client.poll_reports():  # type: ignore[attr-defined]
        del report


async def lookups(client: InfobipClient, router: Router, numbers: AsyncIterator[str]) -> None:
    """One by one, or as a stream."""
    rows = await client.submit_hlr(["38598303174"], method="GET")
    assert_type(rows, tuple[HlrSubmission, ...])
    assert_type(rows[0].lookup_id, str | None)
    async with HlrLookups(client, router) as hlr:
        result = await hlr.lookup("38598514674", timeout=30)
        assert_type(result, HlrResult)
        assert_type(result.outcome, HlrOutcome)
        assert_type(result.report, HlrReport | None)
        async for result in hlr.stream(numbers, timeout=30):
            assert_type(result.destination, str)
        hlr.stream(["38598514674"])
        hlr.stream([38598514674])  # type: ignore[list-item]

    await client.submit_hlr(["38598303174"], method="PUT")  # type: ignore[arg-type]
    if result.report is None:
        result.report.imsi  # type: ignore[attr-defined]  # noqa: B018 - wrong on purpose
    else:
        assert_type(result.report.imsi, str | None)


async def errors(client: InfobipClient) -> None:
    """Each with what it knows."""
    try:
        await client.send(TEXT, "38598514674")
    except GatewayRefusedError as refused:
        assert_type(refused.code, int | str)
        assert_type(refused.name, str)
        assert_type(refused.operation, str)
    except OutcomeUnknownError as unknown:
        assert_type(unknown.message_ids, tuple[str, ...])
        unknown.code  # type: ignore[attr-defined]  # noqa: B018 - wrong on purpose
    except LocalProtocolError as mistake:
        value_error: ValueError = mistake
        assert_type(mistake.field, str)
        raise value_error from None
    except RemoteProtocolError as unreadable:
        assert_type(unreadable.raw, bytes)
    except LookupTimeoutError as late:
        timeout: TimeoutError = late
        raise timeout from None


# --- the receiver ---

router = Router()


@router.on(DeliveryReport)
async def delivered(report: DeliveryReport) -> None:
    """Take one report."""
    assert_type(report.message_id, str)


@router.on(HlrReport)
async def looked_up(report: HlrReport) -> None:
    """Take one report."""
    assert_type(report.status, HlrStatus)
    assert_type(report.imsi, str | None)


@router.on(InboundSms, whole=True)
async def received(sms: InboundSms) -> None:
    """Take one message."""
    assert_type(sms.text, str | None)
    assert_type(sms.data, bytes | None)


@router.on(DeliveryReport, batch=100)
async def many(reports: Sequence[DeliveryReport]) -> None:
    """Take several."""
    assert_type(reports[0], DeliveryReport)


@router.on(DeliveryReport)  # type: ignore[arg-type]
async def another_event(sms: InboundSms) -> None:
    """Not what it was registered for."""


@router.on(DeliveryReport)  # type: ignore[arg-type]
def no_coroutine(report: DeliveryReport) -> None:
    """It would not be awaited."""


@router.on(DeliveryReport, batch=100)  # type: ignore[arg-type]
async def one_of_many(report: DeliveryReport) -> None:
    """It gets several."""


@router.on(str)  # type: ignore[type-var]
async def no_event(text: str) -> None:
    """No push brings that."""


def applications() -> None:
    """Mounted in another."""
    app = web.Application()
    app.add_subapp("/infobip", webhook_app(router, secret="long-random-string"))
    webhook_app(router, secret=None)
    webhook_app(router, secret=["new", "old"], journal=SqliteJournal("pushes.db"))
    urls = callback_urls("https://sms.example.com/infobip", secret="long-random-string")
    assert_type(urls.delivery_reports, str)

    webhook_app(router)  # type: ignore[call-arg]
    webhook_app(router, "long-random-string")  # type: ignore[call-arg]
    webhook_app(secret="long-random-string")  # type: ignore[call-arg]
    callback_urls("https://sms.example.com/infobip")  # type: ignore[call-arg]


async def simulators() -> None:
    """In a test of one's own."""
    async with Simulator(username="user", password="password") as simulator:
        assert_type(simulator.base_url, str)
        assert_type(simulator.console_url, str | None)
        assert_type(simulator.assert_sent(to="38598514674"), HandsetMessage)
        whole = await simulator.wait_for(contains="Hello", timeout=1)
        assert_type(whole.text, str | None)
        simulator.phones["38598514674"] = Phone(status="REJECTED", answer=HlrAnswer())
        simulator.report(whole.first, "DELIVERED", delay=5)
        InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url))
    Simulator("user", "password")  # type: ignore[call-arg]


# --- deliveries ---


async def deliveries(client: InfobipClient, router: Router) -> None:
    """A message, its end, and each of its changes."""

    @router.on(Delivery)
    async def changed(delivery: Delivery) -> None:
        assert_type(delivery.delivered, bool | None)
        assert_type(delivery.outcome, SendOutcome | None)

    @router.on(Delivery)  # type: ignore[arg-type]  # the handler takes reports
    async def reported(report: DeliveryReport) -> None: ...

    async with Deliveries(client, router, store=SqliteDeliveryStore("sent.db")) as sent:
        several = await sent.send(TextMessage("Hello", "Friend"), "38598514674", key="order-17")
        assert_type(several, tuple[Delivery, ...])
        assert_type(await sent.wait(several[0].message_id, timeout=60), Delivery)
        assert_type(await sent.get(key="order-17"), Delivery | None)
        async for one in sent:
            assert_type(one, Delivery)
        async for result in sent.send_many([(TextMessage("Hi", "Friend"), "385")], run="may"):
            assert_type(result, SendResult)
        await sent.wait(17)  # type: ignore[arg-type]  # ids are strings
