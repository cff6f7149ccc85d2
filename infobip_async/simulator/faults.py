"""Misbehaviour on demand: what goes wrong, how often, and which messages and lookups it struck."""

import random
from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Self

import attrs

from infobip_async.models.events import DeliveryReport, HlrReport
from infobip_async.simulator.records import Exchange, Operation, Report


class Fault(StrEnum):
    """What can go wrong. The gateway still carries the request out, except with ``REFUSE``.

    `Simulator.down` simulates a port on which nothing listens.

    Attributes:
        description: what happens, in one sentence.
    """

    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        """Make a member of its name on the command line and its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.__doc__ = member.description = description
        return member

    REFUSE = (
        "refuse",
        "The connection is closed before the body is read; nothing is carried out.",
    )
    HANG = "hang", "There is no reply until the client gives up."
    CUT_BEFORE_REPLY = "cut-before-reply", "The connection is closed instead of a reply."
    CUT_INSIDE_REPLY = (
        "cut-inside-reply",
        "The connection is closed in the middle of the reply's body.",
    )
    UNREADABLE_REPLY = "unreadable-reply", "The reply is an HTML page, with HTTP status 200."
    STATUS_500 = "500", "The reply has HTTP status 500."
    STATUS_307 = (
        "307",
        "The reply redirects to the same address; a client that follows it sends again.",
    )
    SLOW = "slow", "The reply comes late."
    REPORT_BEFORE_REPLY = (
        "report-before-reply",
        "A report is pushed, and answered, before the reply is written.",
    )
    DUPLICATE_REPORT = "duplicate-report", "A report is pushed twice."
    REORDERED_REPORTS = (
        "reordered-reports",
        "The reports of one request come in the reverse of its order.",
    )
    MALFORMED_ROW = (
        "malformed-row",
        "A report is unreadable: it has a field too many (§5), or no id (§3.1).",
    )
    LOST_REPORT = "lost-report", "A report is never sent."


REPLY_FAULTS: Final = frozenset(
    {
        Fault.REFUSE,
        Fault.HANG,
        Fault.CUT_BEFORE_REPLY,
        Fault.CUT_INSIDE_REPLY,
        Fault.UNREADABLE_REPLY,
        Fault.STATUS_500,
        Fault.STATUS_307,
        Fault.SLOW,
    }
)
"""The faults that strike a request; the others strike its reports."""


@attrs.define
class Rule:
    """A fault that was asked for.

    Attributes:
        fault: what goes wrong.
        operation: whose requests it strikes; None for all.
        rate: the probability that it strikes, 0 to 1.
        left: how often it can still strike; None without limit.
        seconds: how long a slow reply takes.
    """

    fault: Fault
    operation: Operation | None
    rate: float
    left: int | None
    seconds: float


@attrs.frozen
class Timetable:
    """The reports of one request, as the faults leave them.

    Attributes:
        early: reports to be pushed before the reply.
        later: reports to be pushed after the reply, in this order.
    """

    early: tuple[Report, ...]
    later: tuple[Report, ...]


@attrs.define
class Faults:
    """The faults of a simulator: none until they are asked for.

    Attributes:
        seed: of the random numbers behind `rate`, so that a run can be repeated.
        keep: how many of the latest struck ids are kept for each fault; None for all.
    """

    seed: int = 0
    keep: int | None = None
    _random: random.Random = attrs.field(init=False, repr=False)
    _rules: list[Rule] = attrs.field(init=False, factory=list)
    _struck: dict[Fault, deque[str]] = attrs.field(init=False, factory=dict, repr=False)

    @_random.default
    def _seeded(self) -> random.Random:
        return random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    def add(
        self,
        fault: Fault | str,
        *,
        operation: Operation | str | None = None,
        times: int | None = None,
        rate: float | None = None,
        seconds: float = 1.0,
    ) -> None:
        """Ask for a fault. Where several fit a request, the one that was added first strikes.

        Args:
            fault: the member, or its value.
            operation: whose requests or reports it strikes, such as ``"send"``; None for all.
            times: how often it strikes: once by default, without limit where `rate` is given.
                Faults of reports count each report; ``REORDERED_REPORTS`` counts requests.
            rate: the share of requests or reports that it strikes at random, 0 to 1.
            seconds: how long a ``SLOW`` reply takes.

        Raises:
            ValueError: no fault or operation of this name is known.
        """
        if rate is None:
            rate, times = 1.0, 1 if times is None else times
        of = None if operation is None else Operation(operation)
        self._rules.append(Rule(Fault(fault), of, rate, times, seconds))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The faults that can still strike, in the order in which they were added."""
        return tuple(rule for rule in self._rules if rule.left != 0)

    def clear(self, fault: Fault | str | None = None) -> None:
        """Remove all faults, or those of one kind. The record of struck ids stays.

        Raises:
            ValueError: no fault of this name is known.
        """
        kept = None if fault is None else Fault(fault)
        self._rules[:] = [rule for rule in self._rules if kept and rule.fault is not kept]

    def struck(self, fault: Fault | str) -> tuple[str, ...]:
        """The ids of the messages and lookups that a fault struck, in order.

        They are the ids of the reports: the client's message id, the gateway's where there is
        none (§2/2), or the id of the lookup (§5). ``REFUSE`` strikes before ids are made.
        """
        return tuple(self._struck.get(Fault(fault), ()))

    def draw(self, faults: Iterable[Fault], operation: Operation) -> Rule | None:
        """Give the rule that strikes now, and count it; None where no rule strikes.

        Args:
            faults: those that are possible now.
            operation: what the request asks for.
        """
        for rule in self._rules:
            if (
                rule.fault in faults
                and rule.operation in {None, operation}
                and rule.left != 0
                and (rule.rate >= 1 or self._random.random() < rule.rate)
            ):
                rule.left = rule.left and rule.left - 1
                return rule
        return None

    def record(self, fault: Fault, ids: Iterable[str]) -> None:
        """Record the ids that a fault struck.

        Args:
            fault: what went wrong.
            ids: the ids of the messages and lookups, in order.
        """
        self._struck.setdefault(fault, deque(maxlen=self.keep)).extend(ids)

    def timetable(self, exchange: Exchange) -> Timetable:
        """Apply the faults of reports: what is pushed before the reply, and what after it."""
        if exchange.operation is None or not self._rules:
            return Timetable((), exchange.reports)
        early: list[Report] = []
        later: list[Report] = []
        twice: list[Report] = []
        for report in exchange.reports:
            if self._strikes(Fault.LOST_REPORT, report, exchange.operation):
                continue
            if self._strikes(Fault.MALFORMED_ROW, report, exchange.operation):
                report = spoil(report)  # noqa: PLW2901 - it goes on in its place
            if self._strikes(Fault.DUPLICATE_REPORT, report, exchange.operation):
                twice.append(report)
            before = self._strikes(Fault.REPORT_BEFORE_REPLY, report, exchange.operation)
            (early if before else later).append(report)
        later += twice
        if len(later) > 1 and self.draw({Fault.REORDERED_REPORTS}, exchange.operation):
            later.reverse()
            self.record(Fault.REORDERED_REPORTS, map(report_id, later))
        return Timetable(tuple(early), tuple(later))

    def _strikes(self, fault: Fault, report: Report, operation: Operation) -> bool:
        struck = self.draw({fault}, operation) is not None
        if struck:
            self.record(fault, [report_id(report)])
        return struck


def report_id(report: Report) -> str:
    """The id by which a report names its message or lookup."""
    return report.message_id if isinstance(report, DeliveryReport) else report.lookup_id


def spoil(report: Report) -> Report:
    """Change a report so that its row on the wire cannot be read."""
    if isinstance(report, HlrReport):
        return attrs.evolve(report, error_code=f"{report.error_code or ''};?")
    return attrs.evolve(report, message_id="")
