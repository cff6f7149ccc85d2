"""The receiver: an aiohttp application for what the gateway pushes (§3.1, §5, §6).

::

    POST /<secret>/dlr        delivery reports
    POST /<secret>/hlr        HLR reports
    GET  /<secret>/inbound    inbound SMS

It keeps limits of its own, whatever application it is mounted in, and answers with short fixed
bodies. The gateway gets its 200 after the handlers succeeded, or a journal has the post on
disk, never before.
"""

import asyncio
import hmac
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from http import HTTPStatus
from time import time
from typing import Final
from urllib.parse import urlsplit

import attrs
from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.http import HttpProcessingError
from yarl import URL

from infobip_async.errors import LocalProtocolError
from infobip_async.journal.base import Journal
from infobip_async.models import CallbackUrls
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES, template
from infobip_async.protocol.message_ids import id_keys
from infobip_async.protocol.push import PushFormat
from infobip_async.receiver.acknowledge import HandleThenAck, StoreThenAck
from infobip_async.redaction import spellings
from infobip_async.router import Router

__all__ = ["Limits", "callback_urls", "webhook_app"]

_logger = logging.getLogger("infobip_async.receiver")

_ROUTES: Final = {
    PushKind.DELIVERY_REPORTS.value: ("POST", PushKind.DELIVERY_REPORTS),
    PushKind.HLR_REPORTS.value: ("POST", PushKind.HLR_REPORTS),
    PushKind.INBOUND_SMS.value: ("GET", PushKind.INBOUND_SMS),
}
# What no encoder of URLs touches; dots alone would be taken for a step in the path.
_SECRET: Final = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,200}")
_QUERY: Final = re.compile(rf'(/(?:{"|".join(_ROUTES)})[^\s"?]*)\?[^\s"]*', re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Limits:
    """What one post may cost.

    Attributes:
        body_bytes: octets of a body; more are refused with 413.
        rows: rows of a body; a post with more is refused with 400 as unreadable, or goes into
            the quarantine of the journal.
        read_seconds: the time that a body may take to arrive; a slower one is refused with 408.
    """

    body_bytes: int = 2 * 1024 * 1024
    rows: int = 10_000
    read_seconds: float = 10.0


_DEFAULT_LIMITS: Final = Limits()


def _secrets(secret: str | Sequence[str] | None) -> tuple[str, ...]:
    """The secrets, each fit for one segment of a path; none where none is wanted."""
    if secret is None:
        return ()
    secrets = (secret,) if isinstance(secret, str) else tuple(secret)
    if not secrets or not all(map(_SECRET.fullmatch, secrets)):
        # The value stays out of the text: it may be nearly the right one.
        raise LocalProtocolError(
            "a secret has 1 to 200 letters, digits, '-', '.' and '_'", field="secret"
        )
    return secrets


def callback_urls(
    base: str,
    *,
    secret: str | Sequence[str] | None,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
) -> CallbackUrls:
    """Make the addresses to enter in the account's profile page (§3.1, §5, §6).

    Args:
        base: where the application can be reached from outside, its mount point included, such
            as ``https://sms.example.com/infobip``.
        secret: as given to `webhook_app`; of several, the first.
        inbound: query parameter to field of the inbound URL, as given to `webhook_app`.

    Raises:
        LocalProtocolError: one of them cannot be part of such an address.
    """
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise LocalProtocolError("not an http(s) address without query and fragment", field="base")
    root = "/".join((base.rstrip("/"), *_secrets(secret)[:1]))
    return CallbackUrls(
        f"{root}/{PushKind.DELIVERY_REPORTS.value}",
        f"{root}/{PushKind.HLR_REPORTS.value}",
        f"{root}/{PushKind.INBOUND_SMS.value}?{template(inbound)}",
    )


class _Mask(logging.Filter):
    """Takes the secrets, and the queries of our routes, out of the records of aiohttp's loggers.

    The access log holds the path, and with it the secret, and the query, and with it numbers and
    texts (§6). The server's errors quote requests that cannot be parsed.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        self._secret = spellings(*secrets)
        self._loggers: set[logging.Logger] = set()

    def guard(self, *loggers: logging.Logger | None) -> None:
        """Filter what is logged there from now on; once is enough."""
        for logger in loggers:
            if logger and logger not in self._loggers:
                self._loggers.add(logger)
                logger.addFilter(self)

    def release(self) -> None:
        """Leave every logger as it was."""
        for logger in self._loggers:
            logger.removeFilter(self)

    def _clean(self, value: object) -> object:
        match value:
            case str():
                return _QUERY.sub(r"\1", self._secret.sub("***", value))
            case dict():
                return {key: self._clean(item) for key, item in value.items()}
        return value

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without what is not to be in it."""
        message = record.getMessage()
        if self._clean(message) != message:
            record.msg, record.args = message, ()  # cleaned below, as all attributes are
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            if self._clean(trace) != trace:
                record.exc_text, record.exc_info = trace, None
        record.__dict__.update({key: self._clean(item) for key, item in record.__dict__.items()})
        return True


def _whole_query(url: URL) -> str:
    """All that follows the path: a text that is not encoded may hold a ``#``."""
    fragment = url.raw_fragment
    return f"{url.raw_query_string}#{fragment}" if fragment else url.raw_query_string


async def _hang_up(request: web.Request, refusal: web.HTTPException) -> None:
    """Answer, and close without reading what is left of the request.

    Left to itself aiohttp would read the rest first, and decompress it: a gzip bomb would hold
    the event loop although it was refused.
    """
    refusal.force_close()
    with suppress(ConnectionError):  # the peer hung up before
        await refusal.prepare(request)
        await refusal.write_eof()
    request.protocol.force_close()


@attrs.define
class _Receiver:
    """The HTTP side: who may post, what, and how much of it."""

    _dispatch: HandleThenAck | StoreThenAck
    _prefixes: Sequence[bytes] = attrs.field(repr=False)
    _mask: _Mask = attrs.field(repr=False)
    _limits: Limits
    _shutdown_timeout: float
    _running: dict[asyncio.Future[HTTPStatus], asyncio.Task[None]] = attrs.field(
        init=False, factory=dict
    )
    _stopping: bool = attrs.field(init=False, default=False)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, whatever it asks for."""
        self._mask.guard(request.protocol.access_log, request.protocol.logger)
        try:
            kind = self._admit(request)
            body = await self._read(request)
            if self._stopping:
                raise web.HTTPServiceUnavailable
        except web.HTTPException as refusal:
            if not isinstance(refusal, web.HTTPNotFound):  # strangers write no log
                _logger.warning("refused a request: %d %s", refusal.status, refusal.reason)
            await _hang_up(request, refusal)
            raise
        url = request.rel_url
        query = _whole_query(url) if kind is PushKind.INBOUND_SMS else url.raw_query_string
        status = await self._settle(RawPush(kind, query, body, time()))
        if status is not HTTPStatus.OK:
            return web.Response(status=status, text=f"{status.value}: {status.phrase}")
        return web.Response(text="" if kind is PushKind.INBOUND_SMS else "OK")

    async def expect(self, request: web.Request) -> None:
        """Ask a client that waits for it (``Expect: 100-continue``) for a body to be read."""
        waits = request.headers.get("Expect", "").lower() == "100-continue"
        with suppress(web.HTTPException):  # raised again by `handle`
            self._admit(request)
            if waits and request.version == HttpVersion11 and request.transport:
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _admit(self, request: web.Request) -> PushKind:
        """Refuse what its head alone condemns; a wrong secret before anything else shows."""
        tail = request.match_info["tail"]
        prefix, slash, name = tail.rpartition("/")
        given = (prefix + slash).encode("utf-8", "surrogatepass")
        # All are compared, so that the time does not tell how near the given one was.
        authentic = True in [hmac.compare_digest(given, known) for known in self._prefixes]
        method, kind = _ROUTES.get(name, ("", None))
        plain = request.rel_url.raw_path.endswith(tail)  # as against %2F for a slash
        if not authentic or kind is None or not plain:
            raise web.HTTPNotFound
        if request.method != method:
            raise web.HTTPMethodNotAllowed(request.method, (method,))
        codings = request.headers.getall("Content-Encoding", ())
        if codings and not {coding.strip().lower() for coding in codings} <= {"", "identity"}:
            raise web.HTTPUnsupportedMediaType
        self._check_size(request.content_length or 0)
        return kind

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise web.HTTPRequestEntityTooLarge(0, 0, text="413: the body is too big")

    async def _read(self, request: web.Request) -> bytes:
        """Read the body under our own limits: the host application has others, or none."""
        content = request.content
        try:
            if content.is_eof():  # all of it arrived with the head
                # aiohttp keeps what a middleware has read.
                body = content.read_nowait() or await request.read()
                self._check_size(len(body))
            else:
                body = await self._receive(content)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (HttpProcessingError, web.RequestPayloadError, ConnectionError):
            raise web.HTTPBadRequest from None
        if len(body) < content.total_bytes:
            _logger.error("something in front of the receiver has taken the body away")
            raise web.HTTPInternalServerError
        return body

    async def _receive(self, content: StreamReader) -> bytes:
        body = bytearray()
        async with asyncio.timeout(self._limits.read_seconds):
            while chunk := await content.readany():
                body += chunk
                self._check_size(len(body))
        return bytes(body)

    async def _settle(self, push: RawPush) -> HTTPStatus:
        """Await what becomes of a push, in a task that outlives a client which goes away."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[HTTPStatus] = loop.create_future()
        self._running[answer] = loop.create_task(self._run(push, answer))
        return await answer

    async def _run(self, push: RawPush, answer: asyncio.Future[HTTPStatus]) -> None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            status = await self._dispatch.take(push)
        except asyncio.CancelledError:
            _logger.warning("handlers were cancelled on a post to %s", push.kind.value)
            raise
        finally:
            del self._running[answer]
            if not answer.done():  # else nobody waits for it any more
                answer.set_result(status)

    async def while_serving(self, _: web.Application) -> AsyncIterator[None]:
        """Guard aiohttp's own loggers, and have what waits handled."""
        self._mask.guard(logging.getLogger("aiohttp.access"), logging.getLogger("aiohttp.server"))
        async with self._dispatch.serve():
            yield
        self._mask.release()

    async def stop(self, _: web.Application) -> None:
        """Take no more, and let handlers in flight finish; cancel those that do not in time."""
        self._stopping = True
        if self._running:
            running = self._running.values()
            _done, late = await asyncio.wait(running, timeout=self._shutdown_timeout)
            for task in late:
                task.cancel()
        await self._dispatch.finish(self._shutdown_timeout)


def webhook_app(
    router: Router,
    *,
    secret: str | Sequence[str] | None,
    limits: Limits = _DEFAULT_LIMITS,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
    zone: tzinfo | None = None,
    shutdown_timeout: float = 20.0,
    journal: Journal | None = None,
    id_key: str | bytes | Sequence[str | bytes] | None = None,
) -> web.Application:
    """Make the application that receives pushes, to be mounted in another or to run alone.

    ::

        app.add_subapp("/infobip", webhook_app(router, secret="long-random-string"))

    It answers 200 after all handlers succeeded, 500 when one failed, so that the gateway sends
    again (§3.1), and 400 to what cannot be read. With a journal it answers 200 when the post is
    durable, whatever is in it, and 503 when it cannot be kept now; it is handled after. A post
    whose secret is wrong cannot be told from one to a wrong path: both get 404. While it serves,
    it takes the secrets and the queries of its routes out of the records of aiohttp's access and
    server loggers.

    Args:
        router: where the events go.
        secret: the segment of the path that only the gateway knows: letters, digits, ``-``,
            ``.`` and ``_``, best some 30 at random; several while one replaces another; None for
            no such segment, where something else keeps strangers out.
        limits: what one post may cost.
        inbound: query parameter to field of the inbound URL (§6).
        zone: the gateway's time zone; without it dates are naive.
        shutdown_timeout: seconds that a stop waits for handlers in flight before it cancels
            them, and then for those of incomplete messages; posts that arrive meanwhile get 503.
            A journal has a limit of its own for its handlers.
        journal: keeps accepted posts until they are handled; it is opened and closed with the
            application, and can serve one only.
        id_key: the one that `InfobipClient` was given; several while one replaces another.
            Delivery reports whose message ids have no tag of it are set aside as `UnreadableRow`,
            those on messages that were sent without the key included (see `tag_message_id`).

    Raises:
        LocalProtocolError: a secret that is empty or cannot stand in one segment of a path,
            a mapping that no inbound URL can have, or a key that is too short.
    """
    template(inbound)  # raises where it is none
    secrets = _secrets(secret)
    mask = _Mask(secrets)
    settings = PushFormat(
        zone=zone, inbound=inbound, most_rows=limits.rows, id_keys=id_keys(id_key)
    )
    dispatch = (
        StoreThenAck(journal, router, settings) if journal else HandleThenAck(router, settings)
    )
    prefixes = [f"{known}/".encode() for known in secrets] or [b""]
    receiver = _Receiver(dispatch, prefixes, mask, limits, shutdown_timeout)
    # Alone, nothing is decompressed at all. Mounted, the host's choice counts: where its aiohttp
    # is as old as 3.10, what came with a request's head is unpacked before anybody is asked.
    app = web.Application(handler_args={"auto_decompress": False})
    app.router.add_route("*", r"/{tail:[\s\S]*}", receiver.handle, expect_handler=receiver.expect)
    app.cleanup_ctx.append(receiver.while_serving)
    app.on_shutdown.append(receiver.stop)
    return app
