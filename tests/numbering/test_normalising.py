"""Numbers as people write them."""

import itertools
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering import check_destination, normalise
from infobip_async.numbering.normalising import _plans, looks_like_number, read_number


@pytest.mark.parametrize(
    ("number", "country", "msisdn"),
    [
        ("38598514674", None, "38598514674"),
        ("+385 98 514-674", None, "38598514674"),
        ("00385/98.514.674", None, "38598514674"),
        ("'+385\u00a098\u2011514 674 ", None, "38598514674"),
        ("\u202a+385 98 514 674\u202c", None, "38598514674"),
        ("٠٠٣٨٥٩٨٥١٤٦٧٤", None, "38598514674"),
        ("+44 (0)20 7946 0018", None, "442079460018"),
        ("0044 (0)20 7946 0018", None, "442079460018"),
        ("+39 (0)6 1234567", None, "39061234567"),
        ("098 514-674", "HR", "38598514674"),
        ("098 514-674", "hr", "38598514674"),
        ("(0)98 514-674", "HR", "38598514674"),
        ("41793026727", "HR", "41793026727"),
        ("+41793026727", "HR", "41793026727"),
        ("0041793026727", "HR", "41793026727"),
        ("98514674", "HR", "38598514674"),
        ("612345678", "FR", "33612345678"),
        ("7700900123", "GB", "447700900123"),
        ("5351234567", "TR", "905351234567"),
        ("301234567", "HU", "36301234567"),
        ("4917012345678", "DE", "4917012345678"),
        ("17012345678", "DE", "4917012345678"),
        ("436641234567", "AT", "436641234567"),
        ("393471234567", "IT", "393471234567"),
        ("3931234567", "IT", "393931234567"),
        ("47123456", "NO", "4747123456"),
        ("919812345678", "IN", "919812345678"),
        ("9198765432", "IN", "919198765432"),
        ('="098514674"', "HR", "38598514674"),
        ("+385 098 514 674", None, "38598514674"),
        ("+385 098 514 674", "FR", "38598514674"),
        ("385 098 514 674", None, "38598514674"),
        ("+44 (020) 7946 0018", None, "442079460018"),
        ("+7 8 916 123-45-67", None, "79161234567"),
        ("+7 800 555 35 35", None, "78005553535"),
        ("+36 06 30 123 4567", None, "36301234567"),
        ("+39 06 1234567", None, "39061234567"),
        ("+225 07 01 23 45 67", None, "2250701234567"),
        ("+55 0 11 96123-4567", None, "5511961234567"),
        ("+1 1 202 555 0123", None, "12025550123"),
        ("06 30 123 4567", "HU", "36301234567"),
        ("347 123 4567", "IT", "393471234567"),
        ("06 1234 5678", "IT", "390612345678"),
        ("(202) 555-0123", "US", "12025550123"),
        ("1-202-555-0123", "US", "12025550123"),
        ("011 44 20 7946 0018", "US", "442079460018"),
        ("00 44 20 7946 0018", "US", "442079460018"),
        ("8 (916) 123-45-67", "RU", "79161234567"),
        ("916 123-45-67", "RU", "79161234567"),
        ("8 10 44 20 7946 0018", "RU", "442079460018"),
        ("0011 44 20 7946 0018", "AU", "442079460018"),
        ("138 1234 5678", "CN", "8613812345678"),
        ("010 1234 5678", "CN", "861012345678"),
        ("98123 45678", "IN", "919812345678"),
        ("612 34 56 78", "ES", "34612345678"),
        ("34 612 34 56 78", "ES", "34612345678"),
    ],
)
def test_good_numbers(number, country, msisdn):
    """A number is made into a destination."""
    assert normalise(number, country=country) == msisdn


@pytest.mark.parametrize(
    ("number", "country", "words"),
    [
        ("", None, "is no telephone number"),
        ("Phone", None, "is no telephone number"),
        ("38598514674;41793026727", None, "is no telephone number"),
        ("3.8598514674E+10", None, "rounded by a spreadsheet"),
        (" 3,85983E+11", "HR", "rounded by a spreadsheet"),
        ("2026-01-31", "HR", "is a date"),
        ("098 514 674/5", "HR", "is two numbers"),
        ("612345678 / 79", "FR", "is two numbers"),
        ("3.8598 E+010", None, "rounded by a spreadsheet"),
        ("38598514674.0", None, "decimal number"),
        ("+38598514674.0", None, "decimal number"),
        ("\ufeff38598514674.0", None, "decimal number"),
        ("38 598 514 674,0", None, "decimal number"),
        ("٣٨٥٩٨٥١٤٦٧٤.0", None, "decimal number"),
        ("38598514674.5", None, "decimal number"),
        ("491712345678.00", None, "decimal number"),
        ("491712345678.000", None, "decimal number"),
        ("+385", None, "0 digits like these do not follow \\+385"),
        ("385", "HR", "is no number of HR, nor an international one: 3 digits"),
        ("+385 98514674 0912345", None, "more than 15"),
        ("6123456 6234567", "IS", "is no number of IS, nor an international one: 14 digits"),
        ("1800 123 456", "AU", "is no number of AU"),
        ("098514674 0915146", "HR", "more than 15|is no number of HR"),
        ("+34 0 612 345 678", None, "do not follow \\+34"),
        ("+385 98", None, "2 digits like these"),
        ("41793026727", "DE", "number of DE, or an international one"),
        ("376312345", "AD", "number of AD, or an international one"),
        ("098514674", None, "leading 0"),
        ("+098514674", None, "leading 0"),
        ("+098514674", "HR", "leading 0"),
        ("38598514674/38598303174", None, "22 digits, more than 15"),
        ("+210 123456", None, "begins with no calling code"),
    ],
)
def test_bad_numbers(number, country, words):
    """What is no number, or not to be told, is refused with the reason."""
    with pytest.raises(LocalProtocolError, match=words) as raised:
        normalise(number, country=country)
    assert (raised.value.field, raised.value.section) == ("number", "2/1.2")


