"""Requests as they may be shown: without passwords, and without the secret in a callback URL."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from infobip_async.protocol.exchange import HttpRequest

MASK: Final = "•••"

_LESS, _MORE = "(?:<|%3c)", "(?:>|%3e)"
_SPACE: Final = r"(?:\s|\+|%20|%0[9ad])*"
# In XML, raw or percent-encoded. The value may stand in a CDATA section, and may be unended.
_ELEMENT: Final = re.compile(
    rf"({_LESS}{_SPACE}password{_SPACE}{_MORE})(?:{_LESS}(?:!|%21).*?(?={_LESS}(?:/|%2f)|\Z)"
    rf"|.*?(?={_LESS}|\Z))",
    re.IGNORECASE | re.DOTALL,
)
# In a query or a form. Any octet of a name can be percent-encoded.
_NAME: Final = "".join(
    f"(?:{letter}|%{ord(letter):02x}|%{ord(letter) - 32:02x})" for letter in "pass"
)
_PARAMETER: Final = re.compile(rf"((?:^|[?&])\s*{_NAME}[^=&<]*=)[^&]*", re.IGNORECASE)
# In a part of multipart/form-data, with few and short headers: nothing is looked through twice.
_MULTIPART: Final = re.compile(
    r"""(name="?pass(?:word)?"?[^\r\n]{0,80}(?:\r?\n[^\r\n]{1,200}){0,4}\r?\n\r?\n)"""
    r""".*?(?=\r?\n--|\Z)""",
    re.IGNORECASE | re.DOTALL,
)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


def mask(text: str) -> str:
    """Put `MASK` in the place of every password, in whatever form of request it stands."""
    for pattern in (_ELEMENT, _PARAMETER, _MULTIPART):
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def _text(octets: bytes) -> str:
    """Decode; without NULs, which stand beside each letter of UTF-16 in whatever form it came."""
    charset = "utf-16" if octets.startswith(_UTF_16) else "utf-8"
    text = octets.decode(charset, "backslashreplace")
    return text.replace("\0", "").replace("%00", "")


def shown_request(request: HttpRequest) -> tuple[str, str]:
    """The target and the body of a request to the gateway, without passwords."""
    return mask(request.url), mask(_text(request.body))


def shown_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """The headers of a request, without those that log in."""
    decoded = ((name.decode("latin-1"), _text(value)) for name, value in headers)
    return [
        (name, MASK if name.lower() in _SECRET_HEADERS else mask(value)) for name, value in decoded
    ]


def shown_callback(url: str) -> str:
    """A callback URL without login and without the path, which may hold a secret, but its end."""
    parts = urlsplit(url)
    *hidden, last = parts.path.lstrip("/").split("/")
    path = "/".join([*([MASK] if hidden else []), last])
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{path}{query}"
