"""SMS by XML POST."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

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
    NotEnoughCreditsError,
    RemoteProtocolError,
)
from infobip_async.models import Npi, Recipient, Submission, SubmissionType, Ton
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest
from infobip_async.protocol.send_xml import (
    MAX_RECIPIENTS,
    XmlReply,
    XmlRequest,
    decode_reply,
    decode_request,
    encode_reply,
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
        xml(f"{FRIEND}<text> &lt;&amp;&gt; &quot;'&amp;amp;]]&gt;+%2B% é€\U0001f600\t\n&#13;\n</text>", GSM),
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


# --- the fast writer against a plain one ---

carriable = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
texts = st.text(carriable | st.sampled_from("\r\n\t \"'<>&;%+#=]"), min_size=1)
unpadded = texts.map(lambda text: text.strip(" \t\r\n")).filter(bool)
message_ids = st.none() | st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"]).filter(str.isprintable), min_size=1
)
numbers = st.from_regex(r"[1-9][0-9]{0,19}", fullmatch=True)
recipient_lists = st.lists(
    st.builds(Recipient, numbers, message_ids),
    min_size=1,
    max_size=5,
    unique_by=lambda recipient: recipient.msisdn,
)
credentials = st.builds(Credentials, unpadded, unpadded)
octets = st.integers(0, 255)
senders = st.sampled_from(["Friend", "a<b>&\"c'", "+%20", "é€ \U0001f600", "12345678901234"])
addresses = {
    "source_addr_ton": st.none() | st.sampled_from(Ton),
    "source_addr_npi": st.none() | st.sampled_from(Npi),
    "dest_addr_ton": st.none() | st.sampled_from(Ton),
    "dest_addr_npi": st.none() | st.sampled_from(Npi),
}
submissions = st.builds(
    Submission,
    sender=senders,
    text=texts,
    flash=st.booleans(),
    type=st.none() | st.sampled_from(SubmissionType),
    url=st.none() | unpadded,
    data_coding=octets,
    esm_class=octets,
    **addresses,
) | st.builds(
    Submission,
    sender=senders,
    binary=st.binary(min_size=1),
    data_coding=octets,
    esm_class=octets,
    **addresses,
)


def element(name: str, value: object, attributes: str = "") -> str:
    """One element, escaped by the standard library; a carriage return would not survive bare."""
    text = escape(str(value), {'"': "&quot;", "\r": "&#13;"})
    return f"<{name}{attributes}>{text}</{name}>"


def plain(login: Credentials, message: Submission, recipients: Sequence[Recipient]) -> bytes:
    """The request, written in the plainest way."""
    parts = [element("sender", message.sender)]
    if message.text is not None:
        parts.append(element("text", message.text))
    if message.flash:
        parts.append(element("flash", 1))
    if message.type:
        parts.append(element("type", message.type.value))
    if message.url is not None:
        parts.append(element("bookmark", message.url))
    if message.binary is not None:
        parts.append(element("binary", message.binary.hex().upper()))
    if message.data_coding:
        parts.append(element("datacoding", message.data_coding))
    if message.esm_class:
        parts.append(element("esmclass", message.esm_class))
    for name, value in (
        ("srcton", message.source_addr_ton),
        ("srcnpi", message.source_addr_npi),
        ("destton", message.dest_addr_ton),
        ("destnpi", message.dest_addr_npi),
    ):
        if value is not None:
            parts.append(element(name, int(value)))
    numbers = []
    for recipient in recipients:
        named = escape(recipient.message_id or "", {'"': "&quot;"})
        numbers.append(
            element("gsm", recipient.msisdn, f' messageId="{named}"' if named else "")
        )
    username, password = element("username", login.username), element("password", login.password)
    document = (
        f"<SMS><authentification>{username}{password}</authentification>"
        f"<message>{''.join(parts)}</message><recipients>{''.join(numbers)}</recipients></SMS>"
    )
    return b"XML=" + quote_plus(document).encode()


@given(credentials, submissions, recipient_lists)
def test_the_fast_writer_writes_what_a_plain_one_does(
    login: Credentials, message: Submission, recipients: list[Recipient]
) -> None:
    """Whatever the characters, the bytes are those of `quote_plus` over the escaped XML."""
    assert encode(message, recipients, login) == plain(login, message, recipients)


@given(credentials, submissions, recipient_lists)
def test_what_is_encoded_is_decoded(
    login: Credentials, message: Submission, recipients: list[Recipient]
) -> None:
    """Texts with any character that XML can carry arrive as they were."""
    expected = XmlRequest(login, message, tuple(recipients))
    assert decode(encode(message, recipients, login)) == expected


@pytest.mark.parametrize("octet", range(0x20, 0x7F))
def test_every_special_character_in_a_password_survives(octet: int) -> None:
    """Between others; white space around a value counts as padding (§2/1)."""
    login = Credentials("user", f"a{chr(octet)}b")
    assert decode(encode(credentials=login)).credentials == login


# --- the forms of a body that a gateway takes ---

DOCUMENT = xml(f"{FRIEND}<text>a+b %41 &amp; c=d&amp;e</text>", GSM).encode()
READ = XmlRequest(LOGIN, Submission(sender="Friend", text="a+b %41 & c=d&e"), ONE)
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
BODIES = {
    "XML= and encoded": b"XML=" + quote_plus(DOCUMENT).encode(),
    "xml= and encoded": b"xml=" + quote_plus(DOCUMENT).encode(),
    "encoded with %20": b"XML=" + quote(DOCUMENT, safe="").encode(),
    "encoded, white space around": b"XML= \r\n" + quote_plus(DOCUMENT).encode() + b"\r\n",
    "encoded white space around": b"XML=" + quote_plus(b"\r\n " + DOCUMENT + b"\n").encode(),
    "encoded with a byte order mark": b"XML=%EF%BB%BF" + quote_plus(DOCUMENT).encode(),
    "encoded without XML=": quote_plus(DOCUMENT).encode(),
    "encoded with a declaration": b"XML=" + quote_plus(DECLARATION + DOCUMENT).encode(),
    "XML= and raw": b"XML=" + DOCUMENT,
    "XML=, white space, raw": b"XML=\r\n  " + DOCUMENT + b"\r\n",
    "XML= and raw with a declaration": b"XML=" + DECLARATION + DOCUMENT,
    "raw": DOCUMENT,
    "raw, white space around": b"\r\n\t " + DOCUMENT + b"\r\n",
    "raw with a declaration": DECLARATION + DOCUMENT,
    "raw with a byte order mark": b"\xef\xbb\xbf" + DOCUMENT,
    "XML= and a byte order mark": b"XML=\xef\xbb\xbf" + DOCUMENT,
    "raw UTF-16": DOCUMENT.decode().encode("utf-16"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_form_of_a_body_is_taken(body: bytes) -> None:
    """A raw document is not percent-decoded, and none is split at an ampersand."""
    assert decode(body) == READ


def test_a_document_in_another_encoding_is_read_by_its_declaration() -> None:
    """Encoded or raw."""
    document = '<?xml version="1.0" encoding="ISO-8859-1"?>' + xml(f"{FRIEND}<text>é</text>", GSM)
    for body in (document.encode("latin-1"), quote_plus(document.encode("latin-1")).encode()):
        assert decode(b"XML=" + body).submission.text == "é"


LIBERTIES = {
    "another order": (
        "<SMS><recipients><gsm>1</gsm></recipients><message><text>Hi</text><sender>F</sender>"
        "</message><authentification><password>p</password><username>u</username>"
        "</authentification></SMS>"
    ),
    "authentication": (
        "<SMS><authentication><username>u</username><password>p</password></authentication>"
        "<message><sender>F</sender><text>Hi</text></message>"
        "<recipients><gsm>1</gsm></recipients></SMS>"
    ),
    "capitals": (
        "<sms><Authentification><UserName>u</UserName><PASSWORD>p</PASSWORD></Authentification>"
        "<Message><Sender>F</Sender><Text>Hi</Text></Message>"
        "<RECIPIENTS><GSM>1</GSM></RECIPIENTS></sms>"
    ),
    "padding": (
        "\n<SMS>\n <authentification>\n  <username> u\n</username>\n  <password>\tp </password>\n"
        " </authentification>\n <message>\n  <sender> F </sender>\n  <text>Hi</text>\n"
        "  <flash> 0 </flash>\n </message>\n <recipients>\n  <gsm>\n1\n</gsm>\n </recipients>\n"
        "</SMS>\n"
    ),
    "empty and unknown elements": (
        "<SMS><authentification><username>u</username><password>p</password><token/>"
        "</authentification><message><colour>red</colour><sender>F</sender><text>Hi</text>"
        "<flash/><type></type><bookmark/><binary/><datacoding/><esmclass/><srcton/><srcnpi/>"
        "<destton/><destnpi/></message><campaign>x</campaign>"
        '<recipients><to>2</to><gsm messageId="">1</gsm></recipients></SMS>'
    ),
}


@pytest.mark.parametrize("document", LIBERTIES.values(), ids=LIBERTIES)
def test_the_liberties_that_clients_take(document: str) -> None:
    """Order, case, padding, an alias, and elements that are empty or unknown do not matter."""
    assert decode(document.encode()) == XmlRequest(
        Credentials("u", "p"), Submission(sender="F", text="Hi"), (Recipient("1"),)
    )


@pytest.mark.parametrize("name", ["bookmark", "wapurl", "WapUrl"])
def test_a_bookmark_has_two_names(name: str) -> None:
    """The template says one, the table of parameters another (§2/1.1, §2/1.2)."""
    document = xml(f"<type>Bookmark</type><{name}> a.b </{name}>", "")
    message = Submission(sender="", type=SubmissionType.BOOKMARK, url="a.b")
    assert decode(document.encode()) == XmlRequest(LOGIN, message, ())


def test_capitals_in_parameters_and_attributes() -> None:
    """Such as ``<Srcton>`` and ``messageid``."""
    document = xml("<Srcton>5</Srcton><DataCoding>8</DataCoding>", '<GSM MESSAGEID="x">1</GSM>')
    assert decode(document.encode()) == XmlRequest(
        LOGIN,
        Submission(sender="", data_coding=8, source_addr_ton=Ton.ALPHANUMERIC),
        (Recipient("1", "x"),),
    )


def test_the_text_alone_is_not_trimmed() -> None:
    """White space around it is what the user wrote."""
    assert decode(xml("<text> a\n</text>", "").encode()).submission.text == " a\n"


def test_other_white_space_than_that_of_xml_is_no_padding() -> None:
    """A no-break space may be a part of a password."""
    document = xml("", "").replace("pass<", "\xa0pass\u2003<").encode()
    assert decode(document).credentials.password == "\xa0pass\u2003"


def test_an_element_counts_where_the_format_has_it() -> None:
    """A login among the recipients is none, nor is a number in the message."""
    document = "<SMS><message><gsm>1</gsm></message><recipients><username>u</username></recipients></SMS>"
    assert decode(document.encode()) == XmlRequest(Credentials("", ""), Submission(sender=""), ())


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


# --- what a gateway cannot read ---


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not readable XML"),
        (b"XML=", "not readable XML"),
        (b"XML=hello", "not readable XML"),
        (b"<SMS>", "not readable XML"),
        (b"<SMS/>&b=1", "not readable XML"),
        (b"XML=%3CSMS%2F%3E&b=1", "not readable XML"),
        (b"<SMS>\x00</SMS>", "not readable XML"),
        (b"<RESPONSE/>", "the root is not <SMS>"),
        (b"<html><SMS></SMS></html>", "the root is not <SMS>"),
        (b"<!DOCTYPE SMS><SMS/>", "such XML is not read"),
        (b"<SMS><message><text><b>Hi</b></text></message></SMS>", "more than 3 levels"),
        (xml("<binary>4</binary>", "").encode(), "unreadable value: "),
        (xml("<flash>yes</flash>", "").encode(), "unreadable value: flash"),
        (xml("<srcton>7</srcton>", "").encode(), "unreadable value: 7"),
    ],
)
def test_an_unreadable_request(body: bytes, reason: str) -> None:
    """It is refused in one way, and the password in it is not repeated."""
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode(body)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert "pass" not in repr(caught.value)


@pytest.mark.parametrize("cut", range(len(DOCUMENT)))
def test_a_truncated_request_is_no_request(cut: int) -> None:
    """At no octet does a part of it make sense."""
    with pytest.raises(RemoteProtocolError):
        decode(b"XML=" + DOCUMENT[:cut])


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


# --- replies ---


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
    assert (written.status, written.body) == (200, wire)


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
    "other digits": "<RESPONSE><status>٣</status></RESPONSE>",
    "a status outside": "<status>1</status>",
    "another root": "<SMS><status>1</status></SMS>",
    "something behind": "<RESPONSE><status>1</status></RESPONSE><html>",
    "something before": "OK<RESPONSE><status>1</status></RESPONSE>",
    "UTF-16": "<RESPONSE><status>1</status></RESPONSE>".encode("utf-16"),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_reply(body: str | bytes) -> None:
    """It proves neither that the message was sent nor that it was not."""
    with pytest.raises(RemoteProtocolError) as caught:
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
    """The patterns that read it do not go back and forth over a megabyte."""
    for filling in ("</response ", "</response>.", "<status>1", "<credits>1 ", " ", "<?xml ", "."):
        many = filling * (1_000_000 // len(filling))
        for end in ("", "</RESPONSE>", "</RESPONSE>!"):
            with pytest.raises(RemoteProtocolError):
                reply(f"<RESPONSE>{many}{end}")
