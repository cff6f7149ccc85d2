"""Messages in hand; most of it is tested with what journals and jobs promise."""

import asyncio

import attrs
import pytest
from nats.aio.msg import Msg

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream import ConnectOptions
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.lease import Lease
from tests.jetstream.conftest import LIMIT


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
