"""SMS by XML POST, as other clients of this interface write it (§2/1)."""

from collections.abc import Callable
from decimal import Decimal
from urllib.parse import quote_plus

import pytest

from infobip_async.models.events import DeliveryStatus
from infobip_async.models.messages import Submission, SubmissionType, Ton
from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator import Gateway, Operation
from infobip_async.simulator.records import Exchange

PATH = "/AddOn/SMSService/XML/XMLInput.aspx"
LOGIN = "<authentification><username>user</username><password>p4ss</password></authentification>"
MESSAGE = "<message><sender>Friend</sender><text>Hello</text></message>"
RECIPIENTS = "<recipients><gsm>38598514674</gsm></recipients>"
HELLO = f"<SMS>{LOGIN}{MESSAGE}{RECIPIENTS}</SMS>"

Post = Callable[[str], Exchange]


@pytest.fixture
def post(gateway: Gateway) -> Post:
    """Posts a document as the library does, percent-encoded behind ``XML=``."""

    def send(document: str) -> Exchange:
        body = f"XML={quote_plus(document)}".encode()
        return gateway.handle(HttpRequest("POST", PATH, body), 1_700_000_000.5)

    return send


def response(status: int, balance: str) -> bytes:
    """The reply, octet by octet."""
    text = f"<RESPONSE><status>{status}</status><credits>{balance}</credits></RESPONSE>"
    return text.encode()


@pytest.mark.parametrize(
    "body",
    [
        f"XML={quote_plus(HELLO)}",
        f"xml={quote_plus(HELLO)}",
        f"XML={HELLO}",
        f'XML=<?xml version="1.0" encoding="UTF-8"?>\n{HELLO}',
        HELLO,
        f'<?xml version="1.0"?>{HELLO}',
        f"\r\n  {HELLO}\r\n",
        quote_plus(HELLO),
        HELLO.replace("authentification", "authentication"),
        f"<sms>{RECIPIENTS}{MESSAGE}{LOGIN}</sms>",
        HELLO.replace("</sender>", "</sender><Srcton></Srcton><type/><unheard>of</unheard>"),
        HELLO.replace("38598514674", " 38598514674\n").replace("Friend", " Friend "),
    ],
)
def test_every_form_of_body_is_taken(gateway: Gateway, body: str) -> None:
    """All the ways in which clients write the same document send the same message."""
    exchange = gateway.handle(HttpRequest("POST", PATH, body.encode()), 0)
    assert exchange.reply.body == response(1, "99")
    [message] = gateway.messages
    assert message.submission == Submission(sender="Friend", text="Hello")
    assert (message.msisdn, message.text) == ("38598514674", "Hello")


def test_ampersands_do_not_end_the_document(gateway: Gateway) -> None:
    """The body is never split at an ampersand."""
    body = b"XML=" + HELLO.replace("Hello", "a&amp;b=c &lt;&#8364;&gt;").encode()
    gateway.handle(HttpRequest("POST", PATH, body), 0)
    assert gateway.messages[0].text == "a&b=c <€>"


