"""What each method puts on the wire: method, URL, headers and body, octet by octet."""

from decimal import Decimal

import httpx
import pytest
import respx

from infobip_async import (
    BinaryMessage,
    DeliveryStatus,
    HlrSubmission,
    InfobipClient,
    LocalProtocolError,
    Npi,
    PartReceipt,
    Recipient,
    TextMessage,
    Ton,
    WapBookmark,
)

SEND = "https://www.infobip.com/AddOn/SMSService/XML/XMLInput.aspx"
GET = "https://www.infobip.com/Addon/SMSService/SendSMS.aspx"
COMMAND = "https://www.infobip.com/Addon/SMSService/command.aspx"
PULL = "https://api.infobip.com/api/dlrpull"
HLR = "https://api.infobip.com/api/hlr/query.aspx"

FORM = {"accept-encoding": "identity", "content-type": "application/x-www-form-urlencoded"}
TEXT = TextMessage("Hello & bye", "Friend")


@pytest.fixture
async def client():
    """A client of the document's addresses, with a login that needs encoding."""
    async with InfobipClient("u+1", "p&w %") as client:
        yield client


@pytest.fixture
def wire():
    """Catches requests where httpx would connect."""
    with respx.mock as router:
        yield router


def accepting(wire: respx.MockRouter, count: int = 1) -> respx.Route:
    """Where messages are sent by XML."""
    reply = f"<RESPONSE><status>{count}</status><credits>98.5</credits></RESPONSE>"
    return wire.post(SEND).respond(text=reply)


def document(request: httpx.Request) -> str:
    """The XML of a request, without the login."""
    head, _, xml = httpx.QueryParams(request.content.decode())["XML"].partition(
        "<password>p&amp;w %</password></authentification>"
    )
    assert head == "<SMS><authentification><username>u+1</username>"
    return xml


async def test_send(client, wire) -> None:
    """All octets of it, but for what stands above them in HTTP."""
    route = accepting(wire)
    receipt = await client.send(TEXT, Recipient("385911234567", "id-1"))
    (call,) = route.calls
    assert call.request.method == "POST"
    assert str(call.request.url) == SEND
    assert call.request.content == (
        b"XML=%3CSMS%3E%3Cauthentification%3E%3Cusername%3Eu%2B1%3C%2Fusername%3E"
        b"%3Cpassword%3Ep%26amp%3Bw+%25%3C%2Fpassword%3E%3C%2Fauthentification%3E"
        b"%3Cmessage%3E%3Csender%3EFriend%3C%2Fsender%3E"
        b"%3Ctext%3EHello+%26amp%3B+bye%3C%2Ftext%3E%3C%2Fmessage%3E"
        b"%3Crecipients%3E%3Cgsm+messageId%3D%22id-1%22%3E385911234567%3C%2Fgsm%3E"
        b"%3C%2Frecipients%3E%3C%2FSMS%3E"
    )
    assert dict(call.request.headers) == FORM | {
        "host": "www.infobip.com",
        "content-length": str(len(call.request.content)),
    }
    assert (receipt.accepted, receipt.credits) == (1, Decimal("98.5"))
    assert receipt.recipients == (Recipient("385911234567", "id-1"),)
    assert receipt.parts == (PartReceipt(1, Decimal("98.5"), receipt.recipients),)


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (TextMessage("x", "Friend", flash=True), "<text>x</text><flash>1</flash>"),
        (TextMessage("x" * 161, "Friend"), f"<text>{'x' * 161}</text><type>longSMS</type>"),
        (TextMessage("ж", "Friend"), "<binary>0436</binary><datacoding>8</datacoding>"),
        (
            WapBookmark("Title", "http://a.example/?b&c", "Friend"),
            "<text>Title</text><type>bookmark</type><bookmark>http://a.example/?b&amp;c</bookmark>",
        ),
        (BinaryMessage(b"BCD", "Friend"), "<binary>424344</binary>"),
        (
            BinaryMessage(
                b"BCD", "Friend", data_coding=4, esm_class=1, udh=b"\x06\x05\x04\x01\x02\x41\x42"
            ),
            "<binary>06050401024142424344</binary><datacoding>4</datacoding><esmclass>65</esmclass>",
        ),
        (
            TextMessage(
                "x",
                "Friend",
                source_addr_ton=Ton.ALPHANUMERIC,
                source_addr_npi=Npi.UNKNOWN,
                dest_addr_ton=Ton.INTERNATIONAL,
                dest_addr_npi=Npi.ISDN,
            ),
            (
                "<text>x</text><srcton>5</srcton><srcnpi>0</srcnpi>"
                "<destton>1</destton><destnpi>1</destnpi>"
            ),
        ),
    ],
)
async def test_send_carries_every_message(client, wire, message, content) -> None:
    """As §2/1.2 has it."""
    route = accepting(wire)
    await client.send(message, Recipient("385911234567", "id-1"))
    assert document(route.calls[0].request) == (
        f"<message><sender>Friend</sender>{content}</message>"
        '<recipients><gsm messageId="id-1">385911234567</gsm></recipients></SMS>'
    )


