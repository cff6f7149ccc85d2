"""What the gateway tells later, by pushes or when it is asked: reports and inbound messages.

Nothing is parsed here: see `infobip_async.protocol`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

import attrs


class DeliveryStatus(Enum):
    """What became of a message, as the document lists it (§3.1); `UNKNOWN` is any other status."""

    NOT_SENT = "NOT_SENT"
    """Not final. The gateway has queued the message, and the SMSC cannot be reached now."""
    SENT = "SENT"
    """Final, without an end: the route has no delivery reports. DELIVERED may still come."""
    NOT_DELIVERED = "NOT_DELIVERED"
    """Final. The message could not be delivered; no cause is given."""
    DELIVERED = "DELIVERED"
    """Final. The recipient has the message."""
    NOT_ALLOWED = "NOT_ALLOWED"
    """Final. The account may not send to that network; the message is not charged."""
    INVALID_DESTINATION_ADDRESS = "INVALID_DESTINATION_ADDRESS"
    """Final. The recipient's number is invalid or wrong."""
    INVALID_SOURCE_ADDRESS = "INVALID_SOURCE_ADDRESS"
    """Final. The sender is wrong, invalid or not allowed."""
    ROUTE_NOT_AVAILABLE = "ROUTE_NOT_AVAILABLE"
    """Final. The account may not use that route."""
    NOT_ENOUGH_CREDITS = "NOT_ENOUGH_CREDITS"
    """Final. The account cannot pay for the message."""
    INVALID_MESSAGE_FORMAT = "INVALID_MESSAGE_FORMAT"
    """Final. The message has an invalid format."""
    UNKNOWN = "UNKNOWN"
    """Not final, for want of a meaning. A status beyond the document: see `raw_status`."""

    @property
    def is_final(self) -> bool:
        """Whether it ends the wait for a report; SENT may still become DELIVERED."""
        return self not in {DeliveryStatus.NOT_SENT, DeliveryStatus.UNKNOWN}


@attrs.frozen
class DeliveryReport:
    """The gateway's report on one message (§3.1).

    Attributes:
        message_id: the client's id of the message; an opaque string.
        status: the document's status, or ``UNKNOWN``.
        raw_status: the status as received.
        sent_at: when the message reached the gateway; None where empty or a zero date. Naive, in
            the gateway's local time, unless the receiver was told the gateway's zone.
        done_at: when the SMSC reported the end; None or naive under the same conditions.
        extras: attributes beyond the document's (``gsmerror``, ...), and dates not readable.
    """

    message_id: str
    status: DeliveryStatus
    raw_status: str
    sent_at: datetime | None = None
    done_at: datetime | None = None
    extras: Mapping[str, str] = attrs.field(factory=dict, hash=False)


class HlrStatus(Enum):
    """How a lookup ended, as the document lists it (§5)."""

    DELIVRD = "DELIVRD"
    """Final. The HLR was queried without an error."""
    UNDELIV = "UNDELIV"
    """Final. There was an error; `HlrReport.error_code` may say which."""
    UNKNOWN = "UNKNOWN"
    """Final. The document's "any other error", such as no credits; also any status beyond it."""


@attrs.frozen
class HlrReport:
    """The HLR's answer about one number (§5). A field that was empty is None.

    Attributes:
        destination: the number looked up.
        lookup_id: the gateway's id of the lookup; an opaque string.
        status: the document's status, or ``UNKNOWN``; `raw_status` has its text.
        imsi: the subscriber's IMSI.
        serving_msc: the address of the MSC that serves the subscriber now.
        error_code: the error code, ``"0"`` where there was no error.
    """

    destination: str
    lookup_id: str
    status: HlrStatus
    raw_status: str
    imsi: str | None = None
    serving_msc: str | None = None
    error_code: str | None = None


@attrs.frozen
class UdhElement:
    """One information element of a user data header (3GPP TS 23.040 9.2.3.24).

    Attributes:
        identifier: what the element is for, 0 to 255, such as 0 for parts of a message.
        data: its octets.
    """

    identifier: int
    data: bytes


@attrs.frozen
class UserDataHeader:
    """A user data header as received.

    Attributes:
        raw: the header's octets, its length octet included.
        elements: the readable elements, in order.
        malformed: whether a part of `raw` is unreadable and was left out.
    """

    raw: bytes
    elements: tuple[UdhElement, ...] = ()
    malformed: bool = False


@attrs.frozen
class InboundSms:
    """A message from a handset (§6).

    Attributes:
        sender: the handset's number, without a leading ``+``.
        receiver: the number that was texted; None where the gateway does not say.
        text: the decoded text; None where the content is not text.
        data: the octets of the content, without its header; None where only a text came.
        received_at: when it reached the gateway; None where missing or in no known format.
        data_coding: SMPP data_coding, 0 where the gateway does not say; as is `esm_class`.
        udh: the user data header, where there is one.
        damaged: some octets could not be decoded and stand as U+FFFD in `text`.
        guessed_charset: a charset such as ``windows-1252`` or ``utf-16-be`` that was found out, and
            not said; None where nothing was guessed. It does not count in comparisons.
        parts: the number of parts that the message was sent in.
        missing: the numbers of parts that did not arrive before the rest was handed on.
        possible_duplicate: an equal message came before; both may be real.
        params: every query parameter as received, those of the document included.
    """

    sender: str
    receiver: str | None = None
    text: str | None = None
    data: bytes | None = None
    received_at: datetime | None = None
    data_coding: int = 0
    esm_class: int = 0
    udh: UserDataHeader | None = None
    damaged: bool = False
    parts: int = 1
    missing: tuple[int, ...] = ()
    possible_duplicate: bool = False
    params: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    guessed_charset: str | None = attrs.field(default=None, kw_only=True, eq=False)

    @property
    def partial(self) -> bool:
        """Whether parts of the message are missing."""
        return bool(self.missing)


@attrs.frozen
class UnreadableRow:
    """A row of a push, or of a pulled reply, that could not be read. Other rows were.

    Attributes:
        raw: the row as received.
        reason: what is wrong with it.
    """

    raw: str
    reason: str


Event = DeliveryReport | HlrReport | InboundSms | UnreadableRow
"""Anything that a push can bring."""


@attrs.frozen
class DerivedEvent:
    """The base of events that this package makes of others, such as `Delivery`."""
