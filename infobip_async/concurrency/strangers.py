"""Connections whose peers have not shown yet that they may be here: limited in number and time.

As OpenSSH does with ``MaxStartups`` and ``LoginGraceTime``. Whoever opens connections and sends
nothing, or half a request, takes the places of strangers and of nobody else: when one more comes,
the oldest stranger goes. So a peer that shows at once what it knows always finds a place.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import attrs

_END_OF_HEAD: Final = b"\n\r\n"
_READ: Final = 16 * 1024
"""Octets that a protocol is given at once. Transports of asyncio read 256 KiB otherwise, and in
chunks of one octet as many hold aiohttp's parser, and so the event loop, for 0.2 s."""


@attrs.define(eq=False)
class Strangers:
    """The connections of a server that have not shown yet that they may be here.

    Attributes:
        most: how many there may be.
        head_seconds: seconds that a connection may take for the head of its first request.
    """

    most: int
    head_seconds: float
    _connections: dict["Connection", None] = attrs.field(init=False, factory=dict)  # oldest first

    def __len__(self) -> int:
        return len(self._connections)

    def watched(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], "Connection"]:
        """Make a factory of protocols for a server whose connections are watched."""
        return lambda: Connection(factory(), self)

    def add(self, connection: "Connection") -> None:
        """Take a new connection in; the oldest of too many is closed."""
        self._connections[connection] = None
        if len(self._connections) > self.most:
            oldest = next(iter(self._connections))
            self.discard(oldest)
            oldest.abort()

    def discard(self, connection: "Connection") -> None:
        """Count a connection no longer: it is known, or it is gone."""
        self._connections.pop(connection, None)


class Connection(asyncio.BufferedProtocol):
    """Stands between a transport and the protocol of a server, and gives that small pieces.

    Args:
        protocol: the server's.
        strangers: the connections that this one belongs to until it is trusted.
    """

    def __init__(self, protocol: asyncio.Protocol, strangers: Strangers) -> None:
        self._protocol = protocol
        self._strangers = strangers
        self._transport: asyncio.BaseTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._seen = b""
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for the first head."""
        self._transport = transport
        seconds = self._strangers.head_seconds
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)
        self._protocol.connection_made(transport)
        self._strangers.add(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's signature
        """Have little read at once."""
        self._buffer = bytearray(_READ)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Look for the end of the first head, and pass on what was read."""
        data = bytes(memoryview(self._buffer)[:nbytes])
        if self._deadline is not None:
            self._seen = self._seen[-len(_END_OF_HEAD) :] + data
            if _END_OF_HEAD in self._seen:
                self._has_head()
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that the peer sends no more."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the peer reads too slowly."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that there is room again."""
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self.trust()
        self._protocol.connection_lost(exc)

    def trust(self) -> None:
        """Count the connection no longer: its peer has shown that it may be here."""
        self._has_head()
        self._strangers.discard(self)

    def abort(self) -> None:
        """Close the connection at once."""
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    def _has_head(self) -> None:
        self._seen = b""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def trust(transport: asyncio.BaseTransport | None) -> None:
    """Trust the peer of a connection, if the connections of its server are watched."""
    protocol = transport.get_protocol() if transport is not None else None
    if isinstance(protocol, Connection):
        protocol.trust()
