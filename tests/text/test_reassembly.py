"""Joining the parts of inbound messages."""

import itertools
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.models.events import InboundSms, UserDataHeader
from infobip_async.text import data_coding, udh
from infobip_async.text.reassembly import Reassembler, is_part


def header(
    number: int, total: int, *more: bytes, reference: int = 7, width: int = 8
) -> UserDataHeader:
    """A concatenation header, perhaps with more elements behind."""
    built = udh.concatenation(reference, total, number, width=width)
    body = b"".join(one[1:] for one in (built, *more))
    return udh.parse(bytes([len(body)]) + body)[0]


def part(number: int, total: int, data: bytes, coding: int = 0, /, **fields: object) -> InboundSms:
    """One part as the receiver hands it in: with its own text decoded."""
    text, damaged = data_coding.decode(data, coding)
    sms = InboundSms(
        "38598123123",
        "41793026727",
        text,
        data,
        data_coding=coding,
        esm_class=64,
        udh=header(number, total),
        damaged=damaged,
        params={"part": str(number)},
    )
    return attrs.evolve(sms, **fields)  # type: ignore[arg-type]


def add(reassembler: Reassembler, sms: InboundSms, now: float) -> tuple[InboundSms, ...]:
    """Take a part in, and join the messages that are to be handed on."""
    return tuple(parts.join() for parts in reassembler.collect(sms, now))


def expire(reassembler: Reassembler, now: float = math.inf) -> tuple[InboundSms, ...]:
    """Join the messages whose time is over, by default all that wait."""
    return tuple(parts.join() for parts in reassembler.take_due(now))


def deadline(reassembler: Reassembler) -> float | None:
    """When the next waiting message is due; None if none waits."""
    return next((parts.deadline for parts in reassembler._waiting.values()), None)


def joined(*parts: InboundSms) -> InboundSms:
    """The one message that parts make, all but the last of them giving nothing."""
    reassembler = Reassembler()
    *firsts, last = parts
    for sms in firsts:
        assert add(reassembler, sms, 0.0) == ()
    (whole,) = add(reassembler, last, 0.0)
    assert deadline(reassembler) is None
    assert expire(reassembler) == ()
    return whole


ABC = [part(1, 3, b"one "), part(2, 3, b"two "), part(3, 3, b"three")]


@pytest.mark.parametrize("parts", list(itertools.permutations(ABC)))
def test_parts_in_any_order(parts: tuple[InboundSms, ...]) -> None:
    """The whole message has the fields of its first part."""
    whole = joined(*parts)
    assert whole == InboundSms(
        "38598123123",
        "41793026727",
        "one two three",
        b"one two three",
        data_coding=0,
        esm_class=64,
        udh=None,
        parts=3,
        missing=(),
        params={"part": "1"},
    )
    assert not whole.partial


def test_what_is_no_part_is_left_alone() -> None:
    """Without a header, or with one of other elements, a message is left to the caller."""
    reassembler = Reassembler()
    for sms in (
        InboundSms("1", text="hello"),
        InboundSms("1", text="hello", udh=udh.parse(bytes.fromhex("06050400010002"))[0]),
        part(1, 2, b"x", udh=udh.parse(bytes.fromhex("050003CC0203"))[0]),
    ):
        assert not is_part(sms)
        assert add(reassembler, sms, 0.0) == ()
    assert deadline(reassembler) is None


def test_a_message_of_one_part() -> None:
    """It is whole at once."""
    assert joined(part(1, 1, b"all")).text == "all"


@pytest.mark.parametrize(
    ("coding", "octets", "text"),
    [
        (8, "044FD83DDE00044F", "я😀я"),
        (0, "411B6542", "A€B"),
        (0, "411B1B42", "A B"),
    ],
)
def test_characters_cut_in_two(coding: int, octets: str, text: str) -> None:
    """Octets are joined before they are decoded, wherever a peer cut them."""
    data = bytes.fromhex(octets)
    for cut in range(1, len(data)):
        whole = joined(part(2, 2, data[cut:], coding), part(1, 2, data[:cut], coding))
        assert (whole.text, whole.data, whole.damaged) == (text, data, False)


def test_damage_and_binary() -> None:
    """What cannot be decoded marks the whole; what is no text gives none."""
    whole = joined(part(1, 2, b"a\xff"), part(2, 2, b"b"))
    assert (whole.text, whole.damaged) == ("a\ufffdb", True)
    whole = joined(part(1, 2, b"\x01", 4), part(2, 2, b"\x02", 4))
    assert (whole.text, whole.data, whole.damaged) == (None, b"\x01\x02", False)


