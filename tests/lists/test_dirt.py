"""Lists with accidents in them: each is read right, or refused with the line and the reason."""

import io
from pathlib import Path

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.lists import ListRemark, NumberList, read_exclusions, read_list, survey
from infobip_async.models.messages import TextMessage
from infobip_async.numbering import check_destination, check_lookup_destinations

GOOD = "38598514674"


def _list(text: str, recipient: str | None = "number", **options: object) -> NumberList:
    return read_list(io.BytesIO(text.encode()), recipient=recipient, **options)


def _refused(text: str, recipient: str | None = "number", **options: object) -> str:
    with pytest.raises(LocalProtocolError) as raised:
        list(_list(text, recipient, **options))
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('number,name\n1,"Ana\n2,Beat\n', "mark in line 2 is not closed"),
        ('number,name\n1,"Ana"x\n2,Beat\n', "mark in line 2 is neither around"),
        ('number,name\n1,Ana "the" B\n', "mark in line 2 is neither around"),
        ('number,name\n1, "Ana"\n', "mark in line 2 is neither around"),
        ('number,name\n1,"Ana" \n', "mark in line 2 is neither around"),
        ('number,name\n385981,"Ana\n385982,Beat\n385983,Cy"\n', "row in line 2 has a line with"),
        ('name,number\n"Ana,385981\nBeat",385982\n', "row in line 2 has a line with"),
        ('name,number\n"Ana\nBeat,385981\nCy",385982\n', "row in line 2 has a line with"),
        ('number,name\n1,"Ana\n+385 98 514 674 is hers"\n', "row in line 2 has a line with"),
        ('"number\n385981,Ana",name\n', "no column|row in line 1 has"),
        ('number,name\n385981,"Ana\nn/a,Iva"\n385982,Cy\n', "row in line 2 has a line with cells"),
        ('number,name,x\n385981,"Ana,b\nn/a,,Iva\nn/a,"\n', "row in line 2 has a line with cells"),
        ('number;name;x\n385981;"Ana\nn/a;Iva";x\n', "row in line 2 has a line with cells"),
    ],
)
def test_malformed_quoting_is_refused(text: str, reason: str) -> None:
    """A stray quotation mark takes nobody's row for a text."""
    with pytest.raises(LocalProtocolError, match=reason):
        list(_list(text))


def test_lines_that_look_like_rows_can_be_allowed() -> None:
    """Where the list is known to have such texts."""
    (row,) = _list('number,name\n1,"Ana\n385982,Beat"\n', multiline=True)
    assert row.cell("name") == "Ana\n385982,Beat"


@pytest.mark.parametrize(
    "text", ["Hi Ana,\nsee you, Iva", "It costs\n1,50 at most", "Hi,\nBye,\n", "a,b\nc"]
)
def test_prose_may_have_lines(text: str) -> None:
    """Marks with a blank behind them, and decimal commas, delimit no cells."""
    (row,) = _list(f'number,text\n1,"{text}"\n')
    assert row.cell("text") == text


def test_addresses_may_have_lines() -> None:
    """Postal codes and dates within them are no rows."""
    (row,) = _list('number,where\n1,"Ilica 1\n10000 Zagreb, HR"\n')
    assert row.cell("where") == "Ilica 1\n10000 Zagreb, HR"


@pytest.mark.parametrize(
    "first",
    [
        *("'+385 98 514 674", "(098) 514-674", "098\u00a0514\u00a0674", "\u202a098514674\u202c"),
        *("٠٩٨٥١٤٦٧٤", "3.8598E+10", '"3,8598E+10"', "+385 98 514 674", "38598514674.0"),
    ],
)
def test_a_first_line_that_is_a_recipient_is_no_header(first: str) -> None:
    """The first person is not dropped, in whatever form the number is."""
    assert "looks like a recipient" in _refused(f"{first};Ana\n", "1")
    (row,) = _list(f"{first};Ana\n", "1", header=False)
    assert row.cell("2") == "Ana"


@pytest.mark.parametrize("first", ["3,85983E+11", "3,85983E11;Ana"])
def test_a_rounded_number_is_no_header_though_its_comma_separates(first: str) -> None:
    """Its person is not dropped where commas are taken for what separates the cells."""
    assert "looks like a recipient" in _refused(f"{first}\n{GOOD}\n", "1")


def test_columns_may_be_called_as_dates_are() -> None:
    """These are no numbers."""
    (row,) = _list(f"number,2026-01-31\n{GOOD},Ana\n")
    assert row.cell("2026-01-31") == "Ana"