@pytest.mark.parametrize(
    ("number", "country", "msisdn"),
    [
        ("011 15-2345-6789", "AR", "5491123456789"),
        ("010-1234-5678", "KR", "821012345678"),
        ("001 44 20 7946 0018", "KR", "442079460018"),
        ("41793026727", "AR", "41793026727"),
        ("1123456789", "AR", "541123456789"),
    ],
)
def test_countries_of_phonenumbers(number, country, msisdn):
    """Countries with involved rules are left to `phonenumbers`, which may say: not theirs."""
    pytest.importorskip("phonenumbers")
    assert normalise(number, country=country) == msisdn


def test_country_without_the_extra(monkeypatch):
    """Without `phonenumbers` such a country is refused, and no other way of reading is tried."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(LocalProtocolError, match="needs the phonenumbers extra") as raised:
        normalise("011 15-2345-6789", country="AR")
    assert raised.value.field == "country"
    assert normalise("098 514-674", country="HR") == "38598514674"
    assert normalise("+54 9 11 2345-6789", country="AR") == "5491123456789"


def test_no_country():
    """A code that is no country's is refused."""
    pytest.importorskip("phonenumbers")
    with pytest.raises(LocalProtocolError, match="'XX' is no country"):
        normalise("123", country="XX")


def test_number_that_phonenumbers_cannot_read():
    """What `phonenumbers` gives up on is taken as it stands."""
    pytest.importorskip("phonenumbers")
    with pytest.raises(LocalProtocolError, match="leading 0"):
        normalise("0", country="AR")


def _examples() -> Iterator[tuple[str, str, str, bool]]:
    """Country, national form, destination, and whether it is a mobile number."""
    phonenumbers = pytest.importorskip("phonenumbers")
    kinds, formats = phonenumbers.PhoneNumberType, phonenumbers.PhoneNumberFormat
    several = (kinds.FIXED_LINE, kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE)
    for country, kind in itertools.product(sorted(phonenumbers.SUPPORTED_REGIONS), several):
        if example := phonenumbers.example_number_for_type(country, kind):
            national = phonenumbers.format_number(example, formats.NATIONAL)
            msisdn = phonenumbers.format_number(example, formats.E164)[1:]
            yield country, national, msisdn, kind is kinds.MOBILE


def test_table_agrees_with_phonenumbers():
    """Fixed and mobile numbers of all countries are read as `phonenumbers` reads them."""
    for country, national, msisdn, mobile in _examples():
        assert normalise(f"+{msisdn}") == normalise(f"00{msisdn}") == normalise(msisdn) == msisdn
        if country in _plans():
            forms = [national, f"+{msisdn}", f"00{msisdn}"]
            if mobile:  # and as a spreadsheet leaves it
                plan = _plans()[country]
                forms.append(msisdn.removeprefix(plan.code))
                forms += [msisdn] if country not in {"AD", "MM", "PM"} else []  # both
            for written in forms:
                assert normalise(written, country=country) == msisdn, (country, written)


def test_a_trunk_zero_is_dropped_wherever_there_is_one():
    """Behind the calling code, in every country whose plan has one; the others refuse the zero."""
    for _, _, msisdn, _ in _examples():
        plan = next(_plans()[msisdn[:end]] for end in (1, 2, 3) if msisdn[:end] in _plans())
        national = msisdn.removeprefix(plan.code)
        written = f"+{plan.code} 0{national}"
        if plan.trunk == "0":
            assert normalise(written) == msisdn
        elif "0" not in plan.digits:
            with pytest.raises(LocalProtocolError):
                normalise(written)


@pytest.mark.parametrize(
    ("number", "country", "guess"),
    [
        ("098514674", "HR", ""),
        ("98514674", "HR", "a number of HR without its zero"),
        ("5351234567", "TR", "a number of TR without its zero"),
        ("47123456", "NO", ""),
        ("47123456", "DK", ""),
        ("2025550123", "US", "a number of US, and not of another country"),
        ("+385 098514674", None, "the 0 behind +385 is not dialled from abroad"),
    ],
)
def test_what_was_guessed(number, country, guess):
    """It is said, so that a person can look."""
    assert read_number(number, country).guess == guess


@pytest.mark.parametrize(
    "text",
    [
        *("'+385 98 514 674", "(098) 514-674", "098\u00a0514\u00a0674", "\u202a098514674\u202c"),
        *("٠٩٨٥١٤٦٧٤", "3.8598E+10", "3,85983E+11", "38598514674.0", '="098514674"', "385981"),
    ],
)
def test_what_looks_like_a_number(text):
    """Every form that is read, or named as spoilt."""
    assert looks_like_number(text)


@pytest.mark.parametrize("text", ["", "Phone", "2025", "1", "phone 1", "n/a", "E+10", "Ana"])
def test_what_does_not_look_like_a_number(text):
    """Names of columns, and short ones."""
    assert not looks_like_number(text)


@given(st.text("0123456789+-() .x") | st.text(), st.sampled_from([None, "HR", "US", "IT"]))
def test_any_text(text, country):
    """Whatever is read can be sent to; anything else is refused in one way."""
    try:
        msisdn = normalise(text, country=country)
    except LocalProtocolError:
        return
    assert check_destination(msisdn) == msisdn
