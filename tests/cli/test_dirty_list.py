"""A spreadsheet of thousands of people with ten kinds of dirt, as a new user sends to it."""

import csv
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from infobip_async.lists import read_list
from infobip_async.numbering import normalise
from platforms import needs_signals
from scale import scaled

pytestmark = [pytest.mark.proof, needs_signals]

PEOPLE = scaled(2_000)


@attrs.frozen
class Person:
    """A row of the spreadsheet, and what should come of it.

    Attributes:
        cells: number and name, as they stand there.
        msisdn: of the person; None where nothing can be sent.
    """

    cells: tuple[object, ...]
    msisdn: str | None


def _people() -> list[Person]:
    """People of whom every tenth row or so has dirt of some kind."""
    chance, people = random.Random(7), []
    for at in range(PEOPLE):
        national, name = f"98{at:06}", f"Person {at}"
        msisdn = f"385{national}"
        dirt: list[tuple[object, str | None]] = [
            (int(national), msisdn),  # a spreadsheet took its zero
            (f"'+385 {national[:2]} {national[2:]}", msisdn),
            (f"(0{national[:2]})\u00a0{national[2:]}", msisdn),
            (f"\u202a0{national}\u202c", msisdn),
            (f"+385 0{national}", msisdn),
            (f"00385/{national}", msisdn),
            (float(msisdn), msisdn),
            (f"{int(msisdn):.4E}", None),
            ("n/a", None),
            (f"0{national} / 0{national}", None),
            (None, None),
        ]
        number, right = chance.choice(dirt) if chance.random() < 0.3 else (msisdn, msisdn)
        people.append(Person((number, name), right))
    return people


@pytest.fixture
def book(tmp_path: Path) -> tuple[Path, list[Person]]:
    """The spreadsheet, with blank rows in it, and the people."""
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    people, workbook = _people(), openpyxl.Workbook()
    workbook.active.append(("phone", "name"))
    for at, person in enumerate(people):
        workbook.active.append(person.cells)
        if at % 1_000 == 0:
            workbook.active.append(())
    workbook.save(tmp_path / "people.xlsx")
    return tmp_path / "people.xlsx", people


def test_the_account_balances(
    book: tuple[Path, list[Person]],
    start: Callable[..., Any],
    gateway: Any,
    tripwire: Any,
    tmp_path: Path,
) -> None:
    """Interrupted twice: each person gets his own text once, and each row has its outcome."""
    path, people = book
    stop = tmp_path / "stop.txt"
    stopped = {person.msisdn for person in people[:50] if person.msisdn}
    stop.write_text("".join(f"+{number[:3]} {number[3:]}\n" for number in stopped))
    args = ("--recipient-column", "phone", "-t", "Hi {name}", "--country", "HR", "--exclude", stop)
    files = ("--job", "people.job", "-o", "outcomes.csv", "--keep", "name", "--batch-size", 10)
    command = ("send", "-s", "Shop", "--csv", path, *args, *files)
    for at in (PEOPLE * 3 // 20, PEOPLE * 6 // 20):
        tripwire.set(at)
        process = start(*command, stdout=subprocess.DEVNULL)
        with tripwire.held():
            process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
        assert process.returncode == 128 + signal.SIGINT, stderr
    process = start(*command, stdout=subprocess.DEVNULL)
    _, stderr = process.communicate()
    assert process.returncode == 6, stderr
    assert "outcomes are of an earlier run" in stderr

    with (tmp_path / "outcomes.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["position"]))
    assert [row["name"] for row in rows] == [person.cells[1] for person in people]
    for row, person in zip(rows, people, strict=True):
        outcome = "refused" if person.msisdn is None else "sent"
        outcome = "excluded" if person.msisdn in stopped else outcome
        assert row["outcome"] == outcome, row
    texts = Counter((one.msisdn, one.text) for one in gateway.simulator.messages)
    assert texts == {
        (person.msisdn, f"Hi {person.cells[1]}"): 1
        for person in people
        if person.msisdn and person.msisdn not in stopped
    }
    assert gateway.simulator.credits == 1_000_000 - texts.total()


def test_the_reader_reads_the_whole_of_it(book: tuple[Path, list[Person]]) -> None:
    """Each number as `normalise` reads the same text, and each fault by its row."""
    path, people = book
    rows = list(read_list(path, recipient="phone", country="HR"))
    assert [None if row.fault else row.msisdn for row in rows] == [one.msisdn for one in people]
    for row, person in zip(rows, people, strict=True):
        assert row.fault or normalise(row.msisdn) == person.msisdn
