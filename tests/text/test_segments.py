"""From messages to what requests carry: alphabets, parts, octets, and their preview."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import InboundSms
from infobip_async.models.messages import (
    BinaryMessage,
    Message,
    Npi,
    Submission,
    SubmissionType,
    TextMessage,
    Ton,
    WapBookmark,
)
from infobip_async.text import data_coding, gsm7, udh
from infobip_async.text.reassembly import Reassembler
from infobip_async.text.segments import (
    Alphabet,
    Offender,
    Preview,
    Ucs2Form,
    compose,
    preview,
    simplify,
)

CASES = json.loads((Path(__file__).parent / "data" / "segment-cases.json").read_text())["cases"]

EXTENDED = "^{}\\[~]|€\f"
MIXED = "abcdefghij klmno.?" * 4 + "éüñ@$_§ÇΔ\n\r" + EXTENDED + "ç\u2019„я中\t\u00a0\u0301" + "😀🇭"


def check(text: str, *submissions: Submission, sender: str = "Friend", **options: object) -> None:
    """Compose a text message; options are those of the message and of `compose`."""
    message = TextMessage(text, sender, flash=bool(options.pop("flash", False)))
    assert compose(message, **options).submissions == submissions  # type: ignore[arg-type]


def carried(binary: str, **fields: object) -> Submission:
    """What a request carries, with its octets in hexadecimal."""
    return Submission(sender="Friend", binary=bytes.fromhex(binary), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_checked_cases(case: dict[str, object]) -> None:
    """Cases that several independent implementations agree on."""
    text = "".join(string * repeat for string, repeat in case["text"])  # type: ignore[attr-defined]
    seen = preview(text)
    assert seen.alphabet == case["encoding"]
    assert seen.units == case["units"]
    assert len(seen.parts) == case["segments"]
    if "part_units" in case:
        assert list(seen.parts) == case["part_units"]


@pytest.mark.parametrize(
    ("text", "width", "parts", "remaining"),
    [
        ("a", 8, (1,), 159),
        ("a" * 160, 8, (160,), 0),
        ("a" * 161, 8, (153, 8), 145),
        ("a" * 161, 16, (152, 9), 143),
        ("a" * 160, 16, (160,), 0),
        ("a" * 151 + "€" + "a" * 153, 16, (151, 152, 3), 149),
        ("я", 8, (1,), 69),
        ("я" * 71, 8, (67, 4), 63),
        ("я" * 71, 16, (66, 5), 61),
        ("я" * 65 + "😀" + "я" * 65, 16, (65, 66, 1), 65),
        ("a" * 152 + "€" * 77, 8, (152, 152, 2), 151),
        ("a" * 70 + "\u2019", 8, (67, 4), 63),
    ],
)
def test_parts(text: str, width: int, parts: tuple[int, ...], remaining: int) -> None:
    """Limits, with references of either width, and what is left of the last part."""
    for form in Ucs2Form:
        seen = preview(text, ucs2=form, reference_width=width)
        assert (seen.parts, seen.remaining) == (parts, remaining)
        assert seen.units == sum(parts)


def test_gsm7_text_goes_out_as_text() -> None:
    """The type is given only where it takes more than one part."""
    long = "€" * 81
    check("Hello", Submission(sender="Friend", text="Hello"))
    check("Hello", Submission(sender="Friend", text="Hello", flash=True), flash=True)
    check(long, Submission(sender="Friend", text=long, type=SubmissionType.LONG))
    check(
        long,
        Submission(sender="Friend", text=long, flash=True, type=SubmissionType.LONG),
        flash=True,
    )
    for form in Ucs2Form:
        check("Hello", Submission(sender="Friend", text="Hello"), ucs2=form)


def test_ucs2_as_binary() -> None:
    """UTF-16BE with data coding 8, and from 71 units on parts with a header of their own."""
    check("Да", carried("04140430", data_coding=8))
    check("Да", carried("04140430", data_coding=24), flash=True)
    check("я😀" * 23 + "я", carried("044FD83DDE00" * 23 + "044F", data_coding=8))
    first, second = "044F" * 67, "044F" * 4
    check(
        "я" * 71,
        carried("050003000201" + first, data_coding=8, esm_class=64),
        carried("050003000202" + second, data_coding=8, esm_class=64),
    )
    check(
        "я" * 71,
        carried("050003CC0201" + first, data_coding=24, esm_class=64),
        carried("050003CC0202" + second, data_coding=24, esm_class=64),
        flash=True,
        reference=0xCC,
    )


def test_ucs2_as_binary_with_16_bit_references() -> None:
    """A header of 7 octets leaves room for 66 units."""
    check(
        "я" * 67 + "Да",
        Submission(sender="Friend", binary=("я" * 67 + "Да").encode("utf-16-be"), data_coding=8),
        reference_width=16,
        reference=0x1234,
    )
    check(
        "я" * 71,
        carried("06080412340201" + "044F" * 66, data_coding=8, esm_class=64),
        carried("06080412340202" + "044F" * 5, data_coding=8, esm_class=64),
        reference=0x1234,
        reference_width=16,
    )


def test_ucs2_as_text() -> None:
    """Data coding 8, and the gateway makes the parts."""
    long = "я" * 71
    text = Ucs2Form.TEXT
    check("Да", Submission(sender="Friend", text="Да", data_coding=8), ucs2=text)
    check(
        "Да",
        Submission(sender="Friend", text="Да", data_coding=8, flash=True),
        ucs2=text,
        flash=True,
    )
    check(
        long,
        Submission(sender="Friend", text=long, data_coding=8, type=SubmissionType.LONG),
        ucs2=text,
    )


ADDRESSES = {
    "source_addr_ton": Ton.ALPHANUMERIC,
    "source_addr_npi": Npi.UNKNOWN,
    "dest_addr_ton": Ton.INTERNATIONAL,
    "dest_addr_npi": Npi.ISDN,
}


@pytest.mark.parametrize(
    "message",
    [
        TextMessage("Hello", "Friend"),
        TextMessage("Да" * 50, "Friend"),
        BinaryMessage(b"A", "Friend"),
        WapBookmark("Title", "example.com", "Friend"),
    ],
)
def test_addresses_are_carried_over(message: Message) -> None:
    """TON and NPI stand in every request exactly as given."""
    for submission in compose(message).submissions:
        assert all(getattr(submission, name) is None for name in ADDRESSES)
    for submission in compose(attrs.evolve(message, **ADDRESSES)).submissions:
        assert {name: getattr(submission, name) for name in ADDRESSES} == ADDRESSES
        assert submission.sender == "Friend"


@pytest.mark.parametrize(
    ("message", "submission"),
    [
        (BinaryMessage(b"ABC", "Friend"), carried("414243")),
        (
            BinaryMessage(b"BCD", "Friend", udh=bytes.fromhex("06050400010241")),
            carried("06050400010241424344", esm_class=64),  # the document's own, §2/2
        ),
        (
            BinaryMessage(b"A", "Friend", udh=b"\0", esm_class=3, data_coding=245),
            carried("0041", esm_class=67, data_coding=245),
        ),
        (
            BinaryMessage(b"A", "Friend", esm_class=255, data_coding=255),
            carried("41", esm_class=255, data_coding=255),
        ),
        (BinaryMessage(b"", "Friend", udh=b"\2\x70\0"), carried("027000", esm_class=64)),
        (BinaryMessage(bytes(140), "Friend"), carried("00" * 140)),
    ],
)
def test_binary(message: BinaryMessage, submission: Submission) -> None:
    """The header stands in front of the data, and its bit is set."""
    composed = compose(message)
    assert composed.submissions == (submission,)
    octets = len(submission.binary or b"")
    assert composed.preview == Preview(Alphabet.BINARY, (octets,), 140 - octets)
    assert composed.preview.offenders == ()


@pytest.mark.parametrize(
    ("message", "field", "text"),
    [
        (BinaryMessage(b"", "Friend"), "data", "0 octets"),
        (BinaryMessage(bytes(141), "Friend"), "data", "141 octets"),
        (
            BinaryMessage(bytes(134), "Friend", udh=bytes.fromhex("06050400000000")),
            "data",
            "141 octets",
        ),
        (BinaryMessage(b"A", "Friend", udh=b"\5"), "udh", "do not add up"),
        (BinaryMessage(b"A", "Friend", data_coding=256), "data_coding", "256"),
        (BinaryMessage(b"A", "Friend", data_coding=-1), "data_coding", "-1"),
        (BinaryMessage(b"A", "Friend", esm_class=256), "esm_class", "256"),
        (BinaryMessage(b"A", "Friend", esm_class=-1), "esm_class", "-1"),
        (WapBookmark("", "example.com", "Friend"), "text", "empty"),
        (WapBookmark("Title", "", "Friend"), "url", "empty"),
        (WapBookmark("Title\x1b", "example.com", "Friend"), "text", "U\\+001B at position 5"),
        (WapBookmark("Title", "\udc00", "Friend"), "url", "U\\+DC00 at position 0"),
        (TextMessage("", "Friend"), "text", "empty"),
        (TextMessage("\x1bя", "Friend"), "text", "U\\+001B at position 0"),
        (TextMessage("a\x1bb", "Friend"), "text", "U\\+001B at position 1"),
        (TextMessage("я\x1b", "Friend"), "text", "U\\+001B at position 1"),
        (TextMessage("ab\ud83d", "Friend"), "text", "lone surrogate U\\+D83D at position 2"),
        (TextMessage("\ude00я", "Friend"), "text", "lone surrogate U\\+DE00 at position 0"),
        (TextMessage("a" * 39016, "Friend"), "text", "256 parts, above 255"),
        (TextMessage("я" * 17086, "Friend"), "text", "256 parts, above 255"),
    ],
)
def test_refused_before_sending(message: Message, field: str, text: str) -> None:
    """The error names the field, the problem, and the section of the document."""
    for form in Ucs2Form:
        with pytest.raises(LocalProtocolError, match=text) as caught:
            compose(message, ucs2=form)
        assert caught.value.field == field
        assert caught.value.section == ("2/2" if field == "udh" else "2/1.2")
        with pytest.raises(LocalProtocolError, match=text):
            preview(message, ucs2=form)


@pytest.mark.parametrize("text", ["a", "я", "я" * 71])
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"reference": 256}, "reference"),
        ({"reference": -1}, "reference"),
        ({"reference": 65536, "reference_width": 16}, "reference"),
        ({"reference_width": 7}, "width"),
    ],
)
def test_options_out_of_range(text: str, options: dict[str, int], field: str) -> None:
    """They are refused whether or not the text at hand needs them."""
    with pytest.raises(LocalProtocolError) as caught:
        preview(text, **options)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_bookmark() -> None:
    """Title and address, with the type that the document asks for."""
    composed = compose(WapBookmark("Naslov ć", "www.example.com/x.jpg", "Friend"))
    assert composed.submissions == (
        Submission(
            sender="Friend",
            text="Naslov ć",
            url="www.example.com/x.jpg",
            type=SubmissionType.BOOKMARK,
        ),
    )
    assert composed.preview == Preview(Alphabet.BINARY, (30,), 0)


def test_offenders() -> None:
    """Each character that forces UCS-2, with its name and what could stand for it."""
    seen = preview("It\u2019s 5\u00a0€ 😀\tя\u200b")
    assert seen.alphabet is Alphabet.UCS_2
    assert seen.offenders == (
        Offender(2, "\u2019", "RIGHT SINGLE QUOTATION MARK", "'"),
        Offender(6, "\u00a0", "NO-BREAK SPACE", " "),
        Offender(9, "😀", "GRINNING FACE", None),
        Offender(10, "\t", "U+0009", " "),
        Offender(11, "я", "CYRILLIC SMALL LETTER YA", None),
        Offender(12, "\u200b", "ZERO WIDTH SPACE", ""),
    )
    assert preview("It's 5 €").offenders == ()
    assert simplify("It\u2019s 5\u00a0€") == "It's 5 €"


def test_previews_do_not_show_the_text() -> None:
    """What is logged of a message are its measures."""
    assert "482913" not in repr(preview("Your code is 482913"))


@given(st.text(alphabet=MIXED, min_size=1, max_size=60))
def test_offenders_and_simplify_agree(text: str) -> None:
    """What is offered is what is put, beside accents that join the letter before them."""
    simpler = list(text)
    for offender in preview(text).offenders:
        assert text[offender.position] == offender.character
        if offender.look_alike is not None:
            simpler[offender.position] = offender.look_alike
    if "\u0301" not in text:
        assert simplify(text) == "".join(simpler)


def units_of(text: str, alphabet: Alphabet) -> list[int]:
    """The units of each character, one by one."""
    if alphabet is Alphabet.GSM_7:
        return [2 if character in EXTENDED else 1 for character in text]
    return [2 if ord(character) > 0xFFFF else 1 for character in text]


def filled(units: list[int], single: int, multi: int) -> tuple[int, ...]:
    """Fill parts with whole characters, one after the other."""
    if sum(units) <= single:
        return (sum(units),)
    parts = [0]
    for unit in units:
        if parts[-1] + unit > multi:
            parts.append(0)
        parts[-1] += unit
    return tuple(parts)


def inbound(submission: Submission) -> InboundSms:
    """A binary submission, as it would come back from a handset."""
    octets = submission.binary or b""
    header, data = udh.parse(octets) if submission.esm_class & 0x40 else (None, octets)
    return InboundSms("1", data=data, udh=header, data_coding=submission.data_coding)


@settings(max_examples=4 * settings.default.max_examples)
@given(
    st.one_of(
        st.text(alphabet=MIXED, min_size=1, max_size=400),
        st.text(alphabet="a€", min_size=140, max_size=400),
        st.text(alphabet="я😀", min_size=60, max_size=300),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b"), min_size=1),
    ),
    st.sampled_from(Ucs2Form),
    st.sampled_from([8, 16]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_preview_and_octets_cannot_disagree(
    text: str, form: Ucs2Form, width: int, flash: bool, choose: random.Random
) -> None:
    """The parts seen are the parts sent, and together they are the text."""
    message = TextMessage(text, "Friend", flash=flash)
    options = {"ucs2": form, "reference": 200, "reference_width": width}
    composed = compose(message, **options)  # type: ignore[arg-type]
    seen, sent = composed.preview, composed.submissions
    assert seen == preview(message, **options) == preview(text, **options)  # type: ignore[arg-type]
    limits = {Alphabet.GSM_7: (160, 161 - width), Alphabet.UCS_2: (70, 68 - width // 8)}
    limits[Alphabet.GSM_7] = (160, 153 if width == 8 else 152)
    single, multi = limits[seen.alphabet]
    assert seen.parts == filled(units_of(text, seen.alphabet), single, multi)
    assert seen.remaining == (single if len(seen.parts) == 1 else multi) - seen.parts[-1]
    if sent[0].text is not None:
        assert [submission.text for submission in sent] == [text]
        assert (sent[0].type is SubmissionType.LONG) == (len(seen.parts) > 1)
        assert sent[0].flash == flash
        return
    assert all(len(submission.binary or b"") <= 140 for submission in sent)
    came = [inbound(submission) for submission in sent]
    assert tuple(len(sms.data or b"") // 2 for sms in came) == seen.parts
    assert not any(data_coding.decode(sms.data or b"", 8)[1] for sms in came)
    reassembler = Reassembler()
    choose.shuffle(came)
    whole = [done.join() for part in came for done in reassembler.collect(part, now=0.0)]
    if len(came) > 1:
        assert [(sms.text, sms.parts, sms.damaged) for sms in whole] == [(text, len(came), False)]
    else:
        assert data_coding.decode(came[0].data or b"", came[0].data_coding) == (text, False)


def random_texts(count: int) -> Iterator[str]:
    """Texts of all lengths up to five parts, in and out of the alphabet."""
    choose = random.Random(11)
    gsm = [character for character in MIXED if gsm7.septet_count(character) is not None]
    for number in range(count):
        yield "".join(choose.choices(gsm if number % 2 else MIXED, k=choose.randrange(1, 400)))


def test_agrees_with_smsutil_on_random_texts() -> None:
    """Alphabet, number of parts, and the units of each; its names and units differ."""
    for text in random_texts(1_500):
        theirs = smsutil.split(text)
        ours = preview(text)
        assert (ours.alphabet is Alphabet.GSM_7) == (theirs.encoding == "gsm0338")
        octets = 1 if ours.alphabet is Alphabet.GSM_7 else 2
        assert ours.parts == tuple(part.bytes // octets for part in theirs.parts)


def test_known_disagreements_with_smsutil() -> None:
    """It takes what cannot be sent: escapes, lone surrogates, no text, any number of parts."""
    assert smsutil.split("a\x1b").encoding == "gsm0338"  # for smsutil the escape is a character
    assert smsutil.split("я\ud800").total_bytes == 4  # it counts what it cannot encode
    assert smsutil.split("").encoding == "utf_16_be"
    assert len(smsutil.split("a" * 39016).parts) == 256
    for text in ("a\x1b", "я\ud800", "", "a" * 39016):
        with pytest.raises(LocalProtocolError):
            preview(text)
