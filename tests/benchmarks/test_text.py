"""Alphabet check, count and encoding of 160 characters; composing of short and long texts.

Run with ``pytest tests/benchmarks/test_text.py --benchmark-group-by=group --benchmark-only``;
each group holds the library and what it is compared with.

What remains: for plain and accented texts, and for those that are not GSM-7, one match of one
compiled expression and the call around it. With characters of the extension table, a deletion of
octets counts them. Encoding is one pass of the interpreter's charmap codec.
"""

import re
from collections.abc import Callable

import pytest

from infobip_async.models import TextMessage
from infobip_async.text import gsm7, segments
from infobip_async.text.tables import DEFAULT, EXTENSION

pytest.importorskip("pytest_benchmark")
smsutil = pytest.importorskip("smsutil")

TEXTS = {
    "ascii": ("Your code is 482913. It works for ten minutes. Do not share it. " * 3)[:160],
    "accented": ("Müller fährt über Österreich; señor Ñandu à la carte, àéùìò. " * 3)[:160],
    "extended": ("Größe 5€ [ok] {x} ~ señor Ñandu à la carte, àéùìò, and so on. " * 3)[:160],
    "not gsm": ("Привет, как дела? Ваш код 482913, он действует десять минут. " * 3)[:160],
}

ALPHABET = DEFAULT.replace("\x1b", "") + "".join(EXTENSION.values())
EXPRESSION = re.compile(f"[{re.escape(ALPHABET)}]*")


def repeat(
    benchmark: Callable[..., object], function: Callable[..., object], *args: object
) -> None:
    """Enough rounds for a stable minimum, in a fraction of a second."""
    benchmark.pedantic(function, args=args, rounds=50, iterations=500, warmup_rounds=2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    "function",
    [gsm7.septet_count, EXPRESSION.fullmatch],
    ids=["septet_count", "one compiled expression"],
)
def test_check_and_count(benchmark, kind: str, function: Callable[[str], object]) -> None:
    """Is it GSM-7, and how many septets: against one compiled expression that only checks."""
    benchmark.group = f"check and count, {kind}"
    repeat(benchmark, function, TEXTS[kind])


def check_count_encode(text: str) -> tuple[int, bytes] | None:
    """All three, by the library."""
    count = gsm7.septet_count(text)
    return None if count is None else (count, gsm7.encode(text))


def check_count_encode_smsutil(text: str) -> tuple[int, bytes] | None:
    """All three, by smsutil."""
    if not smsutil.is_valid_gsm(text):
        return None
    return smsutil.gsm_split(text).total_bytes, smsutil.encode(text)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("function", [check_count_encode, check_count_encode_smsutil])
def test_check_count_encode(benchmark, kind: str, function: Callable[[str], object]) -> None:
    """Check, count and encode, against smsutil."""
    assert check_count_encode(TEXTS[kind]) == check_count_encode_smsutil(TEXTS[kind])
    benchmark.group = f"check, count and encode, {kind}"
    repeat(benchmark, function, TEXTS[kind])


@pytest.mark.parametrize("kind", TEXTS)
def test_compose(benchmark, kind: str) -> None:
    """From a message to what its requests carry, preview included."""
    benchmark.group = "compose"
    repeat(benchmark, segments.compose, TextMessage(TEXTS[kind], "Friend"))


@pytest.mark.parametrize("parts", [1, 15, 255])
@pytest.mark.parametrize("character", ["a", "я"])
def test_compose_long(benchmark, character: str, parts: int) -> None:
    """The time grows with the number of parts, not with its square."""
    limit = 153 if character == "a" else 67
    benchmark.group = f"compose {character!r}, by number of parts"
    message = TextMessage(character * limit * parts, "Friend")
    benchmark.pedantic(segments.compose, args=(message,), rounds=10, iterations=5)
