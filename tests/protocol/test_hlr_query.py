"""HLR queries."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import GatewayFailureError, LocalProtocolError, RemoteProtocolError
from infobip_async.models.receipts import HlrSubmission
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest
from infobip_async.protocol.hlr_query import (
    HlrRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

URL = "http://api.infobip.com/api/hlr/query.aspx"
LOGIN = Credentials("XXXX", "XXXX")
characters = st.characters(exclude_categories=["Cs"])


def check(form: str, login: Credentials, *destinations: str) -> None:
    """The query is this form, by POST and by GET, and is read from either."""
    post = encode_request(URL, login, destinations)
    get = encode_request(URL, login, destinations, method="GET")
    assert post == HttpRequest("POST", URL, form.encode(), "application/x-www-form-urlencoded")
    assert get == HttpRequest("GET", f"{URL}?{form}")
    assert decode_request(post) == decode_request(get) == HlrRequest(login, destinations)


@pytest.mark.parametrize(
    ("form", "destinations"),
    [
        ("user=XXXX&pass=XXXX&destinations=123456", ("123456",)),
        (
            "user=XXXX&pass=XXXX&destinations=38598303174%3B38598514674%3B49170111222",
            ("38598303174", "38598514674", "49170111222"),
        ),
        ("user=XXXX&pass=XXXX&destinations=1%3B1", ("1", "1")),
        ("user=XXXX&pass=XXXX&destinations=%2B385+98%3Bsdfsd", ("+385 98", "sdfsd")),
    ],
)
def test_literal_pairs(form: str, destinations: tuple[str, ...]) -> None:
    """The semicolons are encoded; whether a number is one is the gateway's to judge."""
    check(form, LOGIN, *destinations)


def test_the_query_of_the_document(golden: Callable[[str], str]) -> None:
    """By GET as it is printed, with the document's own destinations."""
    destinations = golden("4-destinations.txt")
    request = encode_request(URL, LOGIN, destinations.split(";"), method="GET")
    printed = golden("4-query.url").replace("destinations=XXXX", f"destinations={destinations}")
    assert request.url == printed.replace(";", "%3B")
    assert decode_request(HttpRequest("GET", printed)) == decode_request(request)


numbers = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters=";"), min_size=1
)


@given(
    st.builds(Credentials, st.text(characters), st.text(characters)),
    st.lists(numbers, min_size=1),
    st.sampled_from(["GET", "POST"]),
)
def test_what_is_encoded_is_decoded(
    login: Credentials, destinations: list[str], method: str
) -> None:
    """Any password, and any destination that the list can carry."""
    request = encode_request(URL, login, destinations, method=method)  # type: ignore[arg-type]
    assert decode_request(request) == HlrRequest(login, tuple(destinations))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            HttpRequest("POST", "/q", b"USER=u&Pass=p&Destinations=1;2"),
            HlrRequest(Credentials("u", "p"), ("1", "2")),
        ),
        (
            HttpRequest("POST", "/q?user=u&pass=p", b"destinations=1"),
            HlrRequest(Credentials("u", "p"), ("1",)),
        ),
        (
            HttpRequest("GET", "/q?destinations=1;;2;"),
            HlrRequest(Credentials("", ""), ("1", "", "2", "")),
        ),
        (HttpRequest("GET", "/q"), HlrRequest(Credentials("", ""), ())),
    ],
)
def test_the_liberties_that_clients_take(request_: HttpRequest, expected: HlrRequest) -> None:
    """Names in any case, in query or body; each place between semicolons is a destination."""
    assert decode_request(request_) == expected


@pytest.mark.parametrize(
    "destinations",
    [[], [""], ["1", ""], ["1;2"], ["1\n2"], ["1\r"], ["1\x00"], ["1\u2028"], ["\ud800"]],
)
def test_what_the_list_cannot_carry_is_refused(destinations: list[str]) -> None:
    """An empty list, an empty number, and what would break the rows of the reply."""
    with pytest.raises(LocalProtocolError) as caught:
        encode_request(URL, LOGIN, destinations)
    assert (caught.value.field, caught.value.section) == ("destinations", "4")


