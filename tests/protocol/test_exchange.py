"""The transport vocabulary."""

import attrs
import pytest

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.protocol.exchange import (
    Credentials,
    Endpoints,
    HttpReply,
    HttpRequest,
    PushKind,
    RawPush,
)


def test_no_repr_shows_a_password_or_a_body() -> None:
    """The URL of a request is none of its repr either: three formats put the password there."""
    shown = (
        Credentials("user", "marked"),
        HttpRequest("POST", "https://h/?pass=marked", b"marked", "text/xml"),
        HttpReply(200, b"marked"),
    )
    assert [repr(value) for value in shown] == [
        "Credentials(username='user')",
        "HttpRequest(method='POST', content_type='text/xml')",
        "HttpReply(status=200, content_type='text/plain; charset=utf-8', delimited=True)",
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b" \r\nOK\r\n\t ", "OK"),
        (b"\xef\xbb\xbf OK", "OK"),
        ("é€".encode(), "é€"),
        (b" \xe9\n", "é"),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_the_text_of_a_reply(body: bytes, text: str) -> None:
    """Without white space and a byte order mark around it; octets that are no UTF-8 are Latin-1."""
    assert HttpReply(200, body).text() == text


@pytest.mark.parametrize(
    ("status", "successful"),
    [(100, False), (199, False), (200, True), (204, True), (299, True), (300, False), (500, False)],
)
def test_only_a_successful_reply_has_a_text(status: int, *, successful: bool) -> None:
    """The gateway answers 200 also for its errors (§2/1.3)."""
    reply = HttpReply(status, b"x")
    assert reply.successful is successful
    if successful:
        assert reply.text() == "x"
    else:
        with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}") as caught:
            reply.text()
        assert caught.value.raw == b"x"


def test_kinds_of_push_are_the_last_segments_of_their_urls() -> None:
    """And a push without query or body has none, nor has a request."""
    assert HttpRequest("GET", "/") == HttpRequest("GET", "/", b"", None)
    assert [kind.value for kind in PushKind] == ["dlr", "hlr", "inbound"]
    assert RawPush(PushKind.HLR_REPORTS) == RawPush(PushKind.HLR_REPORTS, "", b"", 0.0, {})


def test_a_push_with_a_trace_context_can_be_a_key() -> None:
    """As one without, and the same context makes equal pushes."""
    traced = [RawPush(PushKind.HLR_REPORTS, trace_context={"traceparent": "00"}) for _ in "ab"]
    assert len({*traced, RawPush(PushKind.HLR_REPORTS)}) == 2


# --- endpoints ---

PATHS = {
    "send_xml": "/AddOn/SMSService/XML/XMLInput.aspx",
    "send_get": "/Addon/SMSService/SendSMS.aspx",
    "command": "/Addon/SMSService/command.aspx",
    "dlr_pull": "/api/dlrpull",
    "hlr_query": "/api/hlr/query.aspx",
}
LATER_PATHS = {
    "send_xml": "/api/sendsms/xml",
    "send_get": "/api/sendsms/plain",
    "command": "/api/command",
    "dlr_pull": "/api/dlrpull",
    "hlr_query": "/api/hlr",
}


def test_the_documents_addresses_over_https() -> None:
    """Sending and commands at one host, reports and lookups at the other."""
    www, api = "https://www.infobip.com", "https://api.infobip.com"
    hosts = {"send_xml": www, "send_get": www, "command": www, "dlr_pull": api, "hlr_query": api}
    assert attrs.asdict(Endpoints()) == {name: hosts[name] + PATHS[name] for name in PATHS}


@pytest.mark.parametrize(
    ("base", "root"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://h/", "https://h"),
        ("https://h/sms/v1", "https://h/sms/v1"),
        ("https://h/sms//", "https://h/sms"),
    ],
)
def test_paths_under_one_base(base: str, root: str) -> None:
    """The document's or the later ones, whether the base ends in a slash or has a path itself."""
    expected = {name: root + path for name, path in PATHS.items()}
    assert attrs.asdict(Endpoints.at(base)) == expected
    expected = {name: root + path for name, path in LATER_PATHS.items()}
    assert attrs.asdict(Endpoints.later(base)) == expected


def test_the_later_addresses_have_a_host_of_their_own() -> None:
    """One for all."""
    assert Endpoints.later() == Endpoints.later("https://api.infobip.com")


@pytest.mark.parametrize(
    "base",
    [
        "https://h",
        "HTTPS://H:8443/x",
        "http://localhost",
        "http://LOCALHOST:1",
        "http://127.0.0.1:80",
        "http://127.9.9.9",
        "http://[::1]:8080",
    ],
)
def test_where_a_password_may_go(base: str) -> None:
    """Over https anywhere, over http within this machine."""
    Endpoints.at(base).check()


@pytest.mark.parametrize(
    "base",
    [
        "http://h",
        "http://10.0.0.1",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0",
        "http://[::2]",
    ],
)
def test_a_password_does_not_travel_in_clear(base: str) -> None:
    """Unless the user insists."""
    with pytest.raises(LocalProtocolError, match="in clear; use https, or allow_ins") as caught:
        Endpoints.at(base).check()
    assert (caught.value.field, caught.value.section) == ("send_xml", "2")
    Endpoints.at(base).check(allow_insecure=True)


@pytest.mark.parametrize(
    "base",
    [
        *("", "h", "127.0.0.1:8080", "ftp://h", "https://", "//h"),
        *("https://[::1", "https://[x]", "https://h:port", "https://h:99999", "https://h:0"),
        *("u:p@h:1", "socks5://h"),
    ],
)
def test_what_is_no_address_is_refused(base: str) -> None:
    """With one kind of error, whatever is wrong with it."""
    for make in (Endpoints.at, Endpoints.later):
        with pytest.raises(LocalProtocolError, match="not an http or https URL") as caught:
            make(base)
        assert caught.value.field == "base"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://h\r", "a blank or a control character"),
        ("https://h/\n", "a blank or a control character"),
        ("https://h /", "a blank or a control character"),
        ("https://\u200eh", "a blank or a control character"),
        ("https://u:p@h", "a user or a password"),
        ("https://@h", "a user or a password"),
        ("https://h?x=1", "a query or a fragment"),
        ("https://h/x#", "a query or a fragment"),
        ("https://user/x:pw@h", "an @ behind its host"),
    ],
)
def test_what_does_not_belong_into_an_address(url: str, why: str) -> None:
    """Is named, and the address is not repeated: it may hold a password."""
    for make in (Endpoints.at, lambda url: Endpoints(dlr_pull=url)):
        with pytest.raises(LocalProtocolError, match=why) as caught:
            make(url)
        assert url not in str(caught.value)
