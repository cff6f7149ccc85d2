"""What an HLR report means, rule by rule."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.numbering import (
    ERROR_CODES,
    STATUSES,
    Answer,
    NumberingPlan,
    NumberRanges,
    NumberType,
    Tables,
    interpret,
)

REPORT = HlrReport(
    destination="38598514674",
    lookup_id="id",
    status=HlrStatus.DELIVRD,
    raw_status="DELIVRD",
    imsi="219011234567890",
    serving_msc="385980501",
    error_code="0",
)


def changed(**fields):
    """The report with some fields changed."""
    return attrs.evolve(REPORT, **fields)


def test_answer_has_no_truth_value():
    """A test of an answer as if it were a boolean is a mistake, and fails at once."""
    with pytest.raises(TypeError, match="three values"):
        bool(Answer.NO)


@pytest.mark.parametrize(
    ("fields", "answer", "reason"),
    [
        ({}, Answer.YES, "an MSC serves the number"),
        ({"error_code": None}, Answer.YES, "an MSC serves the number"),
        ({"error_code": "000"}, Answer.YES, "an MSC serves the number"),
        ({"serving_msc": None}, Answer.UNKNOWN, "the report names no serving MSC"),
        ({"serving_msc": ""}, Answer.UNKNOWN, "the report names no serving MSC"),
        ({"serving_msc": "000"}, Answer.UNKNOWN, "the report names no serving MSC"),
        ({"serving_msc": "XXX"}, Answer.UNKNOWN, "the report names no serving MSC"),
        (
            {"error_code": "27"},
            Answer.UNKNOWN,
            "DELIVRD with error code 27 may mean anything",
        ),
        (
            {"status": HlrStatus.UNDELIV, "raw_status": "UNDELIV", "error_code": "1"},
            Answer.NO,
            "the HLR answers with error code 1 (UNDELIV)",
        ),
        (
            {"status": HlrStatus.UNKNOWN, "raw_status": "REJECTD", "error_code": None},
            Answer.UNKNOWN,
            "REJECTD with no error code may mean anything",
        ),
    ],
)
def test_reachable(fields, answer, reason):
    """Only an HLR that was queried without an error and names an MSC proves anything."""
    found = interpret(changed(**fields))
    assert (found.reachable, found.reachable_reason) == (answer, reason)


@pytest.mark.parametrize(
    ("fields", "answer", "reason"),
    [
        ({}, Answer.NO, "the SIM and the serving MSC are of HR"),
        ({"serving_msc": "43664"}, Answer.YES, "the SIM is of HR, the serving MSC of AT"),
        (
            {"serving_msc": "447XXX"},
            Answer.YES,
            "the SIM is of HR, the serving MSC of GB or GG or IM or JE",
        ),
        (
            {"imsi": "234101234567890", "serving_msc": "447XXX"},
            Answer.UNKNOWN,
            "the serving MSC is of GB or GG or IM or JE; a SIM of GB may be home",
        ),
        (
            {"imsi": "234101234567890", "serving_msc": "447797"},
            Answer.UNKNOWN,
            "the serving MSC is of JE; a SIM of GB may be home",
        ),
        ({"serving_msc": None}, Answer.UNKNOWN, "the report names no serving MSC"),
        ({"serving_msc": "0"}, Answer.UNKNOWN, "the report names no serving MSC"),
        ({"serving_msc": "881612"}, Answer.UNKNOWN, "the country of the serving MSC is not known"),
        ({"imsi": None}, Answer.UNKNOWN, "the report has no IMSI"),
        ({"imsi": "2190"}, Answer.UNKNOWN, "the IMSI does not begin with an MCC and an MNC"),
        (
            {"imsi": "2019011231213"},
            Answer.UNKNOWN,
            "no country is known to have the MCC 201",
        ),
    ],
)
def test_roaming(fields, answer, reason):
    """The country of the SIM's MCC against that of the serving MSC."""
    found = interpret(changed(**fields))
    assert (found.roaming, found.roaming_reason) == (answer, reason)


RANGES = NumberRanges(
    {
        "38598": "Hrvatski Telekom",
        "38591": "A1",
        "38595": "Telemach",
        "38592": "Reseller",
        "38597": "Hrvatski Poslovni",
        "91": "Airtel",
    }
)


FOREIGN = (
    "the number is of HR and the SIM of DE; numbers are not ported across borders, so the SIM is "
    "a foreign one, or the IMSI is not the real one"
)


@pytest.mark.parametrize(
    ("fields", "answer", "reason"),
    [
        (
            {},
            Answer.NO,
            "Hrvatski Telekom has the range, and Hrvatski Telekom, which is the same, the SIM",
        ),
        (
            {"imsi": "219101234567890"},
            Answer.YES,
            "Hrvatski Telekom has the range, A1/Tomato the SIM",
        ),
        # the holder is known as no network's operator
        (
            {"destination": "38592123456"},
            Answer.UNKNOWN,
            "Reseller has the range, Hrvatski Telekom the SIM; they may be one",
        ),
        ({"imsi": None}, Answer.UNKNOWN, "the report has no IMSI"),
        ({"imsi": "x"}, Answer.UNKNOWN, "the IMSI does not begin with an MCC and an MNC"),
        (
            {"destination": "38599123456"},
            Answer.UNKNOWN,
            "the holder of the number range is not known",
        ),
        ({"imsi": "219991234567890"}, Answer.UNKNOWN, "the network of the IMSI is not known"),
        (
            {"destination": "918012345678", "imsi": "405030123456789"},
            Answer.UNKNOWN,
            "the IMSI can be cut into the codes of two networks",
        ),
        (
            {"imsi": "262011234567890"},
            Answer.UNKNOWN,
            FOREIGN,
        ),
    ],
)
def test_ported(fields, answer, reason):
    """The holder of the range against the operator of the SIM."""
    found = interpret(changed(**fields), ranges=RANGES)
    assert (found.ported, found.ported_reason) == (answer, reason)


