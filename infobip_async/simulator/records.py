"""What the simulated gateway is told and remembers: values without behaviour of their own."""

from collections.abc import Collection
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from infobip_async.models import DeliveryReport, DeliveryStatus, HlrReport, HlrStatus, Submission
from infobip_async.protocol.exchange import HttpReply, PushKind
from infobip_async.text import data_coding, udh

Report = DeliveryReport | HlrReport
"""What follows a request, one for each message or lookup."""

UDHI = 0x40
"""The bit of esm_class that says that the octets start with a header."""


_FREE: Final = (DeliveryStatus.NOT_ALLOWED.value, DeliveryStatus.NOT_ENOUGH_CREDITS.value)


class Operation(StrEnum):
    """What a request asks for, by the name of the client's method."""

    SEND = "send"
    """SMS by XML POST (§2/1)."""
    SEND_ONE = "send_one"
    """SMS by GET (§2/2)."""
    CREDITS = "credits"
    """The balance (§2/2.1)."""
    PULL_REPORTS = "pull_reports"
    """Delivery reports by pull (§3.2)."""
    SUBMIT_HLR = "submit_hlr"
    """An HLR query (§4)."""


@attrs.frozen
class HlrAnswer:
    """What the HLR says of a number; an empty field is None (§5).

    Attributes:
        status: one of the document's, or any other text.
        imsi: the subscriber's IMSI.
        serving_msc: the address of the MSC that serves the subscriber.
        error_code: ``"0"`` where there is no error.
    """

    status: HlrStatus | str = HlrStatus.DELIVRD
    imsi: str | None = None
    serving_msc: str | None = None
    error_code: str | None = "0"


@attrs.frozen
class SentMessage:
    """A message that the gateway accepted for one recipient.

    Attributes:
        account: the username that paid.
        operation: ``send`` or ``send_one``.
        submission: what was sent, parameter by parameter.
        msisdn: the recipient.
        message_id: the client's id of the message; None where it gave none.
        gateway_id: the gateway's own id of it.
        at: when it was accepted, in seconds since the epoch.
        parts: the parts that it takes.
        status: where it ends, as its report says.
    """

    account: str
    operation: Operation
    submission: Submission
    msisdn: str
    message_id: str | None
    gateway_id: str
    at: float
    parts: int
    status: str

    @property
    def report_id(self) -> str | None:
        """The id in its delivery report; None where there is none, without registered delivery."""
        return self.gateway_id if self.operation is Operation.SEND_ONE else self.message_id

    @property
    def charged_parts(self) -> int:
        """The parts to be paid for: none where sending was not allowed, or not paid for (§3.1)."""
        return 0 if self.status in _FREE else self.parts

    @property
    def text(self) -> str | None:
        """What the handset shows; None where the content is no text."""
        if self.submission.text is not None:
            return self.submission.text
        octets, header = self.submission.binary or b"", None
        if self.submission.esm_class & UDHI:
            header, octets = udh.parse(octets)
        return data_coding.decode(octets, self.submission.data_coding, header)[0]


@attrs.frozen(weakref_slot=False)
class Lookup:
    """A number of an HLR query.

    Attributes:
        account: the username that asked.
        msisdn: the number as asked for.
        lookup_id: the gateway's id of the lookup; None where the number was refused.
        at: when, in seconds since the epoch.
    """

    account: str
    msisdn: str
    lookup_id: str | None
    at: float


@attrs.frozen(weakref_slot=False)
class PushAttempt:
    """A post or request that the gateway made to a callback URL, once.

    Attributes:
        kind: to which of the three.
        rows: the reports in it; 1 for an inbound SMS.
        at: when it ended, in seconds since the epoch.
        status: the HTTP status of the answer; None where there was no answer.
    """

    kind: PushKind
    rows: int
    at: float
    status: int | None

    @property
    def successful(self) -> bool:
        """Whether the receiver took it: any 2xx."""
        return self.status is not None and self.status // 100 == 2  # noqa: PLR2004 - 2xx


@attrs.frozen
class Exchange:
    """A request that the gateway carried out, before anything of it leaves.

    Attributes:
        operation: what was asked; None for an unknown path.
        reply: what is to be answered.
        account: the username; empty where nobody was let in.
        ids: of the messages or lookups that it made, as their reports will have them.
        reports: the reports that are to follow.
    """

    operation: Operation | None
    reply: HttpReply
    account: str = ""
    ids: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()


@attrs.define
class Account:
    """An account at the gateway.

    Attributes:
        username: its name, unique at the gateway.
        password: its password.
        credits: what is left; it runs down with what is sent and looked up.
        unclaimed: delivery reports that wait for a pull, the oldest first.
    """

    username: str
    password: str = attrs.field(repr=False)
    credits: Decimal
    unclaimed: list[DeliveryReport] = attrs.field(init=False, factory=list, repr=False)

    def claim(self, message_ids: Collection[str] = ()) -> list[DeliveryReport]:
        """Take the reports of some messages, or all of them: each is given once (§3.2)."""
        waiting, self.unclaimed = self.unclaimed, []
        claimed: list[DeliveryReport] = []
        for report in waiting:
            wanted = not message_ids or report.message_id in message_ids
            (claimed if wanted else self.unclaimed).append(report)
        return claimed
