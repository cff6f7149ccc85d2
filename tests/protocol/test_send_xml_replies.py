"""SMS by XML POST: the reply."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    GatewayRefusedError,
    InvalidDestinationError,
    InvalidRequestError,
    NotEnoughCreditsError,
    RemoteProtocolError,
)
from infobip_async.protocol.exchange import HttpReply
from infobip_async.protocol.send_xml import (
    XmlReply,
    decode_reply,
    encode_reply,
)


def reply(body: str | bytes, status: int = 200) -> XmlReply:
    """What a client reads from a reply."""
    return decode_reply(HttpReply(status, body.encode() if isinstance(body, str) else body))


@pytest.mark.parametrize(
    ("wire", "count", "credits"),
    [
        (b"<RESPONSE><status>1</status><credits>100</credits></RESPONSE>", 1, Decimal(100)),
        (b"<RESPONSE><status>10000</status><credits>7.1625</credits></RESPONSE>", 10000, "7.1625"),
        (b"<RESPONSE><status>2</status><credits>0.00</credits></RESPONSE>", 2, "0.00"),
        (b"<RESPONSE><status>2</status><credits>-0.5</credits></RESPONSE>", 2, "-0.5"),
        (b"<RESPONSE><status>3</status><credits></credits></RESPONSE>", 3, None),
    ],
)
def test_replies_that_accept(wire: bytes, count: int, credits: str | None) -> None:  # noqa: A002 - the field's name
    """A count and, where it is known, the balance, both ways and digit for digit."""
    balance = None if credits is None else Decimal(credits)
    read = reply(wire)
    assert read == XmlReply(count, balance)
    assert str(read.credits) == str(balance)
    written = encode_reply(count, balance)
    assert written == HttpReply(200, wire, "text/xml; charset=utf-8")


@given(st.integers(1, 10**9 - 1), st.none() | st.decimals(-(10**9), 10**9, places=4))
def test_what_a_gateway_replies_is_read(count: int, balance: Decimal | None) -> None:
    """Any count and any balance."""
    assert decode_reply(encode_reply(count, balance)) == XmlReply(count, balance)


def test_a_balance_is_written_without_an_exponent() -> None:
    """Whatever arithmetic made of it."""
    assert b"<credits>1000</credits>" in encode_reply(1, Decimal("1E+3")).body


CODES = [
    (-1, "AUTH_FAILED", AuthenticationError),
    (-2, "XML_ERROR", InvalidRequestError),
    (-3, "NOT_ENOUGH_CREDITS", NotEnoughCreditsError),
    (-4, "NO_RECIPIENTS", InvalidDestinationError),
    (-5, "GENERAL_ERROR", GatewayFailureError),
    (-6, "UNKNOWN", GatewayFailureError),
    (-999999999, "UNKNOWN", GatewayFailureError),
    (0, "UNKNOWN", GatewayFailureError),
]


@pytest.mark.parametrize(("code", "name", "error"), CODES)
@pytest.mark.parametrize("balance", [None, Decimal("7.16")])
def test_return_codes(
    code: int, name: str, error: type[GatewayRefusedError], balance: Decimal | None
) -> None:
    """Each of §2/1.3 has its own error; any other that is not above 0 is kept."""
    with pytest.raises(GatewayRefusedError) as caught:
        decode_reply(encode_reply(code, balance))
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.name, caught.value.operation) == (code, name, "send")
    assert f"{code} {name}" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "count", "balance"),
    [
        ("<response><Status>2</Status><CREDITS>1.5</CREDITS></response>", 2, "1.5"),
        ("\ufeff<RESPONSE><status>2</status><credits>1.5</credits></RESPONSE>\r\n", 2, "1.5"),
        ('<?xml version="1.0"?>\n<RESPONSE><status>2</status></RESPONSE>', 2, None),
        ('<RESPONSE xmlns="x">\n<status> +2\n</status>\n</RESPONSE>\n', 2, None),
        ("<RESPONSE><credits> 1.5 </credits><status>2</status></RESPONSE>", 2, "1.5"),
        ("<RESPONSE><status>2</status><credits>1.5<credits></RESPONSE>.", 2, "1.5"),
        ("<RESPONSE><status>2</status><credits><credits></RESPONSE>", 2, None),
        ("<RESPONSE><status>2</status><credits>3.</credits></RESPONSE>", 2, "3"),
        ("<RESPONSE><status>2</status><credits>1,5</credits></RESPONSE>", 2, None),
        ("<RESPONSE><status>2</status><credits>NaN</credits></RESPONSE>", 2, None),
        ("<RESPONSE><status>2</status><credits>1e9</credits></RESPONSE>", 2, None),
        (f"<RESPONSE><status>2</status><credits>{'9' * 99}</credits></RESPONSE>", 2, None),
        (
            "<RESPONSE><status>2</status><credits>1</credits><credits>2</credits></RESPONSE>",
            2,
            None,
        ),
        ("<RESPONSE><status>2</status><note>é</note></RESPONSE>", 2, None),
        ('<RESPONSE><status a="b">2</status><credits a="b">1.5</credits></RESPONSE>', 2, "1.5"),
        ("<!-- a -->\n<RESPONSE><!-- <status>1</status> --><status>2</status></RESPONSE>", 2, None),
        ("<RESPONSE><status>2</status></RESPONSE>\n<!-- Served by <b>web1</b>\n-->", 2, None),
        ("<RESPONSE><status>12345678901</status></RESPONSE>", 12345678901, None),
    ],
)
def test_spellings_of_a_reply(body: str, count: int, balance: str | None) -> None:
    """What is certain is read; a balance that is not costs nothing but itself."""
    assert reply(body) == XmlReply(count, None if balance is None else Decimal(balance))


def test_a_reply_in_another_charset_is_read() -> None:
    """All that counts in it is ASCII."""
    body = "<RESPONSE><status>2</status><note>é</note></RESPONSE>".encode("latin-1")
    assert reply(body) == XmlReply(2, None)


@pytest.mark.parametrize("name", ["2-1.3-reply.xml", "2-1.3-reply-misprinted.xml"])
def test_the_reply_of_the_document(golden: Callable[[str], str], name: str) -> None:
    """With a number in place of its words; as it is printed, a client may have to read it, too."""
    document = golden(name).replace("status_code", "4")
    assert reply(document) == XmlReply(4, None)
    with_credits = document.replace("<credits>", "<credits>7.16", 1)
    assert reply(with_credits) == XmlReply(4, Decimal("7.16"))


UNREADABLE = {
    "empty": "",
    "blank": "\r\n",
    "an HTML page": "<!DOCTYPE html><html><body><h1>503 Service Unavailable</h1></body></html>",
    "words": "Service Unavailable",
    "a bare number": "1",
    "no status": "<RESPONSE><credits>5</credits></RESPONSE>",
    "an empty status": "<RESPONSE><status></status></RESPONSE>",
    "the document's own words": "<RESPONSE><status>status_code</status></RESPONSE>",
    "two statuses": "<RESPONSE><status>1</status><status>-1</status></RESPONSE>",
    "a fraction": "<RESPONSE><status>1.5</status></RESPONSE>",
    "a number beyond all recipients": f"<RESPONSE><status>{'9' * 5000}</status></RESPONSE>",
    "other digits": "<RESPONSE><status>\u0663</status></RESPONSE>",
    "a status outside": "<status>1</status>",
    "another root": "<SMS><status>1</status></SMS>",
    "something behind": "<RESPONSE><status>1</status></RESPONSE><html>",
    "something before": "OK<RESPONSE><status>1</status></RESPONSE>",
    "UTF-16": "<RESPONSE><status>1</status></RESPONSE>".encode("utf-16"),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_reply(body: str | bytes) -> None:
    """It proves neither that the message was sent nor that it was not."""
    with pytest.raises(RemoteProtocolError, match="no readable status in the reply") as caught:
        reply(body)
    assert caught.value.raw == (body.encode() if isinstance(body, str) else body)


@pytest.mark.parametrize("status", [100, 199, 300, 302, 307, 401, 404, 500, 503])
def test_a_reply_with_another_http_status_is_not_read(status: int) -> None:
    """The gateway answers 200 also for its errors; anything else came from elsewhere."""
    with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}"):
        reply("<RESPONSE><status>1</status></RESPONSE>", status)


WHOLE = {
    "well-formed": "<RESPONSE><status>123</status><credits>100.25</credits></RESPONSE>",
    "declared": '<?xml version="1.0"?><RESPONSE><status>123</status></RESPONSE>',
    "misprinted": "<RESPONSE>\n<status>123</status>\n<credits>100.25<credits>\n</RESPONSE>.\n",
}


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_a_truncated_reply_is_unreadable_or_the_whole_truth(whole: str) -> None:
    """Cut at any octet, it never gives another number."""
    for cut in range(len(whole)):
        try:
            read = reply(whole[:cut])
        except RemoteProtocolError:
            assert cut < len(whole.rstrip(".\n"))
        else:
            assert read == reply(whole)


def test_a_hostile_reply_costs_no_time() -> None:
    """The patterns that read it do not go back and forth over a long one."""
    for filling in ("</response ", "</response>.", "<status>1", "<credits>1 ", " ", "<?xml ", "."):
        many = filling * (200_000 // len(filling))
        for end in ("", "</RESPONSE>", "</RESPONSE>!"):
            with pytest.raises(RemoteProtocolError):
                reply(f"<RESPONSE>{many}{end}")
