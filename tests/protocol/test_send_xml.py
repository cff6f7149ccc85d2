"""SMS by XML POST: what a client sends."""

from collections.abc import Callable, Sequence
from urllib.parse import quote_plus

import pytest

from infobip_async.errors import (
    LocalProtocolError,
)
from infobip_async.models.messages import Npi, Recipient, Submission, SubmissionType, Ton
from infobip_async.protocol.exchange import Credentials, HttpRequest
from infobip_async.protocol.send_xml import (
    MAX_RECIPIENTS,
    XmlRequest,
    decode_request,
    encode_request,
)

URL = "https://gateway.example/xml"
LOGIN = Credentials("user", "pass")
HELLO = Submission(sender="Friend", text="Hello")
ONE = (Recipient("38598514674"),)


def encode(
    message: Submission = HELLO,
    recipients: Sequence[Recipient] = ONE,
    credentials: Credentials = LOGIN,
) -> bytes:
    """The body of the request."""
    return encode_request(URL, credentials, message, recipients).body


def decode(body: bytes) -> XmlRequest:
    """The body as a gateway reads it."""
    return decode_request(HttpRequest("POST", "/xml", body))


def xml(message: str, recipients: str) -> str:
    """A document with the test's own login around what is given."""
    return (
        "<SMS><authentification><username>user</username><password>pass</password>"
        f"</authentification><message>{message}</message><recipients>{recipients}</recipients></SMS>"
    )


def check(document: str, message: Submission, recipients: tuple[Recipient, ...]) -> None:
    """The request is this document, encoded behind ``XML=``, and is read from it."""
    body = b"XML=" + quote_plus(document).encode()
    assert encode(message, recipients) == body
    assert decode(body) == XmlRequest(LOGIN, message, recipients)


FRIEND = "<sender>Friend</sender>"
GSM = "<gsm>38598514674</gsm>"
PAIRS = {
    "plain": (
        xml(f"{FRIEND}<text>Hello</text>", "<gsm>38598514674</gsm><gsm>41793026727</gsm>"),
        HELLO,
        (Recipient("38598514674"), Recipient("41793026727")),
    ),
    "registered": (
        xml(
            f"{FRIEND}<text>Hello</text>",
            '<gsm messageId="clientmsgID1">38598514674</gsm>'
            '<gsm messageId="clientmsgID2">41793026727</gsm>',
        ),
        HELLO,
        (Recipient("38598514674", "clientmsgID1"), Recipient("41793026727", "clientmsgID2")),
    ),
    "registered in part": (
        xml(f"{FRIEND}<text>Hello</text>", f'{GSM}<gsm messageId="7">41793026727</gsm>'),
        HELLO,
        (Recipient("38598514674"), Recipient("41793026727", "7")),
    ),
    "ids to escape": (
        xml(f"{FRIEND}<text>Hello</text>", '<gsm messageId="a &lt;&amp;&quot;+%41é">1</gsm>'),
        HELLO,
        (Recipient("1", 'a <&"+%41é'),),
    ),
    "text to escape": (
        xml(
            f"{FRIEND}<text> &lt;&amp;&gt; &quot;'&amp;amp;]]&gt;+%2B% "
            "é€\U0001f600\t\n&#13;\n</text>",
            GSM,
        ),
        Submission(sender="Friend", text=" <&> \"'&amp;]]>+%2B% é€\U0001f600\t\n\r\n"),
        ONE,
    ),
    "every parameter of a text": (
        xml(
            f"{FRIEND}<text>Hello</text><flash>1</flash><type>longSMS</type>"
            "<srcton>5</srcton><srcnpi>0</srcnpi><destton>1</destton><destnpi>1</destnpi>",
            GSM,
        ),
        Submission(
            sender="Friend",
            text="Hello",
            flash=True,
            type=SubmissionType.LONG,
            source_addr_ton=Ton.ALPHANUMERIC,
            source_addr_npi=Npi.UNKNOWN,
            dest_addr_ton=Ton.INTERNATIONAL,
            dest_addr_npi=Npi.ISDN,
        ),
        ONE,
    ),
    "bookmark": (
        xml(
            f"{FRIEND}<text>Look</text><type>bookmark</type>"
            "<bookmark>www.infobiiip.com/something.jpg?a=1&amp;b=2</bookmark>",
            GSM,
        ),
        Submission(
            sender="Friend",
            text="Look",
            type=SubmissionType.BOOKMARK,
            url="www.infobiiip.com/something.jpg?a=1&b=2",
        ),
        ONE,
    ),
    "binary": (
        xml(f"{FRIEND}<binary>410A0D4243</binary>", GSM),
        Submission(sender="Friend", binary=b"A\n\rBC"),
        ONE,
    ),
    "binary Unicode with a header": (
        xml(
            f"{FRIEND}<binary>05000301020120AC</binary>"
            "<datacoding>8</datacoding><esmclass>64</esmclass>",
            GSM,
        ),
        Submission(
            sender="Friend",
            binary=bytes.fromhex("05000301020120AC"),
            data_coding=8,
            esm_class=64,
        ),
        ONE,
    ),
    "text Unicode": (
        xml(f"{FRIEND}<text>Привет</text><datacoding>8</datacoding>", GSM),
        Submission(sender="Friend", text="Привет", data_coding=8),
        ONE,
    ),
}


