"""Connections that have not shown yet that they may be here."""

import asyncio

import pytest

from infobip_async.concurrency.strangers import Connection, Strangers, trust
from jumping import turns, until


class Transport(asyncio.Transport):
    """A connection that is closed or is not."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.aborted = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Give the protocol."""
        return self.protocol

    def abort(self) -> None:
        """Be closed."""
        self.aborted = True


class Server(asyncio.Protocol):
    """A server's protocol, which notes its calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note it."""
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        """Note it."""
        self.calls.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        self.calls.append(exc)

    def pause_writing(self) -> None:
        """Note it."""
        self.calls.append("pause")

    def resume_writing(self) -> None:
        """Note it."""
        self.calls.append("resume")

    def eof_received(self) -> bool:
        """Note it, and keep the connection open for the reply."""
        self.calls.append("eof")
        return True


def receive(transport: Transport, octets: bytes) -> None:
    """Have octets arrive, as a transport of asyncio does."""
    buffer = transport.protocol.get_buffer(-1)
    buffer[: len(octets)] = octets
    transport.protocol.buffer_updated(len(octets))


@pytest.fixture
async def strangers() -> Strangers:
    """Two strangers at most."""
    return Strangers(2, 0)


@pytest.fixture
def connect(strangers):
    """Open a connection."""

    def connect(protocol: Server | None = None) -> Transport:
        connection = strangers.watched(lambda: protocol or Server())()
        connection.connection_made(transport := Transport(connection))
        return transport

    return connect


async def test_the_oldest_stranger_goes(connect, strangers):
    """When one more comes than there may be."""
    first, second, third = connect(), connect(), connect()

    assert [one.aborted for one in (first, second, third)] == [True, False, False]
    assert len(strangers) == 2
    for one in (second, third):
        one.protocol.connection_lost(None)
    assert len(strangers) == 0


async def test_who_is_trusted_is_no_stranger(connect, strangers):
    """However many strangers come."""
    known = connect()
    trust(known)
    strange = [connect() for _ in range(3)]

    assert [known.aborted, *(one.aborted for one in strange)] == [False, True, False, False]
    for one in strange:
        trust(one)


@pytest.mark.parametrize("pieces", [[b"GET / HTTP/1.1\r\n\r\n"], [b"GET\r", b"\n", b"\r", b"\n"]])
async def test_a_head_in_time(connect, pieces):
    """It may come in any pieces; after it the server's own limits count."""
    transport = connect()
    for piece in pieces:
        receive(transport, piece)

    await turns()
    assert not transport.aborted
    transport.protocol.connection_lost(None)


@pytest.mark.parametrize("pieces", [[], [b"GET / HTTP/1.1\r\nHost: x\r\n"]])
async def test_a_head_that_does_not_come(connect, pieces):
    """Its connection is closed."""
    transport = connect()
    for piece in pieces:
        receive(transport, piece)

    await until(lambda: transport.aborted)
    transport.protocol.connection_lost(None)


async def test_the_server_hears_everything(connect):
    """It sees the connection as if nobody stood between."""
    server, fault = Server(), ConnectionError()
    transport = connect(server)
    receive(transport, b"x")
    transport.protocol.pause_writing()
    transport.protocol.resume_writing()
    assert transport.protocol.eof_received() is True
    transport.protocol.connection_lost(fault)

    assert server.calls == ["made", b"x", "pause", "resume", "eof", fault]


async def test_little_is_read_at_once(connect):
    """What holds a parser for long comes in pieces, between which others have their turn."""
    assert len(connect().protocol.get_buffer(2**18)) == 2**14


async def test_other_connections():
    """Those of a server that is not watched need no trust."""
    trust(None)
    trust(Transport(asyncio.Protocol()))
    assert isinstance(Strangers(1, 1).watched(asyncio.Protocol)(), Connection)