@pytest.mark.parametrize(
    "recipients",
    [
        "385911234567",
        ["385911234567"],
        ("385911234567", "385911234568"),
        iter(["385911234567"]),
        Recipient("385911234567"),
        [Recipient("385911234567", ""), "385911234568"],
    ],
    ids=["text", "list", "tuple", "iterator", "recipient", "mixed"],
)
async def test_recipients_get_ids(client, wire, recipients) -> None:
    """Where they have none, and never the same twice."""
    route = accepting(wire)
    receipts = [await client.send(TEXT, recipients), await client.send(TEXT, "385911234567")]
    sent = [one for receipt in receipts for one in receipt.recipients]
    assert all(one.message_id for one in sent)
    assert len({one.message_id for one in sent}) == len(sent)
    assert all(
        f'<gsm messageId="{one.message_id}">{one.msisdn}</gsm>' in document(call.request)
        for receipt, call in zip(receipts, route.calls, strict=True)
        for one in receipt.recipients
    )


async def test_without_registered_delivery_there_are_no_ids(client, wire) -> None:
    """The plain form of §2/1.1; an id given is a contradiction."""
    route = accepting(wire, 2)
    receipt = await client.send(TEXT, ["385911234567", "385911234568"], registered=False)
    assert receipt.recipients == (Recipient("385911234567"), Recipient("385911234568"))
    assert document(route.calls[0].request).endswith(
        "<recipients><gsm>385911234567</gsm><gsm>385911234568</gsm></recipients></SMS>"
    )
    with pytest.raises(LocalProtocolError) as caught:
        await client.send(TEXT, Recipient("385911234567", "id"), registered=False)
    assert caught.value.field == "registered"
    assert len(route.calls) == 1


async def test_parts_have_ids_of_their_own(client, wire) -> None:
    """The receipt names those of the message, and knows the others."""
    route = accepting(wire)
    receipt = await client.send(TextMessage("ж" * 71, "Friend"), Recipient("385911234567", "id"))
    assert [document(call.request).count(f'"id-{at}"') for at, call in enumerate(route.calls, 1)]
    assert len(route.calls) == 2
    assert receipt.recipients == (Recipient("385911234567", "id"),)
    assert receipt.part_ids("id") == ("id-1", "id-2")


async def test_parts_without_registered_delivery(client, wire) -> None:
    """Have no ids either."""
    route = accepting(wire)
    await client.send(TextMessage("ж" * 71, "Friend"), "385911234567", registered=False)
    assert all("<gsm>385911234567</gsm>" in document(call.request) for call in route.calls)


async def test_send_one(client, wire) -> None:
    """By GET, with the login in the URL, as §2/2 has it."""
    route = wire.get(url__startswith=GET).respond(text=" 020711151112345678\r\n")
    assert await client.send_one(TEXT, "385911234567") == "020711151112345678"
    (call,) = route.calls
    assert str(call.request.url) == (
        f"{GET}?user=u%2B1&password=p%26w+%25&sender=Friend&SMSText=Hello+%26+bye&GSM=385911234567"
    )
    assert call.request.content == b""
    assert dict(call.request.headers) == {
        "host": "www.infobip.com",
        "accept-encoding": "identity",
    }


async def test_send_one_in_parts_gives_the_first_id(client, wire) -> None:
    """Each part is a request of its own."""
    replies = [httpx.Response(200, text=f"02071115111234567{number}") for number in range(2)]
    route = wire.get(url__startswith=GET).mock(side_effect=replies)
    message = TextMessage("ж" * 71, "Friend")
    assert await client.send_one(message, "385911234567") == "020711151112345670"
    assert len(route.calls) == 2


