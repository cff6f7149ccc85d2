"""XML is read, or refused, whoever sent it."""

import re
from functools import partial
from urllib.parse import quote, quote_plus

import pytest

from infobip_async.errors import RemoteProtocolError
from infobip_async.protocol import form, safe_xml

Elements = list[tuple[int, str, dict[str, str]]]


def read(document: bytes, depth: int = 3) -> tuple[Elements, list[tuple[int, str]]]:
    """What the two callbacks were told."""
    starts: Elements = []
    ends: list[tuple[int, str]] = []
    safe_xml.read(
        document,
        lambda level, name, attributes: starts.append((level, name, dict(attributes.items()))),
        lambda level, text: ends.append((level, text)),
        depth=depth,
    )
    return starts, ends


def test_elements_are_told_in_order_with_level_attributes_and_text() -> None:
    """Text is that of the element itself, in pieces or as CDATA; comments do not count."""
    document = b'<a x="1">no<b y="&lt;&#10;">one<!-- not --> &amp; <![CDATA[<two>]]></b><c/></a>'
    assert read(document) == (
        [(1, "a", {"x": "1"}), (2, "b", {"y": "<\n"}), (2, "c", {})],
        [(2, "one & <two>"), (2, ""), (1, "")],
    )


def test_text_behind_an_element_is_that_of_the_one_around_it() -> None:
    """What the inner one said is no part of it."""
    assert read(b"<a>x<b>y</b>z</a>")[1] == [(2, "y"), (1, "z")]


def test_without_an_end_callback_text_is_passed_over() -> None:
    """A format that lives in attributes alone need not collect text."""
    starts: list[str] = []
    safe_xml.read(b"<a>x<b>y</b></a>", lambda _, name, __: starts.append(name), depth=2)
    assert starts == ["a", "b"]


@pytest.mark.parametrize(
    "document",
    [
        '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"),
        '<?xml version="1.0" encoding="windows-1252"?><a>é</a>'.encode("cp1252"),
        '<?xml version="1.0"?><a>é</a>'.encode(),
        "<a>é</a>".encode("utf-8-sig"),
        "<a>é</a>".encode("utf-16"),
        '<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16"),
        b"\xfe\xff" + "<a>é</a>".encode("utf-16-be"),
    ],
)
def test_the_declared_encoding_and_byte_order_marks_are_obeyed(document: bytes) -> None:
    """A document may come in another encoding than UTF-8 if it says so."""
    assert read(document)[1] == [(1, "é")]


