"""SMS by XML POST (§2/1).

Wire example, before everything behind ``XML=`` is percent-encoded::

    XML=<SMS><authentification><username>user</username><password>password</password>
    </authentification><message><sender>Friend</sender><text>Hello</text></message><recipients>
    <gsm messageId="clientmsgID1">38598514674</gsm></recipients></SMS>

    <RESPONSE><status>1</status><credits>100</credits></RESPONSE>
"""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from http import HTTPStatus
from itertools import pairwise
from string import whitespace
from typing import Final
from urllib.parse import quote_plus

import attrs

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
from infobip_async.models.messages import Recipient, Submission
from infobip_async.numbering.msisdn import check_destination, check_destinations
from infobip_async.protocol import form, safe_xml, submission
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

MAX_RECIPIENTS: Final = 10_000
"""The most recipients of one request, since it is built, sent and answered as a whole."""

RETURN_CODES: Final[dict[int, tuple[str, type[GatewayRefusedError]]]] = {
    -1: ("AUTH_FAILED", AuthenticationError),
    -2: ("XML_ERROR", InvalidRequestError),
    -3: ("NOT_ENOUGH_CREDITS", NotEnoughCreditsError),
    -4: ("NO_RECIPIENTS", InvalidDestinationError),
    -5: ("GENERAL_ERROR", GatewayFailureError),
}
"""§2/1.3: status code, its name, the error that it raises. Above 0 it counts messages."""


@attrs.frozen
class XmlReply:
    """A positive reply: the number of messages that will be sent, and the balance if given."""

    accepted: int
    credits: Decimal | None


@attrs.frozen
class XmlRequest:
    """A request as a gateway reads it. Missing values are empty.

    `submission` is None if one of its values cannot be read.
    """

    credentials: Credentials
    submission: Submission | None
    recipients: tuple[Recipient, ...]


# --- client side: request -------------------------------------------------------------------

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KINDS: Final = {"Cc": "control character", "Cs": "lone surrogate", "Cn": "noncharacter"}
_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_ENTITIES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\r": "&#13;",  # a parser would turn a bare carriage return into a line feed
}


def _percent(octets: bytes) -> bytes:
    return quote_plus(octets).encode()


_ENCODED: Final = {octet: _percent(bytes([octet])) for octet in range(256)} | {
    ord(character): _percent(entity.encode()) for character, entity in _ENTITIES.items()
}
_ENCODED[0x20] = b"+"
# No replacement must be replaced again: so "%" goes first, and space, which becomes "+", last.
_ORDER: Final = {0x25: 0, 0x20: 2}


def _encode(value: str, field: str) -> bytes:
    """Escape for XML and percent-encode, with one pass for each distinct octet that needs it."""
    if bad := _NOT_XML.search(value):
        kind = _KINDS[unicodedata.category(bad[0])]
        raise LocalProtocolError(
            f"XML cannot carry the {kind} U+{ord(bad[0]):04X} at position {bad.start()}",
            field=field,
            section="2/1.1",
        )
    octets = value.encode()
    for octet in sorted(set(octets.translate(None, _UNRESERVED)), key=lambda o: _ORDER.get(o, 1)):
        octets = octets.replace(b"%c" % octet, _ENCODED[octet])
    return octets


def _tag(name: str) -> tuple[bytes, bytes]:
    return _percent(f"<{name}>".encode()), _percent(f"</{name}>".encode())


_TAGS: Final = {
    name: _tag(name)
    for name in (
        *("username", "password", "sender", "text", "flash", "type", "bookmark", "binary"),
        *("datacoding", "esmclass", "srcton", "srcnpi", "destton", "destnpi"),
    )
}
_FIELDS: Final = {"bookmark": "url"}  # where the caller's name for it differs
_HEAD: Final = b"XML=" + _percent(b"<SMS><authentification>")
_MESSAGE: Final = _percent(b"</authentification><message>")
_RECIPIENTS: Final = _percent(b"</message><recipients>")
_TAIL: Final = _percent(b"</recipients></SMS>")
_GSM, _GSM_END = (tag.decode() for tag in _tag("gsm"))
_GSM_WITH_ID: Final = _percent(b'<gsm messageId="').decode()
_ID_END: Final = _percent(b'">').decode()


