"""Inbound SMS by GET."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.models import InboundSms, UdhElement, UserDataHeader
from infobip_async.protocol.inbound_sms import (
    DEFAULT_NAMES,
    FIELDS,
    decode_push,
    encode_push,
    template,
)

ARRIVED = datetime(2010, 8, 2, 14, 55, 10)
HEADER = UserDataHeader(bytes.fromhex("050003CC0201"), (UdhElement(0, bytes.fromhex("CC0201")),))


def read(query: str, **options: object) -> InboundSms:
    """The message, without the parameters that it came in."""
    return attrs.evolve(decode_push(query, **options), params={})  # type: ignore[arg-type]


def check(asked: str, query: str, sms: InboundSms) -> None:
    """The template is filled in so, and the message is read from the result."""
    assert encode_push(f"http://h/in?{asked}", sms) == f"http://h/in?{query}"
    assert read(query) == sms


ALL = template(DEFAULT_NAMES)
PAIRS = {
    "all, a text": (
        ALL,
        (
            "sender=38598123123&receiver=38591&text=a%2Bb+%C3%A9%E2%82%AC%26%0D%0A&bin="
            "&datetime=2010%2F8%2F2+14%3A55%3A10&datacoding=0&esmclass=0"
        ),
        InboundSms("38598123123", "38591", "a+b é€&\r\n", received_at=ARRIVED),
    ),
    "all, Unicode": (
        ALL,
        "sender=1&receiver=&text=&bin=20AC0041&datetime=&datacoding=8&esmclass=0",
        InboundSms("1", text="€A", data=b"\x20\xac\0A", data_coding=8),
    ),
    "all, a part of a longer message": (
        ALL,
        "sender=1&receiver=&text=&bin=050003CC02010041&datetime=&datacoding=8&esmclass=64",
        InboundSms("1", text="A", data=b"\0A", data_coding=8, esm_class=64, udh=HEADER),
    ),
    "all, octets that are no text": (
        ALL,
        "sender=1&receiver=&text=&bin=FF00&datetime=&datacoding=4&esmclass=0",
        InboundSms("1", data=b"\xff\0", data_coding=4),
    ),
    "text only": (
        "sender=%sender%&text=%text%&datacoding=%datacoding%",
        "sender=1&text=%D0%9F&datacoding=8",
        InboundSms("1", text="П", data_coding=8),
    ),
    "bin only": (
        "sender=%sender%&bin=%bin%&datacoding=%datacoding%",
        "sender=1&bin=414243&datacoding=0",
        InboundSms("1", text="ABC", data=b"ABC"),
    ),
    "bin only, the GSM alphabet": (
        "sender=%sender%&bin=%bin%",
        "sender=1&bin=001B6540",
        InboundSms("1", text="@€¡", data=b"\x00\x1b\x65\x40"),
    ),
    "an empty message": (
        "sender=%sender%&text=%text%",
        "sender=1&text=",
        InboundSms("1", text=""),
    ),
}


@pytest.mark.parametrize(("asked", "query", "sms"), PAIRS.values(), ids=PAIRS)
def test_literal_pairs(asked: str, query: str, sms: InboundSms) -> None:
    """What the document's rule on datacoding forwards, both ways."""
    check(asked, query, sms)


def test_of_text_and_bin_the_data_coding_empties_one() -> None:
    """Data coding 0 leaves the text, any other the octets; where only one is asked it is filled."""
    both, text, octets = "text=%text%&bin=%bin%", "text=%text%", "bin=%bin%"
    plain = InboundSms("1", text="A", data=b"A")
    coded = InboundSms("1", text="A", data=b"\0A", data_coding=8)
    assert encode_push(both, plain) == "text=A&bin="
    assert encode_push(both, coded) == "text=&bin=0041"
    assert encode_push(text, plain) == encode_push(text, coded) == "text=A"
    assert encode_push(both.upper(), coded) == "TEXT=&BIN=0041"
    assert encode_push(octets, plain) == "bin=41"
    assert encode_push(octets, coded) == "bin=0041"
    assert encode_push(octets, InboundSms("1", text="A")) == "bin="


def test_octets_that_are_no_text_are_forwarded_as_characters() -> None:
    """Where only a text is asked for: "we will provide everything" (§6)."""
    assert encode_push("text=%text%", InboundSms("1", data=b"A\xe9")) == "text=A%C3%A9"
    assert encode_push("text=%text%", InboundSms("1")) == "text="


@pytest.mark.parametrize(
    ("asked", "sent", "names", "text"),
    [
        ("6-text-template.url", "6-text.url", {"who": "sender", "what": "text"}, "ABC"),
        ("6-binary-template.url", "6-binary.url", {"who": "sender", "what": "bin"}, "ABC"),
    ],
)
def test_the_requests_of_the_document(
    golden: Callable[[str], str], asked: str, sent: str, names: dict[str, str], text: str
) -> None:
    """Templates with names of the user's own, and what they are filled in to."""
    url, query = golden(asked).split("?")
    assert template(names) == query
    sms = InboundSms("38598123123", text=text, data=text.encode())
    assert encode_push(f"{url}?{query}", sms) == golden(sent)
    received = decode_push(golden(sent).split("?")[1], names=names)
    assert (received.sender, received.text) == ("38598123123", text)


