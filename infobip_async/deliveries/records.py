"""What is known of a message: as users see it, and as a store keeps it."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

import attrs

from infobip_async.bulk.items import SendOutcome
from infobip_async.deliveries.folding import State, done_at, fold, heaviest, keep
from infobip_async.models.events import DeliveryReport, DeliveryStatus, DerivedEvent


@attrs.frozen(kw_only=True)
class Delivery(DerivedEvent):
    """What is known of a message to one recipient: its request and its reports, joined.

    Attributes:
        key: the caller's key; None where there is none.
        run: the name of the run that it belongs to; None where it was sent alone.
        message_id: the id of the message, not of a part; empty where a run has not sent it yet.
        msisdn: the number of the recipient.
        outcome: what became of the request; None while it is under way, or where the process
            ended meanwhile. Reports on all parts prove that it was sent.
        status: folded from the reports, by the table in ``docs/guides/deliveries.md``; None before
            the first one, UNKNOWN while some parts have none.
        is_final: whether no more is waited for.
        delivered: whether all parts arrived; None where that is not known, or nobody will know.
        part_ids: the ids that reports name, in order: the id of the message, or one for each part.
        reports: the report that counts, for each part id that has one.
        contradictions: final reports that another final report on the same id outweighs.
        done_at: when the last of `reports` says that it was made.
        reason: in words, why it was not sent, or is not known to be.
        created_at: when it was stored, before its request; seconds since the epoch.
    """

    key: str | None
    run: str | None
    message_id: str
    msisdn: str = attrs.field(repr=False)
    outcome: SendOutcome | None
    status: DeliveryStatus | None
    is_final: bool
    delivered: bool | None
    part_ids: tuple[str, ...]
    reports: Mapping[str, DeliveryReport] = attrs.field(hash=False)
    contradictions: tuple[DeliveryReport, ...]
    done_at: datetime | None
    reason: str | None = attrs.field(repr=False)
    created_at: float


@attrs.frozen(kw_only=True)
class DeliveryCounts:
    """How many deliveries there are.

    Attributes:
        total: all of them.
        under_way: their request is under way, or the process ended before its outcome was known.
        unknown: their outcome is unknown, and no report has settled it yet.
        waiting: the gateway has accepted them, and their final report has not come.
        delivered: all parts arrived.
        failed: those that a report says were not delivered, by the name of the status.
        not_known: final, and nobody will know: SENT, or no report in time.
        not_sent: no byte of their request left this machine, or the turn has not come.
        refused: the gateway refused them, or they break a rule of the document.
        contradictions: those that have final reports which contradict each other.
    """

    total: int = 0
    under_way: int = 0
    unknown: int = 0
    waiting: int = 0
    delivered: int = 0
    failed: Mapping[str, int] = attrs.field(factory=dict, hash=False)
    not_known: int = 0
    not_sent: int = 0
    refused: int = 0
    contradictions: int = 0

    @classmethod
    def of(cls, labels: Mapping[str, int]) -> Self:
        """Make counts of those by `State.label`."""
        names = {name.replace(" ", "_"): count for name, count in labels.items()}
        failed = {
            name.partition("failed: ")[2]: count
            for name, count in labels.items()
            if name.startswith("failed: ")
        }
        counted = {name: count for name, count in names.items() if name in _COUNTED}
        total = sum(labels.values()) - labels.get("contradictions", 0)
        return cls(total=total, failed=failed, **counted)


_COUNTED = {field.name for field in attrs.fields(DeliveryCounts)} - {"total", "failed"}


@attrs.frozen
class DeliveryKey:
    """What a caller calls a message.

    Attributes:
        key: the caller's; in a run also the position of an item that has none, from 0.
        run: the name of the run; empty for messages that are sent alone.
    """

    key: str | int
    run: str = ""


_NO_TRACE: Final[Mapping[str, str]] = {}

DeliveryRef = str | DeliveryKey
"""What a message is found by: its id, the id of a part, or its key."""


@attrs.frozen(kw_only=True)
class StoredDelivery:
    """A message as a store keeps it. A store needs to know the first five attributes.

    Attributes:
        message_id: its id; empty where a run has not sent it yet.
        key: what its caller calls it; None where it has only its id.
        part_ids: the ids that reports name; none where it is `message_id` alone.
        msisdn: the number of the recipient.
        created_at: when it was stored; seconds since the epoch.
        given: the outcome that the reply to the request gave.
        answered: whether that is an answer of the gateway's, which a repetition would get again.
        reason: why it was not sent, or is not known to be.
        known: the reports that are kept.
        expired: whether no final report came in time.
        digest: tells an equal number and message from others; keyed, with its key in front.
        owner: the run, as a process started it, that has met it last.
        changes: how often its state has changed.
        outbox: the latest of these states, which handlers have not been given yet.
        announce_at: when any process may give them to handlers; seconds since the epoch.
        trace_context: in which it was sent; empty where nobody traces.
    """

    message_id: str = ""
    key: DeliveryKey | None = None
    part_ids: tuple[str, ...] = ()
    msisdn: str = attrs.field(default="", repr=False)
    created_at: float = 0.0
    given: SendOutcome | None = None
    answered: bool = False
    reason: str | None = attrs.field(default=None, repr=False)
    known: tuple[DeliveryReport, ...] = ()
    expired: bool = False
    digest: bytes = attrs.field(default=b"", repr=False)
    owner: str = ""
    changes: int = 0
    outbox: tuple[State, ...] = ()
    announce_at: float = 0.0
    trace_context: Mapping[str, str] = _NO_TRACE

    @property
    def ref(self) -> DeliveryRef:
        """What it is found by for certain."""
        return self.key or self.message_id

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that reports name."""
        return self.part_ids or ((self.message_id,) if self.message_id else ())

    @property
    def state(self) -> State:
        """The state of the message as a whole."""
        return fold(self.ids, self.known, self.given, expired=self.expired)

    @property
    def labels(self) -> tuple[str, ...]:
        """What it is counted under: its state, and ``"contradictions"`` if it has any."""
        contradicted = len(heaviest(self.known)) < len(self.known)
        return (self.state.label, "contradictions") if contradicted else (self.state.label,)

    def reported(self, report: DeliveryReport) -> Self:
        """Add a report on one of `ids`."""
        known = keep(self.known, report)
        return self if known is self.known else attrs.evolve(self, known=tuple(known))

    def requested(
        self, outcome: SendOutcome, reason: str | None, *, answered: bool = False
    ) -> Self:
        """Say what became of its request.

        Args:
            outcome: sent, refused, not sent or unknown.
            reason: in words, why it was not sent, or is not known to be.
            answered: whether the gateway itself said so.
        """
        return attrs.evolve(self, given=outcome, reason=reason, answered=answered)

    def view(self, state: State | None = None) -> Delivery:
        """Give it as users see it, now or in an earlier state."""
        state = state or self.state
        reports = heaviest(self.known)
        key = self.key
        return Delivery(
            key=key.key if key and isinstance(key.key, str) else None,
            run=key.run or None if key else None,
            message_id=self.message_id,
            msisdn=self.msisdn,
            outcome=state.outcome,
            status=state.status,
            is_final=state.is_final,
            delivered=state.delivered,
            part_ids=self.ids,
            reports=reports,
            contradictions=tuple(one for one in self.known if reports[one.message_id] is not one),
            done_at=done_at(reports),
            reason=self.reason,
            created_at=self.created_at,
        )

    def encode(self) -> str:
        """Write it as one line of JSON, for a store."""
        values = attrs.asdict(self, recurse=False, filter=_differs)
        for name, write in _WRITERS.items():
            if name in values:
                values[name] = write(values[name])
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | bytes) -> Self:
        """Read what `encode` wrote."""
        values = json.loads(text)
        for name, read in _READERS.items():
            if name in values:
                values[name] = read(values[name])
        return cls(**values)