def test_text_without_octets() -> None:
    """Where the gateway forwards only text, the texts are joined."""
    whole = joined(
        part(2, 2, b"", data=None, text="two", damaged=True),
        part(1, 2, b"", data=None, text="one "),
    )
    assert (whole.text, whole.data, whole.damaged) == ("one two", None, True)
    whole = joined(part(1, 2, b"", data=None, text=None), part(2, 2, b"", data=None, text="x"))
    assert (whole.text, whole.damaged) == ("x", False)


def test_parts_coded_differently() -> None:
    """Each run of parts with one coding is decoded by itself."""
    whole = joined(
        part(1, 4, b"A\x1b"),
        part(2, 4, b"e"),
        part(3, 4, b"\x04", 8),
        part(4, 4, b"\x4f", 8),
    )
    assert (whole.text, whole.data, whole.damaged) == ("A€я", b"A\x1be\x04\x4f", False)
    whole = joined(part(1, 2, b"A"), part(2, 2, b"", data=None, text="B"))
    assert (whole.text, whole.data) == ("AB", None)
    whole = joined(part(1, 2, b"A"), part(2, 2, b"B", 4))
    assert (whole.text, whole.data) == (None, b"AB")


def test_national_tables() -> None:
    """Each part's own header names its tables, and stays without the concatenation."""
    turkish, portuguese = b"\x03\x24\x01\x01", b"\x03\x24\x01\x03"
    whole = joined(
        part(1, 2, b"\x1b", udh=header(1, 2, turkish)), part(2, 2, b"s", udh=header(2, 2, turkish))
    )
    assert (whole.text, whole.udh) == ("ş", udh.parse(turkish)[0])
    whole = joined(
        part(1, 2, b"\x1bs", udh=header(1, 2, turkish)),
        part(2, 2, b"\x1bO", udh=header(2, 2, portuguese)),
    )
    assert whole.text == "şÓ"


def test_repeated_parts_are_ignored() -> None:
    """While the message waits, and after it was whole."""
    first, second = part(1, 2, b"a"), part(2, 2, b"b")
    reassembler = Reassembler(timeout=10.0)
    assert add(reassembler, first, 0.0) == ()
    assert add(reassembler, attrs.evolve(first, params={}), 1.0) == ()
    assert deadline(reassembler) == 10.0
    assert [sms.text for sms in add(reassembler, second, 2.0)] == ["ab"]
    for repeated in (first, second):
        assert add(reassembler, repeated, 11.9) == ()
    assert expire(reassembler) == ()


def test_whole_messages_are_remembered_for_a_time() -> None:
    """After it, and beyond the limit, a repeated part begins a message anew."""
    first, second = part(1, 2, b"a"), part(2, 2, b"b")
    others = [part(number, 2, b"c", sender="1") for number in (1, 2)]
    reassembler = Reassembler(timeout=10.0, limit=1)
    add(reassembler, first, 0.0)
    add(reassembler, second, 1.0)
    assert add(reassembler, second, 11.0) == ()
    assert deadline(reassembler) == 21.0
    assert [sms.text for sms in add(reassembler, first, 11.0)] == ["ab"]
    assert [sms.text for other in others for sms in add(reassembler, other, 12.0)] == ["cc"]
    assert add(reassembler, others[0], 13.0) == ()
    assert add(reassembler, second, 13.0) == ()
    assert [sms.text for sms in expire(reassembler)] == ["b"]


def test_whole_messages_are_forgotten_in_order() -> None:
    """A reference that was used again does not keep others in memory."""
    reassembler = Reassembler(timeout=10.0)
    others = [part(number, 2, b"other", sender="1") for number in (1, 2)]
    for now, name in (0.0, b"old"), (5.0, b"new"):
        for number in (1, 2):
            add(reassembler, part(number, 2, name), now)
        for other in others:
            add(reassembler, other, 1.0)
    assert add(reassembler, others[0], 10.9) == ()
    assert add(reassembler, part(1, 2, b"new"), 14.9) == ()
    assert len(reassembler._whole) == 2
    assert add(reassembler, others[0], 20.9) == ()
    assert [sms.missing for sms in expire(reassembler)] == [(2,)]


def test_a_repetition_extends_the_memory_of_a_message() -> None:
    """It may be the first part of a later message, whose other parts have the usual time."""
    reassembler = Reassembler(timeout=10.0)
    for number in (1, 2):
        add(reassembler, part(number, 2, b"a"), 0.0)
    assert add(reassembler, part(1, 2, b"a"), 9.0) == ()
    assert [sms.text for sms in add(reassembler, part(2, 2, b"b"), 18.0)] == ["ab"]


