"""Secrets kept out of log records, of other libraries' first of all."""

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
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
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


def spellings(*secrets: str) -> re.Pattern[str]:
    """What matches secrets as they stand in URLs, forms and XML too, in any case of letters."""
    longest_first = sorted(filter(None, secrets), key=len, reverse=True)
    spelt = ("".join(map(_spellings_of, secret)) for secret in longest_first)
    return re.compile("|".join(spelt) or "(?!)", re.IGNORECASE)


def _spellings_of(character: str) -> str:
    octets = character.encode("utf-8", "surrogatepass")
    spelt = [
        re.escape(character),
        "".join(f"%{octet:02x}" for octet in octets),
        _ENTITIES.get(character, re.escape(character)),
        f"&#(?:0*{ord(character)}|x0*{ord(character):x});",
        *([r"\+"] if character == " " else []),
    ]
    return f"(?:{'|'.join(dict.fromkeys(spelt))})"


def protect_logs() -> None:
    """Keep secrets out of the HTTP libraries' log records; calling it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)


class _Printable(logging.Filter):
    r"""Escapes lone surrogates in tracebacks, as ``\ud83d``.

    UTF-8 cannot express half of a character. A handler may raise it with the text of a message,
    and a file of a log would then refuse the whole record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            printable = trace.encode(errors="backslashreplace").decode()
            if printable != trace:
                record.exc_text = printable  # which formatters use in place of their own
        return True


_PRINTABLE = _Printable()


def logger_of_faults(name: str) -> logging.Logger:
    """The logger of a name, for records with exceptions that users' own code raised."""
    logger = logging.getLogger(name)
    logger.addFilter(_PRINTABLE)  # changes nothing where it is there
    return logger