# --- the URL template ---


def test_the_template_with_the_usual_names() -> None:
    """Each field under its own."""
    assert template(DEFAULT_NAMES) == "&".join(f"{field}=%{field}%" for field in FIELDS)


def test_names_of_the_users_own_are_encoded() -> None:
    """So that only the placeholders are placeholders."""
    names = {"from & to": "sender", "100%text%": "text"}
    url = template(names)
    assert url == "from+%26+to=%sender%&100%25text%25=%text%"
    filled = encode_push(url, InboundSms("1", text="%sender%"))
    assert filled == "from+%26+to=1&100%25text%25=%25sender%25"
    assert read(filled, names=names) == InboundSms("1", text="%sender%")


def test_placeholders_are_filled_in_in_any_case() -> None:
    """And what is none stays."""
    assert encode_push("?a=%SENDER%&b=%Text%&c=%other%&d=%41", InboundSms("1", text="x")) == (
        "?a=1&b=x&c=%other%&d=%41"
    )


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ({"a": "colour", "b": "text"}, "'colour' is none of sender, receiver"),
        ({"a": "Text"}, "'Text' is none of"),
        ({"a": "sender"}, "text or bin must be"),
        ({}, "text or bin must be"),
        ({"a": "text", "b": "text"}, "used once"),
        ({"a": "text", "A": "sender"}, "used once"),
    ],
)
def test_a_template_that_could_not_be_read_is_refused(names: dict[str, str], fault: str) -> None:
    """Before it is entered in the account."""
    with pytest.raises(LocalProtocolError, match=fault) as caught:
        template(names)
    assert (caught.value.field, caught.value.section) == ("inbound", "6")


# --- what a gateway forwards ---


def test_every_parameter_is_kept_as_received() -> None:
    """Those beyond the document's and a date of unknown form, too."""
    sms = decode_push("Sender=1&TEXT=a&datetime=yesterday&smsc=%2B2&empty=")
    assert sms == InboundSms(
        "1",
        text="a",
        params={"Sender": "1", "TEXT": "a", "datetime": "yesterday", "smsc": "+2", "empty": ""},
    )


def test_names_are_the_templates_in_any_case() -> None:
    """And no others: without a mapping they would not be found."""
    names = {"Who": "sender", "What": "text", "sender": "receiver"}
    assert read("who=1&WHAT=a&Sender=2", names=names) == InboundSms("1", "2", "a")
    with pytest.raises(RemoteProtocolError, match="neither text nor bin"):
        decode_push("who=1&what=a")


@pytest.mark.parametrize(
    "sender", ["38598123123", "+38598123123", "%2B38598123123", "+%2B38598123123"]
)
def test_a_leading_plus_is_no_part_of_a_number(sender: str) -> None:
    """The document says that there is none; sent bare, it arrives as a space."""
    assert read(f"sender={sender}&receiver={sender}&text=a") == InboundSms(
        "38598123123", "38598123123", "a"
    )


def test_a_sender_may_be_a_name_or_missing() -> None:
    """Whatever the account's owner asked for."""
    assert read("sender=My+Bank&text=a") == InboundSms("My Bank", text="a")
    assert read("text=a") == InboundSms("", text="a")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("%C3%A9%20%E2%82%AC", "é €"),
        ("%E9", "é"),
        ("%80", "€"),
        ("%81%E9", "\x81é"),
        ("é", "é"),
        ("\udce9", "é"),
        ("%", "%"),
        ("a%2", "a%2"),
        ("a=b=c", "a=b=c"),
        ("%F0%9F%98%80", "\U0001f600"),
    ],
)
def test_the_charset_of_a_text_is_found_out(wire: str, text: str) -> None:
    """UTF-8, or else Windows-1252; nothing is lost."""
    assert read(f"sender=1&text={wire}") == InboundSms("1", text=text)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("2010/8/2+14:55:10", ARRIVED),
        ("2010-08-02%2014%3A55%3A10", ARRIVED),
        ("2010-08-02T14:55:10", ARRIVED),
        ("", None),
        ("0000-00-00+00:00:00", None),
        ("02.08.2010+14:55", None),
        ("2010/13/2+14:55:10", None),
    ],
)
def test_dates(wire: str, expected: datetime | None) -> None:
    """Their form is not documented: an unknown one is no reason to lose a message."""
    assert read(f"text=a&datetime={wire}").received_at == expected


