"""SMS by GET, as other clients of this interface write it (§2/2)."""

from decimal import Decimal

import pytest

from infobip_async.models.messages import Submission, SubmissionType
from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator import Gateway, Operation

PATH = "/Addon/SMSService/SendSMS.aspx"
GOOD = "user=user&password=p4ss&sender=Friend&SMSText=messagetext&IsFlash=0&GSM=38598514674"


def ask(gateway: Gateway, query: str) -> str:
    """The text of the reply to a query."""
    exchange = gateway.handle(HttpRequest("GET", f"{PATH}?{query}"), 1_700_000_000.0)
    assert (exchange.operation, exchange.reply.status) == (Operation.SEND_ONE, 200)
    return exchange.reply.body.decode()


def test_the_reply_is_an_id_of_18_digits(gateway: Gateway) -> None:
    """The id has a leading zero, as at the real gateway, and is the message's own."""
    first, second = ask(gateway, GOOD), ask(gateway, GOOD)
    assert (first, second) == ("020711151112345678", "020711151112345679")
    assert [message.gateway_id for message in gateway.messages] == [first, second]
    assert gateway.messages[0].submission == Submission(sender="Friend", text="messagetext")
    assert gateway.accounts["user"].credits == 98


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (GOOD.replace("user=user", "user="), -10),
        (GOOD.replace("user=user&", ""), -10),
        (GOOD.replace("p4ss", ""), -11),
        (GOOD.replace("password=p4ss&", ""), -11),
        (GOOD.replace("p4ss", "wrong"), -5),
        (GOOD.replace("user=user", "user=nobody"), -5),
        (GOOD.replace("user=user&", "IsFlash=7&"), -10),
        (GOOD.replace("p4ss", "wrong") + "&Type=foo", -5),
        (GOOD.replace("Friend", ""), -8),
        (GOOD.replace("Friend", "+"), -8),
        (GOOD.replace("38598514674", ""), -6),
        (GOOD.replace("&GSM=38598514674", ""), -6),
        (GOOD.replace("38598514674", "%2B38598514674"), -9),
        (GOOD.replace("38598514674", "0038598514674"), -9),
        (GOOD.replace("38598514674", "385x8514674"), -9),
        (GOOD.replace("38598514674", "1234567890123456"), -13),
        (GOOD.replace("38598514674", "1234"), -13),
        (GOOD.replace("messagetext", ""), -7),
        (GOOD.replace("SMSText=messagetext&", ""), -7),
        (GOOD.replace("38598514674", "41793026727"), -3),
        (GOOD.replace("Friend", "TwelveLetter"), -1),
        (GOOD.replace("messagetext", "x" * 161), -1),
        (GOOD + "&binary=41", -1),
        (GOOD.replace("SMSText=messagetext", "binary=4G"), -1),
        (GOOD.replace("IsFlash=0", "IsFlash=2"), -1),
        (GOOD + "&Type=bookmark", -1),
    ],
)
def test_each_wrong_input_has_its_value(gateway: Gateway, query: str, value: int) -> None:
    """The return values of §2/2; nothing is sent, and nothing is paid."""
    gateway.not_covered = ("41", "42")
    assert ask(gateway, query) == str(value)
    assert not gateway.messages
    assert gateway.accounts["user"].credits == 100


def test_credits_run_out(gateway: Gateway) -> None:
    """An account that cannot pay for all parts gets -2."""
    gateway.accounts["user"].credits = Decimal(1)
    long = GOOD.replace("messagetext", "x" * 161) + "&Type=LongSMS"
    assert ask(gateway, long) == "-2"
    assert len(ask(gateway, GOOD)) == 18
    assert ask(gateway, GOOD) == "-2"


@pytest.mark.parametrize(
    ("query", "submission"),
    [
        ("&SMSText=Hi+there&isflash=1", Submission(sender="F", text="Hi there", flash=True)),
        ("&SMSText=Hi&IsFlash=true", Submission(sender="F", text="Hi", flash=True)),
        ("&binary=41424344", Submission(sender="F", binary=b"ABCD")),
        (
            "&binary=06050400010241424344&esmclass=64",
            Submission(
                sender="F", binary=b"\x06\x05\x04\x00\x01\x02\x41\x42\x43\x44", esm_class=64
            ),
        ),
        (
            f"&SMSText={'x' * 161}&type=longsms",
            Submission(sender="F", text="x" * 161, type=SubmissionType.LONG),
        ),
        (
            "&SMSText=News&Type=bookmark&Bookmark=www.a.com%2Fx",
            Submission(sender="F", text="News", type=SubmissionType.BOOKMARK, url="www.a.com/x"),
        ),
        (
            "&binary=0416&DATACODING=8&srcTON=&Destnpi=1",
            Submission(sender="F", binary=b"\x04\x16", data_coding=8, dest_addr_npi=1),
        ),
    ],
)
def test_parameters_in_any_case(gateway: Gateway, query: str, submission: Submission) -> None:
    """Every parameter of §2/2 is read, whatever the case of its name."""
    assert len(ask(gateway, f"USER=user&Password=p4ss&SENDER=F&gsm=38598514674{query}")) == 18
    assert gateway.messages[0].submission == submission


def test_it_is_reported_under_the_id_that_was_returned(gateway: Gateway) -> None:
    """The client has no other id to ask by (§3.2)."""
    exchange = gateway.handle(HttpRequest("GET", f"{PATH}?{GOOD}"), 0)
    [report] = exchange.reports
    assert exchange.ids == (report.message_id,) == (exchange.reply.body.decode(),)


def test_a_form_by_post_is_taken_too(gateway: Gateway) -> None:
    """Parameters count from the query and from a posted form alike."""
    exchange = gateway.handle(HttpRequest("POST", PATH, GOOD.encode()), 0)
    assert len(exchange.reply.body) == 18
