"""HLR reports pushed as a form field."""

from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import HlrReport, HlrStatus, UnreadableRow
from infobip_async.protocol.hlr_dlr import MAX_ROWS, decode_push, encode_push


def check(rows: str, *reports: HlrReport) -> None:
    """The form holds these rows, and is read from them."""
    body = f"dlr={quote_plus(rows)}".encode()
    assert encode_push(reports) == body
    assert decode_push(body) == list(reports)


@pytest.mark.parametrize(
    ("rows", "reports"),
    [
        ("", ()),
        (
            "385;a-1;DELIVRD;219011231213123;385980501;0",
            (
                HlrReport(
                    "385", "a-1", HlrStatus.DELIVRD, "DELIVRD", "219011231213123", "385980501", "0"
                ),
            ),
        ),
        (
            "1;a-1;UNDELIV;;;1\n2;a-2;UNKNOWN;;;",
            (
                HlrReport("1", "a-1", HlrStatus.UNDELIV, "UNDELIV", error_code="1"),
                HlrReport("2", "a-2", HlrStatus.UNKNOWN, "UNKNOWN"),
            ),
        ),
        (
            "1;a;REJECTD;;;x y+&=%",
            (HlrReport("1", "a", HlrStatus.UNKNOWN, "REJECTD", error_code="x y+&=%"),),
        ),
        ("1;;DELIVRD;;;0", (HlrReport("1", "", HlrStatus.DELIVRD, "DELIVRD", error_code="0"),)),
        (";a;DELIVRD;;;0", (HlrReport("", "a", HlrStatus.DELIVRD, "DELIVRD", error_code="0"),)),
    ],
)
def test_literal_pairs(rows: str, reports: tuple[HlrReport, ...]) -> None:
    """Both ways; an empty field is None, and an unknown status is kept as text."""
    check(rows, *reports)


def test_the_report_of_the_document(golden: Callable[[str], str]) -> None:
    """In capitals and not encoded, as it is printed, and as the text above it says."""
    reports = [
        HlrReport(
            "23423423232",
            "234234sdfsds-01-01",
            HlrStatus.DELIVRD,
            "DELIVRD",
            "2019011231213",
            "385980501",
            "0",
        ),
        HlrReport(
            "23423423231", "234234sdfsds-01-01", HlrStatus.UNDELIV, "UNDELIV", error_code="1"
        ),
    ]
    printed = golden("5-report.form")
    assert decode_push(printed.encode()) == reports
    assert encode_push(reports).decode() == "dlr=" + quote_plus(printed.removeprefix("DLR="))


