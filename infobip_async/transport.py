"""How requests leave, and the evidence of what left.

`SlotTransport` is an httpx transport that gives every exchange in flight a connection of its own
and keeps idle ones in a free list: its cost per request does not grow with concurrency, and a
cancelled request costs at most its own connection.

`Carrier` makes one exchange and tells the two failures apart that matter to a sender: no byte left
(`NotSentError`), or some may have (`OutcomeUnknownError`).

`Flights` bounds what is under way, and lets it land though its caller is cancelled.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

import attrs
import httpcore
import httpx

from infobip_async.errors import (
    GatewayUnreachableError,
    NotSentError,
    OutcomeUnknownError,
    RemoteProtocolError,
)
from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.redaction import secrets_of_this_exchange

T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_REPLY: Final = 64 * 1024 * 1024
"""Octets of a reply that are read; ten times what 100,000 HLR rows take."""


# --- connections ----------------------------------------------------------------------------


def _key(origin: httpcore.Origin) -> tuple[bytes, bytes, int]:
    return origin.scheme, origin.host, origin.port


@attrs.define
class _SlotStream(httpx.AsyncByteStream):
    """The body of a reply; closing it gives the connection back."""

    _body: httpcore.Response
    _give_back: Callable[[], Awaitable[None]]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()
        await self._give_back()


@attrs.define(eq=False)
class SlotTransport(httpx.AsyncBaseTransport):
    """One HTTP/1.1 connection per exchange in flight, and a free list of idle ones.

    It sets no limit of its own: whoever calls it limits the exchanges in flight. Failures are
    httpcore's exceptions.

    Attributes:
        ssl_context: for https; certifi's certificates where it is None.
        keepalive_expiry: seconds that an idle connection is kept; below what servers allow, so
            that they do not close it just when it is used again.
    """

    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    keepalive_expiry: float = 5.0
    _free: dict[tuple[bytes, bytes, int], list[httpcore.AsyncHTTPConnection]] = attrs.field(
        init=False, factory=dict, repr=False
    )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over an idle connection, or a new one where none is idle."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        connection = await self._take(url.origin)
        try:
            response = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException:
            await connection.aclose()
            raise

        async def give_back() -> None:
            await self._give_back(url.origin, connection)

        return httpx.Response(
            response.status, headers=response.headers, stream=_SlotStream(response, give_back)
        )

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        free = self._free.setdefault(_key(origin), [])
        while free:
            connection = free.pop()
            if connection.is_available() and not connection.has_expired():
                return connection
            await connection.aclose()
        if origin.scheme == b"https" and self.ssl_context is None:
            self.ssl_context = httpx.create_ssl_context(trust_env=False)
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self.ssl_context, keepalive_expiry=self.keepalive_expiry
        )

    async def _give_back(
        self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection
    ) -> None:
        free = self._free[_key(origin)]
        if connection.is_available():
            free.append(connection)
        else:
            await connection.aclose()
        # The least recently used one stands first: after a burst the list shrinks from there.
        if len(free) > 1 and free[0].has_expired():
            await free.pop(0).aclose()

    async def aclose(self) -> None:
        """Close the idle connections."""
        for free in self._free.values():
            while free:
                await free.pop().aclose()


def default_transport(
    proxy: str | None, ssl_context: ssl.SSLContext | None, concurrency: int
) -> httpx.AsyncBaseTransport:
    """A `SlotTransport`, or with a proxy httpx's own transport, which knows how to use one."""
    if proxy is None:
        return SlotTransport(ssl_context)
    return httpx.AsyncHTTPTransport(
        proxy=proxy,
        verify=ssl_context or httpx.create_ssl_context(trust_env=False),
        trust_env=False,
        limits=httpx.Limits(max_connections=concurrency),
    )


# --- one exchange ---------------------------------------------------------------------------


@attrs.define
class _Evidence:
    """What httpcore's trace tells of a request.

    Exception classes cannot tell whether bytes left: a write error is swallowed, and shows as a
    read error later. A transport that traces nothing proves nothing.
    """

    traced: bool = False
    started: bool = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.traced = True
        if event.endswith("send_request_headers.started"):
            # A proxy's CONNECT carries nothing of the request.
            self.started = self.started or info["request"].method != b"CONNECT"

    @property
    def may_have_left(self) -> bool:
        return self.started or not self.traced


class Sender(Protocol):
    """Whatever sends one request and gives the response, its body unread."""

    def __call__(  # noqa: D102 - the class says it
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        extensions: Mapping[str, object],
    ) -> Awaitable[httpx.Response]: ...


