"""The simulator's values: what was asked for, what was accepted, and what was pushed."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from infobip_async.models.events import DeliveryReport, DeliveryStatus, HlrReport, HlrStatus
from infobip_async.models.messages import Submission
from infobip_async.models.receipts import HlrSubmission
from infobip_async.protocol import hlr_query
from infobip_async.protocol.exchange import HttpReply, HttpRequest, PushKind
from infobip_async.text import data_coding, udh

Report = DeliveryReport | HlrReport
"""The report that follows a request, one for each message or lookup."""

UDHI = 0x40
"""The bit of esm_class for octets that start with a user data header."""

_LINE_BREAKER: Final = re.compile("[\x00-\x1f\x7f]")
_FREE: Final = (DeliveryStatus.NOT_ALLOWED.value, DeliveryStatus.NOT_ENOUGH_CREDITS.value)


class Operation(StrEnum):
    """What a request asks for, named as the client's method."""

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
    """The HLR's answer about a number; an empty field is None (§5).

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


@attrs.frozen(kw_only=True)
class Phone:
    """What was decided by hand about one number; None leaves it to the simulator's policies.

    Attributes:
        status: where messages to it end (§3.1): one of the document's, or any other text.
        delay: seconds to the reports about it, 0 or more.
        answer: what the HLR says of it (§5).
    """

    status: DeliveryStatus | str | None = None
    delay: float | None = None
    answer: HlrAnswer | None = None


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
        """The id in its delivery report; None without registered delivery."""
        return self.gateway_id if self.operation is Operation.SEND_ONE else self.message_id

    @property
    def charged_parts(self) -> int:
        """The parts that cost credits: none where the status says that nothing was sent (§3.1)."""
        return 0 if self.status in _FREE else self.parts

    @property
    def text(self) -> str | None:
        """The text that the handset shows; None where the content is no text."""
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
        at: when it was asked for, in seconds since the epoch.
    """

    account: str
    msisdn: str
    lookup_id: str | None
    at: float

    @property
    def row(self) -> HlrSubmission:
        """Its row in the reply (§4): a line, so that a line break must not begin another one."""
        destination = _LINE_BREAKER.sub(" ", self.msisdn)
        status = hlr_query.OK if self.lookup_id else hlr_query.FAILED
        return HlrSubmission(destination, bool(self.lookup_id), self.lookup_id, status)


@attrs.frozen(weakref_slot=False)
class PushAttempt:
    """One attempt of the gateway to push to a callback URL.

    Attributes:
        kind: which of the three URLs.
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
        """Whether the receiver accepted it: any 2xx."""
        return self.status is not None and self.status // 100 == 2  # noqa: PLR2004 - 2xx


@attrs.frozen
class Counts:
    """What a simulator did so far, in numbers.

    Attributes:
        requests: requests that were answered, or carried out and not answered, by operation.
        messages: messages accepted for sending.
        lookups: numbers accepted for lookup.
        answers: pushes by the HTTP status of their answer; None stands for no answer.
        given_up: posts that no receiver accepted, even when they were repeated (§3.1).
        unaddressed: reports that were lost because no URL was entered for them.
    """

    requests: Mapping[Operation, int]
    messages: int
    lookups: int
    answers: Mapping[int | None, int]
    given_up: int
    unaddressed: int

    @property
    def pushes(self) -> int:
        """Pushes altogether, repetitions included."""
        return sum(self.answers.values())


@attrs.frozen
class Exchange:
    """The result of a request that the gateway carried out; nothing of it was sent yet.

    Attributes:
        operation: what was asked; None for an unknown path.
        reply: the reply to the request.
        account: the username; empty where the login was wrong.
        ids: of the messages or lookups that were accepted, as their reports will have them.
        reports: the reports that are to follow.
        messages: the messages that were accepted.
        lookups: the numbers that were asked for, refused ones included.
    """

    operation: Operation | None
    reply: HttpReply
    account: str = ""
    ids: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()
    messages: tuple[SentMessage, ...] = ()
    lookups: tuple[Lookup, ...] = ()


@attrs.frozen(kw_only=True, eq=False)
class Arrival:
    """A request as it arrived, and the gateway's answer to it.

    Attributes:
        at: when, in seconds since the epoch.
        request: its URL and its body may hold the password.
        headers: as they arrived, names and values.
        exchange: the result.
        fault: the name of the fault that struck its reply; None where none did.
    """

    at: float
    request: HttpRequest
    headers: tuple[tuple[bytes, bytes], ...] = attrs.field(default=(), repr=False)
    exchange: Exchange
    fault: str | None = None


@attrs.frozen(eq=False)
class Post:
    """A request that the gateway makes.

    Attributes:
        kind: which of the three URLs.
        request: as it goes out.
        rows: the reports in it; 1 for an inbound SMS.
        ids: of the messages or lookups that it reports on.
    """

    kind: PushKind
    request: HttpRequest
    rows: int = 1
    ids: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Pushed:
    """One attempt to push, with all that is known of it.

    Attributes:
        post: the request.
        attempt: how it ended.
        seconds: how long it took, on the simulator's clock.
        answer: the beginning of the answer's body.
    """

    post: Post
    attempt: PushAttempt
    seconds: float
    answer: str = ""


@attrs.define
class Account:
    """An account at the gateway.

    Attributes:
        username: its name, unique at the gateway.
        password: its password.
        credits: the balance; messages and lookups are paid from it.
        sender: of messages that name none; empty where such messages are refused.
        unclaimed: delivery reports that wait for a pull, the oldest first.
    """

    username: str
    password: str = attrs.field(repr=False)
    credits: Decimal
    sender: str = ""
    unclaimed: list[DeliveryReport] = attrs.field(init=False, factory=list, repr=False)

    def completed(self, submission: Submission) -> Submission:
        """Give a message the account's sender where it names none."""
        if submission.sender.strip() or not self.sender:
            return submission
        return attrs.evolve(submission, sender=self.sender)

    def claim(self, message_ids: Collection[str] = ()) -> list[DeliveryReport]:
        """Take the reports of some messages, or all of them: each is given once (§3.2)."""
        waiting, self.unclaimed = self.unclaimed, []
        claimed: list[DeliveryReport] = []
        for report in waiting:
            wanted = not message_ids or report.message_id in message_ids
            (claimed if wanted else self.unclaimed).append(report)
        return claimed
