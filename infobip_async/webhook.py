"""The receiver as an aiohttp application, for what the gateway pushes (§3.1, §5, §6).

::

    POST /<secret>/dlr        delivery reports
    POST /<secret>/hlr        HLR reports
    GET  /<secret>/inbound    inbound SMS

It has limits of its own, whatever application it is mounted in, and answers with short fixed
bodies. The gateway gets its 200 after the handlers succeeded, or a journal has the push on disk,
never before.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import tzinfo
from http import HTTPStatus
from typing import Final

import attrs
from aiohttp import HttpVersion11, web
from aiohttp.http import HttpProcessingError

from infobip_async.journal.base import Journal
from infobip_async.protocol.exchange import PushKind
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES
from infobip_async.receiver.admission import Limits, RefusedError, answer
from infobip_async.receiver.receiver import DEFAULT_LIMITS, Receiver, make_receiver
from infobip_async.receiver.urls import callback_urls
from infobip_async.router import Router

__all__ = ["Limits", "callback_urls", "listening", "webhook_app"]

_logger = logging.getLogger("infobip_async.receiver")

_LAST_READ: Final = 1.0
"""Seconds that a stop leaves to requests that are still being read."""


@attrs.define
class _Shell:
    """Translates between aiohttp and the receiver."""

    receiver: Receiver
    _guarded: set[logging.Logger | None] = attrs.field(init=False, factory=set)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, whatever it asks for."""
        self._guard(request.protocol.access_log, request.protocol.logger)
        url = request.rel_url
        query = url.raw_query_string + (f"#{url.raw_fragment}" if url.raw_fragment else "")
        try:
            kind = self._admit(request)
            status = await self.receiver.take(kind, query, await self._read(request))
        except RefusedError as refusal:
            self.receiver.log(refusal)
            return await _hang_up(request, refusal)
        return web.Response(status=status, text=answer(kind, status))

    async def expect(self, request: web.Request) -> None:
        """Ask a client that waits for it (``Expect: 100-continue``) for a body to be read."""
        waits = request.headers.get("Expect", "").lower() == "100-continue"
        with suppress(RefusedError):  # raised again by `handle`
            self._admit(request)
            if waits and request.version == HttpVersion11 and request.transport:
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _guard(self, *loggers: logging.Logger | None) -> None:
        """Keep secrets out of loggers; which ones the server has shows with its first request."""
        if not self._guarded.issuperset(loggers):
            self._guarded.update(loggers)
            self.receiver.mask.guard(*loggers)

    def _admit(self, request: web.Request) -> PushKind:
        tail, path = request.match_info["tail"], request.rel_url.raw_path
        return self.receiver.admission.admit(request.method, tail, path, request.headers.items())

    async def _read(self, request: web.Request) -> bytes:
        content = request.content
        try:
            if content.is_eof():  # all of it arrived with the head
                # aiohttp keeps what a middleware has read.
                body = content.read_nowait() or await request.read()
            else:
                body = await self.receiver.read(content.iter_any())
        except (HttpProcessingError, web.RequestPayloadError, ConnectionError):
            raise RefusedError(HTTPStatus.BAD_REQUEST) from None
        if len(body) < content.total_bytes:
            _logger.error("something in front of the receiver has taken the body away")
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR)
        return body

    async def while_serving(self, _: web.Application) -> AsyncIterator[None]:
        """Guard aiohttp's own loggers, and have what waits handled."""
        self._guard(logging.getLogger("aiohttp.access"), logging.getLogger("aiohttp.server"))
        try:
            async with self.receiver.serving():
                yield
        finally:
            self.receiver.mask.release()

    async def stop(self, _: web.Application) -> None:
        """Stop the receiver."""
        await self.receiver.stop()


async def _hang_up(request: web.Request, refusal: RefusedError) -> web.Response:
    """Answer, and close without reading what is left of the request.

    Left to itself aiohttp would read the rest first, and decompress it: a gzip bomb would hold
    the event loop although it was refused.
    """
    response = web.Response(status=refusal.status, text=refusal.text, headers=refusal.headers)
    response.force_close()
    with suppress(ConnectionError):  # the peer hung up before
        await response.prepare(request)
        await response.write_eof()
    request.protocol.force_close()
    return response


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
        )
    )
    # Alone, nothing is decompressed at all. Mounted, the host's choice counts: where its aiohttp
    # is as old as 3.10, what came with a request's head is unpacked before anybody is asked.
    app = web.Application(handler_args={"auto_decompress": False})
    app.router.add_route("*", r"/{tail:[\s\S]*}", shell.handle, expect_handler=shell.expect)
    app.cleanup_ctx.append(shell.while_serving)
    app.on_shutdown.append(shell.stop)
    return app


@asynccontextmanager
async def listening(
    app: web.Application, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve an application on an address of its own, until the context is left.

    ::

        async with listening(webhook_app(router, secret=secret), "0.0.0.0", 8080) as base_url:
            ...

    Args:
        app: made by `webhook_app`, or one in which that is mounted.
        host: the address to listen on.
        port: the port; 0 for any that is free.

    Returns:
        The URL of the address, such as ``http://127.0.0.1:8080``.

    Raises:
        OSError: the address cannot be listened on.
    """
    # The application itself waits for its handlers, so only reading is waited for here.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_READ)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound, number = runner.addresses[0][:2]
        yield f"http://[{bound}]:{number}" if ":" in bound else f"http://{bound}:{number}"
    finally:
        await runner.cleanup()
