"""What a run found, counted and shown."""

import io

import pytest
from rich.console import Console

from infobip_async import HlrOutcome, HlrReport, HlrResult, HlrStatus
from infobip_async.cli.summary import Summary
from infobip_async.numbering import interpret


def _add(
    summary: Summary,
    number: str,
    outcome: HlrOutcome = HlrOutcome.REPORTED,
    imsi: str | None = None,
    msc: str | None = None,
) -> None:
    report = HlrReport(number, "id", HlrStatus.DELIVRD, "DELIVRD", imsi, msc, "0")
    reported = outcome is HlrOutcome.REPORTED
    result = HlrResult(number, outcome, "id", report if reported else None)
    summary.add(result, interpret(report) if reported else None)


def _shown(summary: Summary) -> list[list[str]]:
    """The cells of what is printed, without rules and bars."""
    console = Console(file=io.StringIO(), width=120)
    summary.show(console)
    lines = console.file.getvalue().splitlines()
    rows = [line.replace("━", " ").replace("╸", " ").replace("╺", " ").strip() for line in lines]
    return [[cell.strip() for cell in row.split("  ") if cell] for row in rows if row.strip("─")]


def test_everything_is_counted() -> None:
    """Countries are those of the numbers, operators those of the IMSIs."""
    summary = Summary()
    _add(summary, "38598514674", imsi="219011234567890", msc="385980501")
    _add(summary, "38598514675", imsi="219011234567891", msc="41790501")
    _add(summary, "41793026727", imsi="228011234567890")
    _add(summary, "41793026728", imsi="001991234567890")
    _add(summary, "41793026729", HlrOutcome.TIMED_OUT)
    _add(summary, "12125550100", imsi="310260123456789", msc="12125550199")
    _add(summary, "18005550101", HlrOutcome.REFUSED)
    _add(summary, "n/a", HlrOutcome.REFUSED)
    _add(summary, "38598514676")
    assert _shown(summary) == [
        ["outcome", "numbers"],
        ["reported", "6"],
        ["refused", "2"],
        ["timed out", "1"],
        ["of the reports", "yes", "no", "unknown"],
        ["reachable", "3", "0", "3"],
        ["roaming", "1", "2", "3"],
        ["ported", "0", "0", "6"],
        ["country", "numbers", "reachable"],
        ["HR", "3", "2"],
        ["CH", "3", "0"],
        ["unknown", "2", "0"],
        ["US", "1", "1"],
        ["operator", "numbers", "reachable"],
        ["Hrvatski Telekom (HR)", "2", "2"],
        ["Swisscom (CH)", "1", "0"],
        ["001 99", "1", "0"],
        ["T-Mobile - US (US)", "1", "1"],
        ["unknown", "1", "0"],
    ]


def test_the_largest_are_shown() -> None:
    """Of many countries, ten; the others have a row together, and each a bar for its share."""
    summary = Summary()
    for number in ("385", "385", "41", "43", "44", "45", "46", "47", "48", "49", "30", "31", "32"):
        _add(summary, f"{number}98514674", msc="385980501")
    countries = _shown(summary)[6:18]
    assert countries[0] == ["country", "numbers", "reachable"]
    assert countries[1] == ["HR", "2", "2"]
    assert len(countries) == 12
    assert countries[11] == ["2 others", "2", "2"]


def test_bars_show_shares() -> None:
    """The longest bar is that of the largest share."""
    summary = Summary()
    for outcome in [HlrOutcome.REPORTED] * 3 + [HlrOutcome.REFUSED]:
        _add(summary, "38598514674", outcome)
    console = Console(file=io.StringIO(), width=120)
    summary.show(console)
    bars = [line.count("━") for line in console.file.getvalue().splitlines() if "━" in line]
    assert bars[:2] == [15, 5]


def test_nothing_is_shown_of_nothing() -> None:
    """A run without numbers has a summary without tables of countries."""
    assert _shown(Summary()) == [["outcome", "numbers"]]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        ([HlrOutcome.REPORTED] * 2, 0),
        ([HlrOutcome.REPORTED, HlrOutcome.TIMED_OUT], 6),
        ([HlrOutcome.TIMED_OUT], 6),
        ([HlrOutcome.REFUSED], 3),
        ([HlrOutcome.NOT_SENT], 4),
        ([HlrOutcome.UNKNOWN] * 2, 5),
        ([HlrOutcome.REFUSED, HlrOutcome.UNKNOWN], 6),
    ],
)
def test_the_exit_code_tells_the_outcomes_apart(outcomes: list[HlrOutcome], code: int) -> None:
    """It is that of the outcome that all numbers had, else that of a part."""
    summary = Summary()
    for outcome in outcomes:
        _add(summary, "38598514674", outcome)
    assert summary.exit_code == code
