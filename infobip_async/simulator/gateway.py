"""The gateway as the document describes it, without a socket or a clock of its own.

A request goes in; a reply comes out, with the reports that are to follow. Where the document does
not say how bad input is answered, the nearest answer that it lists is given.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from http import HTTPStatus
from itertools import count
from typing import Final

import attrs

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import DeliveryReport, DeliveryStatus, HlrReport, HlrStatus
from infobip_async.models.messages import Recipient, Submission
from infobip_async.protocol import commands, dlr_pull, hlr_query, send_get, send_xml
from infobip_async.protocol.exchange import CallbackUrls, Credentials, HttpReply, HttpRequest
from infobip_async.simulator import policies
from infobip_async.simulator.addresses import operation_of
from infobip_async.simulator.records import (
    Account,
    Exchange,
    HlrAnswer,
    Lookup,
    Operation,
    Phone,
    SentMessage,
)
from infobip_async.simulator.refusals import (
    first_wrong,
    login_fault,
    refused_get,
    refused_pull,
    refused_xml,
)
from infobip_async.simulator.validation import (
    good_recipients,
    is_international,
    is_msisdn,
    parts_of,
)

_METHODS: Final = frozenset({"GET", "POST"})

_DELIVERY_STATUSES: Final = {status.value: status for status in DeliveryStatus}
_HLR_STATUSES: Final = {status.value: status for status in HlrStatus}

_UNDECIDED: Final = Phone()
_FIRST_ID: Final = 20_711_151_112_345_678


@attrs.define(kw_only=True)
class Gateway:
    """The accounts, their messages and lookups, and the reports on them.

    Attributes:
        delivery: where a message to a number ends (§3.1): a `DeliveryStatus`, or any other text.
        hlr: what the HLR says of a number (§5).
        callbacks: the addresses that were entered for pushes; with them a pull returns nothing.
        not_covered: prefixes of numbers without a route. By GET they are refused (§2/2, -3); by
            XML they are reported as ``NOT_ALLOWED`` and cost nothing (§3.1).
        message_price: credits for each part of a message.
        lookup_price: credits for each number that is looked up.
        report_delay: seconds from a message or a lookup to its report.
        extras: further attributes of the report on a message, such as `usual_extras` gives.
        report_parts: report on each part of a message, under the one id of the message.
        zone: the gateway's time zone, for the dates in delivery reports.
        keep: how many of the latest `messages` and `lookups` are kept; None for all.
        accounts: by username.
        phones: what was decided by hand, by number; it goes before `delivery` and `hlr`.
        messages: the messages that were accepted, the oldest first.
        lookups: the numbers of HLR queries, the oldest first.
        message_count: messages accepted so far, kept or not.
        lookup_count: numbers accepted for lookup so far, kept or not.
    """

    delivery: Callable[[str], DeliveryStatus | str] = policies.delivered
    hlr: Callable[[str], HlrAnswer] = policies.in_network
    callbacks: CallbackUrls | None = None
    not_covered: Sequence[str] = ()
    message_price: Decimal = Decimal(1)
    lookup_price: Decimal = Decimal("0.001")
    report_delay: float = 0.0
    extras: Callable[[SentMessage], Mapping[str, str]] = policies.no_extras
    report_parts: bool = False
    zone: tzinfo = UTC
    keep: int | None = None
    accounts: dict[str, Account] = attrs.field(init=False, factory=dict, repr=False)
    phones: dict[str, Phone] = attrs.field(init=False, factory=dict, repr=False)
    messages: deque[SentMessage] = attrs.field(init=False, repr=False)
    lookups: deque[Lookup] = attrs.field(init=False, repr=False)
    message_count: int = attrs.field(init=False, default=0)
    lookup_count: int = attrs.field(init=False, default=0)
    _message_ids: "count[int]" = attrs.field(
        init=False, factory=lambda: count(_FIRST_ID), repr=False
    )
    _query_numbers: "count[int]" = attrs.field(init=False, factory=lambda: count(1), repr=False)

    def __attrs_post_init__(self) -> None:
        self.messages, self.lookups = deque(maxlen=self.keep), deque(maxlen=self.keep)

    def open_account(self, username: str, password: str, balance: Decimal) -> Account:
        """Open an account; it replaces one of the same name.

        Args:
            username: its name.
            password: its password.
            balance: its credits.
        """
        account = self.accounts[username] = Account(username, password, balance)
        return account

    @property
    def report_url(self) -> str | None:
        """The URL that was entered for delivery reports; None where they wait for a pull."""
        return (self.callbacks.delivery_reports or None) if self.callbacks else None

    def hold(self, username: str, reports: Iterable[DeliveryReport]) -> None:
        """Keep delivery reports until the account pulls them (§3.2).

        Args:
            username: the account's name.
            reports: in the order in which they are given out.
        """
        self.accounts[username].unclaimed.extend(reports)

    def reset(self) -> None:
        """Forget what was sent, looked up and decided, and drop reports that wait for a pull."""
        self.messages.clear()
        self.lookups.clear()
        self.phones.clear()
        self.message_count = self.lookup_count = 0
        for account in self.accounts.values():
            account.unclaimed.clear()

    def handle(self, request: HttpRequest, now: float) -> Exchange:
        """Carry a request out.

        Args:
            request: as it arrived; its URL may be absolute or a path.
            now: seconds since the epoch.
        """
        operation = operation_of(request.url)
        if operation is None or request.method not in _METHODS:
            status = HTTPStatus.METHOD_NOT_ALLOWED if operation else HTTPStatus.NOT_FOUND
            return Exchange(None, HttpReply(status, status.phrase.encode()))
        match operation:
            case Operation.SEND:
                return self._send(request, now)
            case Operation.SEND_ONE:
                return self._send_one(request, now)
            case Operation.CREDITS:
                return self._credits(request)
            case Operation.PULL_REPORTS:
                return self._pull_reports(request)
            case Operation.SUBMIT_HLR:
                return self._submit_hlr(request, now)

    def _account(self, credentials: Credentials) -> Account | None:
        account = self.accounts.get(credentials.username)
        return account if account and account.password == credentials.password else None

    # --- §2: messages -----------------------------------------------------------------------

    def _send(self, request: HttpRequest, now: float) -> Exchange:
        try:
            asked = send_xml.decode_request(request)
        except RemoteProtocolError:
            return refused_xml("XML_ERROR")
        account = self._account(asked.credentials)
        if account is None:
            return refused_xml("AUTH_FAILED")
        if asked.submission is None:  # the XML is correct, a value in it is not
            return refused_xml("GENERAL_ERROR", account.credits)
        submission = account.completed(asked.submission)
        recipients = good_recipients(asked.recipients)
        parts = parts_of(submission)
        charged = sum(not self._is_not_covered(recipient.msisdn) for recipient in recipients)
        fault = first_wrong(
            ("NO_RECIPIENTS", not recipients),
            ("GENERAL_ERROR", not parts),
            ("NOT_ENOUGH_CREDITS", self._price(parts * charged) > account.credits),
        )
        if fault:
            return refused_xml(fault, account.credits)
        messages = self._accept(
            account, submission, recipients, now, operation=Operation.SEND, parts=parts
        )
        reply = send_xml.encode_reply(len(messages), account.credits)
        return self._sent(Operation.SEND, reply, messages)

    def _send_one(self, request: HttpRequest, now: float) -> Exchange:
        asked = send_get.decode_request(request)
        account = self._account(asked.credentials)
        if account is None:
            return refused_get(login_fault(asked.credentials))
        if asked.submission is None:
            return refused_get("SEND_ERROR")
        submission = account.completed(asked.submission)
        parts = parts_of(submission)
        fault = self._fault_of(submission, asked.msisdn, parts, account.credits)
        if fault:
            return refused_get(fault)
        recipients = [Recipient(asked.msisdn)]
        messages = self._accept(
            account, submission, recipients, now, operation=Operation.SEND_ONE, parts=parts
        )
        reply = send_get.encode_reply(messages[0].gateway_id)
        return self._sent(Operation.SEND_ONE, reply, messages)

    def _fault_of(self, asked: Submission, msisdn: str, parts: int, balance: Decimal) -> str | None:
        """What is wrong with a GET, by the name of its return value (§2/2)."""
        return first_wrong(
            ("MISSING_SENDERNAME", not asked.sender.strip()),
            ("MISSING_DESTINATION_ADDRESS", not msisdn),
            ("DESTADDR_INVALIDFORMAT", not is_international(msisdn)),
            ("INVALID_DESTINATION_ADDRESS", not is_msisdn(msisdn)),
            ("MISSING_SMSTEXT", not (asked.text or asked.binary)),
            ("SEND_ERROR", not parts),
            ("NETWORK_NOTCOVERED", self._is_not_covered(msisdn)),
            ("NOT_ENOUGHCREDITS", self._price(parts) > balance),
        )

    def _accept(
        self,
        account: Account,
        submission: Submission,
        recipients: Iterable[Recipient],
        now: float,
        *,
        operation: Operation,
        parts: int,
    ) -> list[SentMessage]:
        """Take a message for each recipient, and its price off the account."""
        messages = [
            SentMessage(
                account=account.username,
                operation=operation,
                submission=submission,
                msisdn=recipient.msisdn,
                message_id=recipient.message_id,
                gateway_id=f"{next(self._message_ids):018}",
                at=now,
                parts=parts,
                status=self._ending(recipient.msisdn),
            )
            for recipient in recipients
        ]
        account.credits -= self._price(sum(message.charged_parts for message in messages))
        self.messages.extend(messages)
        self.message_count += len(messages)
        return messages

    def _sent(
        self, operation: Operation, reply: HttpReply, messages: Sequence[SentMessage]
    ) -> Exchange:
        return Exchange(
            operation,
            reply,
            messages[0].account,
            tuple(message.message_id or message.gateway_id for message in messages),
            tuple(
                self.delivery_report(message)
                for message in messages
                for _ in range(message.parts if self.report_parts else 1)
                if message.report_id
            ),
            tuple(messages),
        )

    def _price(self, parts: int) -> Decimal:
        return parts * self.message_price

    def price_of(self, exchange: Exchange) -> Decimal:
        """What the messages and the lookups of a request cost, if they could be paid for."""
        parts = sum(message.charged_parts for message in exchange.messages)
        accepted = sum(lookup.lookup_id is not None for lookup in exchange.lookups)
        return self._price(parts) + accepted * self.lookup_price

    def _is_not_covered(self, msisdn: str) -> bool:
        return msisdn.startswith(tuple(self.not_covered))

    def _ending(self, msisdn: str) -> str:
        """The status that a message to a number will be reported with."""
        if self._is_not_covered(msisdn):
            return DeliveryStatus.NOT_ALLOWED.value
        decided = self.phones.get(msisdn, _UNDECIDED).status
        return _name_of(self.delivery(msisdn) if decided is None else decided)

    def delivery_report(
        self,
        message: SentMessage,
        status: DeliveryStatus | str | None = None,
        delay: float | None = None,
    ) -> DeliveryReport:
        """Make the report on a message (§3.1).

        Args:
            message: one that was accepted.
            status: None for the one that the message ends with.
            delay: seconds from the message to its end; None for those of its number.
        """
        ending = message.status if status is None else _name_of(status)
        seconds = self.delay_of(message.msisdn) if delay is None else delay
        return DeliveryReport(
            message.report_id or "",
            _DELIVERY_STATUSES.get(ending, DeliveryStatus.UNKNOWN),
            ending,
            self.date(message.at),
            self.date(message.at + seconds),
            self.extras(attrs.evolve(message, status=ending)),
        )

    def delay_of(self, msisdn: str) -> float:
        """Seconds to the reports about a number."""
        decided = self.phones.get(msisdn, _UNDECIDED).delay
        return self.report_delay if decided is None else decided

    def date(self, at: float) -> datetime:
        """A time as the gateway writes it: in its own zone, which it does not name.

        Args:
            at: seconds since the epoch.
        """
        return datetime.fromtimestamp(int(at), self.zone).replace(tzinfo=None)

    # --- §2/2.1, §3.2: the account ----------------------------------------------------------

    def _credits(self, request: HttpRequest) -> Exchange:
        asked = commands.decode_request(request)
        account = self._account(asked.credentials)
        known = account and asked.command == commands.CREDITS
        reply = commands.encode_reply(account.credits if account and known else None)
        return Exchange(Operation.CREDITS, reply)

    def _pull_reports(self, request: HttpRequest) -> Exchange:
        asked = dlr_pull.decode_request(request)
        account = self._account(asked.credentials)
        if account is None:
            return refused_pull(login_fault(asked.credentials))
        reports = [] if self.report_url else account.claim(asked.message_ids)
        return Exchange(Operation.PULL_REPORTS, dlr_pull.encode_reply(reports), account.username)

    # --- §4, §5: HLR ------------------------------------------------------------------------

    def _submit_hlr(self, request: HttpRequest, now: float) -> Exchange:
        asked = hlr_query.decode_request(request)
        account = self._account(asked.credentials)
        if account is None or not asked.destinations:
            return Exchange(Operation.SUBMIT_HLR, hlr_query.encode_reply(None))
        prefix = f"{int(now * 1000):X}-{next(self._query_numbers)}"
        found = [
            Lookup(account.username, number, f"{prefix}-{row}" if is_msisdn(number) else None, now)
            for row, number in enumerate(asked.destinations, 1)
        ]
        reports = tuple(
            self._hlr_report(account, lookup.msisdn, lookup.lookup_id)
            for lookup in found
            if lookup.lookup_id
        )
        self.lookups.extend(found)
        self.lookup_count += len(reports)
        ids = tuple(report.lookup_id for report in reports)
        reply = hlr_query.encode_reply(lookup.row for lookup in found)
        asked_for = tuple(found)
        return Exchange(
            Operation.SUBMIT_HLR, reply, account.username, ids, reports, lookups=asked_for
        )

    def _hlr_report(self, account: Account, msisdn: str, lookup_id: str) -> HlrReport:
        if account.credits >= self.lookup_price:
            account.credits -= self.lookup_price
            answer = self.phones.get(msisdn, _UNDECIDED).answer or self.hlr(msisdn)
        else:  # "UNKNOWN in case of any other error (no credits etc)"
            answer = policies.NO_CREDITS
        status = answer.status.value if isinstance(answer.status, HlrStatus) else answer.status
        return HlrReport(
            msisdn,
            lookup_id,
            _HLR_STATUSES.get(status, HlrStatus.UNKNOWN),
            status,
            answer.imsi,
            answer.serving_msc,
            answer.error_code,
        )


def _name_of(status: DeliveryStatus | str) -> str:
    return status.value if isinstance(status, DeliveryStatus) else status