def _element(name: str, value: str) -> bytes:
    opening, closing = _TAGS[name]
    return opening + _encode(value, _FIELDS.get(name, name)) + closing


def _check_id(message_id: str) -> str:
    if not message_id.isprintable():
        raise LocalProtocolError(
            "is not printable", field="message_id", section="2/1.1", value=message_id
        )
    return message_id


def _is_plain(message_ids: str) -> bool:
    return message_ids.isascii() and not message_ids.encode().translate(None, _UNRESERVED)


def _gsm_element(recipient: Recipient) -> str:
    """Write one ``<gsm>`` element. Digits and a plain id need neither escaping nor encoding."""
    message_id = recipient.message_id
    if not message_id:
        return f"{_GSM}{recipient.msisdn}{_GSM_END}"
    if not _is_plain(message_id):
        message_id = _encode(_check_id(message_id), "message_id").decode()
    return f"{_GSM_WITH_ID}{message_id}{_ID_END}{recipient.msisdn}{_GSM_END}"


def _gsm_elements(recipients: Sequence[Recipient]) -> bytes:
    """Write the ``<gsm>`` elements; numbers and ids are checked together, since most are plain."""
    if len(recipients) == 1:
        check_destination(recipients[0].msisdn)
        return _gsm_element(recipients[0]).encode()
    check_destinations([recipient.msisdn for recipient in recipients])
    ids = [recipient.message_id for recipient in recipients]
    if not all(ids) or not _is_plain("".join(filter(None, ids))):
        return "".join(map(_gsm_element, recipients)).encode()
    elements = [
        f"{_GSM_WITH_ID}{recipient.message_id}{_ID_END}{recipient.msisdn}{_GSM_END}"
        for recipient in recipients
    ]
    return "".join(elements).encode()


@lru_cache(128)  # one message often goes out in many requests
def _before_recipients(credentials: Credentials, message: Submission) -> bytes:
    parts = [
        _HEAD,
        _element("username", credentials.username),
        _element("password", credentials.password),
        _MESSAGE,
        *(_element(name, value) for name, value in submission.parameters(message)),
        _RECIPIENTS,
    ]
    return b"".join(parts)


def encode_request(
    url: str,
    credentials: Credentials,
    message: Submission,
    recipients: Sequence[Recipient],
) -> HttpRequest:
    """Make the request that sends one submission to its recipients (§2/1.1).

    Raises:
        LocalProtocolError: the sender, a recipient, the number of recipients or a character
            breaks a rule of the document; the text says which.
    """
    if len(recipients) > MAX_RECIPIENTS:
        raise LocalProtocolError(
            f"{len(recipients)} in one request; the most is {MAX_RECIPIENTS}",
            field="recipients",
            section="2/1.1",
        )
    elements = _gsm_elements(recipients)
    body = _before_recipients(credentials, message) + elements + _TAIL
    return HttpRequest("POST", url, body, form.CONTENT_TYPE)


# --- client side: reply ---------------------------------------------------------------------

_NAME: Final = re.compile(r"[/?]?\w+")
_STATUS: Final = re.compile(r"[+-]?[0-9]{1,18}")
_CREDITS: Final = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?")
_AROUND: Final = f"{whitespace}."  # the document prints a dot behind its example


@attrs.frozen
class _Tag:
    """A tag of a reply, and the text up to the next one."""

    name: str
    text: str


def _tags(reply: str) -> list[_Tag]:
    """Take a reply apart in one pass; a tag that is not closed has no name.

    No XML parser reads the reply: the document prints <credits><credits>, and an unreadable reply
    makes the outcome of a send unknown.
    """
    before, *pieces = _without_comments(reply).split("<")
    if before.strip():
        return []
    found = []
    for tag, closed, text in (piece.partition(">") for piece in pieces):
        name = _NAME.match(tag) if closed and not tag.endswith("/") else None
        found.append(_Tag(name[0].lower() if name else "", text.strip()))
    return found


def _without_comments(reply: str) -> str:
    kept, at = [], 0
    while (start := reply.find("<!--", at)) >= 0 and (end := reply.find("-->", start + 4)) >= 0:
        kept.append(reply[at:start])
        at = end + 3
    return "".join((*kept, reply[at:]))


