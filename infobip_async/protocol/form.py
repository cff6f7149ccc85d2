"""Names and values as URLs and forms carry them, for the formats that are made of them.

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
    """Percent-encode names and values, as UTF-8, space as ``+``.

    Raises:
        LocalProtocolError: a value holds a lone surrogate, which is no character.
    """
    given = list(pairs)
    for name, value in given:
        # urlencode would raise an error that holds the value, which may be a password.
        if not value.isascii() and (bad := _SURROGATE.search(value)):
            raise LocalProtocolError(
                f"U+{ord(bad[0]):04X} at position {bad.start()} is no character", field=name
            )
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in given)


def _quote(plain: str) -> str:
    """Percent-encode; rows, of which there may be thousands, by their separators alone."""
    if _ROWS.fullmatch(plain):
        return plain.replace(";", "%3B").replace("\n", "%0A")
    return quote_plus(plain)


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Put names and values behind a URL, which may have a query of its own."""
    return f"{url}{'&' if '?' in url else '?'}{encode(pairs)}"


def split(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Take a query string or a form body apart: names and values as octets, in order."""
    fields = [field.partition(b"=") for field in raw.replace(b"+", b" ").split(b"&") if field]
    return [(_unquote(name), _unquote(value)) for name, _, value in fields]


def _unquote(quoted: bytes) -> bytes:
    """Percent-decode; the separators of rows first and all at once, since they are the most."""
    if b"%" not in quoted:
        return quoted
    for escape, octet in _SEPARATORS:
        quoted = quoted.replace(escape, octet)
    return unquote_to_bytes(quoted) if b"%" in quoted else quoted


def text(octets: bytes) -> str:
    """Decode a name or a value, whose charset the document does not say (§6).

    UTF-8 where the octets are UTF-8, else Windows-1252, and where that has a gap Latin-1, so
    that nothing is lost.
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
    """Percent-decode; of the names and values of a query, most are as they are."""
    return text(unquote_to_bytes(quoted)) if "%" in quoted else quoted


def octets(raw: str) -> bytes:
    """Turn a raw query back into its octets, whatever they were."""
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
    """The parameters of a request to a gateway, from its query and, of a POST, its form.

    Names are lower-cased, since gateways take them in any case; of a repeated name the first
    value counts.
    """
    raw = octets(request.url.partition("?")[2])
    if request.method == "POST":
        raw += b"&" + request.body
    found: dict[str, str] = {}
    for name, value in split(raw):
        found.setdefault(text(name).strip().lower(), text(value))
    return found
