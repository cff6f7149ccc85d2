"""SMS by XML POST: what a gateway reads, in all the forms that clients use."""

from urllib.parse import quote, quote_plus

import pytest

from infobip_async.errors import (
    RemoteProtocolError,
)
from infobip_async.models.messages import Recipient, Submission, SubmissionType, Ton
from infobip_async.protocol.exchange import Credentials, HttpRequest
from infobip_async.protocol.send_xml import (
    XmlRequest,
    decode_request,
)

LOGIN = Credentials("user", "pass")
FRIEND = "<sender>Friend</sender>"
GSM = "<gsm>38598514674</gsm>"


def decode(body: bytes) -> XmlRequest:
    """The body as a gateway reads it."""
    return decode_request(HttpRequest("POST", "/xml", body))


def xml(message: str, recipients: str) -> str:
    """A document with the test's own login around what is given."""
    return (
        "<SMS><authentification><username>user</username><password>pass</password>"
        f"</authentification><message>{message}</message><recipients>{recipients}</recipients></SMS>"
    )


DOCUMENT = xml(f"{FRIEND}<text>a+b %41 &amp; c=d&amp;e</text>", GSM).encode()
READ = XmlRequest(
    LOGIN,
    Submission(sender="Friend", text="a+b %41 & c=d&e"),
    (Recipient("38598514674"),),
)
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
BODIES = {
    "XML= and encoded": b"XML=" + quote_plus(DOCUMENT).encode(),
    "xml= and encoded": b"xml=" + quote_plus(DOCUMENT).encode(),
    "encoded with %20": b"XML=" + quote(DOCUMENT, safe="").encode(),
    "white space before XML=": b"\r\n XML=" + quote_plus(DOCUMENT).encode(),
    "encoded, white space around": b"XML= \r\n" + quote_plus(DOCUMENT).encode() + b"\r\n",
    "encoded white space around": b"XML="
    + quote_plus(b"\r\n " + DECLARATION + DOCUMENT + b"\n").encode(),
    "encoded with a byte order mark": b"XML=%EF%BB%BF" + quote_plus(DOCUMENT).encode(),
    "encoded without XML=": quote_plus(DOCUMENT).encode(),
    "encoded with a declaration": b"XML=" + quote_plus(DECLARATION + DOCUMENT).encode(),
    "XML= and raw": b"XML=" + DOCUMENT,
    "XML=, white space, raw": b"XML=\r\n  " + DOCUMENT + b"\r\n",
    "XML= and raw with a declaration": b"XML=" + DECLARATION + DOCUMENT,
    "a button of a form behind": b"XML=" + quote_plus(DOCUMENT).encode() + b"&submit=Send",
    "a button of a form in front": b"submit=Send&XML=" + quote_plus(DOCUMENT).encode(),
    "multipart": b'--b\r\nContent-Disposition: form-data; name="XML"\r\n\r\n'
    + DOCUMENT
    + b"\r\n--b--\r\n",
    "raw": DOCUMENT,
    "raw, white space around": b"\r\n\t " + DOCUMENT + b"\r\n",
    "raw with a declaration": DECLARATION + DOCUMENT,
    "raw with a byte order mark": b"\xef\xbb\xbf" + DOCUMENT,
    "XML= and a byte order mark": b"XML=\xef\xbb\xbf" + DOCUMENT,
    "encoded mark before XML=": b"%EF%BB%BFXML=" + quote_plus(DOCUMENT).encode(),
    "all encoded": quote_plus(b"\xef\xbb\xbfXML=\xef\xbb\xbf" + DOCUMENT).encode(),
    "raw with a NUL behind": DOCUMENT + b"\r\n\0",
    "raw UTF-16": DOCUMENT.decode().encode("utf-16"),
    "big-endian, white space and NUL behind": b"XML=\xfe\xff"
    + f"{DOCUMENT.decode()}\r\n\0".encode("utf-16-be"),
    "UTF-16, encoded, white space behind": b"XML="
    + quote_plus(b"\xfe\xff" + f"{DOCUMENT.decode()}\n".encode("utf-16-be")).encode(),
    "UTF-16, a line feed of one octet behind": DOCUMENT.decode().encode("utf-16") + b"\n",
    "UTF-16 by name too": f'<?xml version="1.0" encoding="utf-16"?>{DOCUMENT.decode()}'.encode(
        "utf-16"
    ),
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


def test_only_the_white_space_of_xml_is_padding() -> None:
    """Another space belongs to the value, and the gateway judges that."""
    read = decode(xml("<sender>\xa0F</sender><text>Hi</text>", "<gsm>\xa01</gsm>").encode())
    assert read.recipients == (Recipient("\xa01"),)
    assert read.submission == Submission(sender="\xa0F", text="Hi")


def test_half_a_character_costs_only_itself() -> None:
    """UTF-16 has such halves where a client cuts a text in the middle of an emoji."""
    cut = xml(f"{FRIEND}<text>Hi \ud83d</text>", GSM).encode("utf-16-le", "surrogatepass")
    assert decode(b"\xff\xfe" + cut).submission == Submission(sender="Friend", text="Hi \ufffd")


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
    document = (
        "<SMS><message><gsm>1</gsm></message><recipients><username>u</username></recipients></SMS>"
    )
    assert decode(document.encode()) == XmlRequest(Credentials("", ""), Submission(sender=""), ())


# --- what a gateway cannot read ---


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not readable XML"),
        (b"XML=", "not readable XML"),
        (b"XML=hello", "not readable XML"),
        (b"<SMS>", "not readable XML"),
        (b"<SMS/>&b=1", "not readable XML"),
        (b"<SMS>\x00</SMS>", "not readable XML"),
        (b"<RESPONSE/>", "the root is not <SMS>"),
        (b"<html><SMS></SMS></html>", "the root is not <SMS>"),
        (b"<!DOCTYPE SMS><SMS/>", "such XML is not read"),
        (b"<SMS>" * 17, "more than 16 levels"),
    ],
)
def test_an_unreadable_request(body: bytes, reason: str) -> None:
    """It is refused in one way, and the password in it is not repeated."""
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode(body)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert "pass" not in repr(caught.value)


