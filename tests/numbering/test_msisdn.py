"""Destinations and senders, before they go on the wire (§2/1, §2/1.2, §4)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering import (
    check_destination,
    check_destinations,
    check_lookup_destination,
    check_lookup_destinations,
    check_sender,
    is_numeric_sender,
)


@pytest.mark.parametrize("msisdn", ["41793026727", "38598514674", "1", "9" * 20])
def test_good_destination(msisdn):
    """A good destination comes back unchanged."""
    assert check_destination(msisdn) == msisdn


@pytest.mark.parametrize(
    ("msisdn", "words"),
    [
        ("", "is empty"),
        ("+38598514674", "write its digits alone"),
        ("0038598514674", "write its digits alone"),
        ("385 98/514-674", "write its digits alone"),
        ("38598514674\n", "write its digits alone"),
        ("098514674", "calling code"),
        ("+098514674", "other than the digits"),
        ("38598x", "other than the digits"),
        ("٣٨٥٩٨٥١٤٦٧٤", "other than the digits"),
        ("9" * 21, "21 digits, more than 20"),
    ],
)
def test_bad_destination(msisdn, words):
    """A bad destination is refused, with what is wrong or what to write instead."""
    with pytest.raises(LocalProtocolError) as raised:
        check_destination(msisdn)
    assert words in str(raised.value)
    assert (raised.value.field, raised.value.section) == ("recipients", "2/1.2")


def test_destination_names_the_argument():
    """The error carries the name that the caller gave."""
    with pytest.raises(LocalProtocolError) as raised:
        check_destination("0", field="gsm")
    assert raised.value.field == "gsm"


def test_good_destinations():
    """Ten thousand good destinations pass."""
    check_destinations([str(385980000000 + number) for number in range(10_000)])


@pytest.mark.parametrize(
    ("msisdns", "section", "words"),
    [
        ([], "2/1.2", "no destination"),
        (["1", "2", "+3"], "2/1.2", "number 3 of 3 is not plain digits"),
        (["1", ""], "2/1.2", "number 2 of 2 is empty"),
        (["1;2"], "2/1.2", "number 1 of 1 has characters"),
        (["1;2", "3"], "2/1.2", "number 1 of 2 has characters"),
        (["1", "2", "1", "2"], "2/1", "a number stands at 1 and at 3"),
    ],
)
def test_bad_destinations(msisdns, section, words):
    """The first destination at fault is named with its place; so is a duplicate."""
    with pytest.raises(LocalProtocolError) as raised:
        check_destinations(msisdns, field="gsm")
    assert words in str(raised.value)
    assert (raised.value.field, raised.value.section) == ("gsm", section)


@settings(max_examples=2 * settings.default.max_examples)
@given(st.lists(st.text("019;+ ", max_size=4), min_size=1, max_size=4, unique=True))
def test_destinations_agree_with_destination(msisdns):
    """The bulk form refuses just what the single form refuses."""

    def refuses(check, argument):
        try:
            check(argument)
        except LocalProtocolError:
            return True
        return False

    expected = any(refuses(check_destination, msisdn) for msisdn in msisdns)
    assert refuses(check_destinations, msisdns) is expected


@pytest.mark.parametrize("sender", ["Friend", "a", "Friend & Co", "Zürich", "12345", "1" * 14, "+"])
def test_good_sender(sender):
    """A good sender comes back unchanged."""
    assert check_sender(sender) == sender


@pytest.mark.parametrize(
    ("sender", "words"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("Friends & Co", "12 characters; an alphanumeric sender has at most 11"),
        ("1" * 15, "15 digits; a numeric sender has at most 14"),
        ("+38598514674", "source_addr_ton"),
        ("Fri\nend", "control character"),
        ("Fri\x85end", "control character"),
        ("Fri\ud800end", "control character"),
    ],
)
def test_bad_sender(sender, words):
    """A bad sender is refused, with what is wrong."""
    with pytest.raises(LocalProtocolError) as raised:
        check_sender(sender)
    assert words in str(raised.value)
    assert (raised.value.field, raised.value.section) == ("sender", "2/1.2")


@pytest.mark.parametrize(
    ("sender", "numeric"), [("12345", True), ("", False), ("1a", False), ("١٢", False)]
)
def test_numeric_sender(sender, numeric):
    """Only ASCII digits make a numeric sender."""
    assert is_numeric_sender(sender) is numeric


@pytest.mark.parametrize("destination", ["234234", "sdfsd", "23'0498239048230", "+385 98", "0"])
def test_good_lookup_destination(destination):
    """What can be carried is left to the gateway's judgement."""
    assert check_lookup_destination(destination) == destination
    check_lookup_destinations(["38598303174", destination, destination])


@pytest.mark.parametrize(
    "destination", ["", "1;2", "1\n", "1\r", "\x00", "1\x7f", "1\x85", "1\u2028", "\udc00"]
)
def test_bad_lookup_destination(destination):
    """What would break the rows, or cannot be encoded, is refused."""
    for check, argument in (
        (check_lookup_destination, destination),
        (check_lookup_destinations, ["38598303174", destination]),
    ):
        with pytest.raises(LocalProtocolError) as raised:
            check(argument)
        assert (raised.value.field, raised.value.section) == ("destinations", "4")


def test_digits_with_a_separator_do_not_pass_in_bulk():
    """Two numbers in one field look like two fields once joined."""
    with pytest.raises(LocalProtocolError, match="has a ';'") as raised:
        check_lookup_destinations(["1;2", "3"])
    assert raised.value.value == "1;2"


def test_no_lookup_destinations():
    """A query for nothing is refused."""
    with pytest.raises(LocalProtocolError, match="no number is given"):
        check_lookup_destinations([])
