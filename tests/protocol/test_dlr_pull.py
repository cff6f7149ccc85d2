"""Delivery reports by pull."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    GatewayRefusedError,
    LocalProtocolError,
    RemoteProtocolError,
)
from infobip_async.models.events import DeliveryReport, DeliveryStatus, UnreadableRow
from infobip_async.protocol.dlr_pull import (
    PullRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

URL = "http://api.infobip.com/api/dlrpull"
LOGIN = Credentials("X", "x")
REPORT = DeliveryReport("1", DeliveryStatus.DELIVERED, "DELIVERED", None, datetime(2010, 8, 2, 9))
DOCUMENT = (
    b'<DeliveryReport><message id="1" sentdate="" donedate="2010/8/2 9:0:0" status="DELIVERED" />'
    b"</DeliveryReport>"
)
characters = st.characters(exclude_categories=["Cs"])


def check(query: str, login: Credentials, *message_ids: str) -> None:
    """The request has this query, and is read from it."""
    request = encode_request(URL, login, message_ids)
    assert request == HttpRequest("GET", f"{URL}?{query}")
    assert decode_request(request) == PullRequest(login, message_ids)


@pytest.mark.parametrize(
    ("query", "message_ids"),
    [
        ("user=X&password=x", ()),
        ("user=X&password=x&MessageId=id-1", ("id-1",)),
        ("user=X&password=x&MessageId=id-1%2Cid-2", ("id-1", "id-2")),
        ("user=X&password=x&MessageId=a+b%2C%26%3D%2B%25", ("a b", "&=+%")),
    ],
)
def test_literal_pairs(query: str, message_ids: tuple[str, ...]) -> None:
    """All reports, or those of some messages, separated by commas."""
    check(query, LOGIN, *message_ids)


def test_the_request_of_the_document(golden: Callable[[str], str]) -> None:
    """Byte for byte."""
    printed = golden("3.2-pull.url")
    assert encode_request(URL, LOGIN).url == printed
    assert decode_request(HttpRequest("GET", printed)) == PullRequest(LOGIN, ())


message_ids = st.text(characters, min_size=1).filter(
    lambda text: "," not in text and text == text.strip()
)


@given(st.builds(Credentials, st.text(characters), st.text(characters)), st.lists(message_ids))
def test_what_is_encoded_is_decoded(login: Credentials, ids: list[str]) -> None:
    """Any password, and any id without a comma or white space around it."""
    assert decode_request(encode_request(URL, login, ids)) == PullRequest(login, tuple(ids))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("USER=X&Password=x&messageid=a,b", PullRequest(LOGIN, ("a", "b"))),
        ("user=X&password=x&MESSAGEID=a,+,b,", PullRequest(LOGIN, ("a", "b"))),
        ("user=X&password=x&MessageId=", PullRequest(LOGIN, ())),
        ("", PullRequest(Credentials("", ""), ())),
    ],
)
def test_the_liberties_that_clients_take(query: str, expected: PullRequest) -> None:
    """Names in any case; commas to spare and white space do not make ids."""
    assert decode_request(HttpRequest("GET", f"/api/dlrpull?{query}")) == expected


@pytest.mark.parametrize("bad", ["", "a,b"])
def test_an_id_that_the_list_cannot_carry_is_refused(bad: str) -> None:
    """An empty one would ask for all, and one with a comma for two others."""
    with pytest.raises(LocalProtocolError) as caught:
        encode_request(URL, LOGIN, ["id-1", bad])
    assert (caught.value.field, caught.value.section) == ("message_ids", "3.2")
    assert caught.value.value == bad


def test_no_repr_shows_the_password() -> None:
    """Though the URL holds it."""
    request = encode_request(URL, Credentials("X", "marked"))
    assert "marked" in request.url
    assert "marked" not in f"{request!r} {decode_request(request)!r}"


# --- replies ---


def reply(body: str | bytes, status: int = 200) -> list[DeliveryReport | UnreadableRow]:
    """What a client reads from a reply."""
    return decode_reply(HttpReply(status, body.encode() if isinstance(body, str) else body))


def test_reports_both_ways() -> None:
    """The document is that of a push."""
    written = encode_reply([REPORT])
    assert (written.status, written.body) == (200, DOCUMENT)
    assert written.content_type == "text/xml; charset=utf-8"
    assert decode_reply(written) == [REPORT]


def test_nothing_to_report_both_ways() -> None:
    """It has a word of its own."""
    assert encode_reply(()) == HttpReply(200, b"NO_DATA")
    assert decode_reply(encode_reply(())) == []


@pytest.mark.parametrize(
    "body",
    ["NO_DATA", "no_data", " NO_DATA\r\n", "\ufeffNO_DATA", "", " \r\n", "<DeliveryReport/>"],
)
def test_nothing_to_report_is_an_empty_result(body: str) -> None:
    """However it is said."""
    assert reply(body) == []


def test_nothing_at_all_may_be_a_reply_that_was_cut() -> None:
    """Where nothing tells its end: the reports that it had are given once."""
    with pytest.raises(RemoteProtocolError, match="cut short") as caught:
        decode_reply(HttpReply(200, b" ", delimited=False))
    assert caught.value.raw == b" "
    assert decode_reply(HttpReply(200, b"NO_DATA", delimited=False)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" + DOCUMENT + b"\r\n",
        b"\xef\xbb\xbf" + DOCUMENT,
        b'<?xml version="1.0"?>' + DOCUMENT.replace(b"DeliveryReport", b"deliveryreport"),
        DOCUMENT.decode().encode("utf-16"),
    ],
)
def test_spellings_of_a_reply(body: bytes) -> None:
    """As with a push."""
    assert reply(body) == [REPORT]


def test_dates_are_in_the_zone_that_the_user_names() -> None:
    """Without one they are naive."""
    (report,) = decode_reply(HttpReply(200, DOCUMENT), zone=UTC)
    assert isinstance(report, DeliveryReport)
    assert report.done_at == datetime(2010, 8, 2, 9, tzinfo=UTC)


def test_a_row_that_cannot_be_read_is_set_aside() -> None:
    """A report is given once: its neighbours must not be lost with it."""
    body = DOCUMENT.replace(b"<message", b'<message id="2" /><message')
    aside, report = reply(body)
    assert isinstance(aside, UnreadableRow)
    assert aside.raw == '<message id="2" />'
    assert report == REPORT


CODES = [
    (5, "INVALID_USER_OR_PASS", AuthenticationError),
    (10, "MISSING_USERNAME", AuthenticationError),
    (11, "MISSING_PASS", AuthenticationError),
    (-5, "UNKNOWN", GatewayFailureError),
    (0, "UNKNOWN", GatewayFailureError),
    (999, "UNKNOWN", GatewayFailureError),
]


@pytest.mark.parametrize(("code", "name", "error"), CODES)
def test_return_values(code: int, name: str, error: type[GatewayRefusedError]) -> None:
    """Each of §3.2 has its own error; any other number is kept."""
    for answer in (encode_reply(code), HttpReply(200, f" {code}\r\n".encode())):
        with pytest.raises(GatewayRefusedError, match=f"refused the pull: {code} {name}") as caught:
            decode_reply(answer)
        assert type(caught.value) is error
        assert (caught.value.code, caught.value.name) == (code, name)
        assert caught.value.operation == "pull_reports"


@pytest.mark.parametrize(
    "body",
    [
        "ERROR",
        "NO DATA",
        "NO_DATA.",
        "1.5",
        "9" * 5000,
        "\u0665",
        "<!DOCTYPE html><html></html>",
        "<html><body>5</body></html>",
        "<RESPONSE><status>5</status></RESPONSE>",
        DOCUMENT[:-1],
        DOCUMENT + b"\x01",
    ],
)
def test_an_unreadable_reply(body: str | bytes) -> None:
    """Its octets may be the only copy of the reports, so the error has them all."""
    with pytest.raises(RemoteProtocolError) as caught:
        reply(body)
    assert caught.value.raw == (body.encode() if isinstance(body, str) else body)


def test_a_truncated_reply_is_unreadable() -> None:
    """Cut at any octet but before the first, where it says that there is nothing."""
    for cut in range(1, len(DOCUMENT)):
        with pytest.raises(RemoteProtocolError):
            reply(DOCUMENT[:cut])
    for cut in range(1, len("NO_DATA")):
        with pytest.raises(RemoteProtocolError):
            reply("NO_DATA"[:cut])


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_reply_with_another_http_status_is_not_read(status: int) -> None:
    """An empty one of them is not "nothing to report"."""
    with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}"):
        reply("", status)
