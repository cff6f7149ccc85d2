"""Names of operators, spelt as each list likes."""

import pytest

from infobip_async.numbering.operators import names_by_country, read_name, same_operator


@pytest.mark.parametrize(
    ("country", "one", "other"),
    [
        ("HR", "A1 Telekom", "A1/Tomato"),
        ("HR", "Tele2", "Telemach"),
        ("DE", "Eplus", "O2 (Germany) GmbH & Co. OHG"),
        ("DE", "T-Mobile", "Telekom"),
        ("SE", "Com Hem", "Tele2/Comviq Sverige/Com Hem"),
        ("IN", "BSNL MOBILE", "Bharat Sanchar Nigam Ltd. (BSNL)"),
        ("CN", "China Mobile", "CHINA MOBILE"),
        ("NP", "Nepal Telecom", "Nepal Telecommunications"),
        ("BH", "zain BH", "Zain Bahrain"),
        ("RU", "Beeline", "Билайн"),
        ("LT", "Bite", "BITĖ"),
        ("VN", "G-Mobile", "Gmobile"),
        ("BY", "life", "life:)"),
        ("GB", "sky", "Sky"),
    ],
)
def test_same(country, one, other):
    """Spelling, company forms, places, accents and old names do not hide an operator."""
    assert same_operator(country, one, other) is True
    assert same_operator(country, other, one) is True


@pytest.mark.parametrize(
    ("country", "one", "other"),
    [
        ("HR", "A1", "Hrvatski Telekom"),
        ("CN", "China Mobile", "China Unicom"),
        ("CN", "China Mobile", "China Telecom"),
        ("DE", "o2", "Vodafone"),
        ("SI", "T-2", "T-Mobile"),
        ("TN", "Tunisie Telecom", "Orange Tunisie"),
        ("AT", "Tele2", "Telemach"),  # renamed in another country only
    ],
)
def test_other(country, one, other):
    """Names without a common word are of two operators."""
    assert same_operator(country, one, other) is False
    assert same_operator(country, other, one) is False


@pytest.mark.parametrize(
    ("country", "one", "other"),
    [
        ("IN", "Reliance", "Reliance Jio"),
        ("NL", "Vodafone Libertel B.V.", "Vodafone"),
        ("GB", "Sky", "O2"),  # a virtual operator on the other's network
        ("BR", "Oi", "Vivo"),  # whose customers went to several
    ],
)
def test_undecided(country, one, other):
    """A common word is not enough, and some names decide nothing."""
    assert same_operator(country, one, other) is None
    assert same_operator(country, other, one) is None


@pytest.mark.parametrize("name", ["", "/", "&", "  "])
def test_name_without_words(name):
    """A name without words is like no other."""
    assert read_name("HR", name).names == frozenset()
    assert same_operator("HR", name, "A1") is not True


def test_names_by_country():
    """The names are brought together by country, reduced."""
    pairs = [("HR", "A1 Telekom"), ("HR", "Tele2"), ("SI", "A1"), ("BR", "Oi")]
    assert names_by_country(pairs) == {"HR": {"a1", "telemach"}, "SI": {"a1"}, "BR": {"oi"}}