async def test_credits(client, wire) -> None:
    """A decimal; its parameters are named as nowhere else (§2/2.1)."""
    route = wire.get(url__startswith=COMMAND).respond(text='"7.16"')
    assert await client.credits() == Decimal("7.16")
    assert str(route.calls[0].request.url) == (
        f"{COMMAND}?username=u%2B1&password=p%26w+%25&cmd=CREDITS"
    )


@pytest.mark.parametrize(
    ("ids", "query"),
    [((), ""), ("1", "&MessageId=1"), (["1", "b c"], "&MessageId=1%2Cb+c")],
)
async def test_pull_reports(client, wire, ids, query) -> None:
    """Of all messages or of some (§3.2)."""
    route = wire.get(url__startswith=PULL).respond(
        text='<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
    )
    (report,) = await client.pull_reports(ids)
    assert report.status is DeliveryStatus.SENT
    assert str(route.calls[0].request.url) == f"{PULL}?user=u%2B1&password=p%26w+%25{query}"


ROWS = "OK\n385911234567;OK;a-1\n385911234568;FAILED;\n"
SUBMITTED = (
    HlrSubmission("385911234567", accepted=True, lookup_id="a-1", raw_status="OK"),
    HlrSubmission("385911234568", accepted=False, lookup_id=None, raw_status="FAILED"),
)
QUERY = "user=u%2B1&pass=p%26w+%25&destinations=385911234567%3B385911234568"


async def test_submit_hlr(client, wire) -> None:
    """By POST: the login is in the body (§4)."""
    route = wire.post(HLR).respond(text=ROWS)
    assert await client.submit_hlr(["385911234567", "385911234568"]) == SUBMITTED
    (call,) = route.calls
    assert call.request.content == QUERY.encode()
    assert dict(call.request.headers) == FORM | {
        "host": "api.infobip.com",
        "content-length": str(len(QUERY)),
    }


async def test_submit_hlr_by_get(client, wire) -> None:
    """The same in the URL."""
    route = wire.get(url__startswith=HLR).respond(text=ROWS)
    assert await client.submit_hlr(("385911234567", "385911234568"), method="GET") == SUBMITTED
    assert str(route.calls[0].request.url) == f"{HLR}?{QUERY}"


async def test_submit_hlr_of_one_number(client, wire) -> None:
    """A text is one number, not its digits; an iterator is read once."""
    wire.post(HLR).respond(text="OK\n385911234567;OK;a-1\n")
    assert await client.submit_hlr("385911234567") == SUBMITTED[:1]
    assert await client.submit_hlr(iter(["385911234567"])) == SUBMITTED[:1]


async def test_an_injected_client_sends_the_same(gateway, connect, calls) -> None:
    """Its own headers come on top; nothing of ours is replaced."""
    for call in calls.values():
        await call.make(connect())
        await call.make(connect("httpx"))
        ours, theirs = gateway.received[-2:]
        assert (theirs.method, theirs.target, theirs.body) == (ours.method, ours.target, ours.body)
        assert ours.headers.items() <= theirs.headers.items()
        assert theirs.raw.startswith(f"{ours.method} {ours.target} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "mistake",
    [
        lambda client: client.send(TEXT, []),
        lambda client: client.send(TEXT, ["385911234567", "385911234567"]),
        lambda client: client.send(TEXT, "+385911234567"),
        lambda client: client.send(TextMessage("", "Friend"), "385911234567"),
        lambda client: client.send(TextMessage("x", "a\x00"), "385911234567"),
        lambda client: client.send(TextMessage("x", "much too long"), "385911234567"),
        lambda client: client.send(BinaryMessage(b"", "Friend"), "385911234567"),
        lambda client: client.send_one(TEXT, "0911234567"),
        lambda client: client.send_one(TextMessage("x", ""), "385911234567"),
        lambda client: client.pull_reports(["a,b"]),
        lambda client: client.submit_hlr([]),
        lambda client: client.submit_hlr(["1;2"]),
        lambda client: client.submit_hlr(["1\n2"], method="GET"),
    ],
)
async def test_a_mistake_is_found_before_anything_is_sent(client, wire, mistake) -> None:
    """A request would be caught as one that was not expected."""
    with pytest.raises(LocalProtocolError) as caught:
        await mistake(client)
    assert caught.value.field
    assert not wire.calls
