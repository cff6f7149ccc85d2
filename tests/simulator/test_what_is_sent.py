"""What was sent is what is handed on: every text, alphabet, header and order of parts."""

from datetime import UTC, datetime
from random import Random
from urllib.parse import quote_from_bytes

from hypothesis import given
from hypothesis import strategies as st

from infobip_async.models.events import InboundSms
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES, decode_push, encode_push, template
from infobip_async.simulator.inbound import Content, contents_of, message_of
from infobip_async.text import gsm7, udh
from infobip_async.text.reassembly import Reassembler
from infobip_async.text.tables import DEFAULT

NOW = datetime(2026, 8, 2, 14, 55, 10, tzinfo=UTC)
ALL = template(DEFAULT_NAMES)
OCTETS = template(
    {"sender": "sender", "bin": "bin", "datacoding": "datacoding", "esmclass": "esmclass"}
)
# A byte order mark is no character, and the escape is none of a text.
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\x1b\ufeff\ufffe")
GSM = st.sampled_from(DEFAULT.replace("\x1b", "") + "€[]{}~^|\\\f")
SCRIPTS = st.sampled_from("aя你ت한नあ😀é€ \n")
short = st.one_of(st.text(GSM), st.text(SCRIPTS), st.text(ANY))
texts = st.builds(lambda text, times: text * times, short, st.integers(1, 30))


def received(content: Content, asked: str) -> InboundSms:
    """The event of a message that the gateway forwarded."""
    message = message_of(content, "385981", "385991", NOW)
    return decode_push(encode_push(f"http://h/?{asked}", message).partition("?")[2])


def handed_on(parts: list[InboundSms]) -> list[InboundSms]:
    """The whole messages that handlers get."""
    reassembler = Reassembler()
    whole = [sms for sms in parts if sms.udh is None or not udh.concatenation_of(sms.udh)]
    whole += [parts.join() for sms in parts for parts in reassembler.collect(sms, 0.0)]
    assert reassembler.take_due(1e9) == ()
    return whole


@given(texts, st.integers(0, 255), st.randoms(use_true_random=False))
def test_what_is_sent_is_handed_on_once(text: str, reference: int, random: Random) -> None:
    """In any order, and with a part that comes again."""
    contents = contents_of(text, reference)
    # Without octets the GSM alphabet has no header, and so no parts.
    parts = [received(content, OCTETS if len(contents) > 1 else ALL) for content in contents]
    random.shuffle(parts)
    if len(parts) > 1:
        parts.append(received(contents[0], OCTETS))
    (sms,) = handed_on(parts)
    assert (sms.text, sms.damaged, sms.missing) == (text, False, ())


@given(short, short, st.integers(0, 255))
def test_a_reference_that_is_used_again(first: str, second: str, reference: int) -> None:
    """Both messages are handed on, whatever they have in common."""
    texts = [f"Shop 7: {text}{'.' * 200}" for text in (first, second)]
    sent = [contents_of(text, reference) for text in texts]
    parts = [received(content, OCTETS) for contents in sent for content in contents]
    distinct = list(dict.fromkeys(texts))
    assert [sms.text for sms in handed_on(parts)] == distinct


def check_intact(text: str, at: int, damaged: str | None) -> None:
    """All but the character that was struck, and one that an escape may swallow, is there."""
    assert damaged is not None
    assert damaged.startswith(text[:at])
    assert damaged.endswith(text[at + 2 :])


@given(st.text(GSM, min_size=2, max_size=40), st.data())
def test_one_octet_of_a_gsm_text_is_damaged(text: str, data: st.DataObject) -> None:
    """To another octet, or to what is no hexadecimal digit."""
    octets = gsm7.encode(text)
    at = data.draw(st.integers(0, len(octets) - 1))
    pairs = [f"{octet:02X}" for octet in octets]
    pairs[at] = data.draw(st.sampled_from(["00", "1B", "7F", "FF", "ZZ", "4G"]))
    sms = decode_push(f"bin={''.join(pairs)}&datacoding=0")
    check_intact(
        text, len(gsm7.decode(octets[:at])[0]) - (octets[at - 1 : at] == b"\x1b"), sms.text
    )


@given(st.text(SCRIPTS, min_size=2, max_size=40), st.data())
def test_one_octet_of_a_ucs_2_text_is_damaged(text: str, data: st.DataObject) -> None:
    """Of either half of a character."""
    pairs = [f"{octet:02X}" for octet in text.encode("utf-16-be")]
    at = data.draw(st.integers(0, len(pairs) - 1))
    pairs[at] = data.draw(st.sampled_from(["00", "41", "D8", "DC", "FF", "ZZ"]))
    sms = decode_push(f"bin={''.join(pairs)}&datacoding=8")
    before = text.encode("utf-16-be")[: at // 2 * 2].decode("utf-16-be", "ignore")
    check_intact(text, len(before), sms.text)


@given(st.text(SCRIPTS, min_size=2, max_size=40), st.data(), st.sampled_from(["0", "8", "x"]))
def test_one_octet_of_a_utf_8_text_is_damaged(text: str, data: st.DataObject, coding: str) -> None:
    """What is left of UTF-8 stays, and a text with nothing else of it is as it was."""
    octets = bytearray(text.encode())
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] = data.draw(st.sampled_from([0x00, 0x05, 0x41, 0x80, 0xC3, 0xFF]))
    sms = decode_push(f"text={quote_from_bytes(bytes(octets))}&datacoding={coding}")
    before = text.encode()[:at].decode(errors="ignore")
    check_intact(text, len(before), sms.text)
