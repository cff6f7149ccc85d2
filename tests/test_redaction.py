"""Masks of log records: what servers and their formatters do with a record, and what is left."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp.http_exceptions import (
    BadHttpMessage,
    BadStatusLine,
    InvalidURLError,
    TransferEncodingError,
)
from aiohttp.web import RequestPayloadError

from infobip_async.receiver.urls import log_mask

SECRET = "MARKED-secret"
QUERY = 'sender=38598514674&text=it\'s "private" HTTP'
TARGET = f"/sms/{SECRET}/inbound?{QUERY}"


class Atoms(dict[str, Any]):
    """As those of hypercorn and gunicorn: made of a request, and with names of its headers."""

    def __init__(self, request: object, values: Mapping[str, Any]) -> None:
        super().__init__(values)

    def __getitem__(self, key: str) -> object:
        """Give a value, and that of a header in braces."""
        return super().__getitem__(key.strip("{}")) if key.strip("{}") in self else "-"


class Request:
    """An object of a server's that shows what it is about."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Awkward:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError(TARGET)


def masked(message: str, *args: object, **extra: object) -> logging.LogRecord:
    """A record that passed the mask."""
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, message, args, None)
    record.__dict__.update(extra)
    assert log_mask([SECRET]).filter(record)
    return record


def test_the_five_arguments_of_uvicorn():
    """Its formatter takes them apart again."""
    record = masked('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", TARGET, "1.1", 200)

    assert record.args == ("1.2.3.4:5", "GET", "/sms/***/inbound", "1.1", 200)


def test_the_atoms_of_hypercorn_and_gunicorn():
    """The masked ones are of their class, and have its further names; the host's stay."""
    atoms = Atoms(None, {"r": f"GET {TARGET} HTTP/1.1", "q": QUERY, "s": 200, "x-id": "7"})
    record = masked('"%(r)s" %(s)d %(q)s %({x-id})s %({no})s', atoms)

    assert record.getMessage() == '"GET /sms/***/inbound HTTP/1.1" 200  7 -'
    assert type(record.args) is Atoms
    assert atoms["q"] == QUERY


def test_a_format_with_the_query_alone():
    """The other atoms tell whose it is."""
    record = masked("%(query_string)s", {"path": "/inbound", "query_string": QUERY})

    assert record.getMessage() == ""


@pytest.mark.parametrize("text", ["it's private", 'it\'s "private"', "'\\'\"private"])
@pytest.mark.parametrize("path", ["inbound", "inbound/", "mistyped"])
def test_the_scope_of_asgi(text, path):
    """As uvicorn's trace logs it."""
    scope = {"path": f"/{SECRET}/{path}", "query_string": f"text={text}".encode(), "type": "http"}

    assert masked("%s - started scope=%s", "1.2.3.4", scope).getMessage() == (
        f"1.2.3.4 - started scope={{'path': '/***/{path}', 'query_string': b..., 'type': 'http'}}"
    )


class UnprintableError(Exception):
    """An exception that cannot be shown."""

    @property
    def __notes__(self) -> list[str]:
        raise OSError(TARGET)


def test_tracebacks():
    """They are masked; one that cannot be printed costs no request."""
    shown = []
    for fault in (ValueError(TARGET), ValueError("the host's"), UnprintableError()):
        record = logging.LogRecord("x", logging.ERROR, "", 0, "x", (), (type(fault), fault, None))
        log_mask([SECRET]).filter(record)
        shown.append(logging.Formatter().format(record))
    assert shown[0] == "x\nValueError: /sms/***/inbound"
    assert shown[1] == "x\nValueError: the host's"
    assert SECRET not in shown[2]


def _parsing(fault: BadHttpMessage) -> Exception:
    payload = RequestPayloadError(str(fault))
    payload.__cause__ = fault
    return payload


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            TransferEncodingError("Invalid character in chunk size:\n\n  b'private'\n    ^"),
            "size: ...",
        ),
        (TransferEncodingError("private"), "..."),
        (
            BadStatusLine("", error='Bad status line:\n  Expected CRLF:\n\n  b"private\'"'),
            "CRLF: ...",
        ),
        (InvalidURLError("Invalid char in url path:\n\n  b'/private'"), "path: ..."),
    ],
)
def test_what_cannot_be_parsed(fault, reason):
    """Aiohttp quotes it, and it may be the middle of a body; the rest of the traceback stays."""
    raised = _parsing(fault)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "x", (), (type(raised), raised, None))

    log_mask([SECRET]).filter(record)

    shown = logging.Formatter().format(record)
    assert "private" not in shown
    assert shown.count(reason) == 2
    assert f"{type(fault).__name__}: 400, message:" in shown
    assert "RequestPayloadError: 400, message:" in shown


def test_the_atoms_of_another_request():
    """The host's own requests keep their queries."""
    record = masked("%(path)s?%(query_string)s", {"path": "/own", "query_string": "inbound=1"})

    assert record.getMessage() == "/own?inbound=1"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (f'"GET {TARGET} HTTP/1.1" 200', '"GET /sms/***/inbound HTTP/1.1" 200'),
        (f'"GET /{SECRET}/mistyped/?{QUERY} HTTP/1.1" 404', '"GET /***/mistyped/ HTTP/1.1" 404'),
        (f"GET /{SECRET}?{QUERY}", "GET /***"),
        (f"bad target {TARGET}", "bad target /sms/***/inbound"),
        (f"{TARGET}\nbehind", "/sms/***/inbound\nbehind"),
        (
            f'"GET {TARGET} HTTP/1.1" 200 "http://x{TARGET}" "agent"',
            '"GET /sms/***/inbound HTTP/1.1" 200 "http://x/sms/***/inbound',
        ),
        (f"GET /inbound?text=HTTP/1.1 {SECRET} HTTP/1.1", "GET /inbound HTTP/1.1"),
        ("GET /own?text=x HTTP/1.1", "GET /own?text=x HTTP/1.1"),
    ],
)
def test_lines(line, left):
    """A query ends where the request line does; it may hold spaces and quotes."""
    assert masked(line).getMessage() == left


def test_objects():
    """What an object shows is masked; others stay as they are."""
    assert masked("%s of %r", Request(f"<{TARGET}>"), Request("x")).getMessage() == (
        "</sms/***/inbound of x"
    )
    assert masked("%d %s", 7, None).args == (7, None)


@pytest.mark.parametrize("args", [(Awkward(),), (1, 2), ()])
def test_a_record_that_cannot_be_formatted(args):
    """It costs no request; `logging` would print all its arguments."""
    record = masked(f"%s {SECRET} %q", *args)

    assert (record.msg, record.args) == ("%s *** %q", ())


def test_a_path_that_repeats_a_name():
    """Strangers cannot make a mask slow: a quadratic one would take minutes here."""
    line = "/dlr" * 100_000

    assert masked(line).getMessage() == line


class OfGunicorn:
    """As gunicorn's: it is no `logging.Logger`, and has two."""

    __hash__ = None

    def __init__(self) -> None:
        self.error_log = logging.getLogger("own.error")
        self.access_log = logging.getLogger("own.access")


def test_loggers_of_any_class():
    """Those inside are masked, and left as they were; what has none is passed over."""
    mask, host = log_mask([SECRET]), OfGunicorn()
    adapter = logging.LoggerAdapter(logging.getLogger("own.adapted"))

    mask.guard(host, adapter, None, object(), [])
    inside = [host.error_log, host.access_log, adapter.logger]
    assert [logger.filters for logger in inside] == [[mask]] * 3
    mask.guard(host)
    mask.release()
    assert [logger.filters for logger in inside] == [[]] * 3
