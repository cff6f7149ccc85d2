"""The receiver as an aiohttp application, for what the gateway pushes (§3.1, §5, §6).

::

    POST /<secret>/dlr        delivery reports
    POST /<secret>/hlr        HLR reports
    GET  /<secret>/inbound    inbound SMS

It has limits of its own, whatever application it is mounted in, and answers with short fixed
bodies. The gateway gets its 200 after the handlers succeeded, or a journal has the push on disk,
never before.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import tzinfo
from functools import partial
from http import HTTPStatus
from typing import Final, TypeAlias, cast

import attrs
from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.http import HttpProcessingError

from infobip_async.concurrency.strangers import Strangers, trust
from infobip_async.journal.base import Journal
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES
from infobip_async.receiver.admission import Head, Limits, RefusedError, query_of
from infobip_async.receiver.receiver import (
    DEFAULT_LIMITS,
    Receiver,
    make_receiver,
)
from infobip_async.receiver.start_and_stop import Part, serving
from infobip_async.receiver.urls import callback_urls
from infobip_async.redaction import provoked_lines_bounded
from infobip_async.router import Router

if sys.platform != "win32":
    import resource

__all__ = ["Limits", "callback_urls", "listening", "run_receiver", "webhook_app"]

Protocols: TypeAlias = Callable[[], asyncio.Protocol]

_REST_OF_LINE: Final = 1024
"""Octets that a request line has beside the query, at most."""

_KEEP_ALIVE: Final = 75.0
"""Seconds that a connection is kept open between two requests."""

_MOST_STRANGERS: Final = 1_000

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_LAST_READ: Final = 1.0
"""Seconds that a stop leaves to requests that are still being read."""


@attrs.define
class _Shell:
    """Translates between aiohttp and the receiver."""

    receiver: Receiver

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, whatever it asks for."""
        # Which loggers the server has, shows with a request. They may be of any class.
        self.receiver.mask.guard(request.protocol.access_log, request.protocol.logger)
        answer = await self.receiver.answer(_head(request), partial(self._read, request))
        headers = answer.headers or None  # aiohttp would copy an empty mapping
        response = web.Response(status=answer.status, text=answer.text, headers=headers)
        if answer.hangs_up:
            await _hang_up(request, response)
        return response

    async def expect(self, request: web.Request) -> None:
        """Ask a client that waits for it (``Expect: 100-continue``) for a body to be read."""
        waits = request.headers.get("Expect", "").lower() == "100-continue"
        with suppress(RefusedError):  # raised again by `handle`
            self.receiver.admission.admit(_head(request))
            if waits and request.version == HttpVersion11 and request.transport:
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _read(self, request: web.Request) -> bytes:
        trust(request.transport)
        content = request.content
        try:
            if content.is_eof():  # all of it arrived with the head
                # aiohttp keeps what a middleware has read.
                body = content.read_nowait() or await request.read()
            else:
                body = await self.receiver.read(partial(_more, content))
        except (HttpProcessingError, web.RequestPayloadError, ConnectionError):
            raise RefusedError(HTTPStatus.BAD_REQUEST) from None
        if len(body) < content.total_bytes:
            raise self.receiver.body_taken_away()
        return body

    async def while_serving(self, _: web.Application) -> AsyncIterator[None]:
        """Have what waits handled."""
        async with self.receiver.serving():
            yield

    async def stop(self, _: web.Application) -> None:
        """Stop the receiver while requests can still be answered."""
        await self.receiver.stop()


def _head(request: web.Request) -> Head:
    target = request.raw_path.encode("utf-8", "surrogateescape")
    return Head(
        method=request.method,
        tail=request.match_info["tail"],
        raw_path=request.rel_url.raw_path,
        query=query_of(target.partition(b"?")[2]),
        headers=request.headers.items(),
    )


async def _more(content: StreamReader) -> bytes | None:
    return await content.readany() or None


async def _hang_up(request: web.Request, response: web.Response) -> None:
    """Answer, and close without reading what is left of the request.

    Left to itself aiohttp would read the rest first, and decompress it: a gzip bomb would hold
    the event loop although it was refused.
    """
    response.force_close()
    with suppress(ConnectionError):  # the peer hung up before
        await response.prepare(request)
        await response.write_eof()
    request.protocol.force_close()