def test_dates_are_in_the_zone_that_the_user_names() -> None:
    """Without one they are naive."""
    sms = read("text=a&datetime=2010/8/2+14:55:10", zone=ZoneInfo("Europe/Zagreb"))
    assert sms.received_at == datetime(2010, 8, 2, 12, 55, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bin=0041&datacoding=+8+", InboundSms("", text="A", data=b"\0A", data_coding=8)),
        ("bin=41&datacoding=", InboundSms("", text="A", data=b"A")),
        ("bin=41&datacoding=240", InboundSms("", text="A", data=b"A", data_coding=240)),
        ("bin=0041&datacoding=24", InboundSms("", text="A", data=b"\0A", data_coding=24)),
        ("bin=e9&datacoding=3", InboundSms("", text="é", data=b"\xe9", data_coding=3)),
        ("bin=41&datacoding=245", InboundSms("", data=b"A", data_coding=245)),
        ("bin=41&datacoding=255", InboundSms("", data=b"A", data_coding=255)),
        ("bin=4a4B", InboundSms("", text="JK", data=b"JK")),
        ("bin=41&esmclass=3", InboundSms("", text="A", data=b"A", esm_class=3)),
        (
            "text=a&bin=62&datacoding=8",
            InboundSms("", text="a", data=b"b", data_coding=8),
        ),
        (
            "text=a&bin=050003CC020162&esmclass=64",
            InboundSms("", text="a", data=b"b", esm_class=64, udh=HEADER),
        ),
        ("text=a&bin=&esmclass=64", InboundSms("", text="a", esm_class=64)),
        ("text=&bin=&datacoding=8", InboundSms("", text="", data_coding=8)),
    ],
)
def test_content_is_whichever_was_forwarded(query: str, expected: InboundSms) -> None:
    """Both, against the rule, are kept as they are."""
    assert read(query) == expected


def test_octets_that_cannot_be_decoded_damage_the_text_alone() -> None:
    """They stand as U+FFFD, and the octets are there."""
    sms = read("bin=004100&datacoding=8")
    assert (sms.text, sms.data, sms.damaged) == ("A\ufffd", b"\0A\0", True)


def test_the_header_names_the_alphabet() -> None:
    """A national table, here the Turkish one, where the data coding is that of the GSM alphabet."""
    assert read("bin=0324010104&esmclass=64").text == "è"
    assert read("bin=0325010104&esmclass=64").text == "\u20ac"


def test_a_header_that_is_none_costs_the_header_alone() -> None:
    """What it says is left out, and marked."""
    sms = read("bin=020041&esmclass=64")
    assert sms.udh is not None
    assert sms.udh.malformed


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "neither text nor bin"),
        ("sender=1", "neither text nor bin"),
        ("text=a&text=b", "a parameter twice"),
        ("text=a&TEXT=b", "a parameter twice"),
        ("text=a&x=1&x=1", "a parameter twice"),
        ("text=a%00", "a NUL"),
        ("text=a&%00=1", "a NUL"),
        ("text=a&\x00", "a NUL"),
        ("bin=4", "unreadable value"),
        ("bin=4G", "unreadable value"),
        ("bin=%D9%A4%D9%A4", "unreadable value"),
        ("bin=41&datacoding=256", "not a number from 0 to 255"),
        ("bin=41&datacoding=-1", "not a number from 0 to 255"),
        ("text=a&datacoding=0x08", "not a number from 0 to 255"),
        ("text=a&esmclass=%D9%A4", "not a number from 0 to 255"),
        ("text=a&esmclass=" + "9" * 5000, "not a number from 0 to 255"),
    ],
)
def test_an_unreadable_request(query: str, reason: str) -> None:
    """None of it becomes an event, and of two values none is chosen."""
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode_push(query)
    assert caught.value.raw == query.encode()


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
senders = text.filter(lambda sender: not sender.startswith(("+", " ")))
dates = st.none() | st.datetimes(datetime(1000, 1, 1)).map(lambda date: date.replace(microsecond=0))
texts = st.builds(
    InboundSms, senders, senders.map(lambda receiver: receiver or None), text, received_at=dates
)
coded = st.builds(
    lambda sender, content, header: InboundSms(
        sender,
        text=content,
        data=content.encode("utf-16-be"),
        data_coding=8,
        esm_class=64 if header else 0,
        udh=header,
    ),
    senders,
    text.filter(bool),
    st.sampled_from([None, HEADER]),
)


@given(texts | coded)
def test_what_is_encoded_is_decoded(sms: InboundSms) -> None:
    """Any text, by way of either parameter, with the usual names."""
    assert read(encode_push(ALL, sms)) == sms


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_garbage_never_raises_anything_else(garbage: str) -> None:
    """Whatever the query, it is a message or one error."""
    for query in (garbage, f"text=a&bin={garbage}&esmclass=64", f"text={garbage}"):
        try:
            sms = decode_push(query)
        except RemoteProtocolError:
            continue
        assert isinstance(sms, InboundSms)
