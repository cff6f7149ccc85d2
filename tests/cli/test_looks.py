"""The terminal at 80 and at 140 columns, as text: what a person sees before and after a run."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from infobip_async import HlrOutcome, HlrReport, HlrResult, HlrStatus
from infobip_async.cli.summary import Summary
from infobip_async.cli.tables import counted, ranking
from infobip_async.numbering import interpret

PEOPLE = """phone;name
98514674;Ana
+385 098 514 675;“Beat”
n/a;Cy
98514674;Ana
41793026727
"""
TEXT = "Hi {name}, see you tomorrow at our new address, which is 1 Main Street"

BEFORE = """\
5 rows, 4 messages: 4 in 1 part; 4 parts
not sent     1 number: is no telephone number (line 4)
repeated     1 row with a number that stood before
holes        1 row too short for a column of the text
guessed      2 rows: a number of HR without its zero
guessed      1 row: the 0 behind +385 is not dialled from abroad
guessed      1 row: 1 of 2 cells
UCS-2        because of “ 1, ” 1
cost         0.20 credits at 0.05 a part
balance      1000000 credits
38598514674  Hi Ana, see you tomorrow at our new address, which is 1 Main Street
"""
BEFORE_80 = (
    BEFORE
    + """\
38598514675  Hi “Beat”, see you tomorrow at our new address, which is 1 Main
             Street
38598514674  Hi Ana, see you tomorrow at our new address, which is 1 Main Street
"""
)
BEFORE_140 = (
    BEFORE
    + """\
38598514675  Hi “Beat”, see you tomorrow at our new address, which is 1 Main Street
38598514674  Hi Ana, see you tomorrow at our new address, which is 1 Main Street
"""
)

AFTER = """
  outcome        numbers
 ───────────────────────────────────────────────
  reported             3   ━━━━━━━━━━━━━━━
  refused              1   ━━━━━


  of the reports   yes   no   unknown
 ─────────────────────────────────────
  reachable          3    0         0
  roaming            0    3         0
  ported             0    0         3


  country        numbers   reachable
 ───────────────────────────────────────────────────────────
  HR                   3           3   ━━━━━━━━━━━━━━━
  unknown              1           0   ━━━━━


  operator                numbers   reachable
 ────────────────────────────────────────────────────────────────────
  Hrvatski Telekom (HR)         3           3   ━━━━━━━━━━━━━━━━━━━━
"""


def _plain(text: str) -> str:
    """What a terminal shows, without colours and without blanks at the ends of lines."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


@pytest.mark.parametrize(("width", "expected"), [(80, BEFORE_80), (140, BEFORE_140)])
def test_before_a_send(  # noqa: PLR0917 - fixtures
    run: Callable[..., Result],
    gateway: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    expected: str,
) -> None:
    """What the send takes, what it costs, and the first texts; long ones go on below."""
    monkeypatch.setenv("COLUMNS", str(width))
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    args = ("--csv", path, "--country", "HR", "--price", "0.05", "--dry-run")
    shown = _plain(run("send", "-s", "Shop", "-t", TEXT, *args).stderr)
    assert shown == expected


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("colour", ["truecolor", None])
def test_after_lookups(width: int, colour: str | None) -> None:
    """Outcomes, answers, countries and networks, aligned, with colour and without."""
    summary = Summary()
    report = HlrReport(
        "38598514674", "id", HlrStatus.DELIVRD, "DELIVRD", "219011234567890", "385980501", "0"
    )
    for _ in range(3):
        result = HlrResult("38598514674", HlrOutcome.REPORTED, "id", report)
        summary.add(result, interpret(report))
    summary.add(HlrResult("n/a", HlrOutcome.REFUSED), None)
    console = Console(
        file=io.StringIO(), width=width, color_system=colour, force_terminal=colour is not None
    )
    summary.show(console)
    shown = _plain(console.file.getvalue())
    if colour:  # the rest of a bar is there, too, in another colour
        assert max(map(len, shown.splitlines())) <= 80
    else:
        assert shown.rstrip() == AFTER.rstrip()


def test_long_names_are_cut() -> None:
    """So that figures and bars keep their place in 80 columns."""
    console = Console(file=io.StringIO(), width=80)
    console.print(ranking("operator", "numbers", {"A" * 50: 12_345, "B": 9_876}))
    _, _, _, first, second, *_ = console.file.getvalue().splitlines()
    assert first.startswith("  " + "A" * 31 + "…    12,345   ━")
    assert second.startswith("  B" + " " * 31 + "     9,876   ━")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000, "1,000 rows")]
)
def test_one_is_not_many(count: int, said: str) -> None:
    """Nouns agree with their number."""
    assert counted(count, "row") == said
