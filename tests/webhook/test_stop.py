"""Handlers in flight: when the application stops, and when the client goes away."""

import asyncio
import gc

import attrs
import pytest

from infobip_async.models.events import DeliveryReport
from jumping import PATIENCE, jump, turns, until

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'


@attrs.define
class Slow:
    """A handler that ends when it is told to."""

    begun: asyncio.Event = attrs.field(factory=asyncio.Event)
    release: asyncio.Event = attrs.field(factory=asyncio.Event)
    ended: str = ""

    async def __call__(self, _: DeliveryReport) -> None:
        """Handle a report."""
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "finished"


@pytest.fixture
async def slow() -> Slow:
    """A handler of delivery reports, to be registered."""
    return Slow()


async def test_a_stop_waits(receiver, slow):
    """The server stops after the handlers have ended and the client has its answer."""
    receiver.router.on(DeliveryReport)(slow)
    post = asyncio.create_task(receiver.post("dlr", REPORT))
    await slow.begun.wait()

    stop = asyncio.create_task(receiver.runner.cleanup())
    await turns()
    assert not stop.done()
    slow.release.set()

    assert (await post).status == 200
    await stop
    assert slow.ended == "finished"


async def test_posts_during_a_stop(receiver, slow):
    """What arrives meanwhile is to be sent again."""
    receiver.router.on(DeliveryReport)(slow)
    first = asyncio.create_task(receiver.post("dlr", REPORT))
    await slow.begun.wait()
    stop = asyncio.create_task(receiver.app.shutdown())
    await asyncio.sleep(0)

    second = await receiver.post("dlr", REPORT)
    slow.release.set()

    assert (second.status, second.headers["Connection"]) == (503, "close")
    assert (await first).status == 200
    await stop
    assert len(receiver.events) == 1


async def test_a_stop_does_not_wait_for_ever(start, slow, warnings_of):
    """Handlers that take too long are cancelled, and their post is not acknowledged."""
    receiver = await start(stop_timeout=600)
    receiver.router.on(DeliveryReport)(slow)
    post = asyncio.create_task(receiver.post("dlr", REPORT))
    await slow.begun.wait()

    stop = asyncio.create_task(receiver.app.shutdown())
    await jump(500)
    assert not stop.done()
    await jump(100)
    await stop

    assert (await post).status == 500
    assert slow.ended == "cancelled"
    assert warnings_of() == ["handlers were cancelled on a push to dlr"]


async def test_a_stop_with_nothing_to_do(start):
    """Nothing in flight, nothing to wait for."""
    receiver = await start(stop_timeout=10 * PATIENCE)
    await receiver.post("dlr", REPORT)

    await asyncio.wait_for(receiver.app.shutdown(), PATIENCE)


@pytest.mark.parametrize("handler_cancellation", [False, True])
async def test_a_client_that_goes_away(start, slow, caplog, handler_cancellation):
    """Its handlers run to their end, also where the host cancels its own."""
    receiver = await start(runner={"handler_cancellation": handler_cancellation})
    receiver.router.on(DeliveryReport)(slow)
    post = asyncio.create_task(receiver.post("dlr", REPORT))
    await slow.begun.wait()
    (connection,) = receiver.runner.server.connections
    post.cancel()
    await until(lambda: connection.transport is None)

    slow.release.set()
    await receiver.app.shutdown()
    gc.collect()  # which logs the exceptions of forgotten tasks

    assert slow.ended == "finished"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_nothing_is_left(receiver):
    """Of a post nothing stays behind, nor of a receiver."""
    await receiver.post("dlr", REPORT)
    (route,) = receiver.app.router.routes()
    assert not route.handler.__self__.receiver._running

    await receiver.aclose()
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}
