"""Connections of the default client: one HTTP/1.1 connection for each exchange in flight.

`SlotTransport` keeps idle connections in a free list. httpx's own pool walks all its requests for
each request, and a request that is cancelled in it can cost its slot for good. Here the cost of a
request does not grow with concurrency, and a cancelled request costs at most its own connection.

`SocketNetwork` is httpcore's network interface over asyncio's own transports. httpcore's backend
buffers unsolicited bytes, and the next request takes them for its reply. Here they make the
connection unusable. An exchange also gets a quarter cheaper.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import attrs
import httpcore
import httpx
from aiohappyeyeballs import start_connection

from infobip_async.client.transport import HttpSender
from infobip_async.errors import LocalProtocolError, NotSentError
from infobip_async.protocol.exchange import fault_of_url

_NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a host is tried beside the first (RFC 8305)."""


class SocketStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection.

    Attributes:
        answered: whether anything arrived since the last octets were written. If nothing did,
            a reply that is read is a leftover of an earlier exchange.
    """

    _transport: asyncio.Transport

    def __init__(self, connected: socket.socket) -> None:
        self.answered: bool = False
        self._socket = connected
        self._received: list[bytes] = []
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended = False
        self._fault: Exception | None = None

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, or the one over it after a TLS handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        # So `write` lasts until the kernel has taken everything, and its timeout means that.
        self._transport.set_write_buffer_limits(high=1)
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        """Keep what arrived."""
        self.answered = True
        self._received.append(data)
        self._arrived.set()
        if len(self._received) > 1:  # nobody reads: the rest stays in the kernel
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Take the end of what the peer sends; asyncio then closes the connection."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader and the writer."""
        self._ended = True
        self._fault = self._fault or exc
        self._arrived.set()
        self._drained.set()

    def pause_writing(self) -> None:
        """Have the writer wait: the kernel takes no more for now."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """Wake the writer: the kernel has taken everything."""
        self._drained.set()

    # --- called by httpcore ---

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's
        """Wait for octets, and give all that have arrived; none when the peer has closed."""
        if not self._transport.is_reading():
            self._transport.resume_reading()
        await _within(timeout, self._arrived, httpcore.ReadTimeout)
        received = b"".join(self._received)
        self._received.clear()
        if not self._ended:
            self._arrived.clear()
        elif self._fault and not received:
            # A fault is not an end: a reply without a length would pass for complete.
            raise httpcore.ReadError from self._fault
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Write octets, and wait until the kernel has taken them."""
        self.answered = False
        if not self._ended:
            self._transport.write(buffer)
            await _within(timeout, self._drained, httpcore.WriteTimeout)
        if self._ended:
            raise httpcore.WriteError

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS; if that fails, the connection is closed."""
        loop = asyncio.get_running_loop()
        if self._received:
            # They are not authentic: anybody on the way could put the beginning of a reply there.
            self._transport.abort()
            raise httpcore.ConnectError("octets in front of the handshake")
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as fault:  # errors of ssl are OSErrors
            raise httpcore.ConnectError(fault) from fault
        if secured is None:
            raise httpcore.ConnectError("closed at the end of the handshake")
        self.connection_made(secured)
        return self

    async def aclose(self) -> None:
        """Close the connection at once."""
        self._transport.abort()
        await asyncio.sleep(0)  # asyncio closes the socket in its next round

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's
        """Answer a question of httpcore's about the connection."""
        if info == "is_readable":  # asked before the connection is used again: then it is dead
            return self._ended or bool(self._received) or self._is_readable()
        return self._transport.get_extra_info(info)

    def _is_readable(self) -> bool:
        """Whether octets or the end have arrived that asyncio has not told of yet."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except OSError as fault:
            return not isinstance(fault, BlockingIOError)
        return True


async def _within(seconds: float | None, event: asyncio.Event, late: type[Exception]) -> None:
    if event.is_set():
        return
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        raise late from None


class SocketNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,  # noqa: ARG002 - never given
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - never given
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host, over whichever of its addresses answers first."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                connected = await start_connection(
                    addresses, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1
                )
                _, stream = await loop.create_connection(
                    lambda: SocketStream(connected), sock=connected
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as fault:
            raise httpcore.ConnectError from fault
        return stream


_Free = list[httpcore.AsyncHTTPConnection]


@attrs.define
class _SlotStream(httpx.AsyncByteStream):
    """The body of a reply. Closing it puts the connection back into the free list."""

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
    """One HTTP/1.1 connection for each exchange in flight, and a free list of idle ones.

    It has no limit of its own: `InFlight` limits the exchanges. Failures are httpcore's
    exceptions.

    Attributes:
        ssl_context: for https; certifi's certificates where it is None.
        keepalive_expiry: seconds that an idle connection is kept. It is below what servers allow,
            so that none closes a connection just when it is used again.
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
        except BaseException:  # a cancellation, too: what the reply would be is still to come
            await connection.aclose()
            raise
        body = _SlotStream(response, partial(self._give_back, free, connection))
        return httpx.Response(response.status, headers=response.headers, stream=body)

    async def _idle(self, free: _Free) -> httpcore.AsyncHTTPConnection | None:
        while free:
            connection = free.pop()  # the one used last is the least likely to have expired
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
        # The one used longest ago stands first: after a burst the list shrinks from there.
        if len(free) > 1 and free[0].has_expired():
            await free.pop(0).aclose()

    async def aclose(self) -> None:
        """Close the idle connections."""
        for free in self._free.values():
            while free:
                await free.pop().aclose()


