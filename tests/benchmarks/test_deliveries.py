"""What a delivery takes: processor time against a program by hand, and memory while it waits.

The gateway is the simulator, in a process of its own; it pushes the reports to a receiver here.
The program by hand makes the ids first, and knows no parts, no duplicates, no keys, and no other
process.
"""

import asyncio
import itertools
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from infobip_async import (
    Deliveries,
    DeliveryReport,
    DeliveryStatus,
    Endpoints,
    InfobipClient,
    PartReceipt,
    Recipient,
    Router,
    SendReceipt,
    TextMessage,
)
from infobip_async.webhook import listening, webhook_app
from ports import reserved_port

HELLO = TextMessage("Hello", sender="Friend")
MESSAGES = 200
AT_ONCE = 50
WAITING = 5_000
SECRET = "long-random-string"
SIMULATOR = """
import asyncio, sys
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls

async def main():
    urls = callback_urls(sys.argv[1], secret=sys.argv[2])
    async with Simulator(credits=100_000_000, keep=1, callbacks=urls) as simulator:
        print(simulator.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
NUMBERS = itertools.count(385_980_000_000)

Follow = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def with_deliveries(client: InfobipClient, router: Router) -> AsyncIterator[Follow]:
    """Send and wait, as README does."""
    async with Deliveries(client, router) as deliveries:

        async def follow(number: str) -> object:
            (delivery,) = await deliveries.send(HELLO, number, key=number)
            return await deliveries.wait(delivery.message_id)

        yield follow


@asynccontextmanager
async def by_hand(client: InfobipClient, router: Router) -> AsyncIterator[Follow]:
    """Send, and wait for the report on the id."""
    waiting: dict[str, asyncio.Future[DeliveryStatus]] = {}

    async def reported(report: DeliveryReport) -> None:
        waiting.pop(report.message_id).set_result(report.status)

    async def follow(number: str) -> object:
        message_id = client.make_message_id()
        future = waiting[message_id] = asyncio.get_running_loop().create_future()
        await client.send(HELLO, Recipient(number, message_id))
        return await future

    router.on(DeliveryReport)(reported)
    yield follow
    router.off(DeliveryReport, reported)


@pytest.fixture
def gateway() -> Iterator[tuple[str, int]]:
    """Where to send, and the port that reports are pushed to."""
    with reserved_port() as port:
        command = [sys.executable, "-c", SIMULATOR, f"http://127.0.0.1:{port}", SECRET]
        with subprocess.Popen(  # noqa: S603 - our own interpreter and code
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            yield process.stdout.readline().strip(), port
            process.kill()


def seconds(way: Callable[..., object], base_url: str, port: int) -> float:
    """Processor time per message."""

    async def run() -> float:
        router = Router()
        endpoints = Endpoints.at(base_url)
        async with (
            listening(webhook_app(router, secret=SECRET), "127.0.0.1", port),
            InfobipClient("user", "password", endpoints=endpoints) as client,
            way(client, router) as follow,
        ):
            limit = asyncio.Semaphore(AT_ONCE)

            async def one() -> None:
                async with limit:
                    await follow(str(next(NUMBERS)))

            start = time.process_time()
            await asyncio.gather(*(one() for _ in range(MESSAGES)))
            return (time.process_time() - start) / MESSAGES

    return asyncio.run(run())


def test_send_and_wait(bench, gateway: tuple[str, int]) -> None:
    """With all rules, against none."""
    bench.measure(
        "send and wait for the delivery",
        lambda: seconds(with_deliveries, *gateway),
        lambda: seconds(by_hand, *gateway),
        "1.5",
        rounds=5,
    )


class _Client:
    """Accepts everything at once."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def make_message_id(self) -> str:
        return f"0123456789abcdef-{next(self._ids):x}"

    def message_ids(self, _: object, message_id: str) -> tuple[str, ...]:
        return (message_id,)

    async def send(self, _: object, recipients: object) -> SendReceipt:
        return SendReceipt((), (PartReceipt(1, None, ()),))


def octets() -> float:
    """Memory of a delivery that waits for its report, with a key of its own."""

    async def run() -> float:
        async with Deliveries(_Client(), Router()) as deliveries:
            tracemalloc.start()
            for number in range(WAITING):
                await deliveries.send(HELLO, f"385{number:09}", key=f"order-{number}")
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return held / WAITING

    return asyncio.run(run())


def test_memory(bench) -> None:
    """A million of them are not much."""
    bench.measure(
        "a delivery that waits, in memory", octets, lambda: 600.0, "1", rounds=1, unit="octets"
    )
