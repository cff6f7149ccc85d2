"""Names and values as URLs and forms carry them."""

from urllib.parse import unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol import form
from infobip_async.protocol.exchange import HttpRequest

characters = st.characters(exclude_categories=["Cs"])


def check(pairs: list[tuple[str, str]], wire: str) -> None:
    """The pairs are written so, and so are read."""
    assert form.encode(pairs) == wire
    assert form.decode(wire) == pairs


@pytest.mark.parametrize(
    ("pairs", "wire"),
    [
        ([], ""),
        ([("a", "b")], "a=b"),
        ([("a", "")], "a="),
        ([("a", "1"), ("a", "2")], "a=1&a=2"),
        ([("a", " + %20&=;")], "a=+%2B+%2520%26%3D%3B"),
        ([("a b", "é€\U0001f600")], "a+b=%C3%A9%E2%82%AC%F0%9F%98%80"),
        ([("a", "\r\n\t\x00")], "a=%0D%0A%09%00"),
        ([("a", "-._~*!'()/")], "a=-._~%2A%21%27%28%29%2F"),
        ([("", "x")], "=x"),
    ],
)
def test_literal_pairs(pairs: list[tuple[str, str]], wire: str) -> None:
    """Everything but the unreserved characters is encoded, space as a plus."""
    check(pairs, wire)


@given(st.lists(st.tuples(st.text("19Az;\n-._~"), st.text("19Az;\n-._~ +%é"))))
def test_rows_are_encoded_as_anything_else(pairs: list[tuple[str, str]]) -> None:
    """What is written by its separators alone is written as the standard library does."""
    assert form.encode(pairs) == urlencode(pairs)


@given(st.lists(st.tuples(st.text(characters), st.text(characters))))
def test_what_is_encoded_is_decoded(pairs: list[tuple[str, str]]) -> None:
    """Any text survives, names and repeated names too."""
    assert form.decode(form.encode(pairs)) == pairs


@pytest.mark.parametrize(
    ("wire", "pairs"),
    [
        ("a", [("a", "")]),
        ("&&a=1&", [("a", "1")]),
        ("a=b=c", [("a", "b=c")]),
        ("a=%", [("a", "%")]),
        ("a=%4", [("a", "%4")]),
        ("a=%zz%41", [("a", "%zzA")]),
        ("a=%2b+%2B", [("a", "+ +")]),
        ("%61=%c3%A9", [("a", "é")]),
        ("a=é", [("a", "é")]),
        ("a=%E9", [("a", "é")]),
        ("a=%80", [("a", "€")]),
        ("a=%81", [("a", "\x81")]),
        ("a=%E9&b=%C3%A9", [("a", "é"), ("b", "é")]),
        ("a=\udce9", [("a", "é")]),
        ("a;b=1", [("a;b", "1")]),
    ],
)
def test_what_others_write_is_read(wire: str, pairs: list[tuple[str, str]]) -> None:
    """Stray percent signs stay, and a charset is guessed per value so that nothing is lost."""
    assert form.decode(wire) == pairs


HEAD = b"--b\r\nContent-Disposition: form-data; name="
LONG = b"--" + b"b" * 300 + b"\nContent-Type: a"
PARTS = {
    "none": (b"--b\r\nContent-Type: a\r\n\r\nx\r\n--b--", []),
    "one": (HEAD + b'"a"\r\n\r\n1\r\n--b--\r\n', [(b"a", b"1")]),
    "several": (
        (
            b"\r\n%b" % HEAD + b'"a"\r\n\r\n1+%41\r\n--b\r\ncontent-disposition:form-data;name=b;'
            b'filename="c"\r\nContent-Type: x\r\n\r\n\r\n2\r\n\r\n--b--\r\n'
        ),
        [(b"a", b"1+%41"), (b"b", b"\r\n2\r\n")],
    ),
    "line feeds": (b"--b\nContent-Disposition: x; name=a\n\n1\n--b--", [(b"a", b"1")]),
    "an empty name": (b'--b\nContent-Disposition: x; name=""\n\n1\n--b--', [(b"", b"1")]),
    "cut off": (b"--b\nContent-Disposition: x; name=a\n\n1", [(b"a", b"1")]),
    "no headers": (b"--b\n\n1\n--b--", [(b"--b\n\n1\n--b--", b"")]),
    "a long line": (
        b"--" + b"b" * 300 + b"\nContent-x",
        [(b"--" + b"b" * 300 + b"\nContent-x", b"")],
    ),
    "a form": (b"a=%31&b", [(b"a", b"1"), (b"b", b"")]),
}


