"""Secrets kept out of the records that other libraries log of our exchanges."""

import logging
import re
from contextvars import ContextVar
from typing import Final
from urllib.parse import quote, quote_plus

secrets_of_this_exchange: ContextVar[tuple[str, ...]] = ContextVar(
    "secrets_of_this_exchange", default=()
)
"""What no record may hold that is logged in the context of an exchange."""

_QUERY: Final = re.compile(r"\?[^\s\"']+")
_LOGGERS: Final = tuple(
    name
    for library in ("", "2")
    for name in (
        f"httpx{library}",
        *(f"httpcore{library}.{part}" for part in ("connection", "http11", "http2", "proxy")),
    )
)


def spellings(secret: str) -> tuple[str, ...]:
    """The forms that a secret has in URLs, bodies and reprs."""
    forms = (secret, quote_plus(secret), quote(secret, safe=""), repr(secret)[1:-1])
    return tuple(dict.fromkeys(form for form in forms if form))


class _Redaction(logging.Filter):
    """Masks queries and secrets in what the HTTP libraries log while one of ours is under way.

    httpx logs each URL at INFO, and httpcore the headers of replies at DEBUG, which may repeat
    it (a redirect does).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if secrets := secrets_of_this_exchange.get():
            text = _QUERY.sub("?***", record.getMessage())
            for secret in secrets:
                text = text.replace(secret, "***")
            record.msg, record.args = text, ()
        return True


_REDACTION: Final = _Redaction()


def protect_logs() -> None:
    """Keep secrets out of the HTTP libraries' log records; calling it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)
