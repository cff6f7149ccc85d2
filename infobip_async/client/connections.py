"""Connections of the default client: one HTTP/1.1 connection for each exchange in flight.

`SlotTransport` keeps idle connections in a free list. httpx's own pool walks all its requests for
each request, and a request that is cancelled in it can cost its slot for good. Here the cost of a
request does not grow with concurrency, and a cancelled request costs at most its own connection.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import httpcore
import httpx

from infobip_async.client.sockets import SocketNetwork, SocketStream
from infobip_async.client.transport import HttpSender
from infobip_async.errors import LocalProtocolError, NotSentError
from infobip_async.protocol.exchange import fault_of_url

_KEEPALIVE: Final = 4.0
"""Seconds that an idle connection is kept: fewer than servers allow, so that none closes one just
when it is used again. Apache, Node and uvicorn allow five."""

_Free = list[httpcore.AsyncConnectionInterface]


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
        ssl_context: for https, to the gateway and to the proxy; certifi's certificates where it is
            None.
        proxy: where connections lead to; None for the gateway itself.
    """

    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    proxy: httpx.Proxy | None = attrs.field(default=None, repr=False)  # has a password
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
            received = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            body = _SlotStream(received, partial(self._give_back, free, connection))
            response = httpx.Response(received.status, headers=received.headers, stream=body)
            _begin_body(received.extensions.get("network_stream"), response.headers)
        except BaseException:  # a cancellation, too: what the reply would be is still to come
            await connection.aclose()
            raise
        return response

    async def _idle(self, free: _Free) -> httpcore.AsyncConnectionInterface | None:
        while free:
            connection = free.pop()  # the one used last is the least likely to have expired
            if connection.is_available() and not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _new(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        to_proxy = self.proxy is not None and self.proxy.url.scheme == "https"
        if self.ssl_context is None and (to_proxy or origin.scheme == b"https"):
            self.ssl_context = httpx.create_ssl_context(trust_env=False)
        if self.proxy is None:
            return httpcore.AsyncHTTPConnection(
                origin,
                ssl_context=self.ssl_context,
                keepalive_expiry=_KEEPALIVE,
                network_backend=self._network,
            )
        url = self.proxy.url
        pool = httpcore.AsyncHTTPProxy(  # only makes the connection, and does not keep it
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            proxy_auth=self.proxy.raw_auth,
            ssl_context=self.ssl_context,
            proxy_ssl_context=self.ssl_context if to_proxy else None,
            keepalive_expiry=_KEEPALIVE,
            network_backend=self._network,
        )
        return pool.create_connection(origin)

    async def _give_back(self, free: _Free, connection: httpcore.AsyncConnectionInterface) -> None:
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


def _begin_body(stream: object, headers: httpx.Headers) -> None:
    """Have no more read than the body, and refuse a reply that was there before the request."""
    if not isinstance(stream, SocketStream):
        return
    if not stream.answered:  # it belongs to another exchange
        raise httpcore.RemoteProtocolError("the reply was there before the request")
    if "Transfer-Encoding" not in headers and (length := headers.get("Content-Length")):
        stream.body_left = int(length)  # h11 has checked it


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
) -> tuple[HttpSender, httpx.AsyncBaseTransport | None]:
    """Make the sender of a client's requests, and its transport.

    Args:
        http: the caller's own; None for a `SlotTransport`.
        timeouts: of `HttpSender`.
        proxy: of `proxy_of`.
        ssl_context: for https, to the gateway and to the proxy.
        ca_file: a file with the certificates to trust, in place of `ssl_context`.
        retries: `connect_retries` of `HttpSender`.

    Returns:
        The sender, and the transport that is to be closed with the client.

    Raises:
        LocalProtocolError: a number is too small; `http` is given, and so is a setting that it
            brings itself; or `ca_file` cannot be read.
    """
    if retries < 0:
        raise LocalProtocolError("is too small", field="connect_retries")
    timeouts = {**timeouts, "pool": None}  # a request starts only when there is room for it
    if http is not None:
        if proxy or ssl_context or ca_file:
            raise LocalProtocolError("it brings its own proxy and TLS settings", field="http")
        if isinstance(http, httpx.Client):  # it would send, and only then be found out
            raise LocalProtocolError("must be an httpx.AsyncClient", field="http")
        return HttpSender(http.build_request, partial(_send, http), timeouts, retries), None
    if ca_file is not None:
        ssl_context = _trusting(ca_file, ssl_context)
    transport = SlotTransport(ssl_context, proxy)
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
