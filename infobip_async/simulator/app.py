"""The gateway on a socket of this machine: requests come in, replies leave whole or in part."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import attrs
from aiohttp import HttpVersion11, web
from aiohttp.http import HttpProcessingError

from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.simulator.addresses import operation_of
from infobip_async.simulator.clock import Clock
from infobip_async.simulator.faults import REPLY_FAULTS, Fault, Faults, Rule
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.records import Arrival, Exchange, Operation

_STOP_TIMEOUT: Final = 0.1
_LONGEST_LINE: Final = 1 << 20
"""Octets of a URL: an HLR query by GET has all its numbers there (§4)."""

CONSOLE_PREFIX: Final = "/_simulator/"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_PAGE: Final = b"<html><head><title>Runtime Error</title></head><body>Server Error</body></html>"
_STATUSES: Final = {
    Fault.UNREADABLE_REPLY: HTTPStatus.OK,
    Fault.STATUS_500: HTTPStatus.INTERNAL_SERVER_ERROR,
    Fault.STATUS_307: HTTPStatus.TEMPORARY_REDIRECT,
}


class _WithoutUrls(logging.Filter):
    """Keeps URLs that cannot be read, and the passwords in them, out of the server's records."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.msg, record.args = "a request that is no HTTP", ()
            record.exc_info = record.exc_text = None
        return True


_logger = logging.getLogger("infobip_async.simulator")
_logger.addFilter(_WithoutUrls())


@attrs.define(eq=False)
class GatewayServer:
    """Serves a gateway over HTTP, with the faults that were asked for.

    Attributes:
        gateway: carries the requests out.
        faults: what is to go wrong.
        clock: the time.
        report: starts the reports of an exchange. It sets the first event once the reply may be
            written, and waits for the second, which says that the reply is out or never will be.
        arrived: is told of every request that was carried out, before anything is answered.
        host: the address to listen on.
        port: the port; after the start the one that was free, where 0 was given.
        console: serves requests under its prefix; None where there is no console.
        requests: requests that were answered, or carried out and not answered, by operation.
    """

    gateway: Gateway
    faults: Faults
    clock: Clock
    report: Callable[[Exchange, asyncio.Event, asyncio.Event], None]
    arrived: Callable[[Arrival], None]
    host: str
    port: int
    console: Handler | None = None
    requests: Counter[Operation] = attrs.field(init=False, factory=Counter)
    _server: web.Server = attrs.field(init=False)  # needs a running loop
    _runner: web.ServerRunner = attrs.field(init=False)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._server = web.Server(
            self._serve,
            access_log=None,
            logger=_logger,
            handler_cancellation=True,
            max_line_size=_LONGEST_LINE,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_STOP_TIMEOUT)
        await self._runner.setup()
        await self.listen()

    async def listen(self) -> None:
        """Listen, for the first time or again after `vanish`."""
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.host, self.port = self._runner.addresses[0][:2]

    async def vanish(self) -> None:
        """Stop listening, and close every connection, whatever is under way on it."""
        for site in self._runner.sites:
            await site.stop()
        for connection in self._server.connections:
            connection.force_close()

    async def stop(self) -> None:
        """Let go of everything; `vanish` comes first."""
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.console and request.raw_path.startswith(CONSOLE_PREFIX):
            return await self.console(request)
        operation = operation_of(request.raw_path)
        rule = self.faults.draw(REPLY_FAULTS, operation) if operation else None
        if rule and rule.fault is Fault.REFUSE:
            return _hang_up(request)
        exchange = await self._carry_out(request, rule)
        may_reply, replied = asyncio.Event(), asyncio.Event()
        if exchange.reports:
            self.report(exchange, may_reply, replied)
        else:
            may_reply.set()
        try:
            await may_reply.wait()
            if rule is None:
                return await _reply(request, exchange.reply)
            self.faults.record(rule.fault, exchange.ids)
            replied.set()
            return await self._misbehave(request, exchange.reply, rule)
        finally:
            replied.set()

    async def _carry_out(self, request: web.BaseRequest, rule: Rule | None) -> Exchange:
        asked, now = await _read(request), self.clock.now()
        exchange = self.gateway.handle(asked, now)
        if exchange.operation:
            self.requests[exchange.operation] += 1
        fault = rule.fault.value if rule else None
        headers = request.raw_headers
        self.arrived(
            Arrival(at=now, request=asked, headers=headers, exchange=exchange, fault=fault)
        )
        return exchange

    async def _misbehave(
        self, request: web.BaseRequest, reply: HttpReply, rule: Rule
    ) -> web.StreamResponse:
        match rule.fault:
            case Fault.SLOW:
                await self.clock.sleep(rule.seconds)
                return await _reply(request, reply)
            case Fault.HANG:
                never: asyncio.Future[web.StreamResponse] = asyncio.Future()
                return await never  # cancelled when the connection is closed
            case Fault.CUT_BEFORE_REPLY:
                return _hang_up(request)
            case Fault.CUT_INSIDE_REPLY:
                return await _reply_in_part(request, reply)
            case fault:
                page = HttpReply(_STATUSES[fault], _PAGE, "text/html; charset=utf-8")
                return await _reply(request, page)


async def _read(request: web.BaseRequest) -> HttpRequest:
    """Read a whole request, of any size."""
    waits = request.headers.get("Expect", "").lower() == "100-continue"
    if waits and request.version >= HttpVersion11:  # HTTP/1.0 knows no such answer
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        body = await request.content.read()
    except web.RequestPayloadError:
        raise web.HTTPBadRequest from None
    content_type = request.headers.get("Content-Type")
    return HttpRequest(request.method, request.raw_path, body, content_type)


async def _reply(request: web.BaseRequest, reply: HttpReply) -> web.StreamResponse:
    """Write a whole reply now: the reports that follow must not come before it."""
    headers = {"Content-Type": reply.content_type}
    if reply.status == HTTPStatus.TEMPORARY_REDIRECT:
        headers["Location"] = request.raw_path
    response = web.Response(status=reply.status, body=reply.body, headers=headers)
    with suppress(ConnectionError):  # the client did not wait for it
        await response.prepare(request)
        await response.write_eof()
    return response


async def _reply_in_part(request: web.BaseRequest, reply: HttpReply) -> web.StreamResponse:
    """Write the head of a reply and half of its body, and hang up."""
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    response.content_length = len(reply.body)
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    _hang_up(request)
    return response


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection; the response that is returned is never written."""
    request.protocol.force_close()
    return web.Response()
