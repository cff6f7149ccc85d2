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
    "imsi", ["", "21901", "2190112345678901", "21901123456789x", "٢١٩٠١١٢٣٤", " 219011", "219011\n"]
)
def test_garbage(imsi):
    """What is no IMSI is None."""
    assert split_imsi(imsi) is None


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
