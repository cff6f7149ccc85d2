"""Countries of numbers, by calling code (E.164)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.numbering import countries_of
from infobip_async.numbering.countries import (
    CallingCodes,
    bundled_calling_codes,
    is_assigned,
)

NANP = 25
"""Countries and territories under calling code 1 (North American Numbering Plan)."""


@pytest.mark.parametrize(
    ("number", "countries"),
    [
        ("38598514674", "HR"),
        ("+38598514674", "HR"),
        ("385980501", "HR"),
        ("23423423232", "NG"),
        ("12065550100", "US"),
        ("16045550100", "CA"),
        ("18765550100", "JM"),
        ("17875550100", "PR"),
        ("79161234567", "RU"),
        ("77011234567", "KZ"),
        ("78001234567", "KZ RU"),
        ("79781234567", "RU UA"),
        ("79401234567", "GE RU"),
        ("447700900123", "GB"),
        ("447797712345", "JE"),
        ("447781123456", "GG"),
        ("447624123456", "IM"),
        ("447924123456", "GB IM"),
        ("448001111", "GB GG IM JE"),
        ("39335123456", "IT"),
        ("390669812345", "VA"),
        ("390549123456", "SM"),
        ("262692123456", "RE"),
        ("262639123456", "YT"),
        ("262932123456", "RE YT"),
        ("590690123456", "BL GP MF"),
        ("59995123456", "CW"),
        ("5997123456", "BQ"),
        ("5996123456", "BQ CW"),
        ("4779123456", "SJ"),
        ("4791234567", "NO"),
        ("3581812345", "AX"),
        ("358401234567", "FI"),
        ("61891621234", "CC"),
        ("61891641234", "CX"),
        ("61412345678", "AU"),
        ("212528812345", "EH"),
        ("212612345678", "MA"),
        ("2908123", "TA"),
        ("972591234567", "IL PS"),
        ("37744123456", "MC XK"),
        ("881612345678", ""),
        ("210123456", ""),
        ("", ""),
        ("sdfsd", ""),
        ("+", ""),
        ("38", ""),
    ],
)
def test_countries(number, countries):
    """The longest prefix decides; a shared code that cannot tell gives all that it can be."""
    assert countries_of(number) == tuple(countries.split())


@pytest.mark.parametrize(
    ("number", "countries"),
    [
        ("385980XXX", ("HR",)),
        ("4366*******", ("AT",)),
        ("447XXXXXXXXX", ("GB", "GG", "IM", "JE")),
        ("447797XXXXXX", ("JE",)),
        ("399XXXXXX", ("IT",)),
        ("390", ("IT", "SM", "VA")),
    ],
)
def test_masked_numbers(number, countries):
    """Masked digits may be any: the answer is whatever those before them leave open."""
    assert countries_of(number) == countries


def test_north_american_code_that_is_of_no_place():
    """A toll-free number may be of any country of the plan."""
    assert len(countries_of("18005550100")) == NANP
    assert countries_of("12") == ()


@pytest.mark.parametrize(
    ("number", "assigned"), [("385", True), ("88161", True), ("210", False), ("0", False)]
)
def test_assigned(number, assigned):
    """A code of no country is in use all the same."""
    assert is_assigned(number) is assigned


def test_gap_in_a_table():
    """A prefix that a table has nothing for is not assigned, though its neighbour is."""
    codes = CallingCodes.of({"5993": ("BQ",), "59": ()})
    assert codes.find("5993123") == ("BQ",)
    assert codes.find("5991234") == ()
    assert CallingCodes.of({"5993": ("BQ",)}).find("5991234") is None


@given(st.text())
def test_any_text(text):
    """Whatever is asked, the answer is a tuple of countries."""
    assert all(len(country) == 2 for country in countries_of(text))


def test_agrees_with_phonenumbers():
    """The table holds the region that `phonenumbers` gives, for examples of every region."""
    phonenumbers = pytest.importorskip("phonenumbers")
    # A number that fits two countries is given to the main one there; and 310 is an area code of
    # California, but before seven digits a service of Canada.
    exceptions = {("212528812345", "MA"), ("13101234", "CA")}
    for region in phonenumbers.SUPPORTED_REGIONS:
        for number_type in range(10):
            example = phonenumbers.example_number_for_type(region, number_type)
            if example is None:
                continue
            number = f"{example.country_code}{phonenumbers.national_significant_number(example)}"
            expected = phonenumbers.region_code_for_number(example)
            assert expected in countries_of(number) or (number, expected) in exceptions


def test_every_area_code_agrees_with_phonenumbers():
    """Where the table names one country for a North American area code, it is the right one."""
    phonenumbers = pytest.importorskip("phonenumbers")
    for area in range(200, 1000):
        expected = phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}2345678"))
        found = countries_of(f"1{area}2345678")
        # Old versions of it do not know the newest ones.
        assert expected is None or found == (expected,) or len(found) == NANP


def test_every_calling_code_is_in_the_table():
    """No calling code that `phonenumbers` knows is missing, and none is added."""
    phonenumbers = pytest.importorskip("phonenumbers")
    theirs = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    assert {code for code in theirs if not is_assigned(f"{code}5550100")} == set()
    ours = bundled_calling_codes().countries
    assert {prefix for prefix in ours if not prefix.startswith(tuple(theirs))} <= {"379", "888"}
