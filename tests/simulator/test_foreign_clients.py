"""What clients of others send, and what they need."""

from decimal import Decimal
from functools import partial
from urllib.parse import quote_plus

import pytest

from infobip_async.models.messages import Submission
from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator import Gateway, usual_extras

XML = "/AddOn/SMSService/XML/XMLInput.aspx"
LOGIN = "<authentification><username>user</username><password>p4ss</password></authentification>"
GSM = '<recipients><gsm messageId="a">38598514674</gsm></recipients>'
LONG = "x" * 161


@pytest.fixture
def gateway() -> Gateway:
    """A gateway with one account of 100 credits."""
    gateway = Gateway()
    gateway.open_account("user", "p4ss", Decimal(100))
    return gateway


def document(message: str) -> str:
    """A send of a message to one recipient."""
    return f"<SMS>{LOGIN}<message>{message}</message>{GSM}</SMS>"


def multipart(**fields: str) -> bytes:
    """A form as PHP posts an array."""
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return "".join((*parts, "--b--\r\n")).encode()


HELLO = document("<sender>Friend</sender><text>a+b &amp; c</text>")


@pytest.mark.parametrize(
    "body",
    [
        f"XML={quote_plus(HELLO)}&submit=Send".encode(),
        f"XML={HELLO}&submit=Send".encode(),
        multipart(XML=HELLO, submit="Send"),
        f'<?xml version="1.0" encoding="Unicode"?>{HELLO}'.encode(),
    ],
)
def test_a_send_in_every_form(gateway: Gateway, body: bytes) -> None:
    """Of a page with a button, of an array, with an encoding that is none."""
    exchange = gateway.handle(HttpRequest("POST", XML, body), 0)
    assert b"<status>1</status>" in exchange.reply.body
    assert gateway.messages[0].text == "a+b & c"


def test_a_send_by_post_of_an_array(gateway: Gateway) -> None:
    """The parameters of §2/2 and of §4 are read from either kind of form."""
    body = multipart(user="user", password="p4ss", sender="F", SMSText="é", GSM="38598514674")
    exchange = gateway.handle(HttpRequest("POST", "/Addon/SMSService/SendSMS.aspx", body), 0)
    assert exchange.reply.body.isdigit()
    assert gateway.messages[0].text == "é"
    body = multipart(user="user", **{"pass": "p4ss"}, destinations="38598514674")
    exchange = gateway.handle(HttpRequest("POST", "/api/hlr/query.aspx", body), 0)
    assert exchange.reply.body.startswith(b"OK\n38598514674;OK;")


@pytest.mark.parametrize("body", [b"hello", HELLO.replace("p4ss", "wrong").encode()])
def test_a_refusal_has_a_balance(gateway: Gateway, body: bytes) -> None:
    """Where it is not known, it is 0: some clients read no code beside an empty one."""
    reply = gateway.handle(HttpRequest("POST", XML, body), 0).reply
    assert b"<credits>0</credits>" in reply.body


def test_an_account_has_a_sender_for_messages_that_name_none(gateway: Gateway) -> None:
    """Without one they are refused, as the document says."""
    xml = HttpRequest("POST", XML, document("<text>Hi</text>").encode())
    url = "/Addon/SMSService/SendSMS.aspx?user=user&password=p4ss&SMSText=Hi&GSM=38598514674"
    get = HttpRequest("GET", url)
    assert b"<status>-5</status>" in gateway.handle(xml, 0).reply.body
    assert gateway.handle(get, 0).reply.body == b"-8"
    gateway.accounts["user"].sender = "Shop"
    for request in (xml, get, HttpRequest("POST", XML, HELLO.encode())):
        gateway.handle(request, 0)
    senders = [message.submission.sender for message in gateway.messages]
    assert senders == ["Shop", "Shop", "Friend"]
    assert gateway.messages[0].submission == Submission(sender="Shop", text="Hi")


def test_reports_have_the_attributes_that_came_later(gateway: Gateway) -> None:
    """The document's four alone, unless they are asked for."""
    long = document(f"<sender>F</sender><type>longSMS</type><text>{LONG}</text>")
    request = HttpRequest("POST", XML, long.encode())
    assert [report.extras for report in gateway.handle(request, 0).reports] == [{}]
    gateway.extras = usual_extras
    (report,) = gateway.handle(request, 0).reports
    assert report.extras == {"gsmerror": "0", "price": "0.0200", "pducount": "2"}
    gateway.extras = partial(usual_extras, price=Decimal("0.5"))
    gateway.delivery = lambda _: "NOT_ALLOWED"
    (report,) = gateway.handle(request, 0).reports
    assert report.extras == {"gsmerror": "1", "price": "0.0000", "pducount": "2"}


def test_each_part_can_have_a_report(gateway: Gateway) -> None:
    """Under the one id of the message."""
    gateway.report_parts = True
    long = document(f"<sender>F</sender><type>longSMS</type><text>{LONG}</text>")
    exchange = gateway.handle(HttpRequest("POST", XML, long.encode()), 0)
    assert [report.message_id for report in exchange.reports] == ["a", "a"]
    assert exchange.ids == ("a",)