def test_no_repr_shows_the_password() -> None:
    """Neither by POST nor by GET."""
    login = Credentials("X", "marked")
    post = encode_request(URL, login, ["1"])
    get = encode_request(URL, login, ["1"], method="GET")
    assert "marked" not in post.url
    assert "marked" not in f"{post!r} {get!r} {decode_request(post)!r}"


# --- replies ---


def reply(
    body: str, destinations: Sequence[str], status: int = 200, *, delimited: bool = True
) -> tuple[HlrSubmission, ...]:
    """What a client reads from a reply."""
    return decode_reply(HttpReply(status, body.encode(), delimited=delimited), destinations)


def ok(destination: str, lookup_id: str) -> HlrSubmission:
    """A row that was accepted."""
    return HlrSubmission(destination, accepted=True, lookup_id=lookup_id, raw_status="OK")


def failed(destination: str, raw_status: str = "FAILED") -> HlrSubmission:
    """A row that was not."""
    return HlrSubmission(destination, accepted=False, lookup_id=None, raw_status=raw_status)


@pytest.mark.parametrize(
    ("wire", "rows"),
    [
        (b"OK\n1;OK;a-1\n", (ok("1", "a-1"),)),
        (b"OK\n1;OK;a-1\n2;FAILED;\n1;OK;a-2\n", (ok("1", "a-1"), failed("2"), ok("1", "a-2"))),
        (b"OK\n1;REJECTD;\n", (failed("1", "REJECTD"),)),
    ],
)
def test_literal_replies(wire: bytes, rows: tuple[HlrSubmission, ...]) -> None:
    """A row per destination, in the order of the query, both ways."""
    assert encode_reply(rows) == HttpReply(200, wire)
    assert decode_reply(HttpReply(200, wire), [row.destination for row in rows]) == rows


def test_the_reply_of_the_document(golden: Callable[[str], str]) -> None:
    """With its numbers that are none, of which the gateway says so."""
    rows = (
        ok("123456", "121c0a6b752-1-92"),
        ok("23423423232", "121c0a6b752-1-93"),
        failed("23'0498239048230"),
        ok("2343223", "121c0a6b752-1-94"),
        failed("sdfsd"),
        ok("23422342342", "121c0a6b752-1-95"),
        ok("234234", "121c0a6b752-1-96"),
    )
    destinations = [row.destination for row in rows]
    printed = golden("4-reply.txt")
    assert reply(f"{printed}\n", destinations) == rows
    assert reply(printed.replace("\n", "\n \n") + "\n", destinations) == rows
    assert encode_reply(rows).body.decode() == f"{printed}\n"


lookup_ids = st.from_regex(r"[0-9A-F-]{1,20}", fullmatch=True)
plain = numbers.filter(lambda text: text == text.strip())


@given(st.lists(st.builds(ok, plain, lookup_ids) | st.builds(failed, plain), min_size=1))
def test_what_a_gateway_replies_is_read(rows: list[HlrSubmission]) -> None:
    """Whatever the destinations."""
    destinations = [row.destination for row in rows]
    assert decode_reply(encode_reply(rows), destinations) == tuple(rows)


@pytest.mark.parametrize(
    "body",
    [
        "OK\r\n1;OK;a\r\n2;FAILED;\r\n",
        "\ufeffOK\n1;OK;a\n2;FAILED;\n",
        "\r\nOK\r\n\r\n1;OK;a\r\n \r\n2;FAILED;\r\n\r\n",
        "ok\n 1 ; ok ; a \n2;FAILED;\n",
        "ok\n1;Ok;a\n2;FAILED;\n",
        "OK\n1;OK;a;\n2;FAILED;;\n",
        "OK\n1;OK;a;more\n2;FAILED\n",
    ],
)
def test_spellings_of_a_reply(body: str) -> None:
    """Line ends, blank lines, case, white space and further fields do not matter."""
    first, second = reply(body, ["1", "2"])
    assert (first.destination, first.accepted, first.lookup_id) == ("1", True, "a")
    assert second == failed("2")


def test_a_destination_with_white_space_around_it() -> None:
    """Which a gateway may well drop."""
    assert reply("OK\n1;OK;a\n", [" 1"]) == (ok("1", "a"),)