_DEFAULTS = {field.name: field.default for field in attrs.fields(StoredDelivery)}


def _differs(field: "attrs.Attribute[Any]", value: object) -> bool:
    return value != _DEFAULTS[field.name]


def _write_date(date: datetime | None) -> str | None:
    return None if date is None else date.isoformat()


def _read_date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _write_report(report: DeliveryReport) -> list[object]:
    dates = _write_date(report.sent_at), _write_date(report.done_at)
    return [report.message_id, report.status.name, report.raw_status, *dates, dict(report.extras)]


def _read_report(values: list[Any]) -> DeliveryReport:
    message_id, status, raw_status, sent_at, done, extras = values
    dates = _read_date(sent_at), _read_date(done)
    return DeliveryReport(message_id, DeliveryStatus[status], raw_status, *dates, extras)


def _write_state(state: State) -> list[object]:
    names = (one and one.name for one in (state.outcome, state.status))
    return [*names, state.is_final, state.delivered]


def _read_state(values: list[Any]) -> State:
    outcome, status, is_final, delivered = values
    return State(
        outcome and SendOutcome[outcome], status and DeliveryStatus[status], is_final, delivered
    )


_WRITERS: Mapping[str, Any] = {
    "key": lambda key: [key.key, key.run],
    "given": lambda outcome: outcome.name,
    "known": lambda known: [_write_report(one) for one in known],
    "digest": lambda digest: b64encode(digest).decode(),
    "outbox": lambda outbox: [_write_state(one) for one in outbox],
}
_READERS: Mapping[str, Any] = {
    "key": lambda values: DeliveryKey(*values),
    "part_ids": tuple,
    "given": SendOutcome.__getitem__,
    "known": lambda rows: tuple(_read_report(one) for one in rows),
    "digest": b64decode,
    "outbox": lambda rows: tuple(_read_state(one) for one in rows),
}
