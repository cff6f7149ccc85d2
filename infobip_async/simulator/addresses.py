"""The addresses that the gateway serves, and what a request to each asks for."""

from typing import Final
from urllib.parse import urlsplit

import attrs

from infobip_async.protocol.exchange import Endpoints
from infobip_async.simulator.records import Operation

_OPERATIONS: Final = {
    "send_xml": Operation.SEND,
    "send_get": Operation.SEND_ONE,
    "command": Operation.CREDITS,
    "dlr_pull": Operation.PULL_REPORTS,
    "hlr_query": Operation.SUBMIT_HLR,
}
_ROUTES: Final = {
    urlsplit(url).path.lower(): _OPERATIONS[name]
    for endpoints in (Endpoints(), Endpoints.later())
    for name, url in attrs.asdict(endpoints).items()
}


def operation_of(url: str) -> Operation | None:
    """Tell what a request asks for by its path: of either set of addresses, in any case."""
    try:
        return _ROUTES.get(urlsplit(url).path.lower())
    except ValueError:  # no URL at all
        return None
