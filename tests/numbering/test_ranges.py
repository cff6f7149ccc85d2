"""Number ranges: holders by prefix, type and region by the numbering plan."""

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.numbering import NumberingPlan, NumberRange, NumberRanges, NumberType


def test_longest_prefix():
    """The longest prefix names the holder; without a plan there is no type and no region."""
    ranges = NumberRanges({"3859": "Any", "38598": "Hrvatski Telekom", "49": "Other"})
    assert ranges.find("38598514674") == NumberRange("Hrvatski Telekom")
    assert ranges.find("38591514674") == NumberRange("Any")
    assert ranges.find("41793026727") == NumberRange()


def test_names_of_holders():
    """The names are kept by country, for each country that a prefix can be of."""
    ranges = NumberRanges({"38595": "Tele2", "38591": "A1 Telekom", "590690": "Orange"})
    assert ranges.names["HR"] == {"telemach", "a1"}
    assert ranges.names["GP"] == ranges.names["MF"] == {"orange"}


def test_from_phonenumbers():
    """The extra's data gives holder, region and type."""
    pytest.importorskip("phonenumbers")
    ranges = NumberRanges.from_phonenumbers()
    assert ranges.find("38598514674") == NumberRange("Hrvatski Telekom", "HR", NumberType.MOBILE)
    assert ranges.find("38514674123") == NumberRange(None, "HR", NumberType.FIXED_LINE)
    assert ranges.find("12065550100") == NumberRange(None, "US", NumberType.FIXED_LINE_OR_MOBILE)
    assert ranges.find("80012345678") == NumberRange(None, None, NumberType.TOLL_FREE)
    assert ranges.find("2343223") == NumberRange(None, "NG", None)
    assert ranges.find("sdfsd") == ranges.find("") == ranges.find("210") == NumberRange()


def test_without_the_extra(monkeypatch):
    """Without `phonenumbers` the import error stands."""
    monkeypatch.setitem(sys.modules, "phonenumbers.carrierdata", None)
    with pytest.raises(ImportError):
        NumberRanges.from_phonenumbers()


TYPES = {
    "FIXED_LINE": NumberType.FIXED_LINE,
    "MOBILE": NumberType.MOBILE,
    "FIXED_LINE_OR_MOBILE": NumberType.FIXED_LINE_OR_MOBILE,
    "TOLL_FREE": NumberType.TOLL_FREE,
    "PREMIUM_RATE": NumberType.PREMIUM_RATE,
    "SHARED_COST": NumberType.SHARED_COST,
    "VOIP": NumberType.VOIP,
    "PERSONAL_NUMBER": NumberType.PERSONAL_NUMBER,
    "PAGER": NumberType.PAGER,
    "UAN": NumberType.UAN,
    "VOICEMAIL": NumberType.VOICEMAIL,
    "UNKNOWN": None,
}


def test_plan_agrees_with_phonenumbers():
    """Type and region are those of `phonenumbers`, for examples of all kinds and any digits."""
    phonenumbers = pytest.importorskip("phonenumbers")
    plan, digits = NumberingPlan(), random.Random(4)
    codes = list(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    numbers = [
        phonenumbers.PhoneNumber(digits.choice(codes), digits.randrange(10**6, 10**11))
        for _ in range(3000)
    ]
    for region in phonenumbers.SUPPORTED_REGIONS:
        examples = (phonenumbers.example_number_for_type(region, kind) for kind in range(11))
        numbers += [example for example in examples if example is not None]
    for number in numbers:
        national = phonenumbers.national_significant_number(number)
        region, number_type = plan.find(f"{number.country_code}{national}")
        expected = phonenumbers.region_code_for_number(number)
        assert region == (None if expected == "001" else expected)
        name = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(number))
        assert number_type == TYPES[name]


@given(st.text("0123456789+x", max_size=15) | st.text())
def test_any_text(text):
    """Whatever is asked, nothing is raised."""
    pytest.importorskip("phonenumbers")
    NumberRanges({"385": "A1"}, NumberingPlan()).find(text)
