"""HLR queries (§4).

Wire example::

    user=XXXX&pass=XXXX&destinations=38598303174%3B38598514674%3B49170111222

    OK
    38598303174;OK;121c0a6b752-1-92
    38598514674;FAILED;
    49170111222;OK;121c0a6b752-1-93
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final, Literal

import attrs

from infobip_async.errors import GatewayFailureError, RemoteProtocolError
from infobip_async.models.receipts import HlrSubmission
from infobip_async.numbering.msisdn import check_lookup_destinations
from infobip_async.protocol import form
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

OK: Final = "OK"
FAILED: Final = "FAILED"

_FIELDS: Final = 3
# The characters of rows, and line feeds. `str.strip` would take none of them away.
_PLAIN: Final = b"\n" + bytes(range(0x21, 0x7F))


@attrs.frozen
class HlrRequest:
    """A request as a gateway reads it. Missing values are empty."""

    credentials: Credentials
    destinations: tuple[str, ...]


def encode_request(
    url: str,
    credentials: Credentials,
    destinations: Sequence[str],
    *,
    method: Literal["POST", "GET"] = "POST",
) -> HttpRequest:
    """Make the query. With GET its URL holds the password; with POST its body does.

    Raises:
        LocalProtocolError: the list is empty, or a destination cannot be written into it.
    """
    check_lookup_destinations(destinations)
    pairs = [
        ("user", credentials.username),
        ("pass", credentials.password),
        ("destinations", ";".join(destinations)),
    ]
    if method == "GET":
        return HttpRequest("GET", form.with_query(url, pairs))
    return HttpRequest("POST", url, form.encode(pairs).encode(), form.CONTENT_TYPE)


def _row(line: str) -> HlrSubmission:
    """Read a row; missing fields are empty, and additional ones are ignored."""
    destination, status, lookup_id, *_ = map(str.strip, [*line.split(";"), "", ""])
    return HlrSubmission(destination, status.upper() == OK, lookup_id or None, status)


def _plain_row(line: str) -> HlrSubmission:
    """Read a row without padding, which is faster."""
    fields = line.split(";")
    if len(fields) != _FIELDS:
        return _row(line)
    destination, status, lookup_id = fields
    if status == OK and lookup_id:
        return HlrSubmission(destination, True, lookup_id, OK)
    return HlrSubmission(destination, status.upper() == OK, lookup_id or None, status)


def decode_reply(reply: HttpReply, destinations: Sequence[str]) -> tuple[HlrSubmission, ...]:
    """Read the rows, which are in the order of the query.

    Raises:
        GatewayFailureError: the gateway answers ``FAILED``, without saying why.
        RemoteProtocolError: the reply is no such list, or its rows are not those that were
            asked for. They are not matched by guess: a report would reach the wrong number.
    """
    text = reply.text()
    first, *lines = [line for line in text.split("\n") if line and not line.isspace()] or [""]
    head = first.strip().upper()
    if head == FAILED:
        raise GatewayFailureError(
            "the gateway refused the query: a parameter is missing, or username or password wrong",
            code=FAILED,
            name=FAILED,
            operation="submit_hlr",
        )
    if head != OK:
        raise RemoteProtocolError("the reply starts with neither OK nor FAILED", raw=reply.body)
    rows = tuple(map(_row if text.encode().translate(None, _PLAIN) else _plain_row, lines))
    if len(rows) != len(destinations):
        raise RemoteProtocolError(
            f"{len(rows)} rows for {len(destinations)} destinations", raw=reply.body
        )
    if not (reply.delimited or reply.body.rstrip(b" \t\r").endswith(b"\n")):
        # Without a line feed at the end, the last id may have been cut short.
        raise RemoteProtocolError("the last row is not ended", raw=reply.body)
    for position, (row, destination) in enumerate(zip(rows, destinations, strict=True)):
        if row.destination != destination and row.destination != destination.strip():
            raise RemoteProtocolError(f"row {position} is of another destination", raw=reply.body)
    return rows


def decode_request(request: HttpRequest) -> HlrRequest:
    """Read a query as a gateway does: by GET or POST, names of parameters in any case."""
    values = form.parameters(request)
    destinations = values.get("destinations", "")
    return HlrRequest(
        Credentials(values.get("user", ""), values.get("pass", "")),
        tuple(destinations.split(";")) if destinations else (),
    )


def encode_reply(rows: Iterable[HlrSubmission] | None) -> HttpReply:
    """Make a gateway's reply: a row per destination, or None for a query that it refuses."""
    lines = [FAILED] if rows is None else [OK]
    lines += [f"{row.destination};{row.raw_status};{row.lookup_id or ''}" for row in rows or ()]
    return HttpReply(HTTPStatus.OK, "".join(f"{line}\n" for line in lines).encode())