@pytest.mark.parametrize(
    ("document", "status", "balance"),
    [
        (HELLO.replace("p4ss", "wrong"), -1, "0"),
        (HELLO.replace("user<", "nobody<"), -1, "0"),
        (HELLO.replace("p4ss", ""), -1, "0"),
        (f"<SMS>{MESSAGE}{RECIPIENTS}</SMS>", -1, "0"),
        ("", -2, "0"),
        ("hello", -2, "0"),
        (HELLO.removesuffix("</SMS>"), -2, "0"),
        (HELLO.replace("SMS>", "MMS>"), -2, "0"),
        (HELLO.replace("Hello", "\x01"), -2, "0"),
        (f'<!DOCTYPE SMS [<!ENTITY e "e">]>{HELLO}', -2, "0"),
        (HELLO.replace("<text>", "<flash>2</flash><text>"), -5, "100"),
        (HELLO.replace("<text>", "<srcton>7</srcton><text>"), -5, "100"),
        (HELLO.replace("<text>", "<datacoding>256</datacoding><text>"), -5, "100"),
        (HELLO.replace("<text>Hello</text>", "<binary>4G</binary>"), -5, "100"),
        (HELLO.replace(RECIPIENTS, ""), -4, "100"),
        (HELLO.replace("38598514674", ""), -4, "100"),
        (HELLO.replace("38598514674", "+38598514674"), -4, "100"),
        (HELLO.replace("38598514674", "0038598514674"), -4, "100"),
        (HELLO.replace("38598514674", "1234"), -4, "100"),
        (HELLO.replace("38598514674", "1234567890123456"), -4, "100"),
        (HELLO.replace("Friend", ""), -5, "100"),
        (HELLO.replace("Friend", "TwelveLetter"), -5, "100"),
        (HELLO.replace("Friend", "123456789012345"), -5, "100"),
        (HELLO.replace("<text>Hello</text>", ""), -5, "100"),
        (HELLO.replace("<text>", "<binary>41</binary><text>"), -5, "100"),
        (HELLO.replace("Hello", "x" * 161), -5, "100"),
        (HELLO.replace("<text>", "<type>bookmark</type><text>"), -5, "100"),
        (HELLO.replace("p4ss", "x").replace("<text>", "<type>zzz</type><text>"), -1, "0"),
    ],
)
def test_each_wrong_input_has_its_code(
    gateway: Gateway, post: Post, document: str, status: int, balance: str
) -> None:
    """The five codes of §2/1.3; nothing is sent, and nothing is paid."""
    exchange = post(document)
    assert (exchange.reply.status, exchange.reply.body) == (200, response(status, balance))
    assert exchange.reports == ()
    assert not gateway.messages
    assert gateway.accounts["user"].credits == 100


def test_what_is_not_charged_need_not_be_paid_for(gateway: Gateway, post: Post) -> None:
    """NOT_ALLOWED: "the message will not be charged" (§3.1)."""
    gateway.not_covered = ("447",)
    gateway.accounts["user"].credits = Decimal(1)
    numbers = "<gsm>447700900000</gsm><gsm>38598514674</gsm>"
    document = HELLO.replace("<gsm>38598514674</gsm>", numbers)
    assert post(document).reply.body == response(2, "0")
    assert post(document).reply.body == response(-3, "0")
    assert post(HELLO.replace("38598514674", "447700900000")).reply.body == response(1, "0")


def test_a_longer_number_of_digits_is_a_good_sender(gateway: Gateway, post: Post) -> None:
    """A numeric sender has up to 14 digits, an alphanumeric one up to 11 characters."""
    assert post(HELLO.replace("Friend", "12345678901234")).reply.body == response(1, "99")
    assert post(HELLO.replace("Friend", "ElevenChars")).reply.body == response(1, "98")


def test_credits_run_down_and_out(gateway: Gateway, post: Post) -> None:
    """All recipients of a request are paid for, or none is sent to (-3)."""
    gateway.accounts["user"].credits = Decimal("2.5")
    three = "".join(f"<gsm>3859851467{digit}</gsm>" for digit in range(3))
    document = HELLO.replace("<gsm>38598514674</gsm>", three)
    assert post(document).reply.body == response(-3, "2.5")
    assert post(HELLO).reply.body == response(1, "1.5")
    assert post(HELLO).reply.body == response(1, "0.5")
    assert post(HELLO).reply.body == response(-3, "0.5")
    assert len(gateway.messages) == gateway.message_count == 2


def test_each_part_is_paid(gateway: Gateway, post: Post) -> None:
    """A long text costs a credit a part."""
    gateway.message_price = Decimal("0.05")
    document = HELLO.replace("<text>Hello", f"<type>LONGSMS</type><text>{'x' * 307}")
    assert post(document).reply.body == response(1, "99.85")
    [message] = gateway.messages
    assert (message.parts, message.submission.type) == (3, SubmissionType.LONG)


def test_duplicates_and_bad_numbers_are_dropped(gateway: Gateway, post: Post) -> None:
    """The count is of the messages that will be sent: one a good number, the first of its kind."""
    recipients = (
        '<gsm messageId="a">38598514674</gsm><gsm messageId="b">41793026727</gsm>'
        '<gsm messageId="c">38598514674</gsm><gsm messageId="d">nonsense</gsm>'
    )
    exchange = post(HELLO.replace("<gsm>38598514674</gsm>", recipients))
    assert exchange.reply.body == response(2, "98")
    assert exchange.ids == ("a", "b")
    assert [(m.msisdn, m.message_id) for m in gateway.messages] == [
        ("38598514674", "a"),
        ("41793026727", "b"),
    ]