def _check_order(response: httpcore.Response) -> None:
    """Refuse a reply that was there before the request: it belongs to another exchange."""
    stream = response.extensions.get("network_stream")
    if isinstance(stream, SocketStream) and not stream.answered:
        raise httpcore.RemoteProtocolError("the reply was there before the request")


async def _send(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request by the caller's own client, which looks first whether it is closed."""
    if http.is_closed:
        raise NotSentError("the client given as http is closed, nothing was sent", final=True)
    return await http.send(request, stream=True, follow_redirects=False)


def make_sender(
    http: httpx.AsyncClient | None,
    timeouts: Mapping[str, float | None],
    proxy: httpx.Proxy | None,
    ssl_context: ssl.SSLContext | None,
    ca_file: str | Path | None,
    *,
    retries: int,
    most: int,
) -> tuple[HttpSender, httpx.AsyncBaseTransport | None]:
    """Make the sender of a client's requests, and its transport.

    Args:
        http: the caller's own; None for a `SlotTransport`, or with a proxy for httpx's own
            transport, which knows how to use one.
        timeouts: of `HttpSender`.
        proxy: of `proxy_of`.
        ssl_context: for https, to the gateway and to the proxy.
        ca_file: a file with the certificates to trust, in place of `ssl_context`.
        retries: `connect_retries` of `HttpSender`.
        most: requests at once.

    Returns:
        The sender, and the transport that is to be closed with the client.

    Raises:
        LocalProtocolError: a number is too small; `http` is given, and so is a setting that it
            brings itself; or `ca_file` cannot be read.
    """
    if most < 1 or retries < 0:
        field = "concurrency" if most < 1 else "connect_retries"
        raise LocalProtocolError("is too small", field=field)
    timeouts = {**timeouts, "pool": None}  # a request starts only when there is room for it
    if http is not None:
        if proxy or ssl_context or ca_file:
            raise LocalProtocolError("it brings its own proxy and TLS settings", field="http")
        if isinstance(http, httpx.Client):  # it would send, and only then be found out
            raise LocalProtocolError("must be an httpx.AsyncClient", field="http")
        return HttpSender(http.build_request, partial(_send, http), timeouts, retries), None
    if ca_file is not None:
        ssl_context = _trusting(ca_file, ssl_context)
    transport: httpx.AsyncBaseTransport = SlotTransport(ssl_context)
    if proxy is not None:
        if proxy.url.scheme == "https":
            proxy.ssl_context = ssl_context
        transport = httpx.AsyncHTTPTransport(
            proxy=proxy,
            verify=ssl_context or True,
            trust_env=False,
            limits=httpx.Limits(max_connections=most),
        )
    # Past httpx's client layer, which logs URLs and costs as much as all the rest.
    send = transport.handle_async_request
    sender = HttpSender(httpx.Request, send, timeouts, retries, proxied=proxy is not None)
    return sender, transport


def proxy_of(url: str | None) -> tuple[httpx.Proxy | None, str | None]:
    """Read the URL of a proxy, which may hold a password, or say why that cannot be done.

    Nothing is raised: no traceback leads to the URL.
    """
    if url is None:
        return None, None
    if (fault := fault_of_url(url)) is None:
        try:
            return httpx.Proxy(url), None
        except Exception:  # noqa: BLE001 - what httpx says repeats the URL
            fault = "cannot be read as the URL of a proxy"
    return None, fault


def _trusting(ca_file: str | Path, ssl_context: ssl.SSLContext | None) -> ssl.SSLContext:
    """Make a TLS context that trusts the certificates of a file."""
    if ssl_context is not None:
        raise LocalProtocolError("give it or ssl_context, not both", field="ca_file")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        why = f"{ca_file} has no PEM certificate in it"
    except OSError as fault:
        why = f"{ca_file} cannot be read: {fault.strerror}"
    raise LocalProtocolError(why, field="ca_file")
