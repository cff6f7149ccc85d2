"""Delivery reports as XML."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import DeliveryReport, DeliveryStatus, UnreadableRow
from infobip_async.protocol.dlr_xml import decode_push, encode_push

DONE = datetime(2005, 7, 19, 22)


def check(messages: str, *reports: DeliveryReport) -> None:
    """The document of these elements is read so, and so is written."""
    document = f"<DeliveryReport>{messages}</DeliveryReport>"
    assert decode_push(document.encode()) == list(reports)
    assert encode_push(reports) == document.encode()


PAIRS = {
    "none": ("", ()),
    "one": (
        (
            '<message id="1" sentdate="2005/7/19 21:59:7" donedate="2005/7/19 22:0:0"'
            ' status="DELIVERED" />'
        ),
        (
            DeliveryReport(
                "1",
                DeliveryStatus.DELIVERED,
                "DELIVERED",
                datetime(2005, 7, 19, 21, 59, 7),
                DONE,
            ),
        ),
    ),
    "two, without dates": (
        (
            '<message id="1" sentdate="" donedate="" status="SENT" />'
            '<message id="2" sentdate="" donedate="" status="NOT_ALLOWED" />'
        ),
        (
            DeliveryReport("1", DeliveryStatus.SENT, "SENT"),
            DeliveryReport("2", DeliveryStatus.NOT_ALLOWED, "NOT_ALLOWED"),
        ),
    ),
    "more attributes": (
        (
            '<message id="1" sentdate="" donedate="" status="REJECTED" gsmerror="0"'
            ' price="0.0100" pducount="2" />'
        ),
        (
            DeliveryReport(
                "1",
                DeliveryStatus.UNKNOWN,
                "REJECTED",
                extras={"gsmerror": "0", "price": "0.0100", "pducount": "2"},
            ),
        ),
    ),
    "a date that is none": (
        ('<message id="1" sentdate="soon" donedate="2005/7/19 22:0:0" status="SENT" />'),
        (
            DeliveryReport(
                "1", DeliveryStatus.SENT, "SENT", None, DONE, extras={"sentdate": "soon"}
            ),
        ),
    ),
    "characters to escape": (
        (
            '<message id=\'a&amp;&lt;"é\U0001f600\' sentdate="" donedate=""'
            ' status="" note="&#10;\'" />'
        ),
        (DeliveryReport('a&<"é\U0001f600', DeliveryStatus.UNKNOWN, "", extras={"note": "\n'"}),),
    ),
}


@pytest.mark.parametrize(("messages", "reports"), PAIRS.values(), ids=PAIRS)
def test_literal_pairs(messages: str, reports: tuple[DeliveryReport, ...]) -> None:
    """Both ways, byte for byte."""
    check(messages, *reports)


@pytest.mark.parametrize("status", DeliveryStatus)
def test_every_status_of_the_document(status: DeliveryStatus) -> None:
    """The ten, and the word UNKNOWN, which is no more than it says."""
    check(
        f'<message id="1" sentdate="" donedate="" status="{status.value}" />',
        DeliveryReport("1", status, status.value),
    )


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("delivered", DeliveryStatus.DELIVERED),
        (" Not_Sent ", DeliveryStatus.NOT_SENT),
        ("", DeliveryStatus.UNKNOWN),
        ("REJECTED", DeliveryStatus.UNKNOWN),
        ("DELIVERED!", DeliveryStatus.UNKNOWN),
    ],
)
def test_a_status_is_kept_as_received(raw: str, status: DeliveryStatus) -> None:
    """Case and white space do not matter; what the document does not list is unknown."""
    message = f'<message id="1" status="{raw}"/>'
    (report,) = decode_push(f"<DeliveryReport>{message}</DeliveryReport>".encode())
    assert report == DeliveryReport("1", status, raw)


def test_the_structure_of_the_document(golden: Callable[[str], str]) -> None:
    """The root in small letters, and words in place of dates."""
    assert decode_push(golden("3.1-structure.xml").encode()) == [
        DeliveryReport(
            "msgID",
            DeliveryStatus.UNKNOWN,
            "xxxxxx",
            extras={"sentdate": "xxxxx", "donedate": "xxxxx"},
        )
    ]


def test_the_report_of_the_document(golden: Callable[[str], str]) -> None:
    """The root in capitals, an empty date, and one without padding."""
    report = DeliveryReport("1023012301", DeliveryStatus.NOT_SENT, "NOT_SENT", None, DONE)
    assert decode_push(golden("3.1-report.xml").encode()) == [report]
    assert encode_push([report]).decode() == " ".join(golden("3.1-report.xml").split())


REPORT = '<DeliveryReport><message id="a+b&amp;c" status="SENT"/></DeliveryReport>'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
HEAD = "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n"
PREFIXED = (
    '<n:DeliveryReport xmlns:n="urn:n"><n:message id="a+b&amp;c" status="SENT"/></n:DeliveryReport>'
)
SOAP = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header><x>1</x></s:Header>'
    "<s:Body><push>{}</push><message/></s:Body></s:Envelope>"
)
BODIES = {
    "raw": REPORT.encode(),
    "white space around": f"\r\n {REPORT}\r\n".encode(),
    "a declaration": (DECLARATION + REPORT).encode(),
    "a byte order mark": REPORT.encode("utf-8-sig"),
    "UTF-16": REPORT.encode("utf-16"),
    "UTF-16, half a character behind": REPORT.encode("utf-16") + b"\xff",
    "UTF-16BE, white space behind": f"{REPORT}\r\n ".encode("utf-16-be"),
    "capitals": REPORT.replace("DeliveryReport", "DELIVERYREPORT")
    .replace("message id", "Message ID")
    .replace("status", "Status")
    .encode(),
    "small letters": REPORT.replace("DeliveryReport", "deliveryreport").encode(),
    "other content": REPORT.replace("<message", "x<!-- y --><?z?><message").encode(),
    "not empty": REPORT.replace("/></", ">x</message></").encode(),
    "the end of a C string": f"{REPORT}\n\0".encode(),
    "the end of a C string in UTF-16": f"{REPORT}\n\0".encode("utf-16"),
    "the prefix of a namespace": PREFIXED.encode(),
    "a SOAP envelope": SOAP.format(REPORT).encode(),
    "a form": f"xml={quote_plus(REPORT)}".encode(),
    "a form, %20 for a space": f"XML={quote(REPORT, safe='')}".encode(),
    "a raw form": f"xml={REPORT}".encode(),
    "a raw form with more fields": f"a=1&xml={REPORT}&b=2".encode(),
    "encoded without a field": quote(REPORT, safe="").encode(),
    "multipart": f"{HEAD}{REPORT}\r\n--b--\r\n".encode(),
    "multipart, encoded": f"{HEAD}{quote_plus(REPORT)}\r\n--b--\r\n".encode(),
    "UTF-16 that is none": (DECLARATION.replace("UTF-8", "utf-16") + REPORT).encode(),
    "UTF-16BE without a mark": REPORT.encode("utf-16-be"),
    "a form with more fields": f"a=1&report=+{quote_plus(DECLARATION + REPORT)}%0A&b=2".encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_form_of_a_body_is_read(body: bytes) -> None:
    """By its content, since its type says little; absent dates are none."""
    assert decode_push(body) == [DeliveryReport("a+b&c", DeliveryStatus.SENT, "SENT")]


@pytest.mark.parametrize("root", ["<DeliveryReport/>", "<deliveryreport> </deliveryreport>"])
def test_an_empty_root_is_no_report(root: str) -> None:
    """The gateway has nothing to say."""
    assert decode_push(root.encode()) == []


@pytest.mark.parametrize("zero", ["0000-00-00 00:00:00", "0000/0/0 0:0:0", "  "])
def test_a_zero_date_is_none(zero: str) -> None:
    """And nothing to keep."""
    document = f'<DeliveryReport><message id="1" status="SENT" sentdate="{zero}"/></DeliveryReport>'
    assert decode_push(document.encode()) == [DeliveryReport("1", DeliveryStatus.SENT, "SENT")]


def test_dates_are_in_the_zone_that_the_user_names() -> None:
    """Without one they are naive."""
    dates = b'sentdate="2005/7/19 22:0:0" donedate="2005/7/19 22:0:0"'
    document = b'<DeliveryReport><message id="1" status="SENT" %b/></DeliveryReport>' % dates
    (naive,) = decode_push(document)
    (aware,) = decode_push(document, zone=ZoneInfo("Europe/Zagreb"))
    assert isinstance(naive, DeliveryReport)
    assert isinstance(aware, DeliveryReport)
    assert naive.sent_at == naive.done_at == datetime(2005, 7, 19, 22)
    assert aware.sent_at == aware.done_at == datetime(2005, 7, 19, 20, tzinfo=UTC)


def test_the_clocks_are_put_back_between_two_dates() -> None:
    """The later of the two is the later, by as much as it was."""
    dates = b'sentdate="2010/10/31 2:50:0" donedate="2010/10/31 2:10:0"'
    document = b'<DeliveryReport><message id="1" status="SENT" %b/></DeliveryReport>' % dates
    (report,) = decode_push(document, zone=ZoneInfo("Europe/Zagreb"))
    assert isinstance(report, DeliveryReport)
    assert report.done_at is not None
    assert report.sent_at is not None
    assert report.done_at - report.sent_at == timedelta(minutes=20)


def test_a_date_beside_one_that_is_none_has_the_zone() -> None:
    """What is wrong with one says nothing about the other."""
    message = b'<message id="1" status="SENT" sentdate="soon" donedate="2005/7/19 22:0:0"/>'
    document = b"<DeliveryReport>%b</DeliveryReport>" % message
    (report,) = decode_push(document, zone=ZoneInfo("Europe/Zagreb"))
    assert isinstance(report, DeliveryReport)
    assert report.done_at == datetime(2005, 7, 19, 20, tzinfo=UTC)


def test_elements_in_messages_of_an_envelope() -> None:
    """They are extras by their names without prefixes; what is beside a report is none."""
    report = (
        '<n:deliveryreport><n:message><n:id>1</n:id><n:status at="x">SENT</n:status></n:message>'
        "</n:deliveryreport>"
    )
    (read,) = decode_push(SOAP.format(report).encode())
    assert read == DeliveryReport("1", DeliveryStatus.SENT, "SENT", extras={"status.at": "x"})
    with pytest.raises(RemoteProtocolError, match="the root is not"):
        decode_push(SOAP.format("").encode())


NO_CHARACTERS = [
    "\0",
    "\x01",
    "\x1f",
    "\uffff",
    "&#0;",
    "&#x1F;",
    "&#xD800;",
    "&#65535;",
    "&#x110000;",
    "&#9999999999;",
]


@pytest.mark.parametrize("character", NO_CHARACTERS)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_what_is_no_character_costs_itself(character: str, codec: str) -> None:
    """As an octet of another charset does; the rows beside it are as they are."""
    row = f'<message id="2" status="A&amp;{character}&#x20;&#9;" />'
    spare = " " * 8_180  # so that some of them stand where two pieces meet
    for blank in (spare[: -len(row)], spare, spare[10:], spare[20:]):
        document = f"<DeliveryReport>{blank}{GOOD}{row}{GOOD}</DeliveryReport>"
        before, mended, after = decode_push(document.encode(codec))
        assert before == after == DeliveryReport("1", DeliveryStatus.SENT, "SENT")
        assert isinstance(mended, DeliveryReport)
        assert mended.raw_status == "A&\ufffd \t"


GOOD = '<message id="1" status="SENT" />'
SET_ASIDE = {
    "no id": '<message status="SENT" />',
    "an empty id": '<message id="" status="SENT" />',
    "an empty id, all the rest": '<message id="" sentdate="" donedate="" status="SENT" />',
    "no status": '<message id="1" stat="SENT" />',
    "another element": '<note id="1" status="SENT" />',
    "another element, whole": '<note id="1" sentdate="" donedate="" status="SENT" />',
    "an id twice": '<message id="1" ID="2" status="SENT" />',
    "a status twice": '<message id="1" status="SENT" Status="DELIVERED" />',
    "quotes and angles": '<message id="" x="&lt;&quot;&amp;" />'.replace(
        '"&lt;&quot;&amp;"', "'&lt;\"&amp;'"
    ),
}


@pytest.mark.parametrize("row", SET_ASIDE.values(), ids=SET_ASIDE)
def test_a_row_that_cannot_be_read_is_set_aside(row: str) -> None:
    """As it was received, in its place between good ones."""
    before, aside, after = decode_push(
        f"<DeliveryReport>{GOOD}{row}{GOOD}</DeliveryReport>".encode()
    )
    assert before == after == DeliveryReport("1", DeliveryStatus.SENT, "SENT")
    assert isinstance(aside, UnreadableRow)
    assert aside.raw == row
    assert aside.reason == "not a <message> with an id and a status, and nothing twice"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "holds no delivery report"),
        (b"  ", "holds no delivery report"),
        (b"hello", "holds no delivery report"),
        (b"dlr=1;2;DELIVRD;;;0", "holds no delivery report"),
        (f"a={quote(REPORT)}&b={quote(REPORT)}".encode(), "holds no delivery report"),
        (REPORT.encode()[:-1], "not readable XML"),
        (b"<DeliveryReport>&x;</DeliveryReport>", "not readable XML"),
        (b"a=%3CDeliveryReport%3E", "not readable XML"),
        (b"<html/>", "the root is not <DeliveryReport>"),
        (b'<reports><DeliveryReport id="1" status="SENT"/></reports>', "the root is not"),
        (b'<message id="1" status="SENT"/>', "the root is not <DeliveryReport>"),
        (b"<!DOCTYPE html><html></html>", "such XML is not read"),
        (b"<a>" * 100_000, "more than 16 levels"),
    ],
)
def test_an_unreadable_body(body: bytes, reason: str) -> None:
    """None of it becomes an event."""
    with pytest.raises(RemoteProtocolError, match=reason):
        decode_push(body)


def test_elements_in_a_message_are_kept() -> None:
    """With their attributes, as attributes of the message would be; its own count first."""
    first = (
        '<message id="1" STATUS="SENT"><price>\n<amount> 0.01 </amount><unit>EUR</unit></price>'
        '<status>no</status><note/><sms Parts="2"><part id="7"/></sms></message>'
    )
    second = "<message><ID>2</ID><status>DELIVERED</status></message>"
    document = f"<DeliveryReport>{first}{second}{GOOD}</DeliveryReport>"
    for body in (document.encode(), document.encode("utf-16")):
        assert decode_push(body) == [
            DeliveryReport(
                "1",
                DeliveryStatus.SENT,
                "SENT",
                extras={
                    "price.amount": "0.01",
                    "price.unit": "EUR",
                    "sms.parts": "2",
                    "sms.part.id": "7",
                },
            ),
            DeliveryReport("2", DeliveryStatus.DELIVERED, "DELIVERED"),
            DeliveryReport("1", DeliveryStatus.SENT, "SENT"),
        ]


def test_a_row_more_than_may_be_ends_the_reading() -> None:
    """Before the others cost anything."""
    body = f"<DeliveryReport>{GOOD * 3}</DeliveryReport>".encode()
    assert len(decode_push(body, most_rows=3)) == 3
    with pytest.raises(RemoteProtocolError, match="more than 2 rows") as caught:
        decode_push(body, most_rows=2)
    assert caught.value.raw == body


def test_a_truncated_document_is_no_report() -> None:
    """Cut at any octet, not even its first rows count: the gateway sends all of it again."""
    whole = encode_push([DeliveryReport(str(n), DeliveryStatus.SENT, "SENT") for n in range(3)])
    for cut in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            decode_push(whole[:cut])


text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\r\n\t \"'<>&;")
)
names = st.from_regex(r"[a-z_][a-z0-9._-]{0,9}", fullmatch=True).filter(
    lambda name: name not in {"id", "status", "sentdate", "donedate"}
)
dates = st.none() | st.datetimes(datetime(1000, 1, 1)).map(lambda date: date.replace(microsecond=0))
reports = st.builds(
    lambda message_id, status, sent_at, done_at, extras: DeliveryReport(
        message_id,
        DeliveryStatus.__members__.get(status.strip().upper(), DeliveryStatus.UNKNOWN),
        status,
        sent_at,
        done_at,
        extras,
    ),
    text.filter(bool),
    text | st.sampled_from([status.value for status in DeliveryStatus]),
    dates,
    dates,
    st.dictionaries(names, text, max_size=3),
)


@given(st.lists(reports, max_size=5))
def test_what_is_encoded_is_decoded(given_reports: list[DeliveryReport]) -> None:
    """Ids, statuses and attributes with any character that XML can carry."""
    assert decode_push(encode_push(given_reports)) == given_reports