def directly(transport: httpx.AsyncBaseTransport) -> Sender:
    """Send through a transport, past httpx's client layer, which would log the URL."""

    async def send(
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        extensions: Mapping[str, object],
    ) -> httpx.Response:
        return await transport.handle_async_request(
            httpx.Request(
                method, url, headers=headers, content=content, extensions=dict(extensions)
            )
        )

    return send


def through(http: httpx.AsyncClient) -> Sender:
    """Send through a caller's client, without following redirects, which would repeat a send."""

    async def send(
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        extensions: Mapping[str, object],
    ) -> httpx.Response:
        request = http.build_request(
            method, url, headers=headers, content=content, extensions=dict(extensions)
        )
        return await http.send(request, stream=True, follow_redirects=False)

    return send


@attrs.frozen
class Carrier:
    """Makes exchanges through whatever sends requests.

    Attributes:
        send: sends one request.
        timeouts: seconds for ``connect``, ``read``, ``write`` and ``pool``, as httpx has them.
        connect_retries: times that a request is tried again of which no byte had left.
        secrets: what no log record may hold.
    """

    send: Sender
    timeouts: Mapping[str, float | None]
    connect_retries: int = 0
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)

    async def carry(self, request: HttpRequest) -> HttpReply:
        """Send a request and read the whole reply.

        Raises:
            NotSentError: it failed, and no byte of the request had left.
            OutcomeUnknownError: it failed after that, or nothing proves that it did not; or the
                HTTP status is not 2xx, whatever stands behind it.
        """
        secrets_of_this_exchange.set(self.secrets)
        for retries_left in range(self.connect_retries, -1, -1):
            outcome = await self._attempt(request)
            if not (retries_left and isinstance(outcome, NotSentError)):
                break
        if isinstance(outcome, GatewayUnreachableError):
            raise outcome
        if not outcome.successful:
            status = f"the reply has HTTP status {outcome.status}"
            raise OutcomeUnknownError(status) from RemoteProtocolError(status, raw=outcome.body)
        return outcome

    async def _attempt(self, request: HttpRequest) -> HttpReply | GatewayUnreachableError:
        """One attempt. The failure is returned, so that no traceback leads to the request."""
        evidence = _Evidence()
        headers = {"Accept-Encoding": "identity"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        try:
            response = await self.send(
                request.method,
                request.url,
                headers=headers,
                content=request.body or None,
                extensions={"timeout": dict(self.timeouts), "trace": evidence},
            )
            try:
                return HttpReply(response.status_code, await _read(response))
            finally:
                await response.aclose()
        except Exception as fault:  # noqa: BLE001 - the class of a failure proves nothing
            return _failure(fault, evidence)


async def _read(response: httpx.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_REPLY:
            raise OverflowError(f"a reply of more than {MAX_REPLY} octets")
        chunks.append(chunk)
    return b"".join(chunks)


def _failure(fault: Exception, evidence: _Evidence) -> GatewayUnreachableError:
    """Say what failed without the text of the fault, which may repeat a URL or a body."""
    kind = type(fault).__name__
    link: BaseException | None = fault
    while link is not None:
        if isinstance(link, OSError) and link.errno:
            kind = f"{kind}: {os.strerror(link.errno)}"
            break
        link = link.__cause__ or link.__context__
    if evidence.may_have_left:
        return OutcomeUnknownError(f"no reply, and the request may have arrived ({kind})")
    return NotSentError(f"the gateway could not be reached, nothing was sent ({kind})")


# --- what is under way ----------------------------------------------------------------------


class Flights:
    """Bounds what is under way at once, and lets it land though its caller is cancelled.

    Args:
        limit: how many at the most; the next one waits, and can be cancelled while it does.
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._flying: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._flying)

    async def fly(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in a task of its own and await it, shielded from cancellation.

        Raises:
            RuntimeError: `land` was called; nothing starts any more.
        """
        await self._slots.acquire()
        if self._closed:
            self._slots.release()
            raise RuntimeError("the client is closed")
        task = asyncio.create_task(start())
        self._flying.add(task)
        task.add_done_callback(self._landed)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._flying.discard(task)
        self._slots.release()

    async def land(self, timeout: float) -> None:  # noqa: ASYNC109 - the rest is cancelled after it
        """Start nothing more, and wait for what is under way; cancel what takes longer."""
        self._closed = True
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _report(task: asyncio.Task[Any]) -> None:
    """Say what became of an exchange whose caller no longer waits."""
    if task.cancelled():
        _log.warning("an exchange was cancelled when its client closed: its outcome is unknown")
    elif fault := task.exception():
        _log.warning("an exchange whose caller was cancelled failed: %s", fault)
    else:
        _log.info("an exchange whose caller was cancelled ended: %r", task.result())
