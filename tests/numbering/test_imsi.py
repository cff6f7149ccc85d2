"""An IMSI cut into MCC, MNC and the rest (E.212)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.numbering import ImsiParts, Tables, split_imsi


@pytest.mark.parametrize(
    ("imsi", "parts"),
    [
        ("219011234567890", ("219", "01", "1234567890")),
        ("219991234567890", ("219", "99", "1234567890")),  # unknown, yet Croatia has two digits
        ("310260123456789", ("310", "260", "123456789")),
        ("310026123456789", ("310", "026", "123456789")),
        ("405857123456789", ("405", "857", "123456789")),  # Jio, under an MCC of mixed lengths
        ("405011234567890", ("405", "01", "1234567890")),
        ("334020123456789", ("334", "020", "123456789")),
        ("334011234567890", ("334", "01", "1234567890")),
        ("722310123456789", ("722", "310", "123456789")),
        ("722361234567890", ("722", "36", "1234567890")),
        ("302720123456789", ("302", "720", "123456789")),
        ("302621234567890", ("302", "62", "1234567890")),
        ("901281234567890", ("901", "28", "1234567890")),
        ("21901123456789", ("219", "01", "123456789")),
        ("219011", ("219", "01", "1")),
        ("21901", ("219", "01", "")),
        ("40501", ("405", "01", "")),
        ("21901xxxxxxxxxx", ("219", "01", "xxxxxxxxxx")),
        ("21901**********", ("219", "01", "**********")),
        ("2190112*******", ("219", "01", "12*******")),
        ("219011####4567", ("219", "01", "1####4567")),
        ("310260XXXXXXXXX", ("310", "260", "XXXXXXXXX")),
        ("405857-----", ("405", "857", "-----")),
        ("310260", ("310", "260", "")),
    ],
)
def test_plain(imsi, parts):
    """One length fits."""
    assert split_imsi(imsi) == ImsiParts(*parts)


@pytest.mark.parametrize(
    ("imsi", "parts"),
    [
        ("405030123456789", ("405", "030", "123456789")),
        ("714020123456789", ("714", "020", "123456789")),
    ],
)
def test_ambiguous(imsi, parts):
    """Codes of both lengths exist: the longer is taken, and that is said."""
    assert split_imsi(imsi) == ImsiParts(*parts, ambiguous=True)


@pytest.mark.parametrize(
    ("imsi", "parts"),
    [
        ("2019011231213", ("201", "90", "11231213")),  # the document's own (§5)
        ("302999123456789", ("302", "999", "123456789")),
        ("405991234567890", ("405", "99", "1234567890")),
    ],
)
def test_assumed(imsi, parts):
    """Nothing tells the length: two digits, or what is usual with the MCC."""
    assert split_imsi(imsi) == ImsiParts(*parts, assumed=True)


@pytest.mark.parametrize(
    "imsi",
    [
        *("", "219", "2190", "2190112345678901", "2190112345xxxxxx", "٢١٩٠١١٢٣٤", " 219011"),
        *("219011\n", "x219011", "21xxxxxxx", "xxxxxxxxxxxxxxx", "21901123456789a"),
    ],
)
def test_garbage(imsi):
    """What is no IMSI is None."""
    assert split_imsi(imsi) is None


@pytest.mark.parametrize(
    ("imsi", "parts"),
    [
        ("31026xxxxxxxxxx", ("310", "", "26xxxxxxxxxx")),  # three digits are usual there
        ("31026", ("310", "", "26")),
        ("219xxxxxxxxxxxx", ("219", "", "xxxxxxxxxxxx")),
        ("2190xxxxxxxxxxx", ("219", "", "0xxxxxxxxxxx")),
        ("40585xxxxxxxxxx", ("405", "", "85xxxxxxxxxx")),  # all that begins so is longer
    ],
)
def test_a_masked_mnc(imsi, parts):
    """The MCC is still read, and the digits behind are taken for no MNC."""
    assert split_imsi(imsi) == ImsiParts(*parts, assumed=True)


def test_a_mask_behind_a_short_mnc_that_begins_longer_ones():
    """Both fit: the longer one is not shown."""
    assert split_imsi("40503xxxxxxxxxx") == ImsiParts("405", "03", "xxxxxxxxxx", ambiguous=True)
    assert split_imsi("40503") == ImsiParts("405", "03", "")


def test_other_tables():
    """The caller's tables decide."""
    tables = Tables.from_text("mcc,mnc,operator,source\n", "mcc,country,mnc_digits\n219,HR,3\n")
    assert split_imsi("219011234567890", tables) == ImsiParts("219", "011", "234567890")
    assert split_imsi("310260123456789", tables) == ImsiParts(
        "310", "26", "0123456789", assumed=True
    )


@given(st.text("0123456789", min_size=6, max_size=15) | st.text())
def test_any_text(text):
    """Whatever is given, nothing is raised, and the parts make the whole."""
    parts = split_imsi(text)
    assert parts is None or parts.mcc + parts.mnc + parts.msin == text
