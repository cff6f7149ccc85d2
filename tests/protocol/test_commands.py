"""Account commands by GET."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.errors import AuthenticationError, LocalProtocolError, RemoteProtocolError
from infobip_async.protocol.commands import (
    CommandRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from infobip_async.protocol.exchange import Credentials, HttpReply, HttpRequest

URL = "http://www.infobip.com/Addon/SMSService/command.aspx"
characters = st.characters(exclude_categories=["Cs"])


def check(login: Credentials, query: str) -> None:
    """The request has this query, and is read from it."""
    request = encode_request(URL, login)
    assert request == HttpRequest("GET", f"{URL}?{query}")
    assert decode_request(request) == CommandRequest(login, "CREDITS")


def test_literal_pairs() -> None:
    """The parameters are `username` and `password`, unlike those of the GET that sends."""
    check(Credentials("u", "p"), "username=u&password=p&cmd=CREDITS")
    check(Credentials("ü", "a&b=c +%#"), "username=%C3%BC&password=a%26b%3Dc+%2B%25%23&cmd=CREDITS")


@given(st.builds(Credentials, st.text(characters), st.text(characters)))
def test_what_is_encoded_is_decoded(login: Credentials) -> None:
    """Any user name and any password."""
    assert decode_request(encode_request(URL, login)) == CommandRequest(login, "CREDITS")


def test_the_request_of_the_document(golden: Callable[[str], str]) -> None:
    """With the one command in place of its X."""
    printed = golden("2-2.1-command.url")
    assert decode_request(HttpRequest("GET", printed)) == CommandRequest(Credentials("X", "X"), "X")
    filled = printed.replace("cmd=X", "cmd=CREDITS")
    assert encode_request(URL, Credentials("X", "X")).url == filled


def test_a_gateway_takes_names_and_commands_in_any_case() -> None:
    """And a request without any."""
    request = HttpRequest("GET", "/command.aspx?UserName=u&PASSWORD=p&Cmd=+credits")
    assert decode_request(request) == CommandRequest(Credentials("u", "p"), "CREDITS")
    assert decode_request(HttpRequest("GET", "/")) == CommandRequest(Credentials("", ""), "")


def test_a_login_with_a_lone_surrogate_is_refused_without_showing_it() -> None:
    """Only its place is told."""
    with pytest.raises(LocalProtocolError) as caught:
        encode_request(URL, Credentials("u", "marked\ud800"))
    assert caught.value.field == "password"
    assert "marked" not in f"{caught.value!r} {caught.value}"


def test_no_repr_shows_the_password() -> None:
    """Though the URL holds it."""
    request = encode_request(URL, Credentials("u", "marked"))
    assert "marked" in request.url
    assert "marked" not in f"{request!r} {decode_request(request)!r}"


@pytest.mark.parametrize("wire", ["7.16", "0", "100", "-3.5", "12345678901234567890.1234"])
def test_balances(wire: str) -> None:
    """Both ways, digit for digit."""
    balance = decode_reply(HttpReply(200, wire.encode()))
    assert str(balance) == wire
    assert encode_reply(balance) == HttpReply(200, wire.encode())


@given(st.decimals(-(10**9), 10**9, places=4))
def test_what_a_gateway_replies_is_read(balance: Decimal) -> None:
    """Any balance."""
    assert decode_reply(encode_reply(balance)) == balance


def test_a_balance_is_written_without_an_exponent() -> None:
    """Clients may not read one."""
    assert encode_reply(Decimal("1E+3")).body == b"1000"


@pytest.mark.parametrize("body", [' "7.16"\r\n', "'7.16'", "\ufeff7.16", "+7.16", "\t7.160"])
def test_quotes_and_white_space_are_no_part_of_a_balance(body: str) -> None:
    """Nor is a byte order mark."""
    assert decode_reply(HttpReply(200, body.encode())) == Decimal("7.16")


@pytest.mark.parametrize("body", ["UNKNOWN_COMMAND", "unknown_command\r\n", '"UNKNOWN_COMMAND"'])
def test_a_login_that_is_not_taken(body: str) -> None:
    """The gateway says no more than that it does not know the command."""
    with pytest.raises(AuthenticationError, match="take the username and password") as caught:
        decode_reply(HttpReply(200, body.encode()))
    assert (caught.value.code, caught.value.name) == ("UNKNOWN_COMMAND", "UNKNOWN_COMMAND")
    assert caught.value.operation == "credits"


def test_what_a_gateway_does_not_know() -> None:
    """A login or a command."""
    assert encode_reply(None) == HttpReply(200, b"UNKNOWN_COMMAND")
    with pytest.raises(AuthenticationError):
        decode_reply(encode_reply(None))


@pytest.mark.parametrize(
    "body",
    [
        *("", '""', "-", "7,16", "7.1.6", "1 000", "1e3", "NaN", "Infinity", "0x10", "\u0663"),
        *("9" * 5000, "<html>7.16</html>", "7.16 EUR", "ERROR", "X7.16", "7.16\x00"),
    ],
)
def test_an_unreadable_reply(body: str) -> None:
    """What is no plain decimal number is no balance."""
    with pytest.raises(RemoteProtocolError, match="the balance is no number") as caught:
        decode_reply(HttpReply(200, body.encode()))
    assert caught.value.raw == body.encode()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_reply_with_another_http_status_is_not_read(status: int) -> None:
    """Whatever it holds."""
    with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}"):
        decode_reply(HttpReply(status, b"7.16"))
