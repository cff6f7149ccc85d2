"""What a user sends, and to whom: frozen, slotted, compared by content.

Only types and address parameters are checked here. The other rules of the document stand with the
wire formats (`infobip_async.protocol`), which apply them before anything is sent.
"""

from collections.abc import Callable, Iterable
from enum import Enum, IntEnum
from typing import Any

import attrs
from attrs.validators import optional

from infobip_async.errors import LocalProtocolError


class Ton(IntEnum):
    """Type of number of a source or destination address (§2/1.2)."""

    UNKNOWN = 0
    """The sender says nothing of the kind of address."""
    INTERNATIONAL = 1
    """With country code; a handset shows a leading ``+``. The default for a numeric sender."""
    NATIONAL = 2
    """Without country code; a handset shows no ``+``, as for the sender ``12345`` (§2/1.2)."""
    NETWORK_SPECIFIC = 3
    """A number that has its meaning inside one network, such as of a service there."""
    SUBSCRIBER_NUMBER = 4
    """A number within its area, without area code."""
    ALPHANUMERIC = 5
    """Letters, or letters and digits, with NPI 0. The default for such a sender."""
    ABBREVIATED = 6
    """A short number."""


class Npi(IntEnum):
    """Numbering plan indicator of a source or destination address (§2/1.2)."""

    UNKNOWN = 0
    """No plan; the document's choice beside an alphanumeric sender."""
    ISDN = 1
    """Telephone numbers (E.163, E.164); the document's choice beside a numeric sender."""
    DATA = 3
    """Data networks (X.121)."""
    TELEX = 4
    """Telex (F.69)."""
    LAND_MOBILE = 6
    """Mobile subscribers (E.212), the plan of IMSIs."""
    NATIONAL = 8
    """The country's own plan."""
    PRIVATE = 9
    """A private plan, such as that of a company."""
    ERMES = 10
    """The European paging system."""
    INTERNET = 14
    """IP addresses."""
    WAP_CLIENT_ID = 18
    """WAP clients; the document leaves its form to be defined."""


def _member_of(enum: type[IntEnum]) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Refuse values that the document reserves; a plain number that it lists is accepted."""
    members = frozenset(enum)

    def validate(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in members:
            known = ", ".join(str(int(member)) for member in enum)
            text = f"{value!r} is no {enum.__name__.upper()} of the document ({known})"
            raise LocalProtocolError(text, field=attribute.name, section="2/1.2")

    return validate


_ton = optional(_member_of(Ton))
_npi = optional(_member_of(Npi))


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

    As every message, it takes `source_addr_ton`, `source_addr_npi`, `dest_addr_ton` and
    `dest_addr_npi` (§2/1.2), which go on the wire only when they are given.

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
    """A WAP bookmark (§2/1.2, type ``bookmark``).

    Attributes:
        text: its title.
        url: the address that it opens.
        sender: 1 to 11 characters, or 1 to 14 digits.
    """

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
    raise LocalProtocolError("is not a string", field="recipients", value=given)


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
