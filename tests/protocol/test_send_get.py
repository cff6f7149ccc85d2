"""SMS by GET."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    GatewayRefusedError,
    InvalidDestinationError,
    InvalidRequestError,
    LocalProtocolError,
    NetworkNotCoveredError,
    NotEnoughCreditsError,
    RemoteProtocolError,
)
from infobip_async.models.messages import Npi, Submission, SubmissionType, Ton
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest
from infobip_async.protocol.send_get import (
    GetRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

URL = "http://www.infobip.com/Addon/SMSService/SendSMS.aspx"
LOGIN = Credentials("xxx", "xxxx")
NUMBER = "38598514674"
HELLO = Submission(sender="Friend", text="messagetext")


def check(query: str, message: Submission) -> None:
    """The request has this query, and is read from it."""
    request = encode_request(URL, LOGIN, message, NUMBER)
    assert request == HttpRequest("GET", f"{URL}?user=xxx&password=xxxx&sender=Friend&{query}")
    assert decode_request(request) == GetRequest(LOGIN, message, NUMBER)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SMSText=messagetext&GSM=38598514674", HELLO),
        (
            "SMSText=a+%2B+%2541%26%3D%23%3B%C3%A9%E2%82%AC%0D%0A&GSM=38598514674",
            Submission(sender="Friend", text="a + %41&=#;é€\r\n"),
        ),
        (
            "SMSText=Hi&IsFlash=1&Type=LongSMS&GSM=38598514674",
            Submission(sender="Friend", text="Hi", flash=True, type=SubmissionType.LONG),
        ),
        (
            "SMSText=Hi&Type=bookmark&Bookmark=a.b%2Fc%3Fd%3D1%26e&GSM=38598514674",
            Submission(sender="Friend", text="Hi", type=SubmissionType.BOOKMARK, url="a.b/c?d=1&e"),
        ),
        ("SMSText=longSMS&GSM=38598514674", Submission(sender="Friend", text="longSMS")),
        ("binary=41424344&GSM=38598514674", Submission(sender="Friend", binary=b"ABCD")),
        (
            "binary=0041&DataCoding=8&Esmclass=64&GSM=38598514674",
            Submission(sender="Friend", binary=b"\x00A", data_coding=8, esm_class=64),
        ),
        (
            "SMSText=Hi&Srcton=5&Srcnpi=0&Destton=1&Destnpi=18&GSM=38598514674",
            Submission(
                sender="Friend",
                text="Hi",
                source_addr_ton=Ton.ALPHANUMERIC,
                source_addr_npi=Npi.UNKNOWN,
                dest_addr_ton=Ton.INTERNATIONAL,
                dest_addr_npi=Npi.WAP_CLIENT_ID,
            ),
        ),
    ],
)
def test_literal_pairs(query: str, message: Submission) -> None:
    """Each parameter of §2/2 under the name that the table gives it."""
    check(query, message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2-2-text.url", HELLO),
        ("2-2-binary.url", Submission(sender="Friend", binary=b"ABCD")),
        (
            "2-2-udh.url",
            Submission(sender="Friend", binary=bytes.fromhex("06050400010241424344"), esm_class=64),
        ),
    ],
)
def test_the_requests_of_the_document(
    golden: Callable[[str], str], name: str, message: Submission
) -> None:
    """Read as they are printed; written with the same parameters, defaults left out."""
    printed = golden(name)
    assert decode_request(HttpRequest("GET", printed)) == GetRequest(LOGIN, message, NUMBER)
    url, _, query = encode_request(URL, LOGIN, message, NUMBER).url.partition("?")
    printed_url, _, printed_query = printed.replace("&IsFlash=0", "").partition("?")
    assert url == printed_url
    assert sorted(query.lower().split("&")) == sorted(printed_query.lower().split("&"))


characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, min_size=1)
octets = st.integers(0, 255)
submissions = st.builds(
    Submission,
    sender=st.sampled_from(["Friend", "a&b=c+%20", "é€\U0001f600", " x ", "12345678901234"]),
    text=texts,
    flash=st.booleans(),
    type=st.none() | st.sampled_from(SubmissionType),
    url=st.none() | texts,
    data_coding=octets,
    esm_class=octets,
    source_addr_ton=st.none() | st.sampled_from(Ton),
    source_addr_npi=st.none() | st.sampled_from(Npi),
    dest_addr_ton=st.none() | st.sampled_from(Ton),
    dest_addr_npi=st.none() | st.sampled_from(Npi),
) | st.builds(Submission, sender=st.just("1"), binary=st.binary(min_size=1), data_coding=octets)


@given(
    st.builds(Credentials, st.text(characters), st.text(characters)),
    submissions,
    st.from_regex(r"[1-9][0-9]{0,19}", fullmatch=True),
)
def test_what_is_encoded_is_decoded(login: Credentials, message: Submission, msisdn: str) -> None:
    """Any text and any password, white space around them included."""
    request = encode_request(URL, login, message, msisdn)
    assert decode_request(request) == GetRequest(login, message, msisdn)


@pytest.mark.parametrize(
    "query",
    [
        "USER=xxx&Password=xxxx&SENDER=Friend&smstext=messagetext&isflash=0&gsm=38598514674",
        "GSM=+38598514674+&SMSText=messagetext&sender=Friend&password=xxxx&user=xxx",
        (
            "user=xxx&password=xxxx&sender=Friend&SMSText=messagetext&IsFlash=false"
            "&GSM=38598514674&Type=&Bookmark=&DataCoding=&Esmclass=&Binary=&Srcton=&Srcnpi="
            "&Destton=&Destnpi=&x=y"
        ),
        "user=xxx&password=xxxx&sender=Friend&SMSText=messagetext&GSM=38598514674&text=a&flash=1",
    ],
)
def test_the_liberties_that_clients_take(query: str) -> None:
    """Names in any case and order, empty parameters, and parameters of the other format."""
    request = HttpRequest("GET", f"/Addon/SMSService/SendSMS.aspx?{query}")
    assert decode_request(request) == GetRequest(LOGIN, HELLO, NUMBER)


def test_a_request_without_parameters() -> None:
    """What was not given is empty; a gateway has a return value for each."""
    empty = GetRequest(Credentials("", ""), Submission(sender=""), "")
    assert decode_request(HttpRequest("GET", "/SendSMS.aspx")) == empty


@pytest.mark.parametrize("query", ["IsFlash=2", "Binary=4", "DataCoding=256", "Srcton=7"])
def test_a_request_with_an_unreadable_value(query: str) -> None:
    """The login is judged before."""
    asked = decode_request(HttpRequest("GET", f"/SendSMS.aspx?user=u&password=p&{query}"))
    assert asked == GetRequest(Credentials("u", "p"), None, "")


@pytest.mark.parametrize(
    ("message", "msisdn", "field"),
    [
        (HELLO, "", "recipients"),
        (HELLO, "+38598514674", "recipients"),
        (HELLO, "0038598514674", "recipients"),
        (HELLO, "1,2", "recipients"),
        (Submission(sender="", text="Hi"), NUMBER, "sender"),
        (Submission(sender="twelve chars", text="Hi"), NUMBER, "sender"),
        (Submission(sender="a"), NUMBER, "text"),
        (Submission(sender="a", text="b", binary=b"c"), NUMBER, "text"),
    ],
)
def test_mistakes_of_the_caller(message: Submission, msisdn: str, field: str) -> None:
    """Each names the field and the rule's section."""
    with pytest.raises(LocalProtocolError) as caught:
        encode_request(URL, LOGIN, message, msisdn)
    assert (caught.value.field, caught.value.section) == (field, "2/1.2")


