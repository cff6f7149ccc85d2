"""A client and other processes, copies and event loops: it belongs to one of each."""

import asyncio
import copy
import os
import pickle

import pytest

from infobip_async import InfobipClient, LocalProtocolError, TextMessage
from platforms import needs_fork

LONG = TextMessage("ж" * 100, "Friend")


def _made(client: InfobipClient) -> str:
    """Two ids, and what is in the first part of a text, which has a reference of its own."""
    part = client._composer.parts(LONG)[0]
    return f"{client.make_message_id()} {client.make_message_id()} {part.binary!r}\n"


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # that is what is tested
def test_forked_processes_make_other_ids() -> None:
    """As the workers of a server do that loads its application first; also of a fork of a fork."""
    client = InfobipClient("user", "password")
    made = [_made(client)]
    reading, writing = os.pipe()
    for _ in range(3):
        if not os.fork():
            if os.fork():
                os.wait()
            os.write(writing, _made(client).encode())
            os._exit(0)
    for _ in range(3):
        os.wait()
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
        made += [*pipe, _made(client)]
    ids = [one for line in made for one in line.split()[:2]]
    assert len(ids) == len(set(ids)) == (1 + 3 * 2 + 1) * 2
    assert len({one.partition("-")[0] for one in ids}) == 1 + 3 * 2
    assert len({line.split()[2] for line in made}) > 1 + 3  # 256 references: two may be the same


def test_ids_go_on_within_a_process() -> None:
    """Each is new, behind a prefix of the client's own."""
    one, other = InfobipClient("user", "password"), InfobipClient("user", "password")
    first, second = one.make_message_id(), one.make_message_id()
    assert first.partition("-")[0] == second.partition("-")[0]
    assert first.partition("-")[0] != other.make_message_id().partition("-")[0]


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, pickle.dumps, lambda one: copy.deepcopy([one])]
)
def test_a_client_is_not_copied(duplicate) -> None:
    """Two copies would make the same ids; the error says what to do, and no password."""
    with pytest.raises(TypeError, match="Make a client where one is needed") as caught:
        duplicate(InfobipClient("user", "S3cr3t"))
    assert "S3cr3t" not in str(caught.value)


def test_another_event_loop() -> None:
    """Can neither use nor close a client that one has used; the error says where to do that."""
    client = InfobipClient("user", "password", proxy="http://127.0.0.1:9", connect_retries=0)

    async def use() -> None:
        with pytest.raises(Exception, match="the proxy could not be reached"):
            await client.credits()

    asyncio.run(use())
    for call in (client.credits, client.aclose):
        with pytest.raises(LocalProtocolError, match="within one asyncio") as caught:
            asyncio.run(call())
        assert caught.value.field == "client"


def test_a_client_that_was_not_used_can_be_closed_anywhere() -> None:
    """It has no connections."""
    asyncio.run(InfobipClient("user", "password").aclose())
