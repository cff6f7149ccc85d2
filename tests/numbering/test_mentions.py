"""Where a number stands in what was stored as it arrived."""

import pytest

from infobip_async.numbering.mentions import mentions

NUMBER = mentions("38598514674")


@pytest.mark.parametrize(
    "text",
    [
        "38598514674",
        "sender=%2B38598514674&text=a",
        "+385 98 514-674",
        "00385 (98) 514.674",
        "0038598514674;id;DELIVRD",
        "sender=+385+98+514674",
        "sender=%20%2B385%2098%20514674",
        "dlr=%0A%33%38%35%39%38514674%3B1",
        "gsm=&#51;&#x38;598514674",
        "%0A38598514674%0A",
        "KeyError('38598514674')",
    ],
)
def test_it_is_found(text: str) -> None:
    """In every spelling."""
    assert NUMBER.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "3859851467",
        "385985146745",
        "138598514674",
        "38598514674%35",
        "38598514\n674",
        "385;98514674",
    ],
)
def test_another_number(text: str) -> None:
    """A part of a longer one, or of two, is not meant."""
    assert not NUMBER.search(text)
