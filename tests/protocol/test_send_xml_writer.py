"""SMS by XML POST: the fast writer against a plain one."""

from collections.abc import Sequence
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from hypothesis import given
from hypothesis import strategies as st

from infobip_async.models.messages import Npi, Recipient, Submission, SubmissionType, Ton
from infobip_async.protocol.exchange import Credentials, HttpRequest
from infobip_async.protocol.send_xml import (
    XmlRequest,
    decode_request,
    encode_request,
)


def encode(login: Credentials, message: Submission, recipients: Sequence[Recipient]) -> bytes:
    """The body of the request."""
    return encode_request("https://gateway.example/xml", login, message, recipients).body


def decode(body: bytes) -> XmlRequest:
    """The body as a gateway reads it."""
    return decode_request(HttpRequest("POST", "/xml", body))


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
    spelt = str(int(value)) if isinstance(value, int) else str(value)
    text = escape(spelt, {'"': "&quot;", "\r": "&#13;"})
    return f"<{name}{attributes}>{text}</{name}>"


def plain(login: Credentials, message: Submission, recipients: Sequence[Recipient]) -> bytes:
    """The request, written in the plainest way."""
    parameters = {
        "sender": message.sender,
        "text": message.text,
        "flash": 1 if message.flash else None,
        "type": message.type and message.type.value,
        "bookmark": message.url,
        "binary": message.binary and message.binary.hex().upper(),
        "datacoding": message.data_coding or None,
        "esmclass": message.esm_class or None,
        "srcton": message.source_addr_ton,
        "srcnpi": message.source_addr_npi,
        "destton": message.dest_addr_ton,
        "destnpi": message.dest_addr_npi,
    }
    document = (
        f"<SMS><authentification>{element('username', login.username)}"
        f"{element('password', login.password)}</authentification><message>"
        + "".join(element(name, value) for name, value in parameters.items() if value is not None)
        + "</message><recipients>"
        + "".join(gsm(recipient) for recipient in recipients)
        + "</recipients></SMS>"
    )
    return b"XML=" + quote_plus(document).encode()


def gsm(recipient: Recipient) -> str:
    """A recipient's element, which has an attribute where there is an id."""
    named = escape(recipient.message_id or "", {'"': "&quot;"})
    return element("gsm", recipient.msisdn, f' messageId="{named}"' if named else "")


@given(credentials, submissions, recipient_lists)
def test_the_fast_writer_writes_what_a_plain_one_does(
    login: Credentials, message: Submission, recipients: list[Recipient]
) -> None:
    """Whatever the characters, the bytes are those of `quote_plus` over the escaped XML."""
    assert encode(login, message, recipients) == plain(login, message, recipients)


@given(credentials, submissions, recipient_lists)
def test_what_is_encoded_is_decoded(
    login: Credentials, message: Submission, recipients: list[Recipient]
) -> None:
    """Texts with any character that XML can carry arrive as they were."""
    expected = XmlRequest(login, message, tuple(recipients))
    assert decode(encode(login, message, recipients)) == expected


def test_every_special_character_in_a_password_survives() -> None:
    """Between others; white space around a value counts as padding (§2/1)."""
    logins = [Credentials("user", f"a{chr(octet)}b") for octet in range(0x20, 0x7F)]
    message, recipients = Submission(sender="1", text="a"), [Recipient("1")]
    assert [decode(encode(login, message, recipients)).credentials for login in logins] == logins
