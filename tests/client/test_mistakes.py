"""What programs without type checks give by mistake, and what they are told."""

import asyncio

import pytest

from infobip_async import InfobipClient, LocalProtocolError, Outgoing, SendOutcome, TextMessage
from jumping import PATIENCE

HELLO = TextMessage("Hello", "Friend")
NUMBER = "38598514674"

MISTAKES = {
    "a number": lambda client: client.send(HELLO, 38598514674),
    "numbers": lambda client: client.send(HELLO, [38598514674]),
    "numbers and strings": lambda client: client.send(HELLO, [NUMBER, 38598514674]),
    "octets": lambda client: client.send(HELLO, b"38598514674"),
    "nobody": lambda client: client.send(HELLO, None),
    "a text": lambda client: client.send("Hello", NUMBER),
    "a text that is none": lambda client: client.send(TextMessage(5, "Friend"), NUMBER),
    "a sender that is none": lambda client: client.send(TextMessage("Hello", 5), NUMBER),
    "a number by GET": lambda client: client.send_one(HELLO, 38598514674),
    "a lookup of a number": lambda client: client.submit_hlr([38598514674]),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_the_type_of_an_argument(gateway, connect, mistake) -> None:
    """It is told as any broken rule is, and nothing is sent."""
    with pytest.raises(LocalProtocolError, match=r"is not a string|is no message"):
        await mistake(connect())
    assert not gateway.received


async def test_a_mistake_waits_for_no_turn(gateway, connect) -> None:
    """It is told though other calls have all the slots."""
    gateway.gate.clear()
    client = connect(concurrency=1)
    first = asyncio.create_task(client.credits())
    await gateway.until(lambda: gateway.busy)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LocalProtocolError):
            await client.pull_reports(["a,b"])
        with pytest.raises(LocalProtocolError):
            await client.submit_hlr(["1;2"])
    gateway.gate.set()
    await first


async def test_items_of_another_type(gateway, connect) -> None:
    """One that is an item costs only itself."""
    client = connect()
    items = [(HELLO, 38598514674), ("Hello", NUMBER), Outgoing(HELLO, None), (HELLO, NUMBER)]
    results = [result async for result in client.send_many(items)]
    assert sorted(result.outcome.value for result in results) == ["refused"] * 3 + ["sent"]
    with pytest.raises(LocalProtocolError, match="a str is no Outgoing"):
        async for _ in client.send_many([NUMBER]):
            pass


def test_endpoints_of_another_type() -> None:
    """A base URL is not the five addresses."""
    with pytest.raises(LocalProtocolError, match=r"Endpoints\.at"):
        InfobipClient("user", "password", endpoints="http://127.0.0.1:8080")


async def test_a_bulk_send_on_a_closed_client(connect) -> None:
    """It does not wait for what will not change."""
    client = connect()
    await client.aclose()
    (result,) = [result async for result in client.send_many([(HELLO, NUMBER)])]
    assert result.outcome is SendOutcome.NOT_SENT
    assert "closed" in result.reason


async def test_another_event_loop(gateway, connect) -> None:
    """Its connections belong to the first one; nothing is sent over them."""
    client = connect()
    await client.send(HELLO, NUMBER)

    def elsewhere() -> None:
        with pytest.raises(LocalProtocolError, match="event loop"):
            asyncio.run(client.send(HELLO, NUMBER))

    await asyncio.to_thread(elsewhere)
    assert len(gateway.received) == 1
