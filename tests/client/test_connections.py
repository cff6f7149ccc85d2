"""One connection of the default client, beneath HTTP."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator

import attrs
import httpcore
import pytest

from infobip_async.client.sockets import SocketNetwork, SocketStream
from jumping import PATIENCE, jump, turns, until
from platforms import needs_linux

MANY = 2_000_000


@attrs.define
class Pair:
    """Both ends."""

    stream: SocketStream
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, condition) -> None:
        """Let the event loop run until something holds of the near end."""
        await until(lambda: condition(self.stream))


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A connection to a peer that does what a test says."""
    peers: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.put_nowait((reader, writer))

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so little is on its way
    async with await asyncio.start_server(meet, sock=listening, limit=4096):
        port = listening.getsockname()[1]
        stream = await SocketNetwork().connect_tcp("127.0.0.1", port, timeout=PATIENCE)
        assert isinstance(stream, SocketStream)
        stream._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reader, writer = await peers.get()
        yield Pair(stream, reader, writer)
        await stream.aclose()
        writer.transport.abort()
        await asyncio.sleep(0)


async def test_a_body_in_pieces_ends_where_it_ends(pair) -> None:
    """What stands behind it stays there, and spoils the connection."""
    pair.stream.body_left = 5
    pair.writer.write(b"ab")
    assert await pair.stream.read(100, timeout=PATIENCE) == b"ab"
    pair.writer.write(b"cdefgh")
    assert await pair.stream.read(100, timeout=PATIENCE) == b"cde"
    assert pair.stream.get_extra_info("is_readable")


async def test_reading_goes_on_after_a_pause(pair) -> None:
    """What was left to the kernel comes once all else was read."""
    for octets in (b"a\r\n\r\n", b"b"):
        pair.writer.write(octets)
        await pair.until(lambda stream: stream._received.endswith(octets))  # noqa: B023 - now
    for piece in (b"a\r\n\r\n", b"b"):
        assert not pair.stream._transport.is_reading()
        assert await pair.stream.read(100, timeout=PATIENCE) == piece
    pair.writer.write(b"c")
    assert await pair.stream.read(100, timeout=PATIENCE) == b"c"


async def test_what_was_written_is_read(pair) -> None:
    """At once, as much as there is, and nothing at the end."""
    await pair.stream.write(b"ping", timeout=PATIENCE)
    assert await pair.reader.readexactly(4) == b"ping"
    pair.writer.write(b"pong")
    assert await pair.stream.read(1, timeout=PATIENCE) == b"pong"
    pair.writer.close()
    assert await pair.stream.read(1, timeout=PATIENCE) == b""
    assert await pair.stream.read(1, timeout=PATIENCE) == b""


async def test_whether_it_was_answered(pair) -> None:
    """Only by what comes after the last octets were written."""
    assert not pair.stream.answered
    pair.writer.write(b"early")
    await pair.until(lambda stream: stream.answered)
    await pair.stream.write(b"ping")
    assert not pair.stream.answered
    pair.writer.write(b"pong")
    await pair.until(lambda stream: stream.answered)


async def test_what_came_before_a_reset_is_read(pair) -> None:
    """The reset is no end."""
    linger = struct.pack("ii", 1, 0)
    pair.writer.write(b"pong")
    await pair.until(lambda stream: stream.answered)
    pair.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    pair.writer.transport.abort()
    await pair.until(lambda stream: stream._ended)
    assert await pair.stream.read(1, timeout=PATIENCE) == b"pong"
    with pytest.raises(httpcore.ReadError):
        await pair.stream.read(1, timeout=PATIENCE)


async def test_a_write_after_the_end_fails(pair) -> None:
    """And what the peer said before it closed can be read: it may be why."""
    pair.writer.write(b"too much")
    pair.writer.close()
    await pair.until(lambda stream: stream._ended)
    with pytest.raises(httpcore.WriteError):
        await pair.stream.write(b"more", timeout=PATIENCE)
    assert await pair.stream.read(1, timeout=PATIENCE) == b"too much"


async def test_a_write_that_the_peer_cuts_short_fails(pair) -> None:
    """It does not wait for its timeout."""
    writing = asyncio.create_task(pair.stream.write(bytes(MANY), timeout=PATIENCE))
    await pair.reader.readexactly(1)
    pair.writer.transport.abort()
    with pytest.raises(httpcore.WriteError):
        await writing


async def test_a_write_waits_until_all_is_taken(pair) -> None:
    """Not until it is in a buffer of asyncio's, which has room for 64 KiB."""
    writing = asyncio.create_task(pair.stream.write(bytes(60_000), timeout=PATIENCE))
    await turns()
    assert not writing.done()
    await pair.reader.readexactly(60_000)
    await writing


