"""The callback URLs that the gateway pushes to, and the secrets in them (§3.1, §5, §6)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol.exchange import CallbackUrls, PushKind
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES, template
from infobip_async.redaction import LogMask, spellings

# Letters that no encoder of URLs touches; a segment of dots alone is a step in the path.
_SECRET: Final = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,200}")

_NAMES: Final = "|".join(kind.value for kind in PushKind)
# A bounded prefix, or a path that repeats a name would take quadratic time. A query may hold spaces
# and quotes: it ends before the version of HTTP, or with the line.
_BLANK: Final = re.compile(r"[\s\x00-\x1f\x7f]")

_MASKED: Final = "***"
_QUERY: Final = re.compile(
    rf'(/(?:{_NAMES}|{re.escape(_MASKED)})[^\s"?]{{0,200}})\?(?:.*(?= HTTP/)|.*)', re.IGNORECASE
)
_ROUTE: Final = rf'/(?:{_NAMES})(?=[\s"\'?]|$)'


def check_secrets(secret: str | Sequence[str] | None) -> tuple[str, ...]:
    """Give the secrets as a tuple, which is empty for None.

    Raises:
        LocalProtocolError: a secret does not fit one segment of a path, or a sequence is empty.
    """
    if secret is None:
        return ()
    secrets = (secret,) if isinstance(secret, str) else tuple(secret)
    if not secrets or not all(map(_SECRET.fullmatch, secrets)):
        # The value stays out of the text: it may be nearly the right one.
        raise LocalProtocolError(
            "a secret has 1 to 200 letters, digits, '-', '.' and '_'", field="secret"
        )
    return secrets


def log_mask(secrets: Sequence[str]) -> LogMask:
    """Make the mask of a server's log records.

    An access log holds the path, and with it the secret, and the query, and with it numbers and
    texts (§6). A server's errors quote requests that cannot be parsed. A path with a secret is a
    push of the gateway's, also where it is none of ours: whoever has entered it made a mistake.
    """
    known = spellings(*secrets)
    return LogMask(
        [(known, _MASKED), (_QUERY, r"\1")],
        of_ours=re.compile(f"{_ROUTE}|{known.pattern}", re.IGNORECASE),
    )


def _is_address(text: str) -> bool:
    """Whether a text is an address over HTTP that a path can be put behind."""
    try:
        parts = urlsplit(text)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:  # of which the errors of all these are
        return False
    written = not _BLANK.search(text) and parts.scheme in {"http", "https"}
    return written and bool(host) and not parts.query and not parts.fragment


def callback_urls(
    base: str,
    *,
    secret: str | Sequence[str] | None,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
) -> CallbackUrls:
    """Make the addresses to enter in the account's profile page (§3.1, §5, §6).

    Args:
        base: where the receiver can be reached from outside, its mount point included, such as
            ``https://sms.example.com/infobip``.
        secret: as given to `webhook_app`; of several, the first.
        inbound: query parameter to field of the inbound URL, as given to `webhook_app`.

    Raises:
        LocalProtocolError: an argument cannot be part of such an address.
    """
    if not _is_address(base):
        raise LocalProtocolError("not an http(s) address without query and fragment", field="base")
    root = "/".join((base.rstrip("/"), *check_secrets(secret)[:1]))
    return CallbackUrls(
        f"{root}/{PushKind.DELIVERY_REPORTS.value}",
        f"{root}/{PushKind.HLR_REPORTS.value}",
        f"{root}/{PushKind.INBOUND_SMS.value}?{template(inbound)}",
    )
