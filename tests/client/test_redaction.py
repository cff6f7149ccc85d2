"""Secrets in the texts that we log."""

import pytest

from infobip_async.redaction import spellings

SECRET = "p+ss w&rd<é-.A"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        "P+SS W&RD<É-.a",
        "p%2Bss+w%26rd%3C%C3%A9-.A",
        "p%2bss%20w%26rd%3c%c3%a9%2D%2e%41",
        "p+ss w&amp;rd&lt;é-.A",
        "p&#43;ss w&#x26;rd&#60;&#xE9;-.A",
    ],
)
def test_every_spelling_is_found(text: str) -> None:
    """In clear, as in URLs and forms, and as in XML."""
    assert spellings("other", SECRET).sub("***", f"user={text}&x") == "user=***&x"


def test_of_no_secret_nothing_is_found() -> None:
    """An empty one is in no text."""
    for pattern in (spellings(), spellings("")):
        assert not pattern.search("anything")


def test_the_longest_comes_first() -> None:
    """Nothing of it is left where a shorter one begins it."""
    assert spellings("abc", "abcdef").sub("*", "abcdef abc") == "* *"
