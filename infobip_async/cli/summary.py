"""What a run found, counted, and shown to a person."""

from collections import Counter, defaultdict
from typing import Final

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infobip_async import HlrOutcome, HlrResult
from infobip_async.cli.exit_codes import code_of
from infobip_async.cli.tables import MOST, bar, ranking, table
from infobip_async.numbering import Answer, Interpretation, countries_of

_UNKNOWN: Final = "unknown"
_LOOKED_UP: Final = (HlrOutcome.REPORTED, HlrOutcome.TIMED_OUT, HlrOutcome.UNKNOWN)


@attrs.define
class _Tally:
    """Numbers of one country or operator."""

    numbers: int = 0
    reachable: int = 0

    def add(self, said: Interpretation | None) -> None:
        self.numbers += 1
        self.reachable += said is not None and said.reachable is Answer.YES


@attrs.define
class Summary:
    """Counts over results.

    Attributes:
        outcomes: numbers by outcome.
        answers: reports by question (``reachable``, ``roaming``, ``ported``), then by answer.
        countries: numbers by country.
        operators: reports by operator.
    """

    outcomes: Counter[HlrOutcome] = attrs.field(factory=Counter, init=False)
    answers: dict[str, Counter[Answer]] = attrs.field(
        init=False, factory=lambda: {name: Counter() for name in ("reachable", "roaming", "ported")}
    )
    countries: defaultdict[str, _Tally] = attrs.field(
        init=False, factory=lambda: defaultdict(_Tally)
    )
    operators: defaultdict[str, _Tally] = attrs.field(
        init=False, factory=lambda: defaultdict(_Tally)
    )

    def add(self, result: HlrResult, said: Interpretation | None) -> None:
        """Count a result, and what its report means if it has one."""
        self.outcomes[result.outcome] += 1
        self.countries[_country(result, said)].add(said)
        if said is not None:
            self.operators[_operator(said)].add(said)
            for question, answers in self.answers.items():
                answers[getattr(said, question)] += 1

    @property
    def looked_up(self) -> int:
        """Numbers that were looked up, whatever came of it."""
        return sum(self.outcomes[outcome] for outcome in _LOOKED_UP)

    @property
    def exit_code(self) -> int:
        """How the run ended: 0 where every number was reported, 6 where some were."""
        return code_of({outcome.value for outcome in self.outcomes})

    def show(self, console: Console) -> None:
        """Print it, with bars."""
        outcomes = {outcome.value: count for outcome, count in self.outcomes.items()}
        console.print(ranking("outcome", "numbers", outcomes))
        if self.operators:
            console.print(self._answers())
            console.print(_reachable("country", self.countries))
            console.print(_reachable("operator", self.operators))

    def _answers(self) -> Table:
        answers = table("of the reports", "yes", "no", _UNKNOWN)
        for question, counts in self.answers.items():
            answers.add_row(question, *(f"{counts[answer]:,}" for answer in Answer))
        return answers


def _country(result: HlrResult, said: Interpretation | None) -> str:
    """The country of a number: by its prefix, or, where several share that, by its IMSI."""
    if said is not None:
        return said.number_country or said.imsi_country or _UNKNOWN
    countries = countries_of(result.destination)
    return countries[0] if len(countries) == 1 else _UNKNOWN


def _operator(said: Interpretation) -> str:
    name = said.operator or (f"{said.mcc} {said.mnc}" if said.mcc else _UNKNOWN)
    return f"{name} ({said.imsi_country})" if said.imsi_country else name


def _reachable(title: str, tallies: dict[str, _Tally]) -> Table:
    """The largest of them, and the others in one row."""
    ranked = sorted(tallies.items(), key=lambda item: -item[1].numbers)
    whole = sum(tally.numbers for tally in tallies.values())
    shown = table(title, "numbers", "reachable", "")
    rest = [tally for _, tally in ranked[MOST:]]
    others = _Tally(sum(one.numbers for one in rest), sum(one.reachable for one in rest))
    for name, tally in [*ranked[:MOST], *([(f"{len(rest)} others", others)] if rest else [])]:
        share = bar(tally.numbers, whole)
        shown.add_row(Text(name), f"{tally.numbers:,}", f"{tally.reachable:,}", share)
    return shown