def _values(tags: Sequence[_Tag], name: str, pattern: re.Pattern[str]) -> list[str]:
    """Give the texts of an element. The end of its tag may lack the slash, as it is printed."""
    ends = {f"/{name}", "credits"}
    return [
        tag.text
        for tag, after in pairwise(tags)
        if tag.name == name and after.name in ends and pattern.fullmatch(tag.text)
    ]


def _is_whole(tags: Sequence[_Tag]) -> bool:
    """Whether a reply was not cut short: part of one proves nothing."""
    return tags[0].name == "response" and tags[-1].name == "/response" and not tags[-1].text


def decode_reply(reply: HttpReply) -> XmlReply:
    """Read the reply to a send (§2/1.3).

    Raises:
        GatewayRefusedError: the gateway's error code, as the subclass in `RETURN_CODES`.
        RemoteProtocolError: there is no readable status; whether anything was sent is unknown.
    """
    tags = _tags(reply.text().rstrip(_AROUND))
    if tags and tags[0].name == "?xml" and not tags[0].text:
        del tags[0]
    status = _values(tags, "status", _STATUS) if tags and _is_whole(tags) else []
    if len(status) != 1:
        raise RemoteProtocolError("no readable status in the reply", raw=reply.body)
    code = int(status[0])
    if code > 0:
        balance = _values(tags, "credits", _CREDITS)
        return XmlReply(code, Decimal(balance[0]) if len(balance) == 1 else None)
    name, error = RETURN_CODES.get(code, ("UNKNOWN", GatewayFailureError))
    raise error(
        f"the gateway refused the message: {code} {name}", code=code, name=name, operation="send"
    )


# --- gateway side ---------------------------------------------------------------------------

_PADDING: Final = " \t\r\n"
_DEEPEST: Final = 16  # the document's own elements are at level 3; unknown ones are ignored
_ALIASES: Final = {"authentication": "authentification", "wapurl": "bookmark"}


@attrs.define
class _Parsed:
    """The contents of a request, by the names of its innermost elements."""

    path: list[str] = attrs.field(factory=list)
    login: dict[str, str] = attrs.field(factory=dict)
    message: dict[str, str] = attrs.field(factory=dict)
    message_id: str | None = None
    recipients: list[Recipient] = attrs.field(factory=list)

    def start(self, level: int, name: str, attributes: safe_xml.Attributes) -> None:
        lower = name.lower()
        self.path[level - 1 :] = [_ALIASES.get(lower, lower)]
        found = {key.lower(): value for key, value in attributes.items()}
        self.message_id = found.get("messageid")

    def end(self, level: int, text: str) -> None:
        match self.path[:level]:
            case ["sms", "recipients", "gsm"]:
                msisdn = text.strip(_PADDING)
                self.recipients.append(Recipient(msisdn, self.message_id or None))
            case ["sms", "authentification" | "message" as part, name]:
                values = self.message if part == "message" else self.login
                if not values.get(name):  # an empty element counts as missing
                    values[name] = text if name == "text" else text.strip(_PADDING)


def decode_request(request: HttpRequest) -> XmlRequest:
    """Read a request as a gateway does: element order, case and padding are free (§2/1.1).

    Raises:
        RemoteProtocolError: the XML cannot be read.
    """
    parsed = _Parsed()
    documents = safe_xml.documents(request.body) or [request.body]
    padding = f"{_PADDING}\0".encode()
    safe_xml.read(documents[0], parsed.start, parsed.end, depth=_DEEPEST, padding=padding)
    if parsed.path[:1] != ["sms"]:
        raise RemoteProtocolError("the root is not <SMS>", raw=request.body)
    login = parsed.login
    credentials = Credentials(login.get("username", ""), login.get("password", ""))
    message = submission.submission(parsed.message)
    return XmlRequest(credentials, message, tuple(parsed.recipients))


def encode_reply(status: int, balance: Decimal | None) -> HttpReply:
    """Make a gateway's reply: a count or an error code, and the balance if it is known.

    Beside an error code an unknown balance is 0: clients stumble over an empty one, and miss the
    code.
    """
    if balance is None and status <= 0:
        balance = Decimal()
    amount = "" if balance is None else f"{balance:f}"
    text = f"<RESPONSE><status>{status}</status><credits>{amount}</credits></RESPONSE>"
    return HttpReply(HTTPStatus.OK, text.encode(), "text/xml; charset=utf-8")
