"""Secrets kept out of the records that other libraries log of our exchanges."""

import logging
import re
from contextvars import ContextVar
from typing import Final

exchange_of_ours: ContextVar[bool] = ContextVar("exchange_of_ours", default=False)
"""Whether what is logged in this context is about an exchange that may hold a password."""

_HPACK: Final = "hpack"
_LOGGERS: Final = (
    *("httpx", "httpx2", f"{_HPACK}.hpack", f"{_HPACK}.table"),
    *(
        f"{library}.{part}"
        for library in ("httpcore", "httpcore2")
        for part in ("connection", "http11", "http2", "proxy", "socks")
    ),
)
_TELLTALE: Final = re.compile(r"[?\"]| (?:return_value|exception)=")


class _Redaction(logging.Filter):
    """Cuts the HTTP libraries' records of our exchanges off where they can hold a secret.

    httpx logs each URL with its query at INFO, and the reason phrase of the reply. httpcore logs
    the headers of replies at DEBUG, and exceptions that quote what was received: a gateway may
    repeat a request in these, in any spelling. hpack logs all headers of HTTP/2.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not exchange_of_ours.get():
            return True
        record.msg, record.args = _TELLTALE.split(record.getMessage(), maxsplit=1)[0], ()
        return not record.name.startswith(_HPACK)


_REDACTION: Final = _Redaction()


def protect_logs() -> None:
    """Keep secrets out of the HTTP libraries' log records; calling it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)