def test_no_repr_shows_the_password() -> None:
    """Though the URL holds it."""
    request = encode_request(URL, Credentials("user", "marked"), HELLO, NUMBER)
    assert "marked" in request.url
    assert "marked" not in f"{request!r} {decode_request(request)!r}"


# --- replies ---


def reply(body: str, status: int = 200) -> str:
    """What a client reads from a reply."""
    return decode_reply(HttpReply(status, body.encode()))


@pytest.mark.parametrize("value", ["1", "020711151112345678", "9" * 40, "121c0a6b752-1-92"])
def test_an_id_is_an_opaque_string(value: str) -> None:
    """Leading zeros stay, and no length is too long."""
    assert encode_reply(value) == HttpReply(200, value.encode())
    assert reply(value) == value
    assert reply(f"\ufeff {value}\r\n") == value


CODES = [
    (-1, "SEND_ERROR", GatewayFailureError),
    (-2, "NOT_ENOUGHCREDITS", NotEnoughCreditsError),
    (-3, "NETWORK_NOTCOVERED", NetworkNotCoveredError),
    (-4, "SOCKET_EXCEPTION", GatewayFailureError),
    (-5, "INVALID_USER_OR_PASS", AuthenticationError),
    (-6, "MISSING_DESTINATION_ADDRESS", InvalidDestinationError),
    (-7, "MISSING_SMSTEXT", InvalidRequestError),
    (-8, "MISSING_SENDERNAME", InvalidRequestError),
    (-9, "DESTADDR_INVALIDFORMAT", InvalidDestinationError),
    (-10, "MISSING_USERNAME", AuthenticationError),
    (-11, "MISSING_PASS", AuthenticationError),
    (-12, "UNKNOWN", GatewayFailureError),
    (-13, "INVALID_DESTINATION_ADDRESS", InvalidDestinationError),
    (-99, "UNKNOWN", GatewayFailureError),
    (0, "UNKNOWN", GatewayFailureError),
]