HOSTILE = {
    "DTD": b"<!DOCTYPE a><a/>",
    "DTD of a file": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/">%x;]><a/>',
    "entity bomb": b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;&c;</a>',
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_a_document_type_is_refused_with_all_it_could_bring(document: bytes) -> None:
    """No DTD is read, so no entity is expanded and nothing is fetched."""
    with pytest.raises(RemoteProtocolError, match=r"^DTDForbidden: such XML is not read") as caught:
        read(document)
    assert caught.value.raw == document


def test_an_element_of_another_charset_that_does_not_end() -> None:
    """It is kept and read again with each piece, so it has a limit; plain ASCII has none."""
    text = "x" * 100_000
    assert read(f"<a>{text}</a>".encode())[1] == [(1, text)]
    with pytest.raises(RemoteProtocolError, match="more than 65536 octets without an element"):
        read(f"<a>é{text}</a>".encode())
    parts = "<b>é</b>" * 10_000
    assert len(read(f"<a>{parts}</a>".encode())[1]) == 10_001


UNREADABLE = {
    "empty": b"",
    "blank": b" \r\n",
    "no XML": b"Service Unavailable",
    "undeclared entity": b"<a>&x;</a>",
    "truncated": b"<a><b>",
    "crossed": b"<a><b></a></b>",
    "two roots": b"<a/><a/>",
    "text behind the root": b"<a/>x",
    "attribute twice": b'<a x="1" x="2"/>',
    "attribute without quotes": b"<a x=1/>",
    "NUL": b"<a>\x00</a>",
    "NUL as a reference": b"<a>&#0;</a>",
    "control character": b"<a>\x01</a>",
    "surrogate as a reference": b"<a>&#xD800;</a>",
    "an encoding behind the prolog that is read": b"<?xml version='1.0'%b encoding='x'?><a/>"
    % (b" " * 999),
}


@pytest.mark.parametrize("document", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_xml_is_refused_in_one_way(document: bytes) -> None:
    """Whatever is wrong, the same error leaves, with the document beside its text."""
    with pytest.raises(RemoteProtocolError, match=r"^not readable XML") as caught:
        read(document)
    assert caught.value.raw == document


NAMED_WRONGLY = {
    "UTF-16 over UTF-8": b'<?xml version="1.0" encoding="UTF-16"?><a>\xc3\xa9</a>',
    "UTF-8 over Latin-1": b'<?xml version="1.0" encoding="UTF-8"?><a>\xe9</a>',
    "ASCII over UTF-8": b'<?xml version="1.0" encoding="us-ascii"?><a>\xc3\xa9</a>',
    "Unicode": b'<?xml version="1.0" encoding="Unicode"?><a>\xc3\xa9</a>',
    "single quotes and spaces": b"<?xml version='1.0'\tencoding = 'X-NONE' ?><a>\xc3\xa9</a>",
    "no encoding of text": b'<?xml version="1.0" encoding="hex"?><a>\xc3\xa9</a>',
    "several octets": b'<?xml version="1.0" encoding="utf-7"?><a>\xc3\xa9</a>',
    "one that always fails": b'<?xml version="1.0" encoding="undefined"?><a>\xc3\xa9</a>',
    "one that fails here": b'<?xml version="1.0" encoding="idna"?><a>\xc3\xa9</a>',
    "a NUL": b'<?xml version="1.0" encoding="a\0b"?><a>\xc3\xa9</a>',
    "in ASCII": b'<?xml version="1.0" encoding="UTF-16"?><a>&#233;</a>',
    "UTF-16 without a mark": "<a>é</a>".encode("utf-16-be"),
    "the other UTF-16 without a mark": "<a>é</a>".encode("utf-16-le"),
    "half a UTF-16 character behind": "<a>é</a>".encode("utf-16") + b"\x00",
    "UTF-8 in UTF-16": '<?xml version="1.0" encoding="utf-8"?><a>é</a>'.encode("utf-16"),
}


@pytest.mark.parametrize("document", NAMED_WRONGLY.values(), ids=NAMED_WRONGLY)
def test_a_wrong_encoding_costs_nothing(document: bytes) -> None:
    """What is in the document counts, and not what is said of it."""
    assert read(document)[1] == [(1, "é")]


def test_an_octet_without_a_character_costs_itself() -> None:
    """In UTF-8 that is declared or not, and in a charset of single octets."""
    for declared in (b"", b'<?xml version="1.0" encoding="utf-8"?>'):
        assert read(declared + b"<a>\xc3\xa9\xff</a>")[1] == [(1, "é\ufffd")]
    document = b'<?xml version="1.0" encoding="iso-8859-7"?><a>\xf9\xff</a>'
    assert read(document)[1] == [(1, "ω\ufffd")]


def test_padding_is_cut_off_where_it_is_allowed() -> None:
    """A NUL behind a document is no XML otherwise."""
    starts: list[str] = []
    take = partial(safe_xml.read, start=lambda _, name, __: starts.append(name), depth=1)
    take(b"<a/>\n\0", padding=b"\n\0")
    assert starts == ["a"]
    with pytest.raises(RemoteProtocolError):
        take(b"<a/>\n\0")


HEAD = b"--x\r\nContent-Disposition: form-data; name=xml"
RAW = b'<a x="b+c%41&amp;d"/>'
BODIES = {
    "raw": RAW,
    "white space and a mark": b"\r\n \xef\xbb\xbf\n" + RAW,
    "a raw field": b"xml=" + RAW,
    "a raw field among others": b"a=1&xml= \xef\xbb\xbf " + RAW + b"&b=2",
    "an encoded field": b"xml=" + quote_plus(RAW).encode(),
    "an encoded field among others": b"a=1&xml=" + quote_plus(RAW).encode() + b"&b=%3D&c",
    "a mark in the field": b"xml=%EF%BB%BF" + quote_plus(RAW).encode(),
    "white space in the field": b"xml=+%0D%0A%20" + quote(RAW).encode(),
    "no field, encoded": quote(RAW, safe="").encode(),
    "no field, = not encoded": quote(RAW, safe="=").encode(),
    "an encoded form": quote(b"a=1&xml=" + RAW, safe="").encode(),
    "multipart": HEAD + b"\r\n\r\n" + RAW + b"\r\n--x--\r\n",
    "multipart, a file with a mark": HEAD
    + b'; filename="r.xml"\r\nContent-Type: text/xml\r\n\r\n\xef\xbb\xbf'
    + RAW
    + b"\r\n--x--",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_document_is_found_in_a_body(body: bytes) -> None:
    """Whether its octets are encoded is told by the document itself."""
    assert safe_xml.documents(body) == [RAW]


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"hello", b"a=1", b"a=1&b=%3D", b"%41", b"%3D", b"--x", b"--x\r\nContent-Type: a"],
)
def test_a_body_without_a_document(body: bytes) -> None:
    """Nothing is found, and nothing goes wrong."""
    assert safe_xml.documents(body) == []


def test_two_documents_in_a_body() -> None:
    """Both are given: which one counts is for the format to say."""
    encoded = quote(RAW).encode()
    assert safe_xml.documents(b"a=" + encoded + b"&b=" + encoded) == [RAW, RAW]


def test_a_document_deeper_than_its_format_is_refused() -> None:
    """The depth is the format's, and the first level below it ends the reading."""
    assert read(b"<a><b/></a>", depth=2)
    with pytest.raises(RemoteProtocolError, match=re.escape("more than 2 levels of elements")):
        read(b"<a><b><c/></b></a>", depth=2)


def test_a_tower_of_elements_is_refused_at_once() -> None:
    """A million levels cost no more than the first ones."""
    with pytest.raises(RemoteProtocolError, match="more than 3 levels"):
        read(b"<a>" * 1_000_000)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"<a/>", True),
        (b"\xef\xbb\xbf<a/>", True),
        ("<a/>".encode("utf-16"), True),
        (b"\xfe\xff\x00<", True),
        (b"", False),
        (b"%3Ca%2F%3E", False),
        (b"dlr=<a/>", False),
        ("éa".encode("latin-1"), False),
    ],
)
def test_a_document_is_told_by_its_first_octets(octets: bytes, *, expected: bool) -> None:
    """A tag or a byte order mark begins one; a form or an encoded document does not."""
    assert safe_xml.is_document(octets) is expected


@pytest.mark.parametrize("octets", [b"\xff", b"\xc0\xbc", b"\xed\xa0\x80", b"caf\xe9", b"\x80"])
def test_an_octet_of_another_charset_costs_nothing(octets: bytes) -> None:
    """Where no encoding is named, what is no UTF-8 is read as Windows-1252."""
    found: list[str] = []
    document = b"<a>" + octets + b"</a>"
    safe_xml.read(document, lambda *_: None, lambda _, text: found.append(text), depth=1)
    assert found == [form.text(octets)]
