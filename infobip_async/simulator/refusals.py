"""Refusals, by the names that the document has for them (§2/1.3, §2/2, §3.2)."""

from decimal import Decimal
from typing import Final

from infobip_async.protocol import dlr_pull, send_get, send_xml
from infobip_async.protocol.exchange import Credentials
from infobip_async.simulator.records import Exchange, Operation

_XML_CODES: Final = {name: code for code, (name, _) in send_xml.RETURN_CODES.items()}
_GET_CODES: Final = {name: code for code, (name, _) in send_get.RETURN_CODES.items()}
_PULL_CODES: Final = {name: code for code, (name, _) in dlr_pull.RETURN_CODES.items()}


def first_wrong(*checks: tuple[str, bool]) -> str | None:
    """The name of the first check that found something wrong."""
    return next((name for name, wrong in checks if wrong), None)


def login_fault(credentials: Credentials) -> str:
    """Why credentials fit no account, by the names that §2/2 and §3.2 have for it."""
    missing = first_wrong(
        ("MISSING_USERNAME", not credentials.username),
        ("MISSING_PASS", not credentials.password),
    )
    return missing or "INVALID_USER_OR_PASS"


def refused_xml(name: str, balance: Decimal | None = None) -> Exchange:
    """Refuse messages that came by XML POST."""
    return Exchange(Operation.SEND, send_xml.encode_reply(_XML_CODES[name], balance))


def refused_get(name: str) -> Exchange:
    """Refuse a message that came by GET."""
    return Exchange(Operation.SEND_ONE, send_get.encode_reply(_GET_CODES[name]))


def refused_pull(name: str) -> Exchange:
    """Refuse a pull of delivery reports."""
    return Exchange(Operation.PULL_REPORTS, dlr_pull.encode_reply(_PULL_CODES[name]))
