"""The values that users hand in and get back: frozen, slotted, compared by content.

Nothing is parsed here, and only types are checked. The rules of the document stand with the wire
formats (`infobip_async.protocol`), which apply them before anything is sent.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import attrs

from infobip_async.errors import LocalProtocolError


class Ton(IntEnum):
    """Type of number of a source or destination address (§2/1.2)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER_NUMBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class Npi(IntEnum):
    """Numbering plan indicator of a source or destination address (§2/1.2)."""

    UNKNOWN = 0
    ISDN = 1
    DATA = 3
    TELEX = 4
    LAND_MOBILE = 6
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    INTERNET = 14
    WAP_CLIENT_ID = 18


def _member_of(enum: type[IntEnum]) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Refuse values that the document reserves; a plain number that it lists is accepted."""
    members = frozenset(enum)

    def validate(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is not None and value not in members:
            known = ", ".join(str(int(member)) for member in enum)
            text = f"{value!r} is no {enum.__name__.upper()} of the document ({known})"
            raise LocalProtocolError(text, field=attribute.name, section="2/1.2")

    return validate


_ton = _member_of(Ton)
_npi = _member_of(Npi)


@attrs.frozen
class _Addressing:
    """The four address parameters, which go on the wire only when given (§2/1.2)."""

    source_addr_ton: Ton | None = attrs.field(default=None, kw_only=True, validator=_ton)
    source_addr_npi: Npi | None = attrs.field(default=None, kw_only=True, validator=_npi)
    dest_addr_ton: Ton | None = attrs.field(default=None, kw_only=True, validator=_ton)
    dest_addr_npi: Npi | None = attrs.field(default=None, kw_only=True, validator=_npi)


@attrs.frozen
class TextMessage(_Addressing):
    """A text. Its alphabet and its parts are chosen when it is sent or previewed.

    Attributes:
        text: one character or more, up to 255 parts; no lone surrogate, no U+001B.
        sender: 1 to 11 characters, or 1 to 14 digits (§2/1.2).
        flash: the handset shows the text at once and does not store it.
    """

    text: str
    sender: str
    flash: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class BinaryMessage(_Addressing):
    """Octets, with a data coding that the caller chooses (§2/1.2, §2/2).

    Attributes:
        data: the user data without its header; `data` and `udh` have at most 140 octets together.
        sender: 1 to 11 characters, or 1 to 14 digits.
        data_coding: SMPP data_coding, 0 to 255.
        esm_class: SMPP esm_class, 0 to 255; the UDHI bit (64) is set automatically with `udh`.
        udh: the whole user data header, its own length octet included (3GPP TS 23.040 9.2.3.24).
    """

    data: bytes
    sender: str
    data_coding: int = attrs.field(default=0, kw_only=True)
    esm_class: int = attrs.field(default=0, kw_only=True)
    udh: bytes = attrs.field(default=b"", kw_only=True)


@attrs.frozen
class WapBookmark(_Addressing):
    """A WAP bookmark: a title and the address that it opens (§2/1.2, type ``bookmark``)."""

    text: str
    url: str
    sender: str


Message = TextMessage | BinaryMessage | WapBookmark
"""Any message that can be sent."""


@attrs.frozen
class Recipient:
    """One destination, with the message id under which its delivery is reported.

    Attributes:
        msisdn: digits in international format, without a leading ``+`` or ``0`` (§2/1.2).
        message_id: the client's id of the message; generated where it is None.
    """

    msisdn: str
    message_id: str | None = None


Recipients = str | Recipient | Iterable[str | Recipient]
"""One recipient, or several."""


def recipient_of(given: object) -> Recipient:
    """Make a recipient of a number; a `Recipient` stays as it is.

    Raises:
        LocalProtocolError: it is neither. Numbers are strings, since nobody calculates with them.
    """
    if isinstance(given, str):
        return Recipient(given)
    if isinstance(given, Recipient):
        return given
    raise LocalProtocolError(f"{given!r} is not a string", field="recipients")


class SubmissionType(Enum):
    """The ``type`` parameter, in a spelling that both wire formats accept (§2/1.2, §2/2)."""

    LONG = "longSMS"
    BOOKMARK = "bookmark"


@attrs.frozen(kw_only=True, cache_hash=True)  # one message often goes out in many requests
class Submission(_Addressing):
    """The content, text or binary, of one request: ``<message>`` of §2/1.1, or the GET of §2/2."""

    sender: str
    text: str | None = None
    binary: bytes | None = None
    flash: bool = False
    type: SubmissionType | None = None
    url: str | None = None
    data_coding: int = 0
    esm_class: int = 0


@attrs.frozen
class PartReceipt:
    """The gateway's reply to the request that carried one part of a message.

    Attributes:
        accepted: the number of messages that the gateway will send.
        credits: the balance that the gateway reports; None where it reports none.
        recipients: the numbers and message ids of this part, as sent.
    """

    accepted: int
    credits: Decimal | None
    recipients: tuple[Recipient, ...]


@attrs.frozen
class SendReceipt:
    """The result of one `send` (§2/1.3).

    Attributes:
        recipients: the caller's recipients in their order, with the id of the whole message.
        parts: one entry per request: a text that the library splits itself (UCS-2 as binary) takes
            one for each part, and part *n* has the id of the message with ``-n`` behind it.
    """

    recipients: tuple[Recipient, ...]
    parts: tuple[PartReceipt, ...]

    @property
    def accepted(self) -> int:
        """How many recipients the gateway will send to; where parts differ, the fewest."""
        return min(part.accepted for part in self.parts)

    @property
    def credits(self) -> Decimal | None:
        """The balance as the gateway last reported it."""
        return self.parts[-1].credits

    def part_ids(self, message_id: str) -> tuple[str, ...]:
        """The ids under which the parts of one of `recipients` are reported, in order."""
        at = [recipient.message_id for recipient in self.recipients].index(message_id)
        return tuple(filter(None, (part.recipients[at].message_id for part in self.parts)))


class DeliveryStatus(Enum):
    """What became of a message, as the document lists it (§3.1); `UNKNOWN` is any other status."""

    NOT_SENT = "NOT_SENT"
    SENT = "SENT"
    NOT_DELIVERED = "NOT_DELIVERED"
    DELIVERED = "DELIVERED"
    NOT_ALLOWED = "NOT_ALLOWED"
    INVALID_DESTINATION_ADDRESS = "INVALID_DESTINATION_ADDRESS"
    INVALID_SOURCE_ADDRESS = "INVALID_SOURCE_ADDRESS"
    ROUTE_NOT_AVAILABLE = "ROUTE_NOT_AVAILABLE"
    NOT_ENOUGH_CREDITS = "NOT_ENOUGH_CREDITS"
    INVALID_MESSAGE_FORMAT = "INVALID_MESSAGE_FORMAT"
    UNKNOWN = "UNKNOWN"

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
    UNDELIV = "UNDELIV"
    UNKNOWN = "UNKNOWN"
    """The document's "any other error", and any status beyond it."""


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
class HlrSubmission:
    """One row of the reply to an HLR query (§4).

    Attributes:
        destination: the number, as the gateway repeats it.
        accepted: whether a report on it will follow.
        lookup_id: the gateway's id of the lookup; None where it was not accepted.
        raw_status: the status of the row as received.
    """

    destination: str
    accepted: bool
    lookup_id: str | None
    raw_status: str


@attrs.frozen
class UdhElement:
    """One information element of a user data header (3GPP TS 23.040 9.2.3.24)."""

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


@attrs.frozen
class CallbackUrls:
    """The addresses to enter in the account's profile page (§3.1, §5, §6), which hold a secret."""

    delivery_reports: str = attrs.field(repr=False)
    hlr_reports: str = attrs.field(repr=False)
    inbound_sms: str = attrs.field(repr=False)
