"""Keeps out of logs what must not stand there: secrets, and too much of what strangers provoke."""

import copy
import logging
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from textwrap import indent
from time import monotonic
from typing import Any, Final, TypeAlias, cast

exchange_of_ours: ContextVar[bool] = ContextVar("exchange_of_ours", default=False)
"""Whether what is logged in this context is about an exchange that may hold a password."""

Replacement = tuple[re.Pattern[str], str]
"""What log records must not hold, and what stands in its place."""

_HPACK: Final = "hpack"
HTTP_LOGGERS: Final = (
    *("httpx", "httpx2", f"{_HPACK}.hpack", f"{_HPACK}.table"),
    *(
        f"{library}.{part}"
        for library in ("httpcore", "httpcore2")
        for part in ("connection", "http11", "http2", "proxy", "socks")
    ),
)
"""Loggers of the HTTP libraries, in which a request or its reply can be written down."""
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_Arguments: TypeAlias = tuple[object, ...] | Mapping[str, object] | None
_QUERIES: Final = frozenset({"q", "query_string"})
"""What gunicorn, hypercorn and granian call the query of a request in the records of their logs."""
_QUERY_OF_SCOPE: Final = re.compile(
    r"""('query_string': b?)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
)
_REASON_OF_PARSER: Final = re.compile(r"([A-Za-z][\w ]*:(?:\s+[A-Za-z][\w ]*:)?)\s+b['\"]")
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
    """Make a pattern of secrets as they are written in texts, URLs, forms and XML, in any case."""
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


class LogMask(logging.Filter):
    """Takes secrets out of the records of some loggers: out of messages, attributes and tracebacks.

    The arguments of a record keep their number and kinds, since a server's formatter may take them
    apart: uvicorn's wants five, hypercorn's and gunicorn's want a mapping of their own class.

    Args:
        replacements: are made one after the other.
        of_ours: finds the path of a request of ours. A mapping or an ASGI scope with one loses its
            query.
    """

    def __init__(self, replacements: Sequence[Replacement], of_ours: re.Pattern[str]) -> None:
        super().__init__()
        self._replacements = replacements
        self._of_ours = of_ours
        self._guarded: dict[int, object] = {}

    def guard(self, *loggers: object) -> None:
        """Filter what is logged there from now on; once is enough.

        Args:
            loggers: loggers of the host's, of any class; what cannot be filtered is passed over.
        """
        for logger in loggers:
            if id(logger) not in self._guarded:  # the host's object may have no hash
                self._guarded[id(logger)] = logger
                for one in _filterable(logger):
                    one.addFilter(self)

    def release(self) -> None:
        """Leave every logger as it was."""
        for logger in self._guarded.values():
            for one in _filterable(logger):
                one.removeFilter(self)
        self._guarded.clear()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the secrets."""
        self._clean_message(record)
        self._clean_trace(record)
        others = ((key, item) for key, item in record.__dict__.items() if key != "args")
        record.__dict__.update({key: self._clean(item) for key, item in others})
        return True

    def _clean_message(self, record: logging.LogRecord) -> None:
        try:
            if isinstance(record.args, Mapping) and self._is_of_ours(record.args):
                record.args = self._clean_mapping(record.args)  # it may log the query alone
            message = record.getMessage()
            if self._clean_text(message) == message:
                return
            record.args = self._clean_arguments(record.args)
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - the host's own objects; `logging` would print them all
            message = str(record.msg)
        else:
            if self._clean_text(message) == message:
                return
        record.msg, record.args = message, ()  # cleaned with the other attributes

    def _clean_trace(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            return
        try:
            trace = logging.Formatter().formatException(record.exc_info)
        except Exception:  # noqa: BLE001 - the host's exceptions may raise what they like
            trace, clean = "", "the traceback cannot be printed"
        else:
            clean = self._clean_text(_without_quotes(trace, record.exc_info[1]))
        if clean != trace:
            record.exc_text, record.exc_info = clean, None

    def _clean_arguments(self, args: _Arguments) -> _Arguments:
        if isinstance(args, tuple):
            return tuple(map(self._clean_argument, args))
        return self._clean_mapping(args) if args else args

    def _clean_argument(self, value: object) -> object:
        text = value if isinstance(value, str) else str(value)
        cleaned = self._clean_text(text)
        return value if cleaned == text else cleaned

    def _clean_mapping(self, values: Mapping[str, object]) -> Mapping[str, object]:
        ours = self._is_of_ours(values)
        cleaned = cast("dict[str, object]", copy.copy(values))  # one of the same class
        for key, value in values.items():
            cleaned[key] = "" if ours and key in _QUERIES else self._clean_argument(value)
        return cleaned

    def _is_of_ours(self, values: Mapping[str, object]) -> bool:
        texts = (value for value in values.values() if isinstance(value, str))
        return any(map(self._of_ours.search, texts))

    def _clean(self, value: object) -> object:
        match value:
            case str():
                return self._clean_text(value)
            case dict():
                return {key: self._clean(item) for key, item in value.items()}
        return value

    def _clean_text(self, text: str) -> str:
        if self._of_ours.search(text):
            text = _QUERY_OF_SCOPE.sub(r"\1...", text)
        for pattern, replacement in self._replacements:
            text = pattern.sub(replacement, text)
        return text


def _filterable(logger: object) -> Iterator[logging.Filterer]:
    """The loggers in a host's object: itself, an adapter's, or those of gunicorn's own class."""
    inner = (getattr(logger, name, None) for name in ("logger", "error_log", "access_log"))
    return (one for one in (logger, *inner) if isinstance(one, logging.Filterer))


def protect_logs() -> None:
    """Keep secrets out of the HTTP libraries' log records; calling it again changes nothing."""
    for name in HTTP_LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)


def _is_of_parser(raised: BaseException | None) -> bool:
    return type(raised).__module__.startswith("aiohttp.http")


def _without_quotes(trace: str, raised: BaseException | None) -> str:
    """Take out of a traceback what aiohttp's parsers quote of the octets at which they stumble.

    In a body, nothing tells numbers and texts from the rest.
    """
    seen: set[int] = set()
    while raised is not None and id(raised) not in seen:
        if _is_of_parser(raised):
            quoted = str(getattr(raised, "message", ""))
            reason = _REASON_OF_PARSER.match(quoted)
            # As it is, and as the exception indents it.
            for text in filter(None, (quoted, indent(quoted, "  "))):
                trace = trace.replace(text, f"{reason[1]} ..." if reason else "...")
        seen.add(id(raised))
        raised = raised.__cause__ or raised.__context__
    return trace


class _Printable(logging.Filter):
    r"""Escapes lone surrogates in tracebacks, as ``\ud83d``, and leaves out what cannot be printed.

    UTF-8 cannot express half of a character. A handler may raise it with the text of a message,
    and a file of a log would then refuse the whole record. What raises where it is printed would
    go to whoever only wanted to log it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            try:
                trace = logging.Formatter().formatException(record.exc_info)
            except Exception:  # noqa: BLE001 - users' exceptions may raise what they like
                record.exc_info, record.exc_text = None, "the traceback cannot be printed"
                return True
            printable = trace.encode(errors="backslashreplace").decode()
            if printable != trace:
                record.exc_text = printable  # which formatters use in place of their own
        return True


_PRINTABLE = _Printable()


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs, and raises nothing: handlers and filters of the host's may raise what they like.

    Work that must go on would end with such an exception, and only because there is news of it.
    """

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Keep the fields of a line, which the base class would take away."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:  # noqa: ANN401 - as the base class
        """Log a line, if that can be done."""
        with suppress(Exception):
            super().log(level, msg, *args, **{"stacklevel": 2, **options})


def logger_of_faults(name: str) -> SafeLogger:
    """The logger of a name, for work that must go on, and for exceptions of users' own code."""
    logger = logging.getLogger(name)
    logger.addFilter(_PRINTABLE)  # changes nothing where it is there
    return SafeLogger(logger)


def type_name(fault: BaseException) -> str:
    """Name the type of an exception, whatever its class makes of its name."""
    name: str = type.__dict__["__name__"].__get__(type(fault))
    return name


_SECONDS_OF_SILENCE: Final = 60.0
"""How long a kind of line is left out after one was logged."""


class SparseLogger(SafeLogger):
    """Logs each kind of line once in a while, with the number of those that were left out.

    Whoever may push can provoke a line with each push. Lines are of one kind if their texts are
    equal before the arguments are put in.
    """

    def __init__(
        self,
        logger: logging.Logger | SafeLogger,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(logger.logger if isinstance(logger, SafeLogger) else logger)
        self._clock = clock
        self._kinds: dict[str, tuple[float, int]] = {}  # until when, and how many were left out

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:  # noqa: ANN401 - as the base class
        """Log a line, unless one of its kind was logged a short time ago."""
        if not self.isEnabledFor(level):
            return
        kind, now = str(msg), self._clock()
        until, left_out = self._kinds.get(kind, (now, 0))
        if now < until:
            self._kinds[kind] = until, left_out + 1
            return
        self._kinds[kind] = now + _SECONDS_OF_SILENCE, 0
        text = f"{kind} ({left_out} more of this kind before)" if left_out else kind
        super().log(level, text, *args, **{"stacklevel": 3, **options})


class _Provoked(logging.Filter):
    """Logs what strangers can provoke once a minute, in words of our own."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = SparseLogger(logging.getLogger("infobip_async.receiver"))

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        if str(record.msg).startswith("socket.accept() out of system resource"):
            self._lines.error("connections wait: no descriptors are left here (ulimit -n)")
        elif _is_of_parser(raised):
            self._lines.warning("a request that cannot be parsed: %s", type(raised).__name__)
        else:
            return True
        return False


@contextmanager
def provoked_lines_bounded() -> Iterator[None]:
    """Bound the lines of the event loop and of aiohttp that strangers can provoke.

    asyncio logs a traceback for each connection that it cannot accept, hundreds a second, and
    aiohttp one for each request that it cannot parse.
    """
    loggers, provoked = (
        [logging.getLogger(name) for name in ("asyncio", "aiohttp.server")],
        _Provoked(),
    )
    for logger in loggers:
        logger.addFilter(provoked)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(provoked)
