"""One exchange: a request out, a reply in, and the evidence whether any byte left.

`HttpSender` tells apart the two failures that matter to a sender: no byte left this machine
(`NotSentError`), or some may have (`OutcomeUnknownError`).
"""

import asyncio
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs
import httpx

from infobip_async.errors import (
    GatewayUnreachableError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.redaction import exchange_of_ours

MAX_REPLY: Final = 64 * 1024 * 1024
"""The most octets of a reply that are read: ten times the reply to 100,000 HLR numbers."""

_REPLY_TIMES: Final = 10
"""How many times as long as the wait for its next octet a whole reply may take."""

_UNPACKED_AT_ONCE: Final = 1024 * 1024
"""Octets that are unpacked before the event loop has its turn."""

_PACKINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32

_REFUSAL: Final = "the proxy refuses to connect to the gateway"
_REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: (
        "the proxy wants a login, or refuses the one in its URL"
    ),
    **dict.fromkeys(
        (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT),
        "the proxy could not reach the gateway",
    ),
}
"""What a proxy means by the HTTP status in place of a tunnel."""


@attrs.define
class _ReplyLimit:
    """Limits the time of a reply, from the end of its request to the end of its body.

    The timeout for the next octet does not: octets may trickle in, and informational replies (1xx)
    may come one after the other, for ever.

    Attributes:
        seconds: that a reply may take; None for no limit.
        timeout: the scope in which the exchange is made.
    """

    seconds: float | None
    timeout: asyncio.Timeout = attrs.field(factory=lambda: asyncio.timeout(None))

    def start(self) -> None:
        if self.seconds is not None:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self.seconds)

    def clear(self) -> None:
        self.timeout.reschedule(None)

    @property
    def started(self) -> bool:
        return self.timeout.when() is not None


@attrs.define
class _Evidence:
    """What httpcore's trace proves about one request.

    The class of an exception does not tell whether bytes left: httpcore swallows a write error,
    and raises a read error later. A transport that traces nothing proves nothing.
    """

    reply_limit: _ReplyLimit
    traced: bool = False
    started: int = 0
    connected: bool = False
    tunnelled: bool = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.traced = True
        if event.endswith("send_request_headers.started"):
            # The CONNECT for a proxy carries nothing of the request.
            self.started += info["request"].method != b"CONNECT"
            self.reply_limit.clear()
        elif event.endswith("receive_response_headers.started"):
            self.reply_limit.start()
        elif event == "http11.send_request_headers.failed":
            # h11 refuses headers before it writes the first octet of them.
            refused = type(info["exception"]).__name__ == "LocalProtocolError"
            self.started = max(0, self.started - refused)
        elif event == "connection.connect_tcp.complete":
            self.connected = True
        elif event == "proxy.start_tls.started":
            self.tunnelled = True

    @property
    def may_have_left(self) -> bool:
        return self.started > 0 or not self.traced