SHOP = [part(1, 2, b"Shop 7: "), part(2, 2, b"two pizzas")]
SALAD = [part(1, 2, b"Shop 7: "), part(2, 2, b"one salad")]
BOTH = ["Shop 7: two pizzas", "Shop 7: one salad"]


@pytest.mark.parametrize(
    "order",
    [
        [SHOP[0], SHOP[1], SALAD[0], SALAD[1]],
        [SHOP[0], SHOP[1], SALAD[1], SALAD[0]],
        [SHOP[1], SHOP[0], SALAD[0], SALAD[1]],
        [SHOP[0], SALAD[0], SHOP[1], SALAD[1]],
        [SHOP[0], SHOP[1], SHOP[0], SALAD[0], SALAD[1], SALAD[1]],
        [SHOP[0], SHOP[1], SHOP[1], SALAD[0], SALAD[1]],
    ],
)
def test_two_messages_with_the_same_first_part(order: list[InboundSms]) -> None:
    """What seemed to be repeated belongs to the later message, once that shows."""
    reassembler = Reassembler()
    handed = [sms.text for one in order for sms in add(reassembler, attrs.evolve(one), 0.0)]
    assert handed == BOTH
    assert expire(reassembler) == ()


def test_an_incomplete_message_with_the_same_first_part() -> None:
    """It is handed on as it is, and the later one whole."""
    reassembler = Reassembler()
    texts = [b"one ", b"two ", b"three"]
    first, second, _ = (part(number, 3, text) for number, text in enumerate(texts, 1))
    later = [attrs.evolve(first), part(2, 3, b"new "), part(3, 3, b"end")]
    handed = [
        (sms.text, sms.missing)
        for one in (first, second, *later)
        for sms in add(reassembler, one, 0.0)
    ]
    assert handed == [("one two ", (3,)), ("one new end", ())]


def test_a_header_of_one_part_is_no_reason_to_drop_a_text() -> None:
    """Without a header both would arrive, too."""
    reassembler = Reassembler()
    for _ in range(2):
        assert [sms.text for sms in add(reassembler, part(1, 1, b"yes"), 0.0)] == ["yes"]
    assert expire(reassembler) == ()