@pytest.mark.parametrize(("code", "name", "error"), CODES)
def test_return_values(code: int, name: str, error: type[GatewayRefusedError]) -> None:
    """Each of §2/2 has its own error; one that the document does not list is kept."""
    with pytest.raises(GatewayRefusedError, match=f"refused the message: {code} {name}") as caught:
        decode_reply(encode_reply(code))
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.name) == (code, name)
    assert caught.value.operation == "send_one"


@pytest.mark.parametrize("body", ["0", "00", " 0\r\n", "-0", "0" * 4301])
def test_nothing_but_zeros_is_no_id(body: str) -> None:
    """An id is above 0 (§2/2)."""
    with pytest.raises(GatewayFailureError) as caught:
        reply(body)
    assert caught.value.code == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        " \r\n",
        "OK",
        "ERROR",
        "UNKNOWN_COMMAND",
        "Service Unavailable",
        "<!DOCTYPE html><html><body>1</body></html>",
        "<RESPONSE><status>1</status></RESPONSE>",
        "-",
        "- 5",
        "-1.5",
        "Error500",
        "ERR:12345",
        "0.5",
        "5-",
        "\u22125",
        "+5",
        "1 2",
        "1\n2",
        "1,2",
        "\u0663",
        "1\x00",
    ],
)
def test_an_unreadable_reply(body: str) -> None:
    """A word is no id: it proves neither that the message was sent nor that it was not."""
    with pytest.raises(RemoteProtocolError, match="no readable return value") as caught:
        reply(body)
    assert caught.value.raw == body.encode()


@pytest.mark.parametrize("cut", ["", "0", "00"])
def test_an_id_that_was_cut_is_no_refusal(cut: str) -> None:
    """Ids begin with 0; where nothing tells the end of the reply, the rest may be missing."""
    with pytest.raises(RemoteProtocolError, match="an id may have been cut short") as caught:
        decode_reply(HttpReply(200, cut.encode(), delimited=False))
    assert caught.value.raw == cut.encode()
    assert decode_reply(HttpReply(200, b"020711151112345678", delimited=False))


@pytest.mark.parametrize("status", [302, 307, 404, 500, 503])
def test_a_reply_with_another_http_status_is_not_read(status: int) -> None:
    """The gateway answers 200 also for its errors."""
    with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}"):
        reply("020711151112345678", status)
