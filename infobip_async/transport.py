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
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import httpcore
import httpx

from infobip_async.errors import (
    GatewayUnreachableError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    RemoteProtocolError,
)
from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.redaction import exchange_of_ours
from infobip_async.sockets import SocketNetwork, SocketStream

T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_REPLY: Final = 64 * 1024 * 1024
"""Octets of a reply that are read; ten times what 100,000 HLR rows take."""


# --- connections ----------------------------------------------------------------------------

_Free = list[httpcore.AsyncHTTPConnection]


@attrs.define
class _SlotStream(httpx.AsyncByteStream):
    """The body of a reply; closing it gives the connection back."""

    _body: httpcore.Response
    _give_back: Callable[[], Awaitable[None]]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.aiter_stream()

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
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
    _network: SocketNetwork = attrs.field(init=False, factory=SocketNetwork, repr=False)
    _free: dict[tuple[bytes, bytes, int | None], _Free] = attrs.field(
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
        free = self._free.setdefault((url.scheme, url.host, url.port), [])
        connection = await self._idle(free) or self._new(url.origin)
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
            _check_order(response)
        except BaseException:
            await connection.aclose()
            raise
        body = _SlotStream(response, partial(self._give_back, free, connection))
        return httpx.Response(response.status, headers=response.headers, stream=body)

    async def _idle(self, free: _Free) -> httpcore.AsyncHTTPConnection | None:
        while free:
            connection = free.pop()
            if connection.is_available() and not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _new(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        if origin.scheme == b"https" and self.ssl_context is None:
            self.ssl_context = httpx.create_ssl_context(trust_env=False)
        return httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self.ssl_context,
            keepalive_expiry=self.keepalive_expiry,
            network_backend=self._network,
        )

    async def _give_back(self, free: _Free, connection: httpcore.AsyncHTTPConnection) -> None:
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


def _check_order(response: httpcore.Response) -> None:
    """Refuse a reply that was there before the request: it is a leftover of another exchange."""
    stream = response.extensions.get("network_stream")
    if isinstance(stream, SocketStream) and not stream.answered:
        raise httpcore.RemoteProtocolError("the reply was there before the request")


def default_transport(
    proxy: str | None, ssl_context: ssl.SSLContext | None, concurrency: int
) -> httpx.AsyncBaseTransport:
    """A `SlotTransport`, or with a proxy httpx's own transport, which knows how to use one."""
    if proxy is None:
        return SlotTransport(ssl_context)
    return httpx.AsyncHTTPTransport(
        proxy=proxy,
        verify=ssl_context or True,
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


@attrs.frozen
class Carrier:
    """Makes exchanges through whatever sends requests.

    Attributes:
        build: makes a request, as ``httpx.Request`` and ``httpx.AsyncClient.build_request`` do.
        send: sends one and gives the response, its body unread, without following redirects.
        timeouts: seconds for ``connect``, ``read``, ``write`` and ``pool``, as httpx has them.
        connect_retries: times that a request is tried again of which no byte had left.
    """

    build: Callable[..., httpx.Request]
    send: Callable[[httpx.Request], Awaitable[httpx.Response]]
    timeouts: Mapping[str, float | None]
    connect_retries: int = 0

    async def carry(self, request: HttpRequest) -> HttpReply:
        """Send a request and read the whole reply.

        Raises:
            LocalProtocolError: the request cannot be made: its URL is longer than httpx allows.
            NotSentError: it failed, and no byte of the request had left.
            OutcomeUnknownError: it failed after that, or nothing proves that it did not; or the
                HTTP status is not 2xx, whatever stands behind it.
        """
        exchange_of_ours.set(True)
        outcome = await self._attempt(request)
        for _ in range(self.connect_retries):
            if isinstance(outcome, NotSentError):
                outcome = await self._attempt(request)
        if isinstance(outcome, GatewayUnreachableError):
            raise outcome
        if not outcome.successful:
            status = f"the reply has HTTP status {outcome.status}"
            raise OutcomeUnknownError(status) from RemoteProtocolError(status, raw=outcome.body)
        return outcome

    async def _attempt(self, request: HttpRequest) -> HttpReply | GatewayUnreachableError:
        """One attempt. The failure is returned, so that no traceback leads to the request."""
        evidence = _Evidence()
        built = self._built(request, evidence)
        try:
            response = await self.send(built)
            try:
                body = await _read(response)
                return HttpReply(response.status_code, body, delimited=_delimited(response))
            finally:
                await response.aclose()
        except Exception as fault:  # noqa: BLE001 - the class of a failure proves nothing
            return _failure(fault, evidence)

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
        # Not from there: that traceback leads to the URL.
        raise LocalProtocolError(f"the request cannot be made ({kind})", field="url")


def _delimited(response: httpx.Response) -> bool:
    return "Content-Length" in response.headers or "Transfer-Encoding" in response.headers


async def _read(response: httpx.Response) -> bytes:
    received = bytearray()
    async for chunk in response.aiter_bytes():
        received += chunk
        if len(received) > MAX_REPLY:
            raise OverflowError(f"a reply of more than {MAX_REPLY} octets")
    return bytes(received)


def _failure(fault: Exception, evidence: _Evidence) -> GatewayUnreachableError:
    """Say what failed without the text of the fault, which may repeat a URL or a body."""
    kind = type(fault).__name__
    link: BaseException | None = fault
    while link is not None:
        if isinstance(link, OSError) and link.errno:
            kind = f"{kind}: {_reason(link)}"
            break
        link = link.__cause__ or link.__context__
    if evidence.may_have_left:
        return OutcomeUnknownError(f"no reply, and the request may have arrived ({kind})")
    return NotSentError(f"the gateway could not be reached, nothing was sent ({kind})")


def _reason(fault: OSError) -> str:
    match fault:
        case ssl.SSLError():
            return str(fault.reason)
        case socket.gaierror():
            return "the name of the host cannot be resolved"
        case _:
            return os.strerror(fault.errno or 0)


# --- what is under way ----------------------------------------------------------------------


class Flights:
    """Bounds what is under way at once, and lets it land though its caller is cancelled.

    Args:
        limit: how many at the most; the next one waits, and can be cancelled while it does.
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._flying: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._flying)

    async def fly(
        self, start: Callable[[], Coroutine[Any, Any, T]], message_ids: tuple[str, ...] = ()
    ) -> T:
        """Run a coroutine in a task of its own, and wait for it.

        A caller that is cancelled waits no longer; the task goes on, and its end is logged.

        Args:
            start: makes the coroutine, once it is its turn.
            message_ids: what can settle an unknown outcome later.

        Raises:
            LocalProtocolError: another event loop has the connections.
            NotSentError: `land` was called; nothing starts any more.
            OutcomeUnknownError: `land` has cancelled it.
        """
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise LocalProtocolError(
                "it belongs to the event loop that used it first", field="client"
            )
        await self._slots.acquire()
        if self._closed:
            self._slots.release()
            raise NotSentError("the client is closed, nothing was sent", final=True)
        task = asyncio.create_task(start())
        self._flying.add(task)
        task.add_done_callback(self._landed)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.add_done_callback(partial(_report, message_ids))
            raise
        if task.cancelled():
            raise OutcomeUnknownError("the client was closed meanwhile", message_ids=message_ids)
        return task.result()

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._flying.discard(task)
        self._slots.release()

    async def land(self, timeout: float) -> None:  # noqa: ASYNC109 - the rest is cancelled after it
        """Start nothing more, and wait for what is under way; cancel what takes longer."""
        self._closed = True
        if flying := set(self._flying):
            try:
                await asyncio.wait(flying, timeout=timeout)
            finally:
                for task in flying:
                    task.cancel()
                await asyncio.gather(*flying, return_exceptions=True)


def _report(message_ids: tuple[str, ...], task: asyncio.Task[Any]) -> None:
    """Say what became of an exchange whose caller no longer waits.

    The reply is not told: a gateway may repeat the request in it.
    """
    ids = ", ".join(message_ids) or "none"
    if task.cancelled():
        end = "was cancelled when the client closed: its outcome is unknown"
    elif fault := task.exception():
        end = f"failed: {fault}"
    else:
        _log.info("an exchange whose caller was cancelled ended well (message ids: %.200s)", ids)
        return
    _log.warning("an exchange whose caller was cancelled %s (message ids: %.200s)", end, ids)