def webhook_app(
    router: Router,
    *,
    secret: str | Sequence[str] | None,
    limits: Limits = DEFAULT_LIMITS,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
    zone: tzinfo | None = None,
    stop_timeout: float = 20.0,
    journal: Journal | None = None,
    id_key: str | bytes | Sequence[str | bytes] | None = None,
    health_path: str | None = None,
    max_waiting: float = 300.0,
) -> web.Application:
    """Make the application that receives pushes, to be mounted in another or to run alone.

    ::

        app.add_subapp("/infobip", webhook_app(router, secret="long-random-string"))

    It answers 200 after all handlers succeeded, 500 when one failed, so that the gateway sends
    again (§3.1), and 400 to what cannot be read. With a journal it answers 200 when the push is
    durable, whatever is in it, and 503 when it cannot be stored now; it is handled after that. A
    push with a wrong secret and one to a wrong path both get the same 404. While it serves, it
    takes the secrets and the queries of its routes out of the records of aiohttp's access and
    server loggers.

    Args:
        router: where the events go.
        secret: the segment of the path that only the gateway knows: letters, digits, ``-``,
            ``.`` and ``_``, best some 30 at random; several while one replaces another; None for
            no such segment, where something else keeps strangers out.
        limits: what one push may cost.
        inbound: query parameter to field of the inbound URL (§6).
        zone: the gateway's time zone; without it dates are naive.
        stop_timeout: seconds that a stop waits for handlers in flight before it cancels them, and
            then for the handlers of incomplete messages; pushes that arrive meanwhile get 503. A
            journal has a limit of its own for its handlers.
        journal: stores accepted pushes until they are handled. It is opened and closed with the
            application, and can serve one only.
        id_key: the one that `InfobipClient` was given; several while one replaces another.
            Delivery reports whose message ids have no tag of it are set aside as `UnreadableRow`,
            those on messages that were sent without the key included (see `tag_message_id`).
        health_path: a path below the mount point, such as ``/healthz``, that answers whoever asks
            with 200, or with 503 during a stop and where acknowledged pushes are not handled.
        max_waiting: seconds that a push may wait in the journal before that.

    Raises:
        LocalProtocolError: a secret that is empty or cannot stand in one segment of a path,
            a mapping that no inbound URL can have, or a key that is too short.
    """
    shell = _Shell(
        make_receiver(
            router,
            secret=secret,
            limits=limits,
            inbound=inbound,
            zone=zone,
            stop_timeout=stop_timeout,
            journal=journal,
            id_key=id_key,
            health_path=health_path,
            max_waiting=max_waiting,
        )
    )
    # Alone, nothing is decompressed at all. Mounted, the host's choice counts: where its aiohttp
    # is as old as 3.10, what came with a request's head is unpacked before anybody is asked.
    # aiohttp's own limit of a target, 8,190 octets, is less than an inbound SMS can take.
    line_size = limits.query_bytes + _REST_OF_LINE
    app = web.Application(handler_args={"auto_decompress": False, "max_line_size": line_size})
    app.router.add_route("*", r"/{tail:[\s\S]*}", shell.handle, expect_handler=shell.expect)
    app.cleanup_ctx.append(shell.while_serving)
    app.on_shutdown.append(shell.stop)
    return app


@asynccontextmanager
async def listening(
    app: web.Application,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    head_seconds: float = 10.0,
    max_strangers: int | None = None,
) -> AsyncIterator[str]:
    """Serve an application on an address of its own, until the context is left.

    ::

        async with listening(webhook_app(router, secret=secret), "0.0.0.0", 8080) as base_url:
            ...

    Connections that send nothing, or half a request, take places of strangers only: those who have
    made no authentic push. When one more stranger comes than there may be, the oldest is
    disconnected.

    Args:
        app: made by `webhook_app`, or one in which that is mounted.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        head_seconds: seconds that a connection may take for the head of its first request.
        max_strangers: connections without an authentic push at most; by default half of the
            descriptors that this process may have (``ulimit -n``), and 1,000.

    Returns:
        The URL of the address, such as ``http://127.0.0.1:8080``.

    Raises:
        OSError: the address cannot be listened on.
    """
    strangers = Strangers(_places() if max_strangers is None else max_strangers, head_seconds)
    # The application itself waits for its handlers, so only reading is waited for here.
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_LAST_READ,
        keepalive_timeout=_KEEP_ALIVE,
        max_line_size=DEFAULT_LIMITS.query_bytes + _REST_OF_LINE,
    )
    with provoked_lines_bounded():
        await runner.setup()
        try:
            server = await _listen(strangers.watched(cast("Protocols", runner.server)), host, port)
            try:
                bound, number = server.sockets[0].getsockname()[:2]
                yield f"http://[{bound}]:{number}" if ":" in bound else f"http://{bound}:{number}"
            finally:
                server.close()
        finally:
            await runner.cleanup()


async def _listen(
    factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(factory, host, port, backlog=128)


def _places() -> int:
    """How many connections of strangers leave enough descriptors to everybody else."""
    if sys.platform == "win32":
        return _MOST_STRANGERS
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_STRANGERS if limit < 0 else min(limit // 2, _MOST_STRANGERS)


async def run_receiver(
    app: web.Application,
    *parts: Part,
    host: str = "127.0.0.1",
    port: int = 8080,
    stop_timeout: float = 25.0,
    started: Callable[[str], object] | None = None,
) -> None:
    """Serve an application until SIGTERM or SIGINT comes, and stop cleanly then.

    ::

        asyncio.run(run_receiver(webhook_app(router, secret=secret), host="0.0.0.0"))

    A second signal ends the program at once.

    Args:
        app: made by `webhook_app`, or one in which that is mounted.
        parts: what lives beside the receiver, as `infobip_async.serving` takes it.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        stop_timeout: seconds that the whole stop may take.
        started: is called with the URL of the address when it can be reached.

    Raises:
        OSError: the address cannot be listened on.
    """
    async with serving(listening(app, host, port), *parts, stop_timeout=stop_timeout) as base_url:
        stopped = asyncio.Event()
        with _signals(stopped.set):
            if started is not None:
                started(base_url)
            await stopped.wait()


@contextmanager
def _signals(tell: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call a function; on Windows Ctrl-C cancels the task instead."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, tell)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)
