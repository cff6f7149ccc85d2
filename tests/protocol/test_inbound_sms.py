"""Inbound SMS by GET."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.models.events import InboundSms, UdhElement, UserDataHeader
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
    "query", ["sender=1&amp;text=a", "?sender=1&text=a", "sender=1&+text+=a", "?+sender=1&Text=a"]
)
def test_what_stands_beside_the_name_of_a_parameter(query: str) -> None:
    """The URL of the account was copied from HTML, or ends in a question mark of its own."""
    assert read(query) == InboundSms("1", text="a")


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
        ("text=a&text=&text=b", "a parameter twice"),
        ("bin=4", "unreadable value"),
        ("bin=4G", "unreadable value"),
        ("bin=%D9%A4%D9%A4", "unreadable value"),
    ],
)
def test_an_unreadable_request(query: str, reason: str) -> None:
    """None of it becomes an event, and of two contents none is chosen."""
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode_push(query)
    assert caught.value.raw == query.encode()


# --- what the field sends: side fields never cost a text ---


@pytest.mark.parametrize(
    "side",
    [
        "datacoding=%datacoding%",
        "datacoding=%25datacoding%25",
        "datacoding=UCS2",
        "datacoding=null",
        "datacoding=0x00",
        "datacoding=256",
        "datacoding=-1",
        "datacoding=" + "9" * 5000,
        "esmclass=%esmclass%",
        "esmclass=%D9%A4",
        "bin=414",
        "bin=zz",
        "bin=%bin%",
        "receiver=%receiver%",
        "receiver=%25RECEIVER%25",
        "datetime=%datetime%",
        "datetime=soon",
        "receiver=1&receiver=2",
        "receiver=1&receiver=2&receiver=1",
        "datacoding=0&datacoding=8",
        "x=1&x=2",
        "x=%00",
        "%00=1",
        "\x00",
    ],
)
def test_a_side_field_that_cannot_be_read_costs_no_text(side: str) -> None:
    """It counts as not given."""
    assert read(f"sender=1&text=a&{side}") == InboundSms("1", text="a")


def test_what_a_side_field_held_is_kept() -> None:
    """As it came, for whoever can make something of it."""
    params = decode_push("text=a&datacoding=UCS2&receiver=%receiver%&x=1&x=2").params
    assert params == {"text": "a", "datacoding": "UCS2", "receiver": "%receiver%", "x": "2"}


def test_a_data_coding_in_hexadecimal_is_a_number() -> None:
    """Some gateways write it so."""
    assert read("text=a&datacoding=0x08").data_coding == 8
    assert read("bin=0041&datacoding=0X8").text == "A"


def test_a_value_that_comes_twice_is_one_value() -> None:
    """And an empty one is none."""
    assert read("sender=1&sender=1&text=a&text=&TEXT=a") == InboundSms("1", text="a")


@pytest.mark.parametrize(
    ("query", "text", "charset"),
    [
        ("bin=041F0440&datacoding=UCS2", "Пр", "utf-16-be"),
        ("bin=4F60597D&datacoding=utf-16", "你好", "utf-16-be"),
        ("bin=041F0440&datacoding=%datacoding%", "Пр", "utf-16-be"),
        ("bin=041F0440", "Пр", "utf-16-be"),
        ("bin=8A9E65E5&datacoding=null", "語日", "utf-16-be"),
        ("bin=48656C6C6F&datacoding=null", "Hello", "gsm-7"),
        ("bin=001B65&datacoding=256", "@€", "gsm-7"),
        ("bin=48656C6C6F", "Hello", None),
        ("bin=FF00FF&datacoding=null", None, None),
    ],
)
def test_octets_without_a_data_coding(query: str, text: str | None, charset: str | None) -> None:
    """Their charset is guessed, and what was guessed has a field of its own."""
    sms = read(query)
    assert (sms.text, sms.guessed_charset, sms.data_coding) == (text, charset, 0)


# --- what the field sends: octets in place of a text ---

PLACE = (UdhElement(0, bytes.fromhex("CC0201")),)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("me%00home.org", "me@home.org"),
        ("%00home", "@home"),
        ("Hi%00%00", "Hi"),
        ("%00", ""),
        ("%1Be%02", "€$"),
        ("\u00e9%00b", "é@b"),
        ("%00H%00e%00y", "Hey"),
        ("H%00e%00y%00", "Hey"),
        ("%FE%FF%00H%04%1F", "HП"),
        ("%FF%FEH%00%1F%04", "HП"),
        ("%EF%BB%BFHi", "Hi"),
        ("%ED%A0%BD%ED%B8%80!", "😀!"),
    ],
)
def test_a_text_in_the_octets_of_the_network(wire: str, text: str) -> None:
    """A NUL is the commercial at, an end of a C string, or half of a character of UTF-16."""
    sms = read(f"text={wire}")
    assert (sms.text, sms.damaged) == (text, False)


def test_a_nul_that_means_nothing_is_damage() -> None:
    """Databases refuse it, so it is not handed on."""
    sms = decode_push("text=A%00B&datacoding=3")
    assert (sms.text, sms.damaged, sms.params["text"]) == ("A\ufffdB", True, "A\x00B")


@pytest.mark.parametrize(
    ("wire", "text", "charset"),
    [
        ("%06%2A%063%06%2A", "تست", "utf-16-be"),
        ("%04%1F%04%40", "Пр", "utf-16-be"),
        ("%1F%04%40%04", "Пр", "utf-16-le"),
        ("%09%28%09.%098", "नमस", "utf-16-be"),
        ("e%E5g%2C%8A%9E", "日本語", "utf-16-be"),
        ("%D8%3D%DE%00", "😀", "utf-16-be"),
        ("%04%1F%04%40%04", "Пр\ufffd", "utf-16-be"),
        ("%D0%9F%D1%80", "Пр", None),
        ("Hello%00", "Hello", None),
        ("a%0Ab", "a\nb", None),
        ("Gr%FC%DFe", "Grüße", "windows-1252"),
        ("f%FCr+", "für ", "windows-1252"),
        ("%D0%9F%D1%80%FF%FF", "Пр\ufffd\ufffd", None),
    ],
)
def test_a_text_of_data_coding_8(wire: str, text: str, charset: str | None) -> None:
    """UTF-16 is told from UTF-8 by what it would be otherwise: control characters, or damage."""
    sms = read(f"text={wire}&datacoding=8")
    assert (sms.text, sms.guessed_charset) == (text, charset)
    assert sms.damaged == ("\ufffd" in text)


@pytest.mark.parametrize("text", ["Привет, 2 \u2013 да!", "สวัสดี\nครับ", "नमस्ते", "שלום", "мама"])
def test_utf_16_without_a_data_coding(text: str) -> None:
    """It is told where nothing else can be meant: four characters or more, in one script."""
    sms = read(f"text={quote(text.encode('utf-16-be'))}")
    assert (sms.text, sms.guessed_charset, sms.data_coding) == (text, "utf-16-be", 0)


@pytest.mark.parametrize(
    "octets",
    [
        "мам".encode("utf-16-be"),
        "日本語日本語".encode("utf-16-be"),
        b"\x04a\x05b\x04c\x05d",
        b"\x04abc\x04def",
        b"\x051\x050\x052\x053",
        b"\x04a\x04b\x04c\x04de",
    ],
)
def test_what_may_be_utf_16_and_may_be_not(octets: bytes) -> None:
    """It stays what it would be without a doubt."""
    assert read(f"text={quote(octets)}").guessed_charset != "utf-16-be"


def test_a_text_in_the_charset_that_its_data_coding_names() -> None:
    """Where it is no UTF-8."""
    assert read("text=%BF%E0%D8%D2%D5%E2&datacoding=6").text == "Привет"
    assert read("text=%D0%9F%D1%80&datacoding=6").text == "Пр"


@pytest.mark.parametrize(
    ("wire", "text", "damaged"),
    [
        ("%D0%9F%D1%80%D0", "Пр\ufffd", True),
        ("caf%C3%A9+%E9", "café \ufffd", True),
        ("a%ED%A0%BD", "a\ufffd", True),
        ("%ED%B8%80%C3%A9", "\ufffdé", True),
        ("caf%E9+%80", "café €", False),
        ("%E9%81+%80", "é\x81 €", False),
    ],
)
def test_one_bad_octet_costs_itself(wire: str, text: str, damaged: bool) -> None:
    """One character of several octets makes the text UTF-8; without any, nothing is damaged."""
    sms = read(f"text={wire}")
    assert (sms.text, sms.damaged) == (text, damaged)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("%05%00%03%CC%02%01Hello", "Hello"),
        ("%05%00%03%C3%8C%02%01Hello", "Hello"),
        ("%05%00%03%C3%8C%02%01%D0%9F", "П"),
        ("%05%00%03%CC%02%01%00ome", "@ome"),
    ],
)
def test_a_header_in_front_of_a_text_is_read(wire: str, text: str) -> None:
    """Its octets raw, or each as a character of UTF-8."""
    sms = read(f"text={wire}&esmclass=64")
    assert sms.udh is not None
    assert (sms.text, sms.udh.elements, sms.damaged) == (text, PLACE, False)


@pytest.mark.parametrize("place", ["%09%02%03", "%00%00%00", "%C3%8C%00%00"])
def test_a_header_of_a_part_that_cannot_be(place: str) -> None:
    """It is taken off all the same: left in front it would change the alphabet of the text."""
    sms = read(f"text=%05%00%03{place}Hello&esmclass=64")
    assert sms.udh is not None
    assert (sms.text, sms.udh.elements, sms.udh.malformed) == ("Hello", (), True)


def test_a_text_without_the_header_that_is_announced() -> None:
    """Nothing is taken off it."""
    assert read("text=Hello&esmclass=64") == InboundSms("", text="Hello", esm_class=64)
    sms = read("bin=48656C6C6F&esmclass=64")
    assert (sms.text, sms.udh, sms.damaged) == ("Hello", None, True)


# --- damage ---


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("bin=414", "A\ufffd"),
        ("bin=41G243", "A\ufffdC"),
        ("bin=00410G420043&datacoding=8", "A\ufffdC"),
        ("bin=41G243&datacoding=3", "A\ufffdC"),
        ("bin=070003CC020148656C6C6F&esmclass=64", "Hello"),
        ("bin=FF0003CC020148656C6C6F&esmclass=64", "Hello"),
        ("bin=05000ZCC020148656C6C6F&esmclass=64", "Hello"),
    ],
)
def test_damaged_octets_cost_themselves(query: str, text: str) -> None:
    """The rest of the text is there, and marked."""
    sms = read(query)
    assert (sms.text, sms.damaged) == (text, True)


@pytest.mark.parametrize(
    ("octets", "coding"), [("48656C6C6F20", 0), ("041F04400438043204350442", 8)]
)
@pytest.mark.parametrize("digit", "0F7G")
def test_one_digit_of_a_part_is_damaged(octets: str, coding: int, digit: str) -> None:
    """Wherever it is: all characters but the one of the digit are handed on."""
    whole = f"050003CC0201{octets}"
    text = read(f"bin={octets}&datacoding={coding}").text or ""
    for at in range(len(whole)):
        query = f"bin={whole[:at]}{digit}{whole[at + 1 :]}&datacoding={coding}&esmclass=64"
        damaged = read(query).text or ""
        struck = (at - 12) // (4 if coding else 2)
        before, after = (text[:struck], text[struck + 1 :]) if struck >= 0 else ("", text)
        assert damaged.startswith(before)
        assert damaged.endswith(after)


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x1b\ufeff"))
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