@pytest.mark.parametrize("line", [f"{GOOD};Ana", f"Ana,{GOOD}", f'"{GOOD}"', f"{GOOD}\tAna", "1|2"])
def test_a_line_with_cells_is_no_number(line: str) -> None:
    """Names and codes are not looked up: the list is refused, and the option is named."""
    refusal = _refused(f"{GOOD}\n{line}\n", None)
    assert "line 2 has a" in refusal
    assert 'recipient="1"' in refusal


def test_a_row_with_too_many_cells_has_a_fault() -> None:
    """Its text would be cut; separators behind the last cell do no harm."""
    cut, whole = _list(f"number,name\n{GOOD},Ana, Beat\n{GOOD},Cy,,\n")
    assert "row of 3 cells under a header of 2" in cut.fault
    assert (whole.fault, whole.cell("name")) == ("", "Cy")
    for check in (check_destination, lambda number: check_lookup_destinations([GOOD, number])):
        with pytest.raises(LocalProtocolError, match="row of 3 cells"):
            check(cut.msisdn)


def test_columns_of_one_name_are_refused_where_they_are_used() -> None:
    """By name only, since a number tells them apart."""
    text = f"number,name,Name\n{GOOD},Ana,Beat\n"
    assert "columns 2 and 3 are both 'name'" in _refused(text, "name")
    (row,) = _list(text)
    with pytest.raises(LocalProtocolError, match="2 and 3"):
        row.fill("Hi {name}")
    assert row.fill("Hi {3}") == "Hi Beat"
    assert row.cells == {"number": GOOD, "2": "Ana", "3": "Beat"}


@pytest.mark.parametrize("text", ["Hi {name", "Hi name}", "Hi {}", "{{name}"])
async def test_a_brace_that_stands_alone_is_refused(text: str) -> None:
    """It would go to everyone as it stands."""
    with pytest.raises(LocalProtocolError, match="braces"):
        await anext(_list(f"number,name\n{GOOD},Ana\n").messages(text, sender="Shop"))


@pytest.mark.parametrize(
    ("number", "options", "reason"),
    [
        ('"3,85983E+11"', {}, "was rounded by a spreadsheet"),
        ("3.8598E+10", {"normalise": True}, "was rounded by a spreadsheet"),
        ("38598514674.0", {}, "is a decimal number"),
        ("098514674", {"normalise": True}, "has a leading 0: a national number needs country="),
        ("n/a", {"country": "HR"}, "is no telephone number"),
        ("+385", {"country": "HR"}, "cannot be: 0 digits"),
        ("098514674 0912345678", {"country": "HR"}, "more than 15"),
        (" ", {}, "is missing: the row has no number"),
        ("38598514674 Ana Horvat", {}, "is more than a number"),
        ("Ana: 098 514 674", {}, "is more than a number"),
        ("38598514674;Ana", {}, "is more than a number"),
    ],
)
def test_a_number_that_cannot_be_read_has_a_fault(
    number: str, options: dict[str, object], reason: str
) -> None:
    """The row is given, with the real reason, by which everything that sends refuses it."""
    people = _list(f"number,name\n{number},Ana\n{GOOD},Beat\n", **options)
    faulty, good = people
    assert reason in faulty.fault
    assert (good.fault, good.msisdn, good.position) == ("", GOOD, 2)
    assert people.faults == (ListRemark(2, faulty.fault),)
    assert people.guesses == ()


async def test_numbers_know_their_rows() -> None:
    """Rows without a number have their position, too; blank lines have none."""
    people = _list(f"name,number,id\nAna,{GOOD},7\n\nBeat,,8\nCy,3,9\n", key="id")
    numbers = [number async for number in people.numbers()]
    assert [(number, number.row.position, number.row.key) for number in numbers] == [
        (GOOD, 1, "7"),
        ("", 2, "8"),
        ("3", 3, "9"),
    ]


def test_guesses_are_told() -> None:
    """A zero that a spreadsheet took, or that is dialled in the country only."""
    people = _list("number\n98514674\n+385 098 514 674\n098514674\n", country="HR")
    assert {row.msisdn for row in people} == {GOOD}
    assert people.guesses == (
        ListRemark(2, "a number of HR without its zero"),
        ListRemark(3, "the 0 behind +385 is not dialled from abroad"),
    )


async def test_a_file_is_looked_through_first(tmp_path: Path) -> None:
    """A fault in its last line is known before the first message is given."""
    path = tmp_path / "people.csv"
    path.write_text("number,name\n" + f"{GOOD},Ana\n" * 9 + f'{GOOD},"Beat\n')
    given = []
    with pytest.raises(LocalProtocolError, match="line 11 is not closed"):
        given += [one async for one in read_list(path, recipient="1").messages("A", sender="B")]
    assert given == []


# --- a look before the leap ---

