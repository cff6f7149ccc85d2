"""Sockets of the default client: httpcore's network interface over asyncio's own transports.

httpcore's own would do, but for what arrives unasked: it stays in a buffer there, to be taken for
the reply to the next request, so that one send gets the answer of another. Here it spoils the
connection. An exchange also gets a quarter cheaper.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

import httpcore
from aiohappyeyeballs import start_connection

_NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a host is tried beside the first (RFC 8305)."""


class SocketStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection.

    Attributes:
        answered: whether anything arrived since the last octets were written. A reply that is
            read although nothing did is a leftover of what came before.
    """

    _transport: asyncio.Transport

    def __init__(self, connected: socket.socket) -> None:
        self.answered = False
        self._socket = connected
        self._received: list[bytes] = []
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended = False
        self._fault: Exception | None = None

    # --- what asyncio tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, or the one over it after a TLS handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        # A write lasts until the kernel has taken everything: that is what its timeout is about.
        self._transport.set_write_buffer_limits(high=1)
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        """Keep what arrived; no more of it is taken in than is read."""
        self.answered = True
        self._received.append(data)
        self._arrived.set()
        if len(self._received) > 1:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Nothing more arrives, and asyncio closes the connection."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._ended = True
        self._fault = self._fault or exc
        self._arrived.set()
        self._drained.set()

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """The kernel has taken everything."""
        self._drained.set()

    # --- what httpcore asks ---

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's
        """Wait for octets and give all there are; none when the peer has closed."""
        if not self._transport.is_reading():
            self._transport.resume_reading()
        await _within(timeout, self._arrived, httpcore.ReadTimeout)
        received = b"".join(self._received)
        self._received.clear()
        if not self._ended:
            self._arrived.clear()
        elif self._fault and not received:
            # Not an end: a reply without a length would pass for complete.
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
        """Secure the connection; one that cannot be is closed."""
        loop = asyncio.get_running_loop()
        if self._received:
            # Anybody on the way could have put the beginning of a reply there.
            self._transport.abort()
            raise httpcore.ConnectError("octets in front of the handshake")
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as fault:  # what ssl raises is one
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
        """Tell of the connection what httpcore asks for."""
        if info == "is_readable":
            return self._ended or bool(self._received) or self._is_readable()
        return self._transport.get_extra_info(info)

    def _is_readable(self) -> bool:
        """Whether something arrived, or the peer closed, in this round of the event loop."""
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
