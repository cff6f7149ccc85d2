"""Commands and pulled reports, as other clients of this interface ask for them (§2/2.1, §3.2)."""

from decimal import Decimal

import pytest

from infobip_async.models.events import DeliveryReport, DeliveryStatus
from infobip_async.protocol.exchange import CallbackUrls, HttpRequest
from infobip_async.simulator import Gateway

COMMAND = "/Addon/SMSService/command.aspx?"
PULL = "/api/dlrpull?"


def get(gateway: Gateway, url: str) -> bytes:
    """The body of the reply to a GET."""
    return gateway.handle(HttpRequest("GET", url), 0).reply.body


def report(message_id: str) -> DeliveryReport:
    """A report without dates."""
    return DeliveryReport(message_id, DeliveryStatus.SENT, "SENT")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("username=user&password=p4ss&cmd=CREDITS", b"7.16"),
        ("USERNAME=user&Password=p4ss&CMD=credits", b"7.16"),
        ("username=user&password=p4ss&cmd=DEBTS", b"UNKNOWN_COMMAND"),
        ("username=user&password=p4ss", b"UNKNOWN_COMMAND"),
        ("username=user&password=wrong&cmd=CREDITS", b"UNKNOWN_COMMAND"),
        ("user=user&password=p4ss&cmd=CREDITS", b"UNKNOWN_COMMAND"),
    ],
)
def test_commands(gateway: Gateway, query: str, body: bytes) -> None:
    """CREDITS answers a bare decimal; whatever is wrong has one answer."""
    gateway.accounts["user"].credits = Decimal("7.16")
    assert get(gateway, COMMAND + query) == body


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("user=user&password=wrong", b"5"),
        ("user=nobody&password=p4ss", b"5"),
        ("user=&password=p4ss", b"10"),
        ("", b"10"),
        ("user=user", b"11"),
        ("user=user&password=p4ss", b"NO_DATA"),
        ("user=user&password=p4ss&MessageId=other", b"NO_DATA"),
    ],
)
def test_pulls_without_a_report(gateway: Gateway, query: str, body: bytes) -> None:
    """The three return values of §3.2, and the answer when there is nothing to report."""
    assert get(gateway, PULL + query) == body


def test_a_report_is_given_once(gateway: Gateway) -> None:
    """All reports, or those asked for, in their order; then they are gone."""
    gateway.hold("user", map(report, "abcd"))
    login = PULL + "user=user&password=p4ss"
    row = b'<message id="%s" sentdate="" donedate="" status="SENT" />'
    wanted = get(gateway, login + "&messageid=c,%20a,x")
    assert wanted == b"<DeliveryReport>" + row % b"a" + row % b"c" + b"</DeliveryReport>"
    rest = get(gateway, login)
    assert rest == b"<DeliveryReport>" + row % b"b" + row % b"d" + b"</DeliveryReport>"
    assert get(gateway, login) == b"NO_DATA"


def test_accounts_do_not_share_reports(gateway: Gateway) -> None:
    """What one account sent is not told to another."""
    gateway.open_account("other", "pass", Decimal(1))
    gateway.hold("other", [report("a")])
    assert get(gateway, PULL + "user=user&password=p4ss") == b"NO_DATA"
    assert b'id="a"' in get(gateway, PULL + "user=other&password=pass")


def test_a_pull_gives_nothing_while_a_url_is_set(gateway: Gateway) -> None:
    """Reports go to one of the two; what waited before waits on."""
    gateway.hold("user", [report("a")])
    gateway.callbacks = CallbackUrls("http://a/", "http://a/", "http://a/")
    assert get(gateway, PULL + "user=user&password=p4ss") == b"NO_DATA"
    gateway.callbacks = None
    assert b'id="a"' in get(gateway, PULL + "user=user&password=p4ss")


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/", 404),
        ("GET", "//[", 404),
        ("GET", "/api/v3/sendsms/xml", 404),
        ("PUT", "/api/dlrpull", 405),
        ("HEAD", "/api/command", 405),
    ],
)
def test_what_is_not_of_the_interface(gateway: Gateway, method: str, url: str, status: int) -> None:
    """Other paths and methods get an HTTP status."""
    exchange = gateway.handle(HttpRequest(method, url), 0)
    assert (exchange.operation, exchange.reply.status) == (None, status)


@pytest.mark.parametrize("base", ["", "http://api.infobip.com", "HTTPS://reseller.example:8080"])
@pytest.mark.parametrize(
    "path",
    [
        "/Addon/SMSService/command.aspx",
        "/addon/smsservice/COMMAND.ASPX",
        "/api/command",
        "/API/Command",
    ],
)
def test_both_sets_of_addresses(gateway: Gateway, base: str, path: str) -> None:
    """Paths of either generation, in any case, in absolute form too."""
    url = f"{base}{path}?username=user&password=p4ss&cmd=CREDITS"
    assert get(gateway, url) == b"100"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/AddOn/SMSService/XML/XMLInput.aspx", b"<RESPONSE><status>-2</status>"),
        ("/api/sendsms/xml", b"<RESPONSE><status>-2</status>"),
        ("/Addon/SMSService/SendSMS.aspx", b"-10"),
        ("/api/sendsms/plain", b"-10"),
        ("/api/dlrpull", b"10"),
        ("/api/hlr/query.aspx", b"FAILED\n"),
        ("/api/hlr", b"FAILED\n"),
    ],
)
def test_each_address_has_its_service(gateway: Gateway, path: str, body: bytes) -> None:
    """What answers tells which service was reached."""
    assert get(gateway, path).startswith(body)