def test_ported_without_ranges():
    """Without a table of ranges nothing is known of their holders."""
    found = interpret(REPORT)
    assert found.ported is Answer.UNKNOWN
    assert found.ported_reason == "the holder of the number range is not known"


@pytest.mark.parametrize(
    ("networks", "holders"),
    [
        # the operator of the SIM has no range, and may be the holder under another name
        (["219,01,One,mine", "219,02,Two,mine"], {"38598": "Two"}),
        # the name of the network is that of a reseller
        (["219,01,One,gnome", "219,02,Two,mine"], {"38598": "Two", "38591": "One"}),
        # the holder is known by the name of a reseller only
        (["219,01,One,mine", "219,02,Two,aosp-mvno"], {"38598": "Two", "38591": "One"}),
        # a common word
        (["219,01,One Red,mine", "219,02,Two Red,mine"], {"38598": "Two Red", "38591": "One Red"}),
    ],
)
def test_names_that_prove_nothing(networks, holders):
    """Two names prove porting only where each is known as a network's and as a holder's."""
    text = "\n".join(["mcc,mnc,operator,source", *networks])
    tables = Tables.from_text(text, "mcc,country,mnc_digits\n219,HR,2\n")
    found = interpret(REPORT, tables=tables, ranges=NumberRanges(holders))
    assert found.ported is Answer.UNKNOWN
    assert "they may be one" in found.ported_reason


def test_tables_of_the_caller():
    """Names and countries come from the caller's tables where there are any."""
    text = "mcc,mnc,operator,source\n219,01,One,mine\n219,02,Two,mine\n"
    tables = Tables.from_text(text, "mcc,country,mnc_digits\n219,HR,2\n")
    ranges = NumberRanges({"38598": "Two", "38591": "One"})
    found = interpret(REPORT, tables=tables, ranges=ranges)
    assert (found.operator, found.operator_source) == ("One", "mine")
    assert (found.ported, found.range_holder) == (Answer.YES, "Two")


def test_region_of_the_numbering_plan():
    """A numbering plan tells the country of a number where the calling code alone cannot."""
    pytest.importorskip("phonenumbers")
    report = changed(destination="447924312345", imsi="234581234567890")
    found = interpret(report, ranges=NumberRanges({}, NumberingPlan()))
    assert interpret(report).number_country is None
    assert (found.number_country, found.number_type) == ("GB", NumberType.MOBILE)


KOSOVO, PALESTINE = "221021234567890", "425051234567890"


@pytest.mark.parametrize(
    ("destination", "imsi", "countries", "ported"),
    [
        # codes that two countries share, of which the plan knows one
        ("38649123456", KOSOVO, None, Answer.UNKNOWN),
        ("38643123456", KOSOVO, None, Answer.UNKNOWN),
        ("37744123456", KOSOVO, None, Answer.UNKNOWN),
        ("37744123456", "212101234567890", None, Answer.NO),
        ("972591234567", PALESTINE, None, Answer.NO),
        ("97059123456", PALESTINE, "PS", Answer.NO),
        # codes and ranges of one country
        ("38344123456", "221011234567890", "XK", Answer.NO),
        ("38344123456", KOSOVO, "XK", Answer.UNKNOWN),  # IPKO is weakly named
        ("972501234567", "425031234567890", "IL", Answer.NO),
        ("211921234567", "659021234567890", "SS", Answer.NO),
    ],
)
def test_more_data_gives_no_worse_answer(destination, imsi, countries, ported):
    """Ranges know the country only where the plan knows every country of the code."""
    pytest.importorskip("phonenumbers")
    report = changed(destination=destination, imsi=imsi)
    found = interpret(report, ranges=NumberRanges.from_phonenumbers())
    assert (found.number_country, found.ported) == (countries, ported)
    assert found.operator is not None
    assert "is a foreign one" not in found.ported_reason
    assert interpret(report).number_country in {countries, None}


@pytest.mark.parametrize(
    ("imsi", "mnc", "operator"),
    [
        ("22101xxxxxxxxxx", "01", "Vala"),
        ("42505", "05", "Jawwal"),
        ("65902**********", "02", "MTN"),
        ("219xxxxxxxxxxxx", None, None),
    ],
)
def test_a_masked_imsi(imsi, mnc, operator):
    """It tells the network, or at least the country."""
    found = interpret(changed(imsi=imsi))
    assert (found.mnc, found.operator) == (mnc, operator)
    assert found.imsi_country is not None


def test_a_word_for_each_status():
    """Every status of the document has its meaning; of error codes it shows two."""
    assert set(STATUSES) == set(HlrStatus)
    assert set(ERROR_CODES) == {"0", "1"}


FIELDS = st.none() | st.text("0123456789+xX", max_size=16) | st.text(max_size=8)


@settings(max_examples=3 * settings.default.max_examples)
@given(
    st.text("0123456789", max_size=15) | st.text(max_size=8),
    st.sampled_from(HlrStatus),
    FIELDS,
    FIELDS,
    FIELDS,
)
def test_any_report(destination, status, imsi, msc, code):
    """Whatever a report holds, it is interpreted, with a reason for every answer."""
    report = HlrReport(destination, "id", status, status.value, imsi, msc, code)
    found = interpret(report, ranges=RANGES)
    assert found.reachable_reason
    assert found.roaming_reason
    assert found.ported_reason
