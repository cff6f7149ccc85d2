"""Messages in hand; most of it is tested with what journals and jobs promise."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream import ConnectOptions
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.lease import Lease
from tests.jetstream.conftest import LIMIT


@asynccontextmanager
async def leased(
    access: ConnectOptions, take: Callable[[Msg], Awaitable[None]], *, ack_wait: float
) -> AsyncIterator[tuple[Connection, Lease]]:
    """A lease of a stream's messages, of which each is handed over."""
    config = StreamConfig(name="work", subjects=["work.*"])

    async def room() -> int:
        return 100

    async with (
        asyncio.timeout(LIMIT),
        Connection(access, lambda one: one.ensure_stream(config)) as connection,
    ):
        lease = Lease(connection=connection, stream="work", consumer="all", ack_wait=ack_wait)
        async with lease.open(take, room):
            yield connection, lease


async def test_an_acknowledgement_without_an_answer_is_given_up_soon(
    access: ConnectOptions,
) -> None:
    """A broker that was killed may know nothing of the message; it stays in hand."""
    access = attrs.evolve(access, timeout=1e6)
    async with (
        asyncio.timeout(LIMIT),
        Connection(access, lambda _: asyncio.sleep(0)) as connection,
        connection.subscribe("deaf"),
    ):
        lease = Lease(connection=connection, stream="any", consumer="any", ack_wait=0.01)
        lease._messages[1] = Msg(connection.client, reply="deaf")
        with pytest.raises(StorageUnavailableError):
            await lease.acknowledge(1)
        assert 1 in lease


async def test_what_a_broker_has_forgotten_is_not_handled_again(access: ConnectOptions) -> None:
    """It gives out what was done with, for which it is told so once more."""
    got: asyncio.Queue[int] = asyncio.Queue()

    async def take(message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        await lease.acknowledge(sequence)
        await got.put(sequence)

    async with leased(access, take, ack_wait=3600.0) as (connection, lease):
        for number in (1, 2):
            await connection.store("work", "work.any", b"")
            assert await got.get() == number
        await connection.call(lambda js: js.delete_consumer("work", "all"))
        await connection.store("work", "work.any", b"")
        assert await got.get() == 3
        await connection.call(lambda js: js.purge_stream("work"))
        assert got.empty()
        info = await connection.call(lambda js: js.consumer_info("work", "all"))
        assert info.ack_floor.stream_seq == 3


async def test_what_could_not_be_taken_comes_again(access: ConnectOptions) -> None:
    """The broker does not hear that somebody works on it."""
    got: asyncio.Queue[int] = asyncio.Queue()

    async def take(message: Msg) -> None:
        await got.put(message.metadata.num_delivered)
        if message.metadata.num_delivered == 1:
            raise StorageUnavailableError("the broker has not said more about it")

    async with leased(access, take, ack_wait=0.2) as (connection, lease):
        await connection.store("work", "work.any", b"")
        assert await got.get() == 1
        assert await got.get() == 2
        assert 1 in lease


async def test_what_is_on_its_way_when_a_worker_stops_goes_to_another_at_once(
    access: ConnectOptions,
) -> None:
    """The broker has given it out, but nobody has it in hand."""
    config = StreamConfig(name="work", subjects=["work.*"])
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(message: Msg) -> None:
        await got.put(message.data)

    async def hang(_: Msg) -> None:
        await asyncio.Event().wait()

    async def room() -> int:
        return 100

    async with Connection(access, lambda one: one.ensure_stream(config)) as connection:

        def lease() -> Lease:
            return Lease(connection=connection, stream="work", consumer="all", ack_wait=3600.0)

        for number in range(20):
            async with lease().open(hang, room):
                await connection.store("work", "work.any", str(number).encode())
        async with asyncio.timeout(LIMIT), lease().open(take, room):
            assert {await got.get() for _ in range(20)} == {b"%d" % one for one in range(20)}
