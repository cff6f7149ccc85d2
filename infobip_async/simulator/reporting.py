"""The reports that follow a request: when they are pushed, or that they wait for a pull."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import DeliveryReport, DeliveryStatus
from infobip_async.protocol.exchange import PushKind
from infobip_async.simulator.faults import Faults, report_id
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.pusher import Pusher
from infobip_async.simulator.records import Exchange, Operation, Report, SentMessage


@attrs.define(eq=False)
class Reporter:
    """Starts the reports of each request."""

    gateway: Gateway
    faults: Faults
    pusher: Pusher
    _delayed: set[str] = attrs.field(init=False, factory=set)  # ids of reports before their time

    def start(self, exchange: Exchange, may_reply: asyncio.Event, replied: asyncio.Event) -> None:
        """Push early reports before the reply, and the others once the reply is out or lost.

        This goes on even if the client goes away: the request was carried out.
        """
        self.pusher.start(self._report(exchange, may_reply, replied))

    async def _report(
        self, exchange: Exchange, may_reply: asyncio.Event, replied: asyncio.Event
    ) -> None:
        timetable = self.faults.timetable(exchange)
        kind = _kind(exchange)
        if timetable.early and not self._held(exchange.account, timetable.early):
            await self.pusher.push_now(kind, timetable.early)
        may_reply.set()
        await replied.wait()
        for delay, reports in self._by_delay(exchange, timetable.later).items():
            if delay:
                self.pusher.start(self._publish_later(exchange.account, kind, reports, delay))
            else:
                self._publish(exchange.account, kind, reports)

    def _by_delay(
        self, exchange: Exchange, reports: Sequence[Report]
    ) -> dict[float, Sequence[Report]]:
        """Put reports that are due at the same time together."""
        if not self.gateway.phones:
            return {self.gateway.report_delay: reports}
        numbers = {message.report_id: message.msisdn for message in exchange.messages}
        numbers |= {lookup.lookup_id: lookup.msisdn for lookup in exchange.lookups}
        groups: defaultdict[float, list[Report]] = defaultdict(list)
        for report in reports:
            msisdn = numbers.get(report_id(report), "")
            groups[self.gateway.delay_of(msisdn)].append(report)
        return dict(groups)

    async def _publish_later(
        self, account: str, kind: PushKind, reports: Iterable[Report], delay: float
    ) -> None:
        """Publish reports when they are due, without those that others have replaced."""
        ids = set(map(report_id, reports))
        self._delayed |= ids
        await self.pusher.pause(delay)
        due = [report for report in reports if report_id(report) in self._delayed]
        self._delayed -= ids
        self._publish(account, kind, due)

    def _publish(self, account: str, kind: PushKind, reports: Iterable[Report]) -> None:
        if not self._held(account, reports):
            self.pusher.publish(kind, reports)

    def _held(self, account: str, reports: Iterable[Report]) -> bool:
        """Keep delivery reports for a pull if no URL was entered; whether they were kept."""
        deliveries = [report for report in reports if isinstance(report, DeliveryReport)]
        if self.gateway.report_url or not deliveries:
            return False
        self.gateway.hold(account, deliveries)
        return True

    def report(self, message: SentMessage, status: DeliveryStatus | str, delay: float) -> None:
        """Report on a message again, or otherwise than it would be reported on.

        Args:
            message: one that the gateway accepted.
            status: of the report.
            delay: seconds until it is pushed; a report that waits for its time is dropped.

        Raises:
            LocalProtocolError: the message has no id, so that nobody would know the report.
        """
        made = self.gateway.delivery_report(message, status, delay)
        if not made.message_id:
            raise LocalProtocolError(
                "it was sent without a message id, so no report can name it",
                field="message",
                section="2/1.1",
            )
        self._delayed.discard(made.message_id)
        kind = PushKind.DELIVERY_REPORTS
        if delay:
            self.pusher.start(self._publish_later(message.account, kind, [made], delay))
        else:
            self._publish(message.account, kind, [made])


def _kind(exchange: Exchange) -> PushKind:
    of_lookups = exchange.operation is Operation.SUBMIT_HLR
    return PushKind.HLR_REPORTS if of_lookups else PushKind.DELIVERY_REPORTS