CR, LF = "\r\n"
ROWS = "1;a;DELIVRD;2;3;0\n4;b;UNDELIV;;;1"
READ = [
    HlrReport("1", "a", HlrStatus.DELIVRD, "DELIVRD", "2", "3", "0"),
    HlrReport("4", "b", HlrStatus.UNDELIV, "UNDELIV", error_code="1"),
]
HEAD = "--b\r\nContent-Disposition: form-data; name=dlr\r\n\r\n"
BODIES = {
    "not encoded": f"dlr={ROWS}".encode(),
    "encoded": f"dlr={quote(ROWS, safe='')}".encode(),
    "capitals": f"DLR={quote_plus(ROWS)}".encode(),
    "mixed": f"Dlr={quote_plus(ROWS)}".encode(),
    "white space around the name": f"\r\n dlr +={quote_plus(ROWS)}".encode(),
    "an encoded name": f"%64lr={quote_plus(ROWS)}".encode(),
    "more fields": f"a=1&dlr={quote_plus(ROWS)}&b=2".encode(),
    "ended by a line feed": f"dlr={quote_plus(ROWS)}%0A".encode(),
    "CRLF": f"dlr={quote_plus(ROWS.replace(LF, CR + LF))}%0D%0A".encode(),
    "not encoded, CRLF behind": f"dlr={ROWS}\r\n".encode(),
    "a carriage return behind": f"dlr={ROWS}\r".encode(),
    "blank lines": f"dlr=%0A{quote_plus(ROWS.replace(LF, f'{LF}  {LF}'))}%0A%0A".encode(),
    "carriage returns alone": f"dlr={quote_plus(ROWS.replace(LF, CR))}%0D".encode(),
    "white space": b"dlr=+1+;+a;+DELIVRD+;2;3;0%09%0A4;b;UNDELIV;+;+;1",
    "no name": ROWS.encode(),
    "no name, encoded": quote(ROWS, safe="").encode(),
    "an empty name": f"=+{ROWS}".encode(),
    "a mark in front": b"\xef\xbb\xbfdlr=" + ROWS.encode(),
    "an encoded mark in front": b"%EF%BB%BFdlr=" + ROWS.encode(),
    "a mark in front of the rows": b"dlr=%EF%BB%BF" + ROWS.encode(),
    "a mark and no name": b"\xef\xbb\xbf" + ROWS.encode(),
    "UTF-16": ROWS.encode("utf-16"),
    "UTF-16 in a form": ("dlr=" + ROWS).encode("utf-16"),
    "UTF-16 in a field": b"dlr=" + ROWS.encode("utf-16"),
    "UTF-16 in an encoded field": b"dlr=" + quote(ROWS.encode("utf-16")).encode(),
    "the end of a C string": f"dlr={ROWS}\0".encode(),
    "the end of a C string, encoded": f"dlr={quote_plus(ROWS)}%00".encode(),
    "multipart": f"{HEAD}{ROWS}\r\n--b--".encode(),
    "multipart, line feeds": f"{HEAD}{ROWS}\r\n--b--".replace("\r", "").encode(),
    "a field without a name beside": b"=x&dlr=" + ROWS.encode(),
    "a separator at the end of rows": b"dlr=1;a;DELIVRD;2;3;0;%0A4;b;UNDELIV;;;1;",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_form_of_a_body_is_read(body: bytes) -> None:
    """Encoding, case, line ends, blank lines, padding and closing semicolons do not matter."""
    assert decode_push(body) == READ


@pytest.mark.parametrize("raw", ["delivrd", " Delivrd "])
def test_a_status_in_any_case(raw: str) -> None:
    """It is kept as received, without white space around it."""
    (report,) = decode_push(f"dlr=1;a;{raw};;;".encode())
    assert report == HlrReport("1", "a", HlrStatus.DELIVRD, raw.strip())


SET_ASIDE = {
    "no separator": (b"1", "1", "1 fields"),
    "fewer fields": (b"1;a;DELIVRD;2;3", "1;a;DELIVRD;2;3", "5 fields"),
    "more fields": (b"1;a;DELIVRD;2;3;0;x", "1;a;DELIVRD;2;3;0;x", "7 fields"),
    "two more separators": (b"1;a;DELIVRD;2;3;0;;", "1;a;DELIVRD;2;3;0;;", "8 fields"),
    "nothing to tell it by": (b" ; ;DELIVRD;2;3;0", "; ;DELIVRD;2;3;0", "neither"),
    "only separators": (b";;;;;", ";;;;;", "neither"),
    "NUL": (b"1;a%00;DELIVRD;;;0", "1;a\x00;DELIVRD;;;0", "control character"),
    "a control character": (b"1;a\x7fb;DELIVRD;;;0", "1;a\x7fb;DELIVRD;;;0", "control character"),
    "a tab within": (b"1;a\tb;DELIVRD;;;0", "1;a\tb;DELIVRD;;;0", "control character"),
    "a line ended by a carriage return": (
        b"1;a;DELIVRD;;\r2;b;DELIVRD;;",
        "1;a;DELIVRD;;\r2;b;DELIVRD;;",
        "9 fields",
    ),
    "a carriage return within": (b"1;a\rb;DELIVRD;;;0", "1;a\rb;DELIVRD;;;0", "control"),
    "not UTF-8": (b"1;a%ff\xfe;DELIVRD;;;0", r"1;a\xff\xfe;DELIVRD;;;0", "not UTF-8"),
    "an HTML page": (b"<html>", "<html>", "1 fields"),
}


@pytest.mark.parametrize(("row", "raw", "reason"), SET_ASIDE.values(), ids=SET_ASIDE)
def test_a_row_that_cannot_be_read_is_set_aside(row: bytes, raw: str, reason: str) -> None:
    """In its place, in a text that can be printed, and it costs its neighbours nothing."""
    good = b"1;a;DELIVRD;2;3;0"
    before, aside, after = decode_push(b"dlr=" + b"%0A".join((good, row, good)))
    assert before == after == READ[0]
    assert isinstance(aside, UnreadableRow)
    assert aside.raw == raw
    assert reason in aside.reason
    assert aside.raw.encode()


def test_text_beyond_ascii_is_read() -> None:
    """Nothing says that ids are plain."""
    (report,) = decode_push("dlr=1;ä;DELIVRD;;;".encode())
    assert report == HlrReport("1", "ä", HlrStatus.DELIVRD, "DELIVRD")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"reports=1;a;DELIVRD;2;3;0",
        b"dlr=1;a;DELIVRD;2;3;0&dlr=2;b;DELIVRD;2;3;0",
        b"dlr=1;a;DELIVRD;2;3;0&DLR=",
        b"<DeliveryReport/>",
        b"\x00\xff",
    ],
)
def test_a_body_without_one_field_of_the_name_is_refused(body: bytes) -> None:
    """Of two, which one counts is not guessed."""
    with pytest.raises(RemoteProtocolError, match="dlr fields instead of one") as caught:
        decode_push(body)
    assert caught.value.raw == body