def test_only_registered_recipients_are_reported(gateway: Gateway, post: Post) -> None:
    """A report bears the client's id; without one there is no report (§2/1.1)."""
    gateway.report_delay = 61
    recipients = '<gsm messageId="id-1">38598514674</gsm><gsm>41793026727</gsm>'
    exchange = post(HELLO.replace("<gsm>38598514674</gsm>", recipients))
    [report] = exchange.reports
    assert (report.message_id, report.raw_status) == ("id-1", "DELIVERED")
    assert str(report.sent_at) == "2023-11-14 22:13:20"
    assert str(report.done_at) == "2023-11-14 22:14:21"
    first, second = gateway.messages
    assert (first.report_id, second.report_id) == ("id-1", None)
    assert exchange.ids == ("id-1", second.gateway_id)
    assert (first.account, first.operation, first.at) == ("user", Operation.SEND, 1_700_000_000.5)


def test_the_policy_says_where_a_message_ends(gateway: Gateway, post: Post) -> None:
    """A policy may give any status; what is not allowed is not charged (§3.1)."""
    gateway.not_covered = ("417",)
    gateway.delivery = lambda msisdn: "REJECTED" if msisdn.endswith("1") else "NOT_ALLOWED"
    recipients = "".join(
        f'<gsm messageId="{number}">{number}</gsm>' for number in ("385981", "38598200", "417931")
    )
    exchange = post(HELLO.replace("<gsm>38598514674</gsm>", recipients))
    assert exchange.reply.body == response(3, "99")
    assert [(report.message_id, report.raw_status) for report in exchange.reports] == [
        ("385981", "REJECTED"),
        ("38598200", "NOT_ALLOWED"),
        ("417931", "NOT_ALLOWED"),
    ]


def test_a_message_that_ends_for_want_of_credits_costs_none(gateway: Gateway, post: Post) -> None:
    """NOT_ENOUGH_CREDITS: it was not sent (§3.1)."""
    gateway.delivery = lambda _: DeliveryStatus.NOT_ENOUGH_CREDITS
    assert post(HELLO).reply.body == response(1, "100")


def test_every_parameter_is_kept(gateway: Gateway, post: Post) -> None:
    """What was sent can be inspected parameter by parameter (§2/1.2)."""
    post(
        HELLO.replace(
            "<text>Hello</text>",
            "<flash>1</flash><binary>0605040001024142</binary><datacoding>4</datacoding>"
            "<esmclass>64</esmclass><srcton>5</srcton><srcnpi>0</srcnpi><destton>1</destton>"
            "<destnpi>18</destnpi>",
        )
    )
    [message] = gateway.messages
    assert message.submission == Submission(
        sender="Friend",
        binary=bytes.fromhex("0605040001024142"),
        flash=True,
        data_coding=4,
        esm_class=64,
        source_addr_ton=Ton.ALPHANUMERIC,
        source_addr_npi=0,
        dest_addr_ton=Ton.INTERNATIONAL,
        dest_addr_npi=18,
    )
    assert message.text is None


@pytest.mark.parametrize(
    ("elements", "text"),
    [
        ("<binary>1B65</binary>", "€"),
        ("<binary>0416043004420430</binary><datacoding>8</datacoding>", "Жата"),
        ("<text>Жата</text><datacoding>8</datacoding>", "Жата"),
        (
            "<binary>050003CC02010416</binary><datacoding>8</datacoding><esmclass>64</esmclass>",
            "Ж",
        ),
        ("<text>News</text><type>bookmark</type><bookmark>www.a.com/x.jpg</bookmark>", "News"),
        ("<text>News</text><type>bookmark</type><wapurl>www.a.com/x.jpg</wapurl>", "News"),
    ],
)
def test_the_text_is_what_the_handset_shows(
    gateway: Gateway, post: Post, elements: str, text: str
) -> None:
    """Text and octets in any form are decoded for inspection."""
    assert post(HELLO.replace("<text>Hello</text>", elements)).reply.body == response(1, "99")
    assert gateway.messages[0].text == text


def test_a_get_of_this_address_has_no_document(gateway: Gateway) -> None:
    """Without a body there is no XML to read (-2)."""
    assert gateway.handle(HttpRequest("GET", PATH), 0).reply.body == response(-2, "0")
