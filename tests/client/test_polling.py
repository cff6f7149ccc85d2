"""Delivery reports that are pulled, once or again and again."""

import asyncio
from contextlib import aclosing

import pytest

from infobip_async import (
    AuthenticationError,
    DeliveryStatus,
    Endpoints,
    GatewayFailureError,
    InfobipClient,
    OutcomeUnknownError,
    RemoteProtocolError,
    Router,
    UnreadableRow,
)
from jumping import PATIENCE, jump, turns


def reports(*ids: str) -> bytes:
    """What the gateway answers."""
    rows = "".join(f'<message id="{one}" status="DELIVERED"/>' for one in ids)
    return f"<DeliveryReport>{rows}</DeliveryReport>".encode()


@pytest.fixture
def quiet(gateway) -> None:
    """Nothing to report, but for what a test says."""
    gateway.bodies["dlrpull"] = b"NO_DATA"


async def take(polling, count: int) -> list[str]:
    """The ids of the next reports."""
    async with asyncio.timeout(PATIENCE):
        return [(await anext(polling)).message_id for _ in range(count)]


async def test_pulled_reports_are_read(gateway, connect, quiet) -> None:
    """All there are, in the order given; none is an empty tuple."""
    client = connect()
    gateway.answer(reports("1", "2"), b"")
    assert [(one.message_id, one.status) for one in await client.pull_reports()] == [
        ("1", DeliveryStatus.DELIVERED),
        ("2", DeliveryStatus.DELIVERED),
    ]
    assert await client.pull_reports() == ()
    assert await client.pull_reports() == ()


async def test_reports_of_other_messages_are_kept(gateway, connect, quiet) -> None:
    """The gateway would not give them again."""
    client = connect()
    gateway.answer(reports("1", "2", "3"))
    assert [one.message_id for one in await client.pull_reports(["2"])] == ["2"]
    assert [one.message_id for one in await client.pull_reports("3")] == ["3"]
    assert [one.message_id for one in await client.pull_reports()] == ["1"]
    assert [request.target.rpartition("&")[2] for request in gateway.received[:2]] == [
        "MessageId=2",
        "MessageId=3",
    ]


async def test_equal_reports_are_all_given(gateway, connect, quiet) -> None:
    """Whether they are one is not for the client to say."""
    gateway.answer(reports("1", "1"))
    assert len(await connect().pull_reports()) == 2


async def test_an_unreadable_row_costs_no_other(gateway, connect, caplog) -> None:
    """It is kept as it came, since it will not come again; but for the password."""
    gateway.bodies["dlrpull"] = (
        b'<DeliveryReport><message status="pass word"/><message id="1" status="SENT"/>'
        b'<error url="?password=pass%20word"/></DeliveryReport>'
    )
    client = InfobipClient("user", "pass word", endpoints=Endpoints.at(gateway.url))
    async with client:
        assert [one.message_id for one in await client.pull_reports()] == ["1"]
        raw = "".join(row.raw for row in client.take_unreadable_reports())
    assert 'status="***"' in raw
    assert "?password=***" in raw
    assert caplog.text.count("an unreadable report was pulled") == 2
    assert "***" not in caplog.text  # nothing of the row is logged


BAD = b'<DeliveryReport><message status="x"/><message id="1" status="SENT"/></DeliveryReport>'
ROW = UnreadableRow(
    '<message status="x" />', "not a <message> with an id and a status, and nothing twice"
)


async def test_an_unreadable_row_can_be_taken(gateway, connect, quiet) -> None:
    """Once."""
    client = connect()
    gateway.answer(BAD)
    await client.pull_reports()
    assert client.take_unreadable_reports() == (ROW,)
    assert client.take_unreadable_reports() == ()


async def test_an_unreadable_row_goes_to_its_handlers(gateway, connect, quiet) -> None:
    """Of a router that is given; what they cannot handle is kept for the next pull."""
    client, router, rows = connect(), Router(), []

    @router.on(UnreadableRow)
    async def handle(row: UnreadableRow) -> None:
        rows.append(row)
        if len(rows) == 1:
            raise ValueError

    gateway.answer(BAD)
    with pytest.raises(ExceptionGroup):
        await client.pull_reports(router=router)
    assert [one.message_id for one in await client.pull_reports(router=router)] == ["1"]
    gateway.answer(BAD)
    assert await client.reconcile(["1"], router=router)
    gateway.answer(BAD)
    async with aclosing(client.poll_reports(interval=600, router=router)) as polling:
        assert await take(polling, 1) == ["1"]
    assert rows == [ROW] * 4
    assert client.take_unreadable_reports() == ()


async def test_an_unreadable_reply_is_raised_with_what_came(gateway, connect) -> None:
    """It may be the only copy."""
    gateway.bodies["dlrpull"] = b"<DeliveryReport><message id="
    with pytest.raises(RemoteProtocolError) as caught:
        await connect().pull_reports()
    assert caught.value.raw == b"<DeliveryReport><message id="


async def test_an_unreadable_reply_goes_to_the_handlers_of_a_router(
    gateway, connect, quiet, caplog
) -> None:
    """As one row, whichever call pulls it; without handlers it waits to be taken."""
    client, router, rows = connect(), Router(), []
    gateway.answer(b"<DeliveryReport><message id=")
    assert await client.pull_reports(router=router) == ()
    (row,) = client.take_unreadable_reports()
    assert row.raw == "<DeliveryReport><message id="

    @router.on(UnreadableRow)
    async def handle(row: UnreadableRow) -> None:
        rows.append(row)
        if len(rows) == 1:
            raise ValueError

    gateway.answer(b"<DeliveryReport><message id=", b"NO_DATA", reports("1"))
    async with aclosing(client.poll_reports(interval=0.001, router=router)) as polling:
        assert await take(polling, 1) == ["1"]
    assert rows == [row] * 2
    assert "they get it again" in caplog.text
    assert client.take_unreadable_reports() == ()