@pytest.mark.parametrize("row", [b"1;a;DELIVRD;;;0%0A", b"+1;a;DELIVRD;;;0%0A%0A"])
def test_a_row_more_than_may_be_is_no_push(row: bytes) -> None:
    """Blank lines do not count; plain and padded rows are counted alike."""
    assert len(decode_push(b"dlr=" + row * 3, most_rows=3)) == 3
    with pytest.raises(RemoteProtocolError, match="more than 2 rows") as caught:
        decode_push(b"dlr=" + row * 3, most_rows=2)
    assert caught.value.raw == b"dlr=" + row * 3


def test_a_row_of_separators_is_set_aside_at_once() -> None:
    """It is not taken apart into a million fields."""
    for row in (b";" * 100_000, b" " + b";" * 100_000):
        (aside,) = decode_push(b"dlr=" + row)
        assert isinstance(aside, UnreadableRow)
        assert aside.reason == "100001 fields instead of 6"


def test_a_hundred_rows() -> None:
    """As many as the document has in a post; a gateway that sends more is read, too."""
    for count in (MAX_ROWS, MAX_ROWS + 1):
        rows = [HlrReport(str(n), f"a-{n}", HlrStatus.DELIVRD, "DELIVRD") for n in range(1, count)]
        assert decode_push(encode_push(rows)) == rows


def test_an_imsi_of_no_country_is_handed_on() -> None:
    """Whatever its length: it is a string of the network's."""
    (report,) = decode_push(b"dlr=1;a;DELIVRD;2019011231213;3;0")
    assert isinstance(report, HlrReport)
    assert report.imsi == "2019011231213"


field = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=";")).map(
    str.strip
)
reports = st.builds(
    lambda destination, lookup_id, raw_status, *rest: HlrReport(
        destination,
        lookup_id,
        HlrStatus.__members__.get(raw_status.upper(), HlrStatus.UNKNOWN),
        raw_status,
        *(value or None for value in rest),
    ),
    field.filter(bool),
    field,
    field | st.sampled_from([status.value for status in HlrStatus]),
    field,
    field,
    field,
)


@given(st.lists(reports, max_size=5))
def test_what_is_encoded_is_decoded(given_reports: list[HlrReport]) -> None:
    """Any text without the two separators."""
    assert decode_push(encode_push(given_reports)) == given_reports


@given(st.binary())
def test_garbage_never_raises_anything_else(garbage: bytes) -> None:
    """Whatever the octets, they are rows, rows set aside, or one error."""
    for row in decode_push(b"dlr=" + garbage.replace(b"&", b"")):
        assert isinstance(row, HlrReport | UnreadableRow)
