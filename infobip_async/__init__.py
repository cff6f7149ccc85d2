"""Asyncio client, webhook receiver and simulator for Infobip's HTTP SMS and HLR interface.

Users import from here. What needs a server, or fewer programs need, is in modules of its own:
`infobip_async.webhook`, `.asgi`, `.simulator`, `.journal`, `.jetstream`, `.numbering`, `.lists`,
`.testing`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult
from infobip_async.deliveries.records import (
    Delivery,
    DeliveryCounts,
    DeliveryKey,
    StoredDelivery,
)
from infobip_async.errors import (
    AlreadySentError,
    AuthenticationError,
    DeliveryTimeoutError,
    GatewayFailureError,
    GatewayRefusedError,
    GatewayUnreachableError,
    InfobipError,
    InvalidDestinationError,
    InvalidRequestError,
    LocalProtocolError,
    LookupTimeoutError,
    NetworkNotCoveredError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    ProtocolError,
    RemoteProtocolError,
    RunStoppedError,
    StorageUnavailableError,
)
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    Event,
    HlrReport,
    HlrStatus,
    InboundSms,
    UdhElement,
    UnreadableRow,
    UserDataHeader,
)
from infobip_async.models.messages import (
    BinaryMessage,
    Message,
    Npi,
    Recipient,
    TextMessage,
    Ton,
    WapBookmark,
)
from infobip_async.models.receipts import HlrSubmission, PartReceipt, SendReceipt
from infobip_async.protocol.exchange import CallbackUrls, Endpoints
from infobip_async.protocol.message_ids import tag_message_id
from infobip_async.runs.settings import OnUnknown
from infobip_async.text.segments import Alphabet, Preview, Ucs2Form, preview, simplify

if TYPE_CHECKING:
    from infobip_async.client.check import ProbeResult, check_receiver
    from infobip_async.client.client import InfobipClient
    from infobip_async.deliveries.deliveries import Deliveries
    from infobip_async.deliveries.sqlite import SqliteDeliveryStore
    from infobip_async.deliveries.store import (
        DeliveryQuery,
        DeliveryStore,
        MemoryDeliveryStore,
    )
    from infobip_async.forget_number import forget
    from infobip_async.hlr.lookups import HlrLookups
    from infobip_async.journal import SqliteJournal
    from infobip_async.receiver.start_and_stop import serving
    from infobip_async.router import Router
    from infobip_async.runs.run import Run, RunStats

__all__ = [
    "Alphabet",
    "AlreadySentError",
    "AuthenticationError",
    "BinaryMessage",
    "CallbackUrls",
    "Deliveries",
    "Delivery",
    "DeliveryCounts",
    "DeliveryKey",
    "DeliveryQuery",
    "DeliveryReport",
    "DeliveryStatus",
    "DeliveryStore",
    "DeliveryTimeoutError",
    "Endpoints",
    "Event",
    "GatewayFailureError",
    "GatewayRefusedError",
    "GatewayUnreachableError",
    "HlrLookups",
    "HlrOutcome",
    "HlrReport",
    "HlrResult",
    "HlrStatus",
    "HlrSubmission",
    "InboundSms",
    "InfobipClient",
    "InfobipError",
    "InvalidDestinationError",
    "InvalidRequestError",
    "LocalProtocolError",
    "LookupTimeoutError",
    "MemoryDeliveryStore",
    "Message",
    "NetworkNotCoveredError",
    "NotEnoughCreditsError",
    "NotSentError",
    "Npi",
    "OnUnknown",
    "OutcomeUnknownError",
    "Outgoing",
    "PartReceipt",
    "Preview",
    "ProbeResult",
    "ProtocolError",
    "Recipient",
    "RemoteProtocolError",
    "Router",
    "Run",
    "RunStats",
    "RunStoppedError",
    "SendOutcome",
    "SendReceipt",
    "SendResult",
    "SqliteDeliveryStore",
    "SqliteJournal",
    "StorageUnavailableError",
    "StoredDelivery",
    "TextMessage",
    "Ton",
    "Ucs2Form",
    "UdhElement",
    "UnreadableRow",
    "UserDataHeader",
    "WapBookmark",
    "check_receiver",
    "forget",
    "preview",
    "serving",
    "simplify",
    "tag_message_id",
]

# These bring asyncio, httpx or SQLite with them. A process that needs none of it, or a test run in
# which this package is only installed, does not load it.
_LAZY = {
    "Deliveries": "infobip_async.deliveries.deliveries",
    "DeliveryQuery": "infobip_async.deliveries.store",
    "DeliveryStore": "infobip_async.deliveries.store",
    "HlrLookups": "infobip_async.hlr.lookups",
    "InfobipClient": "infobip_async.client.client",
    "MemoryDeliveryStore": "infobip_async.deliveries.store",
    "ProbeResult": "infobip_async.client.check",
    "Router": "infobip_async.router",
    "Run": "infobip_async.runs.run",
    "RunStats": "infobip_async.runs.run",
    "SqliteDeliveryStore": "infobip_async.deliveries.sqlite",
    "SqliteJournal": "infobip_async.journal",
    "check_receiver": "infobip_async.client.check",
    "serving": "infobip_async.receiver.start_and_stop",
    "forget": "infobip_async.forget_number",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
