"""Names and values in URLs and forms, for the wire formats that consist of them.

Wire example (§2/2.1)::

    username=X&password=X&cmd=CREDITS
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote_plus, unquote_to_bytes

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol.exchange import HttpRequest

CONTENT_TYPE = "application/x-www-form-urlencoded"

_SEPARATORS: Final = ((b"%3B", b";"), (b"%3b", b";"), (b"%0A", b"\n"), (b"%0a", b"\n"))
_ROWS = re.compile(r"[0-9A-Za-z._~;\n-]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_OCTET = re.compile(r"\s*([0-9]{1,3})?\s*")


def encode(pairs: Iterable[tuple[str, str]]) -> str:
    """Percent-encode names and values, as UTF-8, with ``+`` for a space.

    Raises:
        LocalProtocolError: a value holds a lone surrogate, which is no character.
    """
    given = list(pairs)
    for name, value in given:
        # The error of urlencode would hold the value, which may be a password.
        if not value.isascii() and (bad := _SURROGATE.search(value)):
            raise LocalProtocolError(
                f"U+{ord(bad[0]):04X} at position {bad.start()} is no character", field=name
            )
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in given)


def _quote(plain: str) -> str:
    """Percent-encode; in thousands of rows of plain text only the separators need it."""
    if _ROWS.fullmatch(plain):
        return plain.replace(";", "%3B").replace("\n", "%0A")
    return quote_plus(plain)


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Append names and values to a URL, which may already have a query."""
    return f"{url}{'&' if '?' in url else '?'}{encode(pairs)}"


def split(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Take a query string or a form body apart: names and values as octets, in order."""
    fields = [field.partition(b"=") for field in raw.replace(b"+", b" ").split(b"&") if field]
    return [(_unquote(name), _unquote(value)) for name, _, value in fields]


def _unquote(quoted: bytes) -> bytes:
    """Percent-decode; the separators of rows first, since they are the most frequent."""
    if b"%" not in quoted:
        return quoted
    for escape, octet in _SEPARATORS:
        quoted = quoted.replace(escape, octet)
    return unquote_to_bytes(quoted) if b"%" in quoted else quoted


def text(octets: bytes) -> str:
    """Decode a name or a value, whose charset the document does not name (§6).

    It is read as UTF-8 if that is possible, else as Windows-1252, else as Latin-1, which reads all
    octets: so nothing is lost.
    """
    for charset in ("utf-8", "cp1252"):
        try:
            return octets.decode(charset)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")


def decode(raw: str) -> list[tuple[str, str]]:
    """Decode a query string: every name and value in order, empty ones too."""
    if not raw.isascii():
        return [(text(name), text(value)) for name, value in split(octets(raw))]
    fields = [field.partition("=") for field in raw.replace("+", " ").split("&") if field]
    return [(_plain(name), _plain(value)) for name, _, value in fields]


def _plain(quoted: str) -> str:
    """Percent-decode; most names and values of a query need no decoding."""
    return text(unquote_to_bytes(quoted)) if "%" in quoted else quoted


def octets(raw: str) -> bytes:
    """Turn a raw query back into the octets that arrived."""
    return raw.encode("utf-8", "surrogateescape")


def octet(text: str) -> int:
    """Read a parameter of one octet, such as a data coding; an empty one is 0 (§2/1.2).

    Raises:
        ValueError: it is not a number from 0 to 255.
    """
    if not text:
        return 0
    match = _OCTET.fullmatch(text)
    number = int(match[1] or 0) if match else -1
    if not 0 <= number <= 0xFF:  # noqa: PLR2004 - an octet
        raise ValueError("not a number from 0 to 255")
    return number


def parameters(request: HttpRequest) -> dict[str, str]:
    """Read the parameters of a request to a gateway, from its query and from the form of a POST.

    Names are lower-cased, since gateways accept them in any case. If a name is repeated, its
    first value counts.
    """
    raw = octets(request.url.partition("?")[2])
    if request.method == "POST":
        raw += b"&" + request.body
    found: dict[str, str] = {}
    for name, value in split(raw):
        found.setdefault(text(name).strip().lower(), text(value))
    return found
