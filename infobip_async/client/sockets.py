"""Sockets beneath the default client's connections: httpcore's network interface over asyncio's.

httpcore's own backends buffer unsolicited octets, and the next request takes them for its reply.
Here they make the connection unusable. An exchange also gets a quarter cheaper.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

import httpcore
from aiohappyeyeballs import start_connection

_NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a host is tried beside the first (RFC 8305)."""

_WRITTEN_AT_ONCE: Final = 64 * 1024
"""Octets that have the whole time for writing to themselves."""

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
"""The end of a head, and of a chunked body."""


class SocketStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection.

    httpcore keeps the octets that it has read behind the end of a reply, and takes them for the
    reply to the next request. So a reply is handed to httpcore in pieces that stop where the reply
    may end: at a blank line, or after `body_left`. What stands behind stays here, and
    is found when the connection is to be used again.

    Attributes:
        answered: whether anything arrived since the first octets of a request were written. If
            nothing did, a reply that is read is a leftover of an earlier exchange.
        body_left: octets of the body that are still to be read; None where that is not known.
    """

    _transport: asyncio.Transport

    def __init__(self, connected: socket.socket) -> None:
        self.answered: bool = False
        self.body_left: int | None = None
        self._socket = connected
        self._writing = False
        self._received = bytearray()
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
        if self._received:  # nobody reads: the rest stays in the kernel
            self._transport.pause_reading()
        self._received += data
        self._arrived.set()

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
        """Wait for octets, and give the next piece of them; none when the peer has closed."""
        self._writing = False
        if not self._received and not self._transport.is_reading():
            self._transport.resume_reading()
        await _within(timeout, self._arrived, httpcore.ReadTimeout)
        piece = self._next_piece()
        if self._ended:
            if self._fault and not piece:
                # A fault is not an end: a reply without a length would pass for complete.
                raise httpcore.ReadError from self._fault
        elif not self._received:
            self._arrived.clear()
        return piece

    def _next_piece(self) -> bytes:
        """Take what has arrived, up to where the reply may end."""
        if self.body_left:
            end = self.body_left
        elif blank_line := _BLANK_LINE.search(self._received):
            end = blank_line.end()
        else:
            end = len(self._received)
        piece = bytes(self._received[:end])
        del self._received[:end]
        if self.body_left:
            self.body_left -= len(piece)
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Write octets of a request, and wait until the kernel has taken them.

        Args:
            buffer: the octets.
            timeout: seconds for each piece of them: a slow network is not one that stands still.
        """
        if not self._writing:
            self._writing = True
            self.answered = False
            self.body_left = None
        for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
            if not self._ended:
                self._transport.write(buffer[start : start + _WRITTEN_AT_ONCE])
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