async def test_polling_yields_one_by_one_and_goes_on(gateway, connect, quiet) -> None:
    """Over pulls that bring none."""
    client = connect()
    gateway.answer(reports("1", "2"), b"NO_DATA", reports("3"))
    async with aclosing(client.poll_reports(interval=0.001)) as polling:
        assert await take(polling, 3) == ["1", "2", "3"]


async def test_polling_waits_for_its_interval(gateway, connect, quiet) -> None:
    """It does not ask more often."""
    gateway.answer(reports("1"))
    client = connect()
    polling = client.poll_reports(interval=600)
    assert await take(polling, 1) == ["1"]
    waiting = asyncio.create_task(anext(polling))
    await jump(500)
    assert len(gateway.received) == 1
    await jump(100)
    await gateway.until(lambda: len(gateway.received) == 2)
    await client.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_polling_that_is_left_loses_nothing(gateway, connect, quiet) -> None:
    """What was pulled and not yielded comes with the next call."""
    client = connect()
    gateway.answer(reports("1", "2", "3"))
    async for report in client.poll_reports():
        assert report.message_id == "1"
        break
    assert await take(client.poll_reports(), 1) == ["2"]
    assert [one.message_id for one in await client.pull_reports()] == ["3"]


async def test_polling_that_is_cancelled_loses_nothing(gateway, connect, quiet) -> None:
    """Not even what is on its way."""
    client = connect()
    gateway.answer(reports("1"))
    gateway.gate.clear()
    waiting = asyncio.create_task(anext(client.poll_reports()))
    await gateway.until(lambda: gateway.busy)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gateway.gate.set()
    assert await take(client.poll_reports(interval=0.001), 1) == ["1"]


@pytest.mark.parametrize("status", ["503 Service Unavailable", "404 Not Found", "302 Found"])
async def test_polling_survives_an_http_error(gateway, connect, quiet, caplog, status) -> None:
    """Something on the way answers for a while; a single pull raises that, without any doubt."""
    error = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    gateway.once(error, "keep")
    gateway.answer(reports("1"))
    async with aclosing(connect().poll_reports(interval=0.001)) as polling:
        assert await take(polling, 1) == ["1"]
    assert f"HTTP {status[:3]} from " in caplog.text
    gateway.once(error, "keep")
    with pytest.raises(RemoteProtocolError, match="is the address right") as caught:
        await connect().pull_reports()
    assert caught.value.status == int(status[:3])


async def test_polling_survives_an_unreachable_gateway(gateway, connect, quiet, caplog) -> None:
    """Refused, cut off, or with an error page of a status of its own."""
    await gateway.refuse()
    client = connect()
    polling = client.poll_reports(interval=0.001)
    waiting = asyncio.create_task(take(polling, 1))
    await gateway.until(lambda: "could not be pulled" in caplog.text)
    gateway.once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<Deliv")
    gateway.once(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    gateway.answer(reports("1"))
    await gateway.start()
    assert await waiting == ["1"]
    assert len(gateway.received) == 3


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"5", AuthenticationError),
        (b"99", GatewayFailureError),
        (b"<html>", RemoteProtocolError),
    ],
)
async def test_polling_ends_with_what_will_not_pass(gateway, connect, body, error) -> None:
    """A refusal, and a reply that may be the only copy of reports."""
    gateway.bodies["dlrpull"] = body
    with pytest.raises(error):
        await anext(connect().poll_reports())


@pytest.mark.parametrize("held", [True, False], ids=["during a pull", "between pulls"])
async def test_closing_the_client_ends_polling(gateway, connect, quiet, held, caplog) -> None:
    """Even a pull that takes too long."""
    client = connect()
    if held:
        gateway.gate.clear()
    waiting = asyncio.create_task(anext(client.poll_reports()))
    await gateway.until(lambda: gateway.received)
    await turns()
    await client.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    with pytest.raises(StopAsyncIteration):
        await anext(client.poll_reports())
    assert "not taken" not in caplog.text


async def test_closing_the_client_ends_polling_that_waits_for_its_turn(
    gateway, connect, quiet
) -> None:
    """Its turn never comes."""
    gateway.gate.clear()
    client = connect(concurrency=1)
    asking = asyncio.create_task(client.credits())
    waiting = asyncio.create_task(anext(client.poll_reports()))
    await gateway.until(lambda: gateway.received)
    await client.aclose()
    results = await asyncio.gather(asking, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [OutcomeUnknownError, StopAsyncIteration]
    assert len(gateway.received) == 1


async def test_what_nobody_took_is_mentioned_when_the_client_closes(
    gateway, connect, quiet, caplog
) -> None:
    """The gateway will not give it again."""
    client = connect()
    gateway.answer(reports("1", "2", "3"))
    polling = client.poll_reports()
    await take(polling, 1)
    await polling.aclose()
    await client.aclose()
    assert "2 delivery reports were pulled and not taken" in caplog.text


async def test_reports_are_yielded_to_their_end_though_the_client_is_closed(
    gateway, connect, quiet
) -> None:
    """They are here already."""
    client = connect()
    gateway.answer(reports("1", "2"))
    polling = client.poll_reports()
    await take(polling, 1)
    await client.aclose()
    assert [one.message_id async for one in polling] == ["2"]