@pytest.mark.parametrize(("document", "message", "recipients"), PAIRS.values(), ids=PAIRS)
def test_literal_pairs(
    document: str, message: Submission, recipients: tuple[Recipient, ...]
) -> None:
    """Each feature of §2/1.1 and §2/1.2, byte for byte."""
    check(document, message, recipients)


def test_the_request_is_a_form_post() -> None:
    """The password is in the body, and in no URL."""
    request = encode_request(URL, LOGIN, HELLO, ONE)
    assert (request.method, request.url) == ("POST", URL)
    assert request.content_type == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("name", ["2-1.1-plain.xml", "2-1.1-registered.xml"])
def test_the_templates_of_the_document(golden: Callable[[str], str], name: str) -> None:
    """Empty as they are printed, they give four recipients and nothing else."""
    ids = ["clientmsgID1", "clientmsgID2", "clientmsgID3", "clientmsgID4"]
    read = decode(b"XML=" + golden(name).encode())
    assert read.credentials == Credentials("", "")
    assert read.submission == Submission(sender="")
    assert read.recipients == tuple(
        Recipient("", message_id if "registered" in name else None) for message_id in ids
    )


@pytest.mark.parametrize("name", ["2-1.1-plain.xml", "2-1.1-registered.xml"])
def test_the_templates_of_the_document_filled_in(golden: Callable[[str], str], name: str) -> None:
    """What is written has the elements of the template, in its order and under its names."""
    registered = "registered" in name
    recipients = [
        Recipient(str(number), f"clientmsgID{number}" if registered else None)
        for number in range(1, 5)
    ]
    document = "".join(golden(name).split("\n"))
    for field, value in {
        "username": "user",
        "password": "pass",
        "sender": "Friend",
        "text": "Hello",
        "flash": "1",
        "type": "bookmark",
        "bookmark": "a.b",
        "datacoding": "8",
        "esmclass": "64",
        "srcton": "5",
        "srcnpi": "0",
        "destton": "1",
        "destnpi": "1",
    }.items():
        document = document.replace(f"<{field}></", f"<{field}>{value}</")
    document = document.replace("<binary></binary>", "")  # cannot be used together with text
    for recipient in recipients:
        document = document.replace("></gsm>", f">{recipient.msisdn}</gsm>", 1)
    message = Submission(
        sender="Friend",
        text="Hello",
        flash=True,
        type=SubmissionType.BOOKMARK,
        url="a.b",
        data_coding=8,
        esm_class=64,
        source_addr_ton=Ton.ALPHANUMERIC,
        source_addr_npi=Npi.UNKNOWN,
        dest_addr_ton=Ton.INTERNATIONAL,
        dest_addr_npi=Npi.ISDN,
    )
    check(document, message, tuple(recipients))


# --- mistakes of the caller ---


