"""Names and values in URLs and forms, for the wire formats that consist of them.

Wire example (§2/2.1)::

    username=X&password=X&cmd=CREDITS
"""

import re
from collections.abc import Iterable
from string import hexdigits
from typing import Final
from urllib.parse import quote_plus

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol.exchange import HttpRequest
from infobip_async.text import charset

CONTENT_TYPE = "application/x-www-form-urlencoded"

MOST_FIELDS: Final = 1000
"""Fields of a form that are told apart; what is behind them counts to the last one."""

_SEPARATORS: Final = ((b"%3B", b";"), (b"%3b", b";"), (b"%0A", b"\n"), (b"%0a", b"\n"))
_PERCENT: Final = ord("%")  # Python finds a number in octets much faster than an octet
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_ROWS: Final = re.compile(r"[0-9A-Za-z._~;\n-]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OCTETS: Final = {
    (high + low).encode(): bytes.fromhex(high + low) for high in hexdigits for low in hexdigits
}
_BLOCK: Final = 8 * 1024  # decoding takes some fifty octets of memory for an escape
_NAME: Final = re.compile(rb"""[;\s]name=(?:"([^"\r\n]*)"|([^;\s"]+))""", re.IGNORECASE)
_LONGEST_BOUNDARY: Final = 200
_PRINTABLE: Final = {0xDC00 + octet: f"\\x{octet:02x}" for octet in range(0x80, 0x100)}


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
    fields = [field.partition(b"=") for field in raw.split(b"&", MOST_FIELDS - 1) if field]
    # Letters and digits stand for themselves: most names, and many values, need no call.
    return [
        (name if name.isalnum() else unquote(name), value if value.isalnum() else unquote(value))
        for name, _, value in fields
    ]


def fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """Take the body of a post apart, by its content: a form of either kind."""
    parts = _parts(body)
    return split(body) if parts is None else parts


def _parts(body: bytes) -> list[tuple[bytes, bytes]] | None:
    """Take multipart/form-data apart; None where a body is something else."""
    start = body.lstrip(b"\r\n")
    if not start.startswith(b"--"):
        return None
    line = start[: _LONGEST_BOUNDARY + 1].partition(b"\n")[0].rstrip(b"\r")
    if len(line) > _LONGEST_BOUNDARY or not _is_headed(start, line):
        return None
    found = []
    for part in (b"\n" + start).split(b"\n" + line, MOST_FIELDS)[1:]:
        head, _, value = part.replace(b"\r\n\r\n", b"\n\n", 1).partition(b"\n\n")
        if name := _NAME.search(head):
            found.append((name[1] or name[2] or b"", value.removesuffix(b"\r")))
    return found


def _is_headed(start: bytes, line: bytes) -> bool:
    return start[len(line) :].lstrip(b"\r\n")[:8].lower() == b"content-"


def unquote(quoted: bytes) -> bytes:
    """Percent-decode a name or a value, with ``+`` for a space; what is no escape stays."""
    quoted = quoted.replace(b"+", b" ")
    if _PERCENT not in quoted:
        return quoted
    for escape, octet in _SEPARATORS:  # of rows, and so the most frequent
        quoted = quoted.replace(escape, octet)
    if len(quoted) <= _BLOCK:
        return _ESCAPE.sub(_octet_of, quoted) if _PERCENT in quoted else quoted
    decoded = bytearray()
    start = 0
    while start < len(quoted):
        end = start + _BLOCK
        cut = quoted.rfind(b"%", end - 2, end)  # an escape begins in the block that it ends in
        end = end if cut < 0 else cut
        decoded += _ESCAPE.sub(_octet_of, quoted[start:end])
        start = end
    return bytes(decoded)


def _octet_of(escape: re.Match[bytes]) -> bytes:
    return _OCTETS[escape[1]]


def text(octets: bytes) -> str:
    """Decode a name or a value, whose charset the document does not name (§6)."""
    return octets.decode() if octets.isascii() else "".join(charset.texts(octets))


def printable(octets: bytes) -> str:
    """Write octets as a text that can be printed: UTF-8, and escapes for what is none."""
    if octets.isascii():
        return octets.decode()
    pieces = charset.pieces(octets, "utf-8", "surrogateescape")
    return charset.joined(piece.translate(_PRINTABLE) for piece in pieces)


def decode(raw: str) -> list[tuple[str, str]]:
    """Decode a query string: every name and value in order, empty ones too."""
    return [(text(name), text(value)) for name, value in split(octets(raw))]


def octets(raw: str) -> bytes:
    """Turn a raw query back into the octets that arrived."""
    try:
        return raw.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no octet
        return raw.encode("utf-8", "surrogatepass")


def octet(text: str) -> int:
    """Read a parameter of one octet, such as a data coding; an empty one is 0 (§2/1.2).

    Raises:
        ValueError: it is not a number from 0 to 255.
    """
    digits = text.strip() or "0"
    if not (len(digits) <= 3 and digits.isascii() and digits.isdigit() and int(digits) <= 0xFF):  # noqa: PLR2004 - an octet
        raise ValueError("not a number from 0 to 255")
    return int(digits)


def parameters(request: HttpRequest) -> dict[str, str]:
    """Read the parameters of a request to a gateway, from its query and from the form of a POST.

    Names are lower-cased, since gateways accept them in any case. If a name is repeated, its
    first value counts.
    """
    pairs = split(octets(request.url.partition("?")[2]))
    if request.method == "POST":
        pairs += fields(request.body)
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(text(name).strip().lower(), text(value))
    return found
