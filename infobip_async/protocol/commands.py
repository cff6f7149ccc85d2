"""Account commands by GET (§2/2.1).

Wire example::

    GET /Addon/SMSService/command.aspx?username=X&password=X&cmd=CREDITS

    7.16
"""

import re
from decimal import Decimal
from http import HTTPStatus
from typing import Final

import attrs

from infobip_async.errors import AuthenticationError, RemoteProtocolError
from infobip_async.protocol import form
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

CREDITS: Final = "CREDITS"
"""The document's only command: the account's balance."""

UNKNOWN_COMMAND: Final = "UNKNOWN_COMMAND"
"""The answer of a gateway to bad credentials, and to a command that it does not know."""

_BALANCE = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?")


@attrs.frozen
class CommandRequest:
    """A request as a gateway reads it. Missing values are empty."""

    credentials: Credentials
    command: str


def encode_request(url: str, credentials: Credentials) -> HttpRequest:
    """Make the request for the balance. As the document wants it, its URL holds the password."""
    pairs = [
        ("username", credentials.username),
        ("password", credentials.password),
        ("cmd", CREDITS),
    ]
    return HttpRequest("GET", form.with_query(url, pairs))


def decode_reply(reply: HttpReply) -> Decimal:
    """Read the balance.

    Raises:
        AuthenticationError: the gateway does not know the account.
        RemoteProtocolError: the reply is no number.
    """
    text = reply.text().strip("\"' \t\r\n")
    if text.upper() == UNKNOWN_COMMAND:
        raise AuthenticationError(
            "the gateway does not take the username and password for this command",
            code=UNKNOWN_COMMAND,
            name=UNKNOWN_COMMAND,
            operation="credits",
        )
    if not _BALANCE.fullmatch(text):
        raise RemoteProtocolError("the balance is no number", raw=reply.body)
    return Decimal(text)


def decode_request(request: HttpRequest) -> CommandRequest:
    """Read a request as a gateway does: names of parameters in any case."""
    values = form.parameters(request)
    credentials = Credentials(values.get("username", ""), values.get("password", ""))
    return CommandRequest(credentials, values.get("cmd", "").strip().upper())


def encode_reply(balance: Decimal | None) -> HttpReply:
    """Make a gateway's reply: the balance, or None for an unknown account or command."""
    text = UNKNOWN_COMMAND if balance is None else f"{balance:f}"
    return HttpReply(HTTPStatus.OK, text.encode())
