"""Alphabet check, count and encoding of 160 characters, and composing of long texts.

What remains: for plain and accented texts, and for those that are not GSM-7, one match of one
compiled expression and the call around it. With characters of the extension table, a deletion of
octets counts them, which the expression alone does not do. Encoding is one pass of the
interpreter's charmap codec.
"""

import re

import pytest

from infobip_async.models.messages import TextMessage
from infobip_async.text import gsm7, segments
from infobip_async.text.tables import DEFAULT, EXTENSION

TEXTS = {
    "ASCII": ("Your code is 482913. It works for ten minutes. Do not share it. " * 3)[:160],
    "accented": ("Müller fährt über Österreich; señor Ñandu à la carte, àéùìò. " * 3)[:160],
    "extension": ("Größe 5€ [ok] {x} ~ señor Ñandu à la carte, àéùìò, and so on. " * 3)[:160],
    "not GSM": ("Привет, как дела? Ваш код 482913, он действует десять минут. " * 3)[:160],
}

ALPHABET = DEFAULT.replace("\x1b", "") + "".join(EXTENSION.values())
EXPRESSION = re.compile(f"[{re.escape(ALPHABET)}]*")


@pytest.mark.parametrize("kind", TEXTS)
def test_check_and_count(bench, kind):
    """Is it GSM-7, and how many septets: against one compiled expression that only checks."""
    text = TEXTS[kind]
    bench.pair(
        f"alphabet and count, {kind}",
        lambda: gsm7.septet_count(text),
        lambda: EXPRESSION.fullmatch(text),
        "-" if kind == "extension" else "<= 1.5",
    )


@pytest.mark.parametrize("kind", TEXTS)
def test_encode(bench, kind):
    """Check, count and encode, against smsutil."""
    smsutil = pytest.importorskip("smsutil")
    text = TEXTS[kind]

    def ours():
        count = gsm7.septet_count(text)
        return None if count is None else (count, gsm7.encode(text))

    def theirs():
        if not smsutil.is_valid_gsm(text):
            return None
        return smsutil.gsm_split(text).total_bytes, smsutil.encode(text)

    assert ours() == theirs()
    bench.pair(f"alphabet, count and octets, {kind}, against smsutil", ours, theirs)


@pytest.mark.parametrize("character", ["a", "я"])
def test_compose(bench, character):
    """The time grows with the number of parts, not with its square."""
    limit = 153 if character == "a" else 67
    long, short = (TextMessage(character * limit * parts, "Friend") for parts in (255, 15))
    bench.pair(
        f"composing 255 parts of {character!r}, against 15",
        lambda: segments.compose(long),
        lambda: segments.compose(short),
        "<= 17",
    )
