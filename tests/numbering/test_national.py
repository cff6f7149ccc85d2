"""Numbers as people write them."""

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering import check_destination, normalise
from infobip_async.numbering.national import _NATIONAL


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
        ("98514674", "HR", "98514674"),
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
        ("3.8598514674E+10", None, "is no telephone number"),
        ("38598514674.0", None, "decimal number"),
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
        ("38598514674385", "SG", "38598514674385"),
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


def test_table_agrees_with_phonenumbers():
    """Fixed and mobile numbers of each country of the table are read as `phonenumbers` does."""
    phonenumbers = pytest.importorskip("phonenumbers")
    kinds = phonenumbers.PhoneNumberType
    several = (kinds.FIXED_LINE, kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE)
    for country, kind in itertools.product(sorted(_NATIONAL), several):
        example = phonenumbers.example_number_for_type(country, kind)
        formats = phonenumbers.PhoneNumberFormat
        national = phonenumbers.format_number(example, formats.NATIONAL)
        international = phonenumbers.format_number(example, formats.INTERNATIONAL)
        msisdn = phonenumbers.format_number(example, formats.E164)[1:]
        for written in (national, international, msisdn, f"00{msisdn}"):
            assert normalise(written, country=country) == msisdn, (country, written)


@given(st.text("0123456789+-() .x") | st.text(), st.sampled_from([None, "HR", "US", "IT"]))
def test_any_text(text, country):
    """Whatever is read can be sent to; anything else is refused in one way."""
    try:
        msisdn = normalise(text, country=country)
    except LocalProtocolError:
        return
    assert check_destination(msisdn) == msisdn
