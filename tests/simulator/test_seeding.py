"""Files of what is decided about numbers."""

import json

import pytest

from infobip_async import LocalProtocolError
from infobip_async.simulator import HlrAnswer, Phone, read_seed


@pytest.fixture
def seed(tmp_path):
    """Writes a file, and reads it."""

    def read(content: object):
        path = tmp_path / "seed.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return read_seed(path)

    return read


def test_everything_that_can_be_decided(seed) -> None:
    """Of messages, of reports, of the HLR, and of routes."""
    read = seed(
        {
            "phones": {
                "38598514674": {"status": "NOT_DELIVERED", "delay": 5},
                "41793026727": {"network": "22801", "roaming": "49"},
                "491701112223": {"absent": True},
                "447700900123": {},
            },
            "not_covered": ["35"],
        }
    )
    assert read.phones == {
        "38598514674": Phone(status="NOT_DELIVERED", delay=5),
        "41793026727": Phone(answer=HlrAnswer(imsi="228011793026727", serving_msc="490501")),
        "491701112223": Phone(answer=read.phones["491701112223"].answer),
        "447700900123": Phone(),
    }
    assert read.phones["491701112223"].answer.error_code == "1"
    assert read.not_covered == ("35",)


@pytest.mark.parametrize(
    ("content", "about"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ([], "must be an object"),
        ({"phones": []}, "must be an object"),
        ({"numbers": {}}, "must be an object"),
        ({"not_covered": [35]}, "digits in quotes"),
        ({"phones": {"38598514674": 5}}, "a phone must be an object"),
        ({"phones": {"+385": {}}}, "the number must have 5 to 15 digits"),
        ({"phones": {"38598514674": {"staus": "SENT"}}}, "staus is unknown; known are absent"),
        ({"phones": {"38598514674": {"delay": -1}}}, "delay must be a number from 0"),
        ({"phones": {"38598514674": {"network": "abc"}}}, "digits"),
    ],
)
def test_faults_are_named(seed, content, about) -> None:
    """With the phone that has them."""
    with pytest.raises(LocalProtocolError, match=about):
        seed(content)
