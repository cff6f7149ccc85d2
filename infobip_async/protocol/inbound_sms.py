"""Inbound SMS by GET, to the URL that the owner of the account enters (§6).

Wire example::

    http://some.server.com/incoming_sms.php?who=%sender%&what=%text%

    GET /incoming_sms.php?who=38598123123&what=ABC
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final
from urllib.parse import quote_plus

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.models import InboundSms, UserDataHeader
from infobip_async.protocol import dates, form
from infobip_async.text import data_coding, udh

FIELDS: Final = ("sender", "receiver", "text", "bin", "datetime", "datacoding", "esmclass")
"""The fields that the gateway can forward (§6)."""

DEFAULT_NAMES: Final[Mapping[str, str]] = {field: field for field in FIELDS}
"""Query parameter to field, for a URL in which each parameter has the name of its field."""

_PLACEHOLDER = re.compile("%(" + "|".join(FIELDS) + ")%", re.IGNORECASE)
_UDHI: Final = 0x40


def template(names: Mapping[str, str]) -> str:
    """Make the query of the URL to enter in the account, ``who=%sender%&what=%text%``.

    Args:
        names: query parameter to field, each one of `FIELDS`; ``text`` or ``bin`` is among them.

    Raises:
        LocalProtocolError: a field is unknown, a name or a field stands twice, or neither
            ``text`` nor ``bin`` is there.
    """
    fields = set(names.values())
    if unknown := fields.difference(FIELDS):
        raise LocalProtocolError(
            f"{min(unknown)!r} is none of {', '.join(FIELDS)}", field="inbound", section="6"
        )
    repeated = len(fields) < len(names) or len({name.lower() for name in names}) < len(names)
    if repeated or fields.isdisjoint(("text", "bin")):
        raise LocalProtocolError(
            "each name and field can be used once, and text or bin must be",
            field="inbound",
            section="6",
        )
    return "&".join(f"{quote_plus(name)}=%{field}%" for name, field in names.items())


def encode_push(url: str, sms: InboundSms) -> str:
    """Fill in a URL template, as a gateway does before it makes its request.

    If the template asks for both ``text`` and ``bin``, data coding 0 leaves ``bin`` empty, and
    any other leaves ``text`` empty (§6).
    """
    asked = {match[1].lower() for match in _PLACEHOLDER.finditer(url)}
    both = {"text", "bin"} <= asked
    header = sms.udh.raw if sms.udh else b""
    # "we will provide everything" if only one was asked for: as well as that is possible.
    text = (sms.data or b"").decode("latin-1") if sms.text is None else sms.text
    values = {
        "sender": sms.sender,
        "receiver": sms.receiver or "",
        "text": "" if both and sms.data_coding else text,
        "bin": "" if both and not sms.data_coding else (header + (sms.data or b"")).hex().upper(),
        "datetime": dates.encode(sms.received_at),
        "datacoding": str(sms.data_coding),
        "esmclass": str(sms.esm_class),
    }
    return _PLACEHOLDER.sub(lambda match: quote_plus(values[match[1].lower()]), url)


def _params(query: str) -> dict[str, str]:
    """Read the parameters by name. A repeated one is refused: which value counts is not known."""
    pairs = form.decode(query)
    if len({name.lower() for name, _ in pairs}) < len(pairs):
        raise RemoteProtocolError("a parameter twice", raw=form.octets(query))
    if "%00" in query or "\x00" in query:
        raise RemoteProtocolError("a NUL", raw=form.octets(query))
    return dict(pairs)


def _fields(params: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Find the values by field; the names of parameters may be in another case."""
    fields = {names[name]: value for name, value in params.items() if name in names}
    if len(fields) == len(params):
        return fields
    field_of = {name.lower(): field for name, field in names.items()}
    return {field_of[n.lower()]: value for n, value in params.items() if n.lower() in field_of}


def _date(value: str, zone: tzinfo | None) -> datetime | None:
    """Read a date, whose format the document does not name; unknown ones stay in `params`."""
    try:
        return dates.decode(value, zone)
    except ValueError:
        return None


def _content(
    fields: Mapping[str, str], coding: int, esm_class: int
) -> tuple[str | None, bytes | None, UserDataHeader | None, bool]:
    """Read text, octets, header and damage from the fields ``text`` and ``bin``."""
    text = fields.get("text")
    hexadecimal = fields.get("bin")
    octets = bytes.fromhex(hexadecimal) if hexadecimal else b""
    if not octets:
        return text or "", None, None, False
    header: UserDataHeader | None = None
    if esm_class & _UDHI:
        header, octets = udh.parse(octets)
    if text:
        return text, octets, header, False
    decoded, damaged = data_coding.decode(octets, coding, header)
    return decoded, octets, header, damaged


def decode_push(
    query: str, *, names: Mapping[str, str] = DEFAULT_NAMES, zone: tzinfo | None = None
) -> InboundSms:
    """Read the request that forwards a message.

    Args:
        query: the raw query string.
        names: query parameter to field, as in the URL template; parameters in any case.
        zone: the gateway's time zone; without it `InboundSms.received_at` is naive.

    Raises:
        RemoteProtocolError: a repeated parameter, no content, or a value that cannot be read.
    """
    params = _params(query)
    fields = _fields(params, names)
    if fields.keys().isdisjoint(("text", "bin")):
        raise RemoteProtocolError("neither text nor bin", raw=form.octets(query))
    try:
        coding = form.octet(fields.get("datacoding", ""))
        esm_class = form.octet(fields.get("esmclass", ""))
        text, octets, header, damaged = _content(fields, coding, esm_class)
    except ValueError as fault:
        raise RemoteProtocolError(f"unreadable value: {fault}", raw=form.octets(query)) from None
    return InboundSms(
        fields.get("sender", "").lstrip("+ "),  # an unencoded + arrives as a space
        fields.get("receiver", "").lstrip("+ ") or None,
        text,
        octets,
        _date(fields.get("datetime", ""), zone),
        coding,
        esm_class,
        header,
        damaged,
        params=params,
    )