def test_marks_of_byte_order_in_each_part() -> None:
    """They are no characters, wherever the sender put them."""
    for mark, codec in ((b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le")):
        parts = [part(n, 2, mark + text.encode(codec), 8) for n, text in ((1, "Пр"), (2, "ив"))]
        assert (joined(*parts).text, joined(*parts).damaged) == ("Прив", False)


def test_parts_whose_charset_was_guessed() -> None:
    """They are joined as they were read."""
    octets = "Привет".encode("utf-16-be")
    parts = [
        part(number, 2, data, guessed_charset="utf-16-be")
        for number, data in ((1, octets[:5]), (2, octets[5:]))
    ]
    assert joined(*parts).text == "Привет"


def test_damage_stays_marked() -> None:
    """U+FFFD that came in the octets of a damaged part is no character that was cut."""
    torn = part(2, 2, b"\xff\xfd\x00B", 8, damaged=True)
    assert joined(part(1, 2, b"\x00A", 8), torn).damaged


def test_references_used_again() -> None:
    """Another content under the same number is another message."""
    reassembler = Reassembler(timeout=10.0)
    old, new = part(1, 2, b"old "), part(1, 2, b"new ")
    assert add(reassembler, old, 0.0) == ()
    (partial,) = add(reassembler, new, 5.0)
    assert (partial.text, partial.missing, partial.partial) == ("old ", (2,), True)
    assert deadline(reassembler) == 15.0
    assert [sms.text for sms in add(reassembler, part(2, 2, b"end"), 6.0)] == ["new end"]
    assert add(reassembler, part(1, 2, b"third "), 7.0) == ()
    assert add(reassembler, part(2, 2, b"other"), 8.0)[0].text == "third other"
    assert add(reassembler, part(2, 2, b"other"), 9.0) == ()


@pytest.mark.parametrize(
    "difference",
    [
        {"sender": "1"},
        {"receiver": None},
        {"udh": header(2, 2, reference=8)},
        {"udh": header(2, 2, width=16)},
        {"udh": header(2, 3)},
    ],
)
def test_what_keeps_messages_apart(difference: dict[str, object]) -> None:
    """Sender, receiver, reference, its width, and the total must all agree."""
    reassembler = Reassembler()
    assert add(reassembler, part(1, 2, b"a"), 0.0) == ()
    assert add(reassembler, part(2, 2, b"b", **difference), 0.0) == ()
    assert [sms.text for sms in add(reassembler, part(2, 2, b"b"), 0.0)] == ["ab"]


def test_expiry() -> None:
    """After the deadline what has come is handed on, with the numbers that are missing."""
    reassembler = Reassembler(timeout=10.0)
    assert deadline(reassembler) is None
    add(reassembler, part(4, 5, b"four", 0), 0.0)
    add(reassembler, part(1, 2, b"x", sender="1"), 3.0)
    add(reassembler, part(2, 5, b"two\x1b"), 4.0)
    assert deadline(reassembler) == 10.0
    assert expire(reassembler, 9.9) == ()
    (partial,) = expire(reassembler, 10.0)
    # The escape does not reach across the gap.
    assert (partial.text, partial.data) == ("two four", b"two\x1bfour")
    assert (partial.parts, partial.missing, partial.params) == (5, (1, 3, 5), {"part": "2"})
    assert deadline(reassembler) == 13.0
    plain = InboundSms("2", text="plain")
    (due,) = add(reassembler, plain, 20.0)
    assert (due.text, due.missing) == ("x", (2,))
    assert deadline(reassembler) is None
    assert expire(reassembler, 99.0) == ()


def test_a_late_part_does_not_join_what_has_expired() -> None:
    """It begins a message of its own, even where nobody called for expiry."""
    reassembler = Reassembler(timeout=10.0)
    add(reassembler, part(1, 2, b"a"), 0.0)
    (partial,) = add(reassembler, part(2, 2, b"b"), 10.0)
    assert (partial.text, partial.missing) == ("a", (2,))
    assert [(sms.text, sms.missing) for sms in expire(reassembler)] == [("b", (1,))]


def test_bounded_in_number() -> None:
    """The oldest message makes room."""
    reassembler = Reassembler(limit=2)
    for sender in ("1", "2"):
        assert add(reassembler, part(1, 2, b"a", sender=sender), 0.0) == ()
    (evicted,) = add(reassembler, part(1, 2, b"a", sender="3"), 0.0)
    assert (evicted.sender, evicted.missing) == ("1", (2,))
    assert [sms.sender for sms in add(reassembler, part(2, 2, b"b", sender="2"), 0.0)] == ["2"]
    assert [sms.sender for sms in expire(reassembler)] == ["3"]
    assert deadline(reassembler) is None


def test_withdrawn_parts_count_as_new() -> None:
    """A message that could not be handled is whole again when its last part is repeated."""
    reassembler = Reassembler(timeout=10.0)
    first, second = part(1, 2, b"a"), part(2, 2, b"b")
    add(reassembler, first, 0.0)
    for now in (1.0, 2.0):
        assert [sms.text for sms in add(reassembler, second, now)] == ["ab"]
        reassembler.withdraw(second, now)
        assert deadline(reassembler) == now + 10.0
    assert [sms.missing for sms in expire(reassembler)] == [(2,)]


def test_withdrawing_what_completed_nothing() -> None:
    """It changes nothing."""
    reassembler = Reassembler()
    first, second = part(1, 2, b"a"), part(2, 2, b"b")
    reassembler.withdraw(InboundSms("1", text="plain"), 0.0)
    reassembler.withdraw(first, 0.0)
    add(reassembler, first, 0.0)
    reassembler.withdraw(first, 0.0)
    assert [sms.text for sms in add(reassembler, second, 0.0)] == ["ab"]
    reassembler.withdraw(part(2, 2, b"other"), 0.0)
    assert add(reassembler, part(1, 2, b"new"), 0.0) == ()
    reassembler.withdraw(second, 0.0)  # its reference is in use again
    assert [sms.text for sms in expire(reassembler)] == ["new"]
    single = part(1, 1, b"c", sender="1")
    assert [sms.text for sms in add(reassembler, single, 0.0)] == ["c"]
    reassembler.withdraw(single, 0.0)
    assert deadline(reassembler) is None


@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),
            st.integers(1, 4),
            st.binary(max_size=3),
            st.sampled_from([0, 1, 4, 8]),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.integers(1, 3),
)
def test_nothing_is_lost(parts: list[tuple[int, int, bytes, int, bool]], limit: int) -> None:
    """Every part that came is in exactly one message that is handed on."""
    reassembler = Reassembler(timeout=5.0, limit=limit)
    came, handed = 0, []
    for now, (number, total, data, coding, bare) in enumerate(parts):
        if number > total:
            continue
        came += 1
        sms = part(number, total, bytes([now]) + data, coding)  # no two are equal
        if bare:
            sms = attrs.evolve(sms, data=None, text=chr(now))
        handed += add(reassembler, sms, now)
    handed += expire(reassembler)
    assert sum(sms.parts - len(sms.missing) for sms in handed) == came
