"""What the console shows: the latest requests, pushes and inbound messages, and figures of all."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

import attrs

from infobip_async.models.events import HlrReport
from infobip_async.simulator.records import Arrival, Lookup, Operation, Pushed, SentMessage

KEPT: Final = 10_000
"""The latest messages and lookups that are kept, and pushes, each counted by itself."""

_OCTETS: Final = 64 << 20  # of requests and of pushes that are kept
_BUCKETS: Final = 720
BUCKET: Final = 5
"""Seconds for which figures are added up."""

_SENDING: Final = (Operation.SEND, Operation.SEND_ONE)

Row = tuple[int, Arrival, SentMessage | None]
"""A request, by its number, and one of its messages; None where the gateway refused to send."""


@attrs.frozen(eq=False)
class Inbound:
    """A message that the tester sent from a handset.

    Attributes:
        sender: the handset.
        receiver: the number that was texted; None where it is not known.
        text: what was typed; None for octets.
        data: octets; None for a text.
        at: when, in seconds since the epoch.
        answers: for each part the HTTP status of the answer; None where there was none.
    """

    sender: str
    receiver: str | None
    text: str | None
    data: bytes | None
    at: float
    answers: Sequence[int | None]


@attrs.define(eq=False)
class Recorder:
    """Keeps what happened, bounded in number and in octets; what is older is dropped.

    Attributes:
        revision: a number that grows with every change.
        arrivals: requests that asked for messages or lookups, with their numbers, oldest first.
        pushes: attempts to push by their number, the oldest first.
        inbound: messages from handsets, the oldest first.
        statuses: what was reported by hand, by the gateway's id of the message.
        messages: how many messages the requests have.
        refused: how many of the requests were to send, and refused.
        totals: figures since the start, or the last reset.
        series: the same for each span of `BUCKET` seconds, by its beginning.
    """

    revision: int = 0
    arrivals: deque[tuple[int, Arrival]] = attrs.field(init=False, factory=deque)
    pushes: dict[int, Pushed] = attrs.field(init=False, factory=dict)
    inbound: deque[Inbound] = attrs.field(init=False, factory=lambda: deque(maxlen=KEPT))
    statuses: dict[str, str] = attrs.field(init=False, factory=dict)
    messages: int = attrs.field(init=False, default=0)
    refused: int = attrs.field(init=False, default=0)
    totals: Counter[str] = attrs.field(init=False, factory=Counter)
    series: deque[tuple[int, Counter[str]]] = attrs.field(
        init=False, factory=lambda: deque(maxlen=_BUCKETS)
    )
    _numbers: "count[int]" = attrs.field(init=False, factory=lambda: count(1))
    _kept: int = attrs.field(init=False, default=0)  # messages and lookups of all arrivals
    _octets: int = attrs.field(init=False, default=0)
    _pushed: deque[int] = attrs.field(init=False, factory=deque)
    _pushed_octets: int = attrs.field(init=False, default=0)
    _by_id: dict[str, list[int]] = attrs.field(init=False, factory=dict)

    def reset(self) -> None:
        """Forget everything; numbers go on."""
        for kept in (self.arrivals, self.pushes, self.inbound, self.totals, self.series):
            kept.clear()
        self._pushed.clear()
        self._by_id.clear()
        self.statuses.clear()
        self.messages = self.refused = self._kept = self._octets = self._pushed_octets = 0
        self.revision += 1

    # --- what happens -----------------------------------------------------------------------

    def arrived(self, arrival: Arrival, credits: float) -> None:  # noqa: A002 - the document's word
        """Take a request in."""
        messages, lookups = arrival.exchange.messages, arrival.exchange.lookups
        self._count(
            arrival.at,
            requests=1,
            refused=_is_refused(arrival),
            messages=len(messages),
            parts=sum(message.parts for message in messages),
            lookups=len(lookups),
            credits=credits,
        )
        if arrival.exchange.operation in (*_SENDING, Operation.SUBMIT_HLR):
            self.arrivals.append((next(self._numbers), arrival))
            self._weigh(arrival, 1)
            self._make_room()

    def _weigh(self, arrival: Arrival, sign: int) -> None:
        """Add a request to what is kept, or take it off."""
        self.messages += sign * len(arrival.exchange.messages)
        self.refused += sign * _is_refused(arrival)
        self._kept += sign * _size(arrival)
        self._octets += sign * (len(arrival.request.body) + len(arrival.request.url))

    def _make_room(self) -> None:
        while len(self.arrivals) > 1 and (self._kept > KEPT or self._octets > _OCTETS):
            _, oldest = self.arrivals.popleft()
            self._weigh(oldest, -1)
            for message in oldest.exchange.messages if self.statuses else ():
                self.statuses.pop(message.gateway_id, None)

    def pushed(self, push: Pushed) -> None:
        """Take an attempt to push in."""
        attempt, number = push.attempt, next(self._numbers)
        outcome = "accepted" if attempt.successful else "failed"
        self._count(attempt.at, **{f"pushes {outcome}": 1, f"pushes: {attempt.status}": 1})
        self.pushes[number] = push
        self._pushed.append(number)
        self._pushed_octets += len(push.post.request.body)
        for each in push.post.ids:
            self._by_id.setdefault(each, []).append(number)
        while len(self._pushed) > KEPT or (self._pushed_octets > _OCTETS and len(self._pushed) > 1):
            self._drop_push(self._pushed.popleft())

    def _drop_push(self, number: int) -> None:
        push = self.pushes.pop(number)
        self._pushed_octets -= len(push.post.request.body)
        for each in push.post.ids:
            numbers = self._by_id[each]
            numbers.remove(number)
            if not numbers:
                del self._by_id[each]

    def reported(self, message: SentMessage, status: str) -> None:
        """Take in what was decided about a message after it was sent."""
        self.statuses[message.gateway_id] = status
        self.revision += 1

    def status_of(self, message: SentMessage) -> str:
        """Where a message ended: as it was decided by hand, or by the gateway."""
        return self.statuses.get(message.gateway_id, message.status)

    def forwarded(self, inbound: Inbound) -> None:
        """Take a message of a handset in."""
        self.inbound.append(inbound)
        self._count(inbound.at, inbound=1)

    def _count(self, at: float, **figures: float) -> None:
        begin = int(at) // BUCKET * BUCKET
        if not self.series or self.series[-1][0] != begin:
            self.series.append((begin, Counter()))
        for counter in (self.totals, self.series[-1][1]):
            for name, amount in figures.items():
                counter[name] += amount  # type: ignore[assignment]  # credits have decimals
        self.revision += 1

    # --- what is shown ----------------------------------------------------------------------

    def rows(self) -> Iterator[Row]:
        """Messages, and requests to send that were refused, the latest first."""
        for number, arrival in reversed(self.arrivals):
            for message in reversed(arrival.exchange.messages):
                yield number, arrival, message
            if _is_refused(arrival):
                yield number, arrival, None

    def lookups(self) -> Iterator[tuple[Lookup, HlrReport | None]]:
        """Numbers of HLR queries with their reports, the latest first; refused ones have none."""
        for _, arrival in reversed(self.arrivals):
            every = arrival.exchange.reports
            reports = {each.lookup_id: each for each in every if isinstance(each, HlrReport)}
            for lookup in reversed(arrival.exchange.lookups):
                yield lookup, reports.get(lookup.lookup_id or "")

    def pushes_on(self, report_id: str | None) -> list[tuple[int, Pushed]]:
        """The attempts to push reports on a message or a lookup, the oldest first."""
        return [(number, self.pushes[number]) for number in self._by_id.get(report_id or "", ())]


def _size(arrival: Arrival) -> int:
    return max(1, len(arrival.exchange.messages) + len(arrival.exchange.lookups))


def _is_refused(arrival: Arrival) -> bool:
    return not arrival.exchange.messages and arrival.exchange.operation in _SENDING
