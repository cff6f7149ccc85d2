"""Files that a generator breaks: each row is read right or refused, or the whole file is."""

import csv
import io
import random
import re
from collections.abc import Callable

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.lists import ListRow, read_list

PEOPLE = 12
Chance = random.Random


def _well_formed(chance: Chance, numbers: list[str]) -> str:
    """A list as a program writes it; each cell tells whose it is, and some have lines in them."""
    text = io.StringIO()
    quoting = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    delimiter = chance.choice(",;\t|")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(("number", "name", "code"))
    for number in numbers:
        extra = chance.choice(["", "", f'{delimiter} "the" same', "\nand a line"])
        writer.writerow((number, f"name of {number}{extra}", f"code of {number}"))
    return text.getvalue()


def _insert(chance: Chance, text: str, what: str) -> str:
    at = chance.randrange(len(text))
    return text[:at] + what + text[at:]


def _drop(chance: Chance, text: str, what: str) -> str:
    places = [at for at, letter in enumerate(text) if letter == what]
    if not places:
        return text
    at = chance.choice(places)
    return text[:at] + text[at + 1 :]


BREAKS: list[Callable[[Chance, str], str]] = [
    lambda chance, text: _insert(chance, text, '"'),
    lambda chance, text: _insert(chance, text, ' "'),
    lambda chance, text: _insert(chance, text, '""'),
    lambda chance, text: _insert(chance, text, chance.choice(",;\t|")),
    lambda chance, text: _insert(chance, text, "\0"),
    lambda chance, text: _insert(chance, text, "\n"),
    lambda chance, text: _drop(chance, text, '"'),
    lambda chance, text: _drop(chance, text, "\n"),
    lambda chance, text: _drop(chance, text, chance.choice(",;\t|")),
    lambda _, text: text[: -len("code of 385980000000\n")],
    lambda _, text: text.partition("\n")[2],
]
"""What goes wrong with a file."""


def _broken(seed: int) -> tuple[str, list[str]]:
    chance = random.Random(seed)
    numbers = [str(385980000000 + chance.randrange(10**6)) for _ in range(PEOPLE)]
    text = _well_formed(chance, numbers)
    for _ in range(chance.randrange(1, 4)):
        text = chance.choice(BREAKS)(chance, text)
    return text, numbers


def _is_right(row: ListRow, numbers: list[str]) -> bool:
    """Whether a row that would be sent has nothing but its own cells, as far as they go."""
    for column in ("name", "code"):
        cell = re.sub(r'[",;\t|\n ]', "", row.cell(column))  # what was inserted changes nobody
        own = f"{column}of{row.msisdn}"
        if not (cell.startswith(own) or own.startswith(cell)):
            return False
        if any(number in cell for number in numbers if number != row.msisdn):
            return False
    return True


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_nobody_gets_what_is_anothers_and_nobody_is_lost(first: int) -> None:
    """Two hundred files, each broken in one to three places."""
    for seed in range(first, first + 20):
        text, numbers = _broken(seed)
        try:
            rows = list(read_list(io.BytesIO(text.encode()), recipient="number", country="HR"))
        except LocalProtocolError:
            continue
        sent = [row for row in rows if not row.fault]
        told = "".join("".join(row._values) for row in rows if row.fault or row.guess)
        for row in sent:
            assert row.guess or row.msisdn in numbers, (seed, row)
            assert row.guess or _is_right(row, numbers), (seed, row, row.cells)
        reached = {row.msisdn for row in sent}
        lost = [number for number in numbers if number not in reached and number in text]
        assert not [number for number in lost if number not in told], (seed, text)


def test_most_breaks_are_found() -> None:
    """The generator breaks files in ways that the reader has to refuse."""
    refused = 0
    for seed in range(200):
        try:
            list(read_list(io.BytesIO(_broken(seed)[0].encode()), recipient="number"))
        except LocalProtocolError:
            refused += 1
    assert 50 < refused < 200