def test_a_row_that_says_nothing_is_not_accepted() -> None:
    """Nor is one with a status of its own."""
    assert reply("OK\n1\n2;;\n3;OKAY;x\n", ["1", "2", "3"]) == (
        failed("1", ""),
        failed("2", ""),
        HlrSubmission("3", accepted=False, lookup_id="x", raw_status="OKAY"),
    )


@pytest.mark.parametrize("row", ["1;OK;", "1;OK; ", "1;ok;"])
def test_a_row_that_is_accepted_without_an_id(row: str) -> None:
    """Its report can be told by the number alone."""
    (submission,) = reply(f"OK\n{row}\n", ["1"])
    assert (submission.accepted, submission.lookup_id) == (True, None)


@pytest.mark.parametrize("body", ["FAILED", "FAILED\n", " failed\r\n", "FAILED\n1;FAILED;\n"])
def test_a_query_that_is_refused(body: str) -> None:
    """The gateway does not say why."""
    with pytest.raises(GatewayFailureError, match="username or password wrong") as caught:
        reply(body, ["1"])
    assert (caught.value.code, caught.value.name) == ("FAILED", "FAILED")
    assert caught.value.operation == "submit_hlr"


def test_a_refusal_both_ways(golden: Callable[[str], str]) -> None:
    """As the document prints it."""
    written = encode_reply(None)
    assert written == HttpReply(200, golden("4-reply-failed.txt").encode() + b"\n")
    with pytest.raises(GatewayFailureError):
        decode_reply(written, ["1"])


HEAD = "the reply starts with neither OK nor FAILED"
UNREADABLE = {
    "empty": ("", HEAD),
    "blank": (" \n", HEAD),
    "no head": ("1;OK;a\n2;OK;b\n", HEAD),
    "another head": ("OKAY\n1;OK;a\n2;OK;b\n", HEAD),
    "an HTML page": ("<!DOCTYPE html>\n<html>\nOK\n</html>\n", HEAD),
    "no rows": ("OK\n", "0 rows for 2 destinations"),
    "fewer rows": ("OK\n1;OK;a\n", "1 rows for 2 destinations"),
    "more rows": ("OK\n1;OK;a\n2;OK;b\n3;OK;c\n", "3 rows for 2 destinations"),
    "another order": ("OK\n2;OK;b\n1;OK;a\n", "row 0 is of another destination"),
    "another number": ("OK\n1;OK;a\n22;OK;b\n", "row 1 is of another destination"),
    "rows in one line": ("OK\n1;OK;a;2;OK;b\n", "1 rows for 2 destinations"),
    "carriage returns alone": ("OK\r1;OK;a\r2;OK;b\r", HEAD),
}


@pytest.mark.parametrize(("body", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_reply(body: str, reason: str) -> None:
    """An id that is given to the wrong number is worse than none."""
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        reply(body, ["1", "2"])
    assert caught.value.raw == body.encode()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_reply_with_another_http_status_is_not_read(status: int) -> None:
    """Whatever it holds."""
    with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}"):
        reply("OK\n1;OK;a\n", ["1"], status)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_truncated_reply_is_unreadable_or_the_whole_truth(line_end: str) -> None:
    """Cut at any octet, it never gives another id."""
    whole = line_end.join(("OK", "1;OK;a-1", "2;FAILED;", "3;OK;a-23", ""))
    expected = reply(whole, ["1", "2", "3"])
    for cut in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            reply(whole[:cut], ["1", "2", "3"], delimited=False)
    with pytest.raises(RemoteProtocolError, match="the last row is not ended") as caught:
        reply("OK\n1;OK;a", ["1"], delimited=False)
    assert caught.value.raw == b"OK\n1;OK;a"
    for rest in ("", " \t\r"):
        assert reply(whole + rest, ["1", "2", "3"], delimited=False) == expected
    assert expected == (ok("1", "a-1"), failed("2"), ok("3", "a-23"))


def test_white_space_behind_the_last_line_feed_does_not_matter() -> None:
    """The last row is ended, though no header told the length."""
    assert reply("OK\n1;OK;a-1\n \t\r", ["1"], delimited=False) == (ok("1", "a-1"),)


def test_the_last_line_feed_may_be_missing() -> None:
    """Where the headers told the length, nothing can have been cut off."""
    assert reply("OK\n1;OK;a-1\n2;FAILED;", ["1", "2"]) == (ok("1", "a-1"), failed("2"))
