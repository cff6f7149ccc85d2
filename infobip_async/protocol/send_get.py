"""SMS by GET (§2/2).

Wire example::

    GET /Addon/SMSService/SendSMS.aspx?user=xxx&password=xxxx&sender=Friend
        &SMSText=messagetext&IsFlash=0&GSM=38598514674

    020711151112345678
"""

import re
from http import HTTPStatus
from typing import Final

import attrs

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    GatewayRefusedError,
    InvalidDestinationError,
    InvalidRequestError,
    NetworkNotCoveredError,
    NotEnoughCreditsError,
    RemoteProtocolError,
)
from infobip_async.models.messages import Submission
from infobip_async.numbering.msisdn import check_destination
from infobip_async.protocol import form, submission
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

RETURN_CODES: Final[dict[int, tuple[str, type[GatewayRefusedError]]]] = {
    -1: ("SEND_ERROR", GatewayFailureError),
    -2: ("NOT_ENOUGHCREDITS", NotEnoughCreditsError),
    -3: ("NETWORK_NOTCOVERED", NetworkNotCoveredError),
    -4: ("SOCKET_EXCEPTION", GatewayFailureError),
    -5: ("INVALID_USER_OR_PASS", AuthenticationError),
    -6: ("MISSING_DESTINATION_ADDRESS", InvalidDestinationError),
    -7: ("MISSING_SMSTEXT", InvalidRequestError),
    -8: ("MISSING_SENDERNAME", InvalidRequestError),
    -9: ("DESTADDR_INVALIDFORMAT", InvalidDestinationError),
    -10: ("MISSING_USERNAME", AuthenticationError),
    -11: ("MISSING_PASS", AuthenticationError),
    -13: ("INVALID_DESTINATION_ADDRESS", InvalidDestinationError),
}
"""§2/2: return value, its name, the error that it raises. Anything above 0 is a message id."""

# Parameters whose name or value is spelt differently than in the XML.
_NAMES: Final = {
    "text": "SMSText",
    "flash": "IsFlash",
    "type": "Type",
    "bookmark": "Bookmark",
    "datacoding": "DataCoding",
    "esmclass": "Esmclass",
    "srcton": "Srcton",
    "srcnpi": "Srcnpi",
    "destton": "Destton",
    "destnpi": "Destnpi",
}
_VALUES: Final = {"longSMS": "LongSMS"}


@attrs.frozen
class GetRequest:
    """A request as a gateway reads it. Missing values are empty.

    `submission` is None if one of its values cannot be read.
    """

    credentials: Credentials
    submission: Submission | None
    msisdn: str


def encode_request(
    url: str, credentials: Credentials, message: Submission, msisdn: str
) -> HttpRequest:
    """Make the request that sends one submission to one recipient (§2/2).

    As the document wants it, its URL holds the password.

    Raises:
        LocalProtocolError: the sender or the recipient breaks a rule of the document.
    """
    pairs = [("user", credentials.username), ("password", credentials.password)]
    for name, value in submission.parameters(message):
        spelt = _VALUES.get(value, value) if name == "type" else value
        pairs.append((_NAMES.get(name, name), spelt))
    pairs.append(("GSM", check_destination(msisdn)))
    return HttpRequest("GET", form.with_query(url, pairs))


# A word such as ERROR, or Error 500, is no id: read as one it would report a send.
_ID = re.compile(
    r"[0-9]+|(?!err)(?=(?:.*?[0-9]){4})[0-9a-z](?:[0-9a-z._:-]*[0-9a-z])?", re.IGNORECASE
)
_CODE = re.compile(r"-[0-9]{1,18}|0+")


def decode_reply(reply: HttpReply) -> str:
    """Read the gateway's id of the message, an opaque string (§2/2).

    Raises:
        GatewayRefusedError: the return value is negative, or 0.
        RemoteProtocolError: there is no readable value; whether anything was sent is unknown.
    """
    text = reply.text()
    if not reply.delimited and not text.strip("0"):
        raise RemoteProtocolError("an id may have been cut short here", raw=reply.body)
    if _CODE.fullmatch(text):
        code = int(text) if text.startswith("-") else 0
        name, error = RETURN_CODES.get(code, ("UNKNOWN", GatewayFailureError))
        raise error(
            f"the gateway refused the message: {code} {name}",
            code=code,
            name=name,
            operation="send_one",
        )
    if not _ID.fullmatch(text):
        raise RemoteProtocolError("no readable return value", raw=reply.body)
    return text


def decode_request(request: HttpRequest) -> GetRequest:
    """Read a request as a gateway does: names of parameters in any case."""
    values = form.parameters(request)
    named = {name: values.get(spelt.lower(), "") for name, spelt in _NAMES.items()}
    message = submission.submission(values | named)
    credentials = Credentials(values.get("user", ""), values.get("password", ""))
    return GetRequest(credentials, message, values.get("gsm", "").strip())


def encode_reply(value: int | str) -> HttpReply:
    """Make a gateway's reply: a message id, or a negative return value."""
    return HttpReply(HTTPStatus.OK, str(value).encode())
