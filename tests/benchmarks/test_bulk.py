"""What an item of a bulk send takes, against `send` one by one and all at once.

Times are of the clock, since requests wait for each other here: items per second are the inverse.
The gateway is the simulator, in a process of its own, and parses every request. Where each item
has a text of its own, each takes a request; as many as `gather` has are in flight then, since the
fewer there are, the more rounds of the event loop it takes. What remains is the reading of the
item, a task, and a second look at the text, for the message ids of its parts.
"""

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from infobip_async import Endpoints, InfobipClient, SendOutcome, TextMessage

ITEMS = 1_000
IN_FLIGHT = 50  # the client's default
ROUNDS = 5
SIMULATOR = """
import asyncio, sys
from infobip_async.simulator import Simulator

async def main():
    async with Simulator(credits=100_000_000, keep=1) as simulator:
        print(simulator.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""

Item = tuple[TextMessage, str]
Way = Callable[[InfobipClient, list[Item], Path], Awaitable[None]]


async def one_by_one(client: InfobipClient, items: list[Item], _: Path) -> None:
    """A loop around `send`."""
    for message, number in items:
        await client.send(message, number)


async def all_at_once(client: InfobipClient, items: list[Item], _: Path) -> None:
    """A `gather` of `send`, of which the client lets so many at a time through."""
    await asyncio.gather(*(client.send(message, number) for message, number in items))


async def many(client: InfobipClient, items: list[Item], _: Path) -> None:
    """`send_many`, which remembers nothing."""
    outcomes = [result.outcome async for result in client.send_many(items, concurrency=IN_FLIGHT)]
    assert outcomes == [SendOutcome.SENT] * ITEMS


async def many_with_a_job(client: InfobipClient, items: list[Item], job: Path) -> None:
    """`send_many`, which has each intent and each outcome on disk before it goes on."""
    results = client.send_many(items, concurrency=IN_FLIGHT, job=job)
    outcomes = [result.outcome async for result in results]
    assert outcomes == [SendOutcome.SENT] * ITEMS


def same(_: int) -> str:
    """The text of a newsletter."""
    return "We moved to 1 Main Street."


def own(number: int) -> str:
    """The text of a reminder."""
    return f"Order {number} is ready."


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """The base URL of a simulator in a process of its own."""
    command = [sys.executable, "-c", SIMULATOR]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:  # noqa: S603 - ours
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture
def seconds(simulator: str, tmp_path: Path):
    """Makes what measures a way of sending."""
    jobs = itertools.count()

    def make(way: Way, text: Callable[[int], str]) -> Callable[[], float]:
        async def run() -> float:
            items = [(TextMessage(text(at), "Friend"), f"385{at:09}") for at in range(ITEMS)]
            endpoints = Endpoints.at(simulator)
            async with InfobipClient("user", "password", endpoints=endpoints) as client:
                await client.credits()  # the connection is there
                start = time.perf_counter()
                await way(client, items, tmp_path / f"job {next(jobs)}")
                return time.perf_counter() - start

        return lambda: asyncio.run(run())

    return make


@pytest.mark.parametrize(
    ("text", "way", "floor", "target"),
    [
        (same, many, one_by_one, "<= 0.1"),
        (same, many, all_at_once, "<= 0.1"),
        (same, many_with_a_job, all_at_once, "<= 0.3"),
        (own, many, one_by_one, "<= 1"),
        (own, many, all_at_once, "<= 1.2"),
        (own, many_with_a_job, many, "<= 2.5"),
    ],
)
def test_send_many(bench, seconds, text, way, floor, target):  # noqa: PLR0917 - a line each
    """Per item."""
    ways = {many: "send_many", many_with_a_job: "send_many with a job"}
    floors = {many: "without", one_by_one: "send one by one", all_at_once: "gather of send"}
    path = f"{ways[way]}, {text.__name__} text, against {floors[floor]}"
    bench.measure(path, seconds(way, text), seconds(floor, text), target, rounds=ROUNDS, fold=ITEMS)