PEOPLE = f"""number,name,code
{GOOD},Ana,1
{GOOD},“Beat”,2
41793026727,{"x" * 160},3
n/a,Dan,4
,Eva,5
41793026727
41793026728,,7
38598303174,Gil,8,9
"""


async def test_a_survey_says_what_it_takes() -> None:
    """Messages by parts, rows that will not be sent by reason, holes, and what stands twice."""
    found = await survey(_list(PEOPLE), "Hi {name}", sender="Shop", exclude={"41793026728"})
    assert (found.rows, found.parts, found.messages) == (8, 5, {1: 3, 2: 1})
    assert {reason: (one.count, one.lines) for reason, one in found.refused.items()} == {
        "has characters other than the digits 0 to 9": (1, [5]),
        "is missing: the row has no number": (1, [6]),
        "stands in a row of 4 cells under a header of 3: a separator within a cell needs quotation"
        " marks around the cell": (1, [9]),
    }
    assert (found.excluded, found.repeated, found.short, found.blank) == (1, 2, 1, 0)
    assert (found.offenders, found.saved) == ({"“": 1, "”": 1}, 0)
    assert [item.message for item in found.first][:2] == [
        TextMessage("Hi Ana", "Shop"),
        TextMessage("Hi “Beat”", "Shop"),
    ]


async def test_a_survey_says_what_simple_characters_would_save() -> None:
    """A text of 100 characters in UCS-2 has two parts."""
    found = await survey(_list(f"number\n{GOOD}\n"), "“" + "a" * 99, sender="Shop")
    assert (found.parts, found.saved) == (2, 1)


def test_exclusions_are_read_in_every_form() -> None:
    """One that cannot be read would get something, so the list is refused."""
    people = io.BytesIO(b"+385 98 514 674\n\n098 303 174\n41793026727")
    assert read_exclusions(people, country="HR") == {GOOD, "38598303174", "41793026727"}
    with pytest.raises(LocalProtocolError, match="number in line 2 is no telephone number"):
        read_exclusions(io.BytesIO(b"41793026727\nn/a\n"))


# --- spreadsheets ---


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A spreadsheet with numbers in it as numbers, and as texts."""
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    for row in [
        ("number", "name", "code"),
        (38598514674, "Ana", 1),
        ("098 303 174", 'B "eat"', 2.5),
        (),
        (98514675, "C, y", True),
        (3.85985146743e17, "Dan", None),
    ]:
        workbook.active.append(row)
    workbook.create_sheet("empty")
    workbook.save(tmp_path / "people.xlsx")
    return tmp_path / "people.xlsx"


async def test_a_spreadsheet_is_read(book: Path) -> None:
    """Numbers have no decimals, and lines are the rows of the sheet."""
    pytest.importorskip("python_calamine")
    people = read_list(book, recipient="number", key="code", country="HR")
    rows = [row async for row in people]
    assert rows == list(people)
    assert [(row.line, row.position, row.msisdn, row.key) for row in rows] == [
        (2, 1, GOOD, "1"),
        (3, 2, "38598303174", "2.5"),
        (5, 3, "38598514675", "TRUE"),
        (6, 4, "3.859851E+17", ""),
    ]
    assert rows[1].cell("name") == 'B "eat"'
    assert "rounded by a spreadsheet" in rows[3].fault


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "name the column of the numbers"),
        ({"recipient": "1", "sheet": "more"}, "has no sheet 'more'"),
        ({"recipient": "1", "sheet": "empty"}, "the list is empty"),
        ({"recipient": "2", "columns": ["age"]}, "no column 'age'"),
    ],
)
def test_a_spreadsheet_that_is_not_read(book: Path, options: dict[str, str], reason: str) -> None:
    """The reason says what to do."""
    pytest.importorskip("python_calamine")
    with pytest.raises(LocalProtocolError, match=reason):
        list(read_list(book, **options))


def test_a_spreadsheet_with_two_sheets_needs_a_name(book: Path) -> None:
    """Nobody on the second sheet is left out in silence."""
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    workbook = openpyxl.load_workbook(book)
    workbook["empty"].append(("number",))
    workbook.save(book)
    with pytest.raises(LocalProtocolError, match="'Sheet', 'empty'; name one"):
        list(read_list(book, recipient="1"))
    assert len(list(read_list(book, recipient="1", sheet="Sheet"))) == 4


def test_what_only_begins_like_a_spreadsheet_is_refused() -> None:
    """Such as another archive."""
    pytest.importorskip("python_calamine")
    for first in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        with pytest.raises(LocalProtocolError, match="cannot be read"):
            list(read_list(io.BytesIO(first + b" and so on"), recipient="1"))


def test_only_a_spreadsheet_has_sheets() -> None:
    """A sheet of a text is a mistake."""
    assert "only a spreadsheet has sheets" in _refused("number\n1\n", sheet="June")