async def test_a_write_that_goes_on_slowly_does_not_time_out(pair) -> None:
    """However long it takes in all."""
    writing = asyncio.create_task(pair.stream.write(bytes(MANY), timeout=600))
    for _ in range(4):
        await jump(500)
        await pair.reader.readexactly(MANY // 4)
    await writing


async def test_a_reply_to_half_a_request_is_one(pair) -> None:
    """It came before the last octets were written; httpcore ends a body by writing none."""
    writing = asyncio.create_task(pair.stream.write(bytes(MANY), timeout=PATIENCE))
    await pair.reader.readexactly(1)
    pair.writer.write(b"no more of this")
    await pair.until(lambda stream: stream.answered)
    await pair.reader.readexactly(MANY - 1)
    await writing
    await pair.stream.write(b"")
    assert pair.stream.answered
    assert await pair.stream.read(1) == b"no more of this"
    await pair.stream.write(b"the next request")
    assert not pair.stream.answered


async def test_timeouts(pair) -> None:
    """Of a peer that neither says nor takes anything."""
    reading = asyncio.create_task(pair.stream.read(1, timeout=600))
    writing = asyncio.create_task(pair.stream.write(bytes(MANY), timeout=700))
    await turns()
    await jump(500)
    assert not reading.done()
    await jump(100)
    with pytest.raises(httpcore.ReadTimeout):
        await reading
    assert not writing.done()
    await jump(100)
    with pytest.raises(httpcore.WriteTimeout):
        await writing


async def test_no_more_is_taken_in_than_is_read(pair) -> None:
    """And all of it is read in the end."""
    sending = asyncio.create_task(send(pair.writer, MANY))
    await pair.until(lambda stream: not stream._transport.is_reading())
    held = len(pair.stream._received)
    await turns()
    assert len(pair.stream._received) == held < MANY
    received = 0
    while received < MANY:
        received += len(await pair.stream.read(1, timeout=PATIENCE))
    assert received == MANY
    await sending


async def send(writer: asyncio.StreamWriter, count: int) -> None:
    """Write so many octets, and wait until they are gone."""
    writer.transport.set_write_buffer_limits(high=0)
    writer.write(bytes(count))
    await writer.drain()


async def test_whether_it_can_be_used_again(pair) -> None:
    """Neither with octets that nobody asked for, nor closed: as of now."""
    readable = pair.stream.get_extra_info
    assert readable("is_readable") is False
    pair.writer.write(b"unasked")
    assert readable("is_readable") is True
    await pair.until(lambda stream: stream.answered)
    assert readable("is_readable") is True
    await pair.stream.read(1)
    assert readable("is_readable") is False
    await pair.stream.aclose()
    assert readable("is_readable") is True


async def test_whether_the_peer_has_reset_it() -> None:
    """As of now, though the event loop has not heard of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = await SocketNetwork().connect_tcp(*listening.getsockname())
        peer, _ = listening.accept()
    assert stream.get_extra_info("is_readable") is False
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert stream.get_extra_info("is_readable") is True
    await stream.aclose()


async def test_closing_does_not_wait_for_what_the_peer_does_not_take(pair) -> None:
    """It would wait for ever."""
    writing = asyncio.create_task(pair.stream.write(bytes(MANY)))
    await turns()
    await pair.stream.aclose()
    with pytest.raises(httpcore.WriteError):
        await writing


async def test_what_else_is_known_of_it(pair) -> None:
    """As asyncio calls it."""
    assert pair.stream.get_extra_info("ssl_object") is None
    assert pair.stream.get_extra_info("peername")[0] == "127.0.0.1"


async def test_every_address_of_a_host_is_tried() -> None:
    """Of localhost, the one where somebody listens."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        stream = await SocketNetwork().connect_tcp("localhost", port, timeout=PATIENCE)
        assert await stream.read(1, timeout=PATIENCE) == b""
        await stream.aclose()


@needs_linux  # elsewhere a full queue refuses
async def test_an_address_that_says_nothing_holds_nobody_up(monkeypatch) -> None:
    """A quarter of a second later the next one is tried beside it."""
    with socket.socket() as silent, socket.create_server(("127.0.0.1", 0)) as listening:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        with socket.create_connection(silent.getsockname()):
            addresses = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", one.getsockname())
                for one in (silent, listening)
            ]

            async def resolve(*_: object, **__: object) -> list[object]:
                return addresses

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
            connecting = asyncio.create_task(SocketNetwork().connect_tcp("gateway.example", 80))
            await turns()
            assert not connecting.done()
            await jump(0.25)
            await until(connecting.done)
            stream = await connecting
            assert stream.get_extra_info("peername") == listening.getsockname()
            await stream.aclose()


@pytest.mark.parametrize("rounds", range(5))
async def test_connecting_can_be_cancelled(rounds) -> None:
    """No socket is left."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        connecting = asyncio.create_task(SocketNetwork().connect_tcp("127.0.0.1", port))
        for _ in range(2**rounds):
            await asyncio.sleep(0)
        connecting.cancel()
        (stream,) = await asyncio.gather(connecting, return_exceptions=True)
        if isinstance(stream, SocketStream):
            await stream.aclose()
        await turns()
    gc.collect()
