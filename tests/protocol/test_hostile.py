"""Whatever comes, a parser gives a result or its own error, in time and memory of the size."""

import sys
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from sys import getsizeof
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import Event, UnreadableRow
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat, decode, unreadable
from parsers import PARSERS, UNITS, hostile, parse
from scale import scaled

SMALL, TIMES = 1024, 8
MOST_TIMES = 24  # a quadratic parser takes 64 times as long for an input of 8 times the size
NOISE = 0.02
MEBIBYTE = 1024 * 1024

fragments = st.one_of(
    st.sampled_from([prefix for _, prefixes in PARSERS.values() for prefix in prefixes]),
    st.sampled_from(UNITS),
    st.binary(max_size=6),
)
inputs = st.lists(fragments, max_size=12).map(b"".join)


def seconds(name: str, octets: bytes) -> float:
    """What a parser takes of the processor."""
    begun = thread_time()
    parse(name, octets)
    return thread_time() - begun


def times(name: str, small: bytes, big: bytes, tries: int) -> float:
    """How many times as long the bigger input takes; of what is too short to tell, none."""
    taken = min(seconds(name, big) for _ in range(tries))
    return 0 if taken < NOISE else taken / min(seconds(name, small) for _ in range(tries))


def slow_units(name: str, size: int) -> list[bytes]:
    """The inputs whose time grows faster than their size; measured again where it seems so."""
    made = zip(hostile(name, size), hostile(name, size * TIMES), strict=True)
    cases = [(unit, small(), big()) for (unit, small), (_, big) in made]
    return [
        unit
        for unit, small, big in cases
        if times(name, small, big, 1) > MOST_TIMES and times(name, small, big, 3) > MOST_TIMES
    ]


@pytest.mark.parametrize("name", PARSERS)
def test_time_grows_with_the_size(name: str) -> None:
    """Eight times the input takes some eight times as long, whatever is repeated in it."""
    assert slow_units(name, SMALL) == []


@pytest.mark.proof
@pytest.mark.parametrize("name", PARSERS)
def test_time_grows_with_the_size_of_a_push(name: str) -> None:
    """Up to 128 KiB."""
    assert slow_units(name, MEBIBYTE // 8 // TIMES) == []


@pytest.mark.parametrize("name", PARSERS)
@given(octets=inputs)
def test_a_parser_raises_its_own_errors_alone(name: str, octets: bytes) -> None:
    """Those of `InfobipError`."""
    parse(name, octets)


@pytest.mark.proof
@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=scaled(500))
@given(octets=inputs)
def test_a_parser_raises_its_own_errors_alone_for_long(name: str, octets: bytes) -> None:
    """Many inputs for each; at scale 60 (`scale.py`) for ten minutes."""
    parse(name, octets)


PUSHES = {
    "percent signs": b"%",
    "escapes": b"%41",
    "escapes between letters": b"a%41",
    "fields": b"a&",
    "octets above 0x7F": b"\xff",
    "octets of any value": bytes(range(256)),
    "characters of three octets": "\u4e2d".encode(),
    "characters of four octets": "\U0001f600".encode(),
    "characters and octets": "\U0001f600".encode() + b"\xff",
    "halves of characters": b"\xed\xa0\x80",
    "control characters": b"\x01",
    "line feeds": b"\n",
    "separators": b";",
}


PREFIXES = {
    "a form": (PushKind.DELIVERY_REPORTS, b"xml="),
    "text": (PushKind.DELIVERY_REPORTS, b"<DeliveryReport>"),
    "an attribute": (PushKind.DELIVERY_REPORTS, b"<DeliveryReport><message id='1' status='"),
    "a charset": (
        PushKind.DELIVERY_REPORTS,
        b'<?xml version="1.0" encoding="windows-1252"?><DeliveryReport>',
    ),
    "UTF-16": (PushKind.DELIVERY_REPORTS, b"\xff\xfe<\0"),
    "rows": (PushKind.HLR_REPORTS, b"dlr="),
    "rows alone": (PushKind.HLR_REPORTS, b"1;"),
    "rows in UTF-16": (PushKind.HLR_REPORTS, b"\xff\xfe1\0;\0"),
}


@pytest.mark.parametrize(
    ("kind", "prefix", "unit"),
    [
        pytest.param(
            *PREFIXES[name],
            PUSHES[unit],
            id=f"{name}-{unit}",
            marks=[pytest.mark.proof] * (turn % len(PREFIXES) != place),
        )
        for place, name in enumerate(PREFIXES)
        for turn, unit in enumerate(PUSHES)
    ],
)
def test_reading_a_push_takes_four_times_its_size(
    kind: PushKind, prefix: bytes, unit: bytes
) -> None:
    """Beside the events, the row that is set aside among them."""
    # Rows are set aside with all their octets, which is slow while memory is traced.
    size = MEBIBYTE // (2 if kind is PushKind.DELIVERY_REPORTS else 8)
    push = RawPush(kind, body=prefix + unit * (size // len(unit)))
    assert memory_beside(lambda: parse_push(push)) < 4 * len(push.body)


@pytest.mark.parametrize("unit", PUSHES.values(), ids=PUSHES)
def test_setting_a_push_aside_takes_no_more(unit: bytes) -> None:
    """Whatever octets it has."""
    push = RawPush(PushKind.HLR_REPORTS, body=unit * (MEBIBYTE // 16 // len(unit)))
    assert memory_beside(lambda: [unreadable(push, "")]) < 4 * len(push.body)


def memory_beside(read: Callable[[], Sequence[Event]]) -> int:
    """The most octets that reading took, without those of the texts that were set aside."""
    tracemalloc.start()
    try:
        events = read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if sys.gettrace() is not None:  # a measuring of coverage, whose memory is among it
        peak -= MEBIBYTE // 4
    return peak - sum(getsizeof(one.raw) for one in events if isinstance(one, UnreadableRow))


def parse_push(push: RawPush) -> Sequence[Event]:
    """Read a push; nothing is in one that cannot be read as a whole."""
    with suppress(RemoteProtocolError):
        return decode(push, PushFormat(most_rows=100))
    return ()
