"""Bulk sends over loopback, against one send after the other and all of them at once.

Run with ``pytest tests/benchmarks/test_bulk.py --benchmark-group-by=group --benchmark-only``;
each group holds the ways to send the same items to the same simulator, which shares the
processor. The column OPS is runs per second: times the number of items, items per second.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from infobip_async import Endpoints, InfobipClient, SendOutcome, TextMessage
from infobip_async.simulator import Simulator

pytest.importorskip("pytest_benchmark")

ITEMS = 1_000

Item = tuple[TextMessage, str]
Way = Callable[[InfobipClient, list[Item], Path], Awaitable[None]]


async def one_after_the_other(client: InfobipClient, items: list[Item], _: Path) -> None:
    """A loop around `send`."""
    for message, number in items:
        await client.send(message, number)


async def all_at_once(client: InfobipClient, items: list[Item], _: Path) -> None:
    """A `gather` of `send`, of which the client lets 50 at a time through."""
    await asyncio.gather(*(client.send(message, number) for message, number in items))


async def send_many(client: InfobipClient, items: list[Item], _: Path) -> None:
    """`send_many`, which remembers nothing."""
    outcomes = [result.outcome async for result in client.send_many(items)]
    assert outcomes == [SendOutcome.SENT] * ITEMS


async def send_many_with_a_job(client: InfobipClient, items: list[Item], job: Path) -> None:
    """`send_many`, which syncs each intent and outcome to the disk."""
    outcomes = [result.outcome async for result in client.send_many(items, job=job)]
    assert outcomes == [SendOutcome.SENT] * ITEMS


def same(_: int) -> str:
    """The text of a newsletter."""
    return "We moved to 1 Main Street."


def personal(number: int) -> str:
    """The text of a reminder."""
    return f"Order {number} is ready."


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Where client and simulator live."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("text", [same, personal])
@pytest.mark.parametrize("way", [one_after_the_other, all_at_once, send_many, send_many_with_a_job])
def test_send(
    benchmark, loop: asyncio.AbstractEventLoop, tmp_path: Path, way: Way, text: Callable[[int], str]
) -> None:
    """1,000 items, with one text or a text for each."""
    benchmark.group = f"{ITEMS} items, {text.__name__} text"
    items = [(TextMessage(text(at), "Friend"), f"385{at:09}") for at in range(ITEMS)]
    simulator = Simulator(credits=10_000_000, keep=1)
    jobs = itertools.count()
    loop.run_until_complete(simulator.__aenter__())
    client = InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url))

    def run() -> None:
        loop.run_until_complete(way(client, items, tmp_path / f"job {next(jobs)}"))

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["items per second"] = round(ITEMS / benchmark.stats.stats.min)
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(simulator.__aexit__(None, None, None))
