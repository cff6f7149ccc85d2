"""Delivery reports pulled by GET (§3.2).

Wire example::

    GET /api/dlrpull?user=X&password=x&MessageId=id-1,id-2

    NO_DATA
"""

import re
from collections.abc import Iterable
from datetime import tzinfo
from http import HTTPStatus
from typing import Final

import attrs

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    GatewayRefusedError,
    LocalProtocolError,
    RemoteProtocolError,
)
from infobip_async.models.events import DeliveryReport, UnreadableRow
from infobip_async.protocol import dlr_xml, form
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

RETURN_CODES: Final[dict[int, tuple[str, type[GatewayRefusedError]]]] = {
    5: ("INVALID_USER_OR_PASS", AuthenticationError),
    10: ("MISSING_USERNAME", AuthenticationError),
    11: ("MISSING_PASS", AuthenticationError),
}
"""§3.2: return value, a name (ours: the document has none here), the error that it raises."""

NO_DATA: Final = "NO_DATA"
"""The answer of a gateway that has nothing to report."""

_CODE = re.compile(r"-?[0-9]{1,9}")


@attrs.frozen
class PullRequest:
    """A request as a gateway reads it. Without message ids it asks for all reports."""

    credentials: Credentials
    message_ids: tuple[str, ...]


def encode_request(
    url: str, credentials: Credentials, message_ids: Iterable[str] = ()
) -> HttpRequest:
    """Make the request for all reports, or for those of some messages.

    As the document wants it, its URL holds the password.

    Raises:
        LocalProtocolError: a message id is empty or holds a comma, which separates them.
    """
    pairs = [("user", credentials.username), ("password", credentials.password)]
    wanted = list(message_ids)
    for message_id in wanted:
        if not message_id or "," in message_id:
            raise LocalProtocolError(
                "cannot be asked for: ids are separated by commas",
                field="message_ids",
                section="3.2",
                value=message_id,
            )
    if wanted:
        pairs.append(("MessageId", ",".join(wanted)))
    return HttpRequest("GET", form.with_query(url, pairs))


def decode_reply(
    reply: HttpReply, *, zone: tzinfo | None = None
) -> list[DeliveryReport | UnreadableRow]:
    """Read the reports; the list is empty if there is nothing to report.

    Raises:
        GatewayRefusedError: the gateway's return value, as the subclass in `RETURN_CODES`.
        RemoteProtocolError: the document cannot be read; its `raw` may be the only copy, since the
            gateway gives a report once.
    """
    text = reply.text()
    if not (text or reply.delimited):
        raise RemoteProtocolError("the reply may have been cut short", raw=reply.body)
    if not text or text.upper() == NO_DATA:
        return []
    if _CODE.fullmatch(text):
        code = int(text)
        name, error = RETURN_CODES.get(code, ("UNKNOWN", GatewayFailureError))
        raise error(
            f"the gateway refused the pull: {code} {name}",
            code=code,
            name=name,
            operation="pull_reports",
        )
    return dlr_xml.decode_push(reply.body, zone=zone)


def decode_request(request: HttpRequest) -> PullRequest:
    """Read a request as a gateway does: names of parameters in any case."""
    values = form.parameters(request)
    ids = (message_id.strip() for message_id in values.get("messageid", "").split(","))
    credentials = Credentials(values.get("user", ""), values.get("password", ""))
    return PullRequest(credentials, tuple(message_id for message_id in ids if message_id))


def encode_reply(outcome: Iterable[DeliveryReport] | int) -> HttpReply:
    """Make a gateway's reply: the reports, or a return value."""
    if isinstance(outcome, int):
        return HttpReply(HTTPStatus.OK, str(outcome).encode())
    reports = list(outcome)
    if not reports:
        return HttpReply(HTTPStatus.OK, NO_DATA.encode())
    return HttpReply(HTTPStatus.OK, dlr_xml.encode_push(reports), "text/xml; charset=utf-8")