@pytest.mark.parametrize(
    ("message", "recipients", "field", "section", "text"),
    [
        (HELLO, [], "recipients", "2/1.2", "no destination"),
        (HELLO, [Recipient("")], "recipients", "2/1.2", "empty"),
        (HELLO, [Recipient("+38598514674")], "recipients", "2/1.2", "leading"),
        (HELLO, [Recipient("0038598514674")], "recipients", "2/1.2", "leading"),
        (HELLO, [Recipient("098514674")], "recipients", "2/1.2", "leading 0"),
        (HELLO, [Recipient("385 98")], "recipients", "2/1.2", "digits"),
        (HELLO, [Recipient("1;2")], "recipients", "2/1.2", "digits"),
        (HELLO, [Recipient("1"), Recipient("<2")], "recipients", "2/1.2", "number 2"),
        (HELLO, [Recipient("1", "a"), Recipient("1", "b")], "recipients", "2/1", "at 1 and at 2"),
        (HELLO, [Recipient("1", "a\nb")], "message_id", "2/1.1", "not printable"),
        (HELLO, [Recipient("1", "\ud800")], "message_id", "2/1.1", "not printable"),
        (Submission(sender="", text="Hi"), ONE, "sender", "2/1.2", "empty"),
        (Submission(sender="twelve chars", text="Hi"), ONE, "sender", "2/1.2", "12 characters"),
        (Submission(sender="1" * 15, text="Hi"), ONE, "sender", "2/1.2", "15 digits"),
        (Submission(sender="a", text="b", binary=b"c"), ONE, "text", "2/1.2", "not both"),
        (Submission(sender="a", text="ab\x00"), ONE, "text", "2/1.1", "U+0000"),
        (Submission(sender="a", text="\x0c"), ONE, "text", "2/1.1", "position 0"),
        (Submission(sender="a", text="a\uffff"), ONE, "text", "2/1.1", "U+FFFF"),
        (Submission(sender="a", text="a\ud83d"), ONE, "text", "2/1.1", "U+D83D"),
        (Submission(sender="a", text="b", url="\x1b"), ONE, "url", "2/1.1", "U+001B"),
    ],
)
def test_mistakes_of_the_caller(
    message: Submission, recipients: list[Recipient], field: str, section: str, text: str
) -> None:
    """Each names the field, what is wrong with the value, and the rule's section."""
    with pytest.raises(LocalProtocolError) as caught:
        encode(message, recipients)
    assert (caught.value.field, caught.value.section) == (field, section)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("character", "named"),
    [
        ("\x07", "control character U+0007"),
        ("\udc80", "lone surrogate U+DC80"),
        ("\ufffe", "noncharacter U+FFFE"),
    ],
)
def test_a_character_that_xml_cannot_carry_is_named(character: str, named: str) -> None:
    """With its place: a text of 5,000 characters is hard to search."""
    with pytest.raises(LocalProtocolError) as caught:
        encode(Submission(sender="a", text=f"Hi {character}"))
    assert str(caught.value) == f"text: XML cannot carry the {named} at position 3 (§2/1.1)"


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_login_that_xml_cannot_carry_is_refused_without_showing_it(field: str) -> None:
    """The place and the character that no password has say enough."""
    login = Credentials(**{"username": "u", "password": "p", field: "marked\x07secret"})
    with pytest.raises(LocalProtocolError) as caught:
        encode(credentials=login)
    assert (caught.value.field, caught.value.section) == (field, "2/1.1")
    assert "marked" not in f"{caught.value!r} {caught.value}"
    assert "secret" not in f"{caught.value!r} {caught.value}"


def test_a_request_has_at_most_ten_thousand_recipients() -> None:
    """One more is refused, before anything is sent."""
    recipients = [Recipient(str(number)) for number in range(1, MAX_RECIPIENTS + 2)]
    assert encode(HELLO, recipients[:-1]).count(b"%3Cgsm%3E") == MAX_RECIPIENTS
    with pytest.raises(LocalProtocolError, match="10001 in one request") as caught:
        encode(HELLO, recipients)
    assert (caught.value.field, caught.value.section) == ("recipients", "2/1.1")


def test_no_repr_shows_the_password() -> None:
    """Neither of what is sent nor of what is read."""
    login = Credentials("user", "marked-secret")
    request = encode_request(URL, login, HELLO, ONE)
    assert b"marked-secret" in request.body
    assert "marked-secret" not in f"{login!r} {request!r} {decode_request(request)!r}"