def test_a_document_of_another_kind_is_in_the_error() -> None:
    """So that whoever looks into it sees what came."""
    with pytest.raises(RemoteProtocolError) as caught:
        decode(b"<RESPONSE/>")
    assert caught.value.raw == b"<RESPONSE/>"


@pytest.mark.parametrize(
    "value", ["<binary>4</binary>", "<flash>yes</flash>", "<srcton>7</srcton>"]
)
def test_a_request_with_an_unreadable_value(value: str) -> None:
    """The login is judged before."""
    asked = decode(xml(value, "").encode())
    assert asked.submission is None
    assert asked.credentials.username


def test_unknown_elements_are_passed_over() -> None:
    """Whatever is in them."""
    extra = "<extra><sender>x</sender><a><b>1</b></a></extra>"
    document = xml(f"{extra}<sender>Friend</sender><text>Hi</text>", "").replace(
        "<SMS>", f"<SMS>{extra}"
    )
    assert decode(document.encode()).submission == Submission(sender="Friend", text="Hi")


def test_what_stands_in_the_wrong_place_does_not_count() -> None:
    """A login in the message, and a text in the login."""
    document = (
        "<SMS><message><username>u</username><sender>S</sender></message>"
        "<authentification><text>Hi</text><password></password><password>p</password>"
        "</authentification></SMS>"
    )
    expected = XmlRequest(Credentials("", "p"), Submission(sender="S"), ())
    assert decode(document.encode()) == expected


@pytest.mark.parametrize(
    "prefix",
    [
        b"\xef\xbb\xbf",
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-16"?>',
        b'<?xml version="1.0" encoding="utf-16"?>',
        b"<?xml version='1.0' encoding='UTF-16' ?>",
    ],
)
def test_what_dot_net_puts_in_front(prefix: bytes) -> None:
    """A mark of UTF-8, and the name of an encoding that it does not use."""
    document = xml("<sender>Friend</sender><text>\u0416</text>", "").encode()
    expected = Submission(sender="Friend", text="\u0416")
    assert decode(prefix + document).submission == expected
    assert decode(b"XML=" + prefix + document).submission == expected
    assert decode(b"XML=" + quote_plus(prefix + document).encode()).submission == expected


def test_a_mark_in_front_of_the_parameter() -> None:
    """The text writer of .NET begins with it."""
    document = xml("<sender>Friend</sender><text>Hi</text>", "").encode()
    assert decode(b"\xef\xbb\xbfXML=" + document) == decode(document)


def test_a_truncated_request_is_no_request() -> None:
    """At no octet does a part of it make sense."""
    for cut in range(len(DOCUMENT)):
        with pytest.raises(RemoteProtocolError):
            pytest.fail(f"read after {cut} octets: {decode(b'XML=' + DOCUMENT[:cut])}")


def test_the_first_of_equal_elements_counts() -> None:
    """An empty one is not given, so the next one counts."""
    document = (
        "<SMS><authentification><username>u</username><username>v</username>"
        "<password>p</password><password>q</password></authentification>"
        "<message><sender>S</sender><sender>T</sender><text/><text>Hi</text><text>Ho</text>"
        "</message><recipients><gsm>1</gsm><gsm>1</gsm></recipients></SMS>"
    )
    assert decode(document.encode()) == XmlRequest(
        Credentials("u", "p"),
        Submission(sender="S", text="Hi"),
        (Recipient("1"), Recipient("1")),
    )