@attrs.frozen
class HttpSender:
    """Makes exchanges over an httpx client, or over a transport of ours.

    Attributes:
        build: makes a request, as ``httpx.Request`` and ``httpx.AsyncClient.build_request`` do.
        dispatch: sends a request and gives its response, with the body unread. It must not
            follow redirects: that would repeat a send. It raises `NotSentError` where it knows.
        timeouts: seconds for ``connect``, ``read``, ``write`` and ``pool``, as httpx has them.
        connect_retries: retries of a request that failed before any byte was sent.
        proxied: whether connections lead to a proxy.
    """

    build: Callable[..., httpx.Request]
    dispatch: Callable[[httpx.Request], Awaitable[httpx.Response]]
    timeouts: Mapping[str, float | None]
    connect_retries: int = 0
    proxied: bool = False

    @property
    def _most_seconds(self) -> float | None:
        """The time of a reply: one that does not end must not hold its connection for ever."""
        read = self.timeouts.get("read")
        return None if read is None else _REPLY_TIMES * read

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send a request and read the whole reply.

        Raises:
            LocalProtocolError: the request cannot be made: its URL is longer than httpx allows.
            NotSentError: it failed before any byte of the request left.
            OutcomeUnknownError: it failed later, or nothing proves that it failed before.
        """
        exchange_of_ours.set(True)
        outcome = await self._attempt(request)
        for _ in range(self.connect_retries):
            if isinstance(outcome, NotSentError) and not outcome.final:
                outcome = await self._attempt(request)
        if isinstance(outcome, GatewayUnreachableError):
            raise outcome
        return outcome

    async def _attempt(self, request: HttpRequest) -> HttpReply | GatewayUnreachableError:
        """Try once. A failure is returned, not raised: no traceback must lead to the request."""
        limit = _ReplyLimit(self._most_seconds)
        evidence = _Evidence(limit)
        built = self._built(request, evidence)
        response = None
        try:
            try:
                async with limit.timeout:
                    response = await self.dispatch(built)
                    if not limit.started:  # the transport traces nothing
                        limit.start()
                    body = await _read(response)
                return HttpReply(response.status_code, body, delimited=_delimited(response))
            finally:
                if response is not None:
                    await response.aclose()
        except NotSentError as fault:
            return fault.with_traceback(None)
        except Exception as fault:  # noqa: BLE001 - the class of a failure proves nothing
            return _failure(fault, evidence, proxied=self.proxied)

    def _built(self, request: HttpRequest, evidence: _Evidence) -> httpx.Request:
        headers = {"Accept-Encoding": "identity"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        try:
            return self.build(
                request.method,
                request.url,
                headers=headers,
                content=request.body or None,
                extensions={"timeout": dict(self.timeouts), "trace": evidence},
            )
        except Exception as fault:  # noqa: BLE001 - any client can be given
            kind = type(fault).__name__
        # Raised out here, since the traceback from inside leads to the URL.
        raise LocalProtocolError(f"the request cannot be made ({kind})", field="url")


def _delimited(response: httpx.Response) -> bool:
    return "Content-Length" in response.headers or "Transfer-Encoding" in response.headers


async def _read(response: httpx.Response) -> bytes:
    """Read a body up to the limit, which is of what comes out where it is packed."""
    received = bytearray()
    async for chunk in _unpacked(response):
        received += chunk
        if len(received) > MAX_REPLY:
            raise OverflowError(f"a reply of more than {MAX_REPLY} octets")
    return bytes(received)


async def _unpacked(response: httpx.Response) -> AsyncIterator[bytes]:
    """Give the octets of a body, a few at a time.

    No packing is asked for, and some gateways and proxies pack all the same. httpx unpacks a whole
    chunk at once, which can be a thousand times as large then. What is no packing of ours is given
    as it is: servers write all sorts of things there, such as the charset.
    """
    if response.is_stream_consumed:  # such as that of a mock
        yield await response.aread()
        return
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB) if packing in _PACKINGS else None
    try:
        async for chunk in response.aiter_raw():
            if unpacking is None:
                yield chunk
                continue
            rest = chunk
            while rest:
                yield unpacking.decompress(rest, _UNPACKED_AT_ONCE)
                rest = unpacking.unconsumed_tail
                await asyncio.sleep(0)
    except zlib.error as fault:
        raise httpx.DecodingError(str(fault)) from fault
    if unpacking is not None and (not unpacking.eof or unpacking.unused_data):
        raise httpx.DecodingError("the packed reply does not end where its body ends")


def _failure(fault: Exception, evidence: _Evidence, *, proxied: bool) -> GatewayUnreachableError:
    """Describe a failure without the text of its exception, which may repeat a URL or a body."""
    kind = type(fault).__name__
    link: BaseException | None = fault
    while link is not None:
        if isinstance(link, OSError) and link.errno:
            kind = f"{kind}: {_reason(link)}"
            break
        link = link.__cause__ or link.__context__
    if evidence.may_have_left:
        return OutcomeUnknownError(f"no reply, and the request may have arrived ({kind})")
    status = _refused_tunnel(fault)
    what = "the gateway could not be reached"
    if status is not None:
        what, kind = _REFUSALS.get(status, _REFUSAL), f"{kind}: HTTP {status}"
    elif proxied and not evidence.connected:
        what = "the proxy could not be reached"
    elif proxied and not evidence.tunnelled:
        what = "the proxy did not answer"
    final = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    return NotSentError(f"{what}, nothing was sent ({kind})", final=final)


def _refused_tunnel(fault: Exception) -> int | None:
    """The HTTP status with which a proxy refused to connect to the gateway.

    The reason phrase behind it is the proxy's, and is left out.
    """
    status = str(fault)[:3] if type(fault).__name__ == "ProxyError" else ""
    return int(status) if status.isascii() and status.isdigit() else None


def _reason(fault: OSError) -> str:
    match fault:
        case ssl.SSLError():
            return str(fault.reason)
        case socket.gaierror():
            return "the name of the host cannot be resolved"
        case _:
            return os.strerror(fault.errno or 0)