@pytest.mark.parametrize(("body", "fields"), PARTS.values(), ids=PARTS)
def test_the_body_of_a_post_is_taken_apart(body: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    """A form of either kind, told by its content."""
    assert form.fields(body) == fields


def test_a_form_has_a_most_of_fields() -> None:
    """What is behind them counts to the last one; so memory is bounded."""
    fields = form.split(b"a&" * 2000)
    assert len(fields) == form.MOST_FIELDS
    assert fields[-1][0].count(b"&") == 1001


@pytest.mark.parametrize("pad", range(4))
@pytest.mark.parametrize("escape", ["%41", "%%41", "%4%41", "%"])
def test_an_escape_that_two_blocks_share(pad: int, escape: str) -> None:
    """Wherever the blocks end, all is decoded as if there were one."""
    quoted = ("x" * pad + escape * 9_000).encode()
    assert form.unquote(quoted) == unquote_to_bytes(quoted)


@given(st.lists(st.text("aZ0+%4;=é", max_size=8).map(str.encode)))
def test_plain_names_and_values_are_decoded_as_others(fields: list[bytes]) -> None:
    """Those of letters and digits take a short cut, and come to the same."""
    pairs = [field.partition(b"=") for field in fields if field]
    decoded = [(form.unquote(name), form.unquote(value)) for name, _, value in pairs]
    assert form.split(b"&".join(fields)) == decoded


def test_octets_are_printed() -> None:
    """Those of UTF-8 as they are."""
    assert form.printable("é\n".encode() + b"\x80\xffa") == "é\n\\x80\\xffa"


def test_a_surrogate_in_a_query_is_no_fault() -> None:
    """A server may hand on what stands for no octet."""
    assert form.decode("a=\ud800é") == [("a", "\ufffdé")]


def test_octets_give_a_raw_query_back_as_it_was() -> None:
    """Servers hand octets on that are no UTF-8 as surrogates."""
    raw = b"a=\xe9\xff%00"
    assert form.octets(raw.decode("utf-8", "surrogateescape")) == raw


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/p", "http://h/p?a=1&b=%26"),
        ("http://h/p?route=7", "http://h/p?route=7&a=1&b=%26"),
    ],
)
def test_a_query_goes_behind_the_one_that_a_url_has(url: str, expected: str) -> None:
    """An address may need a parameter of its own."""
    assert form.with_query(url, [("a", "1"), ("b", "&")]) == expected


def test_a_lone_surrogate_is_refused_without_showing_the_value() -> None:
    """The codec's own error would hold the whole value, which may be a password."""
    with pytest.raises(LocalProtocolError) as caught:
        form.encode([("user", "é"), ("password", "secret\udc80")])
    assert str(caught.value) == "password: U+DC80 at position 6 is no character"
    assert caught.value.field == "password"
    assert "secret" not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), (" ", 0), ("0", 0), (" 8\n", 8), ("008", 8), ("255", 255)],
)
def test_an_octet(text: str, expected: int) -> None:
    """White space around it does not matter; an empty one is not given."""
    assert form.octet(text) == expected


@pytest.mark.parametrize(
    "text", ["256", "0008", "-1", "+1", "1 2", "0x8", "8.0", "x", "\u0668", "9" * 5000]
)
def test_what_is_no_octet_raises(text: str) -> None:
    """However large."""
    with pytest.raises(ValueError, match="not a number from 0 to 255"):
        form.octet(text)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (HttpRequest("GET", "http://h/p?User=a&PASS=B%26c"), {"user": "a", "pass": "B&c"}),
        (HttpRequest("GET", "/p?a=1", b"b=2"), {"a": "1"}),
        (HttpRequest("POST", "/p", b"A=1&b=2"), {"a": "1", "b": "2"}),
        (HttpRequest("POST", "/p?a=1", b"a=2&b=3"), {"a": "1", "b": "3"}),
        (HttpRequest("GET", "/p?a=1&A=2"), {"a": "1"}),
        (HttpRequest("GET", "/p?%20a=1"), {"a": "1"}),
        (HttpRequest("GET", "//[?a=1"), {"a": "1"}),
        (HttpRequest("GET", "/p"), {}),
    ],
)
def test_parameters_of_a_request_to_a_gateway(
    request_: HttpRequest, expected: dict[str, str]
) -> None:
    """Names in any case, from the query and from a POST's body; the first of several counts."""
    assert form.parameters(request_) == expected
