"""Receivers, workers and the broker are killed under load.

The small cases are in the kit for journals: `check_put_then_crash`, `check_engine_away_and_back`.
"""

import asyncio
import random
from collections import Counter
from contextlib import suppress

import pytest
from aiohttp import ClientError, ClientSession

from infobip_async.jetstream import ConnectOptions, NatsJournal
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.protocol import hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from scale import scaled
from tests.jetstream.conftest import FIRST, LIMIT, Program, Server, found, free_port, until

pytestmark = pytest.mark.proof(long=True)


async def deliver(
    session: ClientSession, number: str, ports: list[int], ends: asyncio.Event
) -> bool:
    """Post a report as the gateway does: again until it is acknowledged, or the test is over."""
    body = hlr_dlr.encode_push([HlrReport(number, f"id-{number}", HlrStatus.DELIVRD, "DELIVRD")])
    while not ends.is_set():
        url = f"http://127.0.0.1:{random.choice(ports)}/hlr"
        with suppress(ClientError):
            async with session.post(url, data=body) as response:
                if response.status == 200:
                    return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.parametrize("victims", ["all", "broker"])
async def test_nothing_acknowledged_is_lost(server: Server, programs, victims: str) -> None:
    """Whatever is killed; and what is handled twice is little."""
    chance = random.Random(5)
    ports = [free_port(), free_port()]
    receivers = [programs("receiver", server.url, port) for port in ports]
    workers = [programs("worker", server.url) for _ in range(2)]
    parts: list[Program | Server] = [*receivers, *workers, server]
    await asyncio.gather(*(program.start() for program in parts[:-1]))
    ends = asyncio.Event()
    acknowledged: list[str] = []

    async def load(session: ClientSession, start: int) -> None:
        for number in range(start, start + 10_000_000):
            if ends.is_set():
                return
            if await deliver(session, str(number), ports, ends):
                acknowledged.append(str(number))

    kills: Counter[str] = Counter()
    async with ClientSession() as session:
        loads = [asyncio.create_task(load(session, 385 * 10**9 + i * 10**7)) for i in range(8)]
        for _ in range(scaled(6)):
            goal = len(acknowledged) + chance.randint(50, 300)
            await until(lambda: len(acknowledged) >= goal)  # noqa: B023 - over before the next
            victim = chance.choice(parts) if victims == "all" else server
            kills["broker" if victim is server else victim.arguments[0]] += 1
            await victim.kill()
            await victim.start()
        ends.set()
        await asyncio.gather(*loads)
    handled = await all_handled(workers, acknowledged)
    twice = sum(count - 1 for count in handled.values())
    within = sum(count - 1 for one in workers for count in Counter(one.lines).values())
    figures = f"{twice} handled again, {within} of them in one process"
    print(f"{len(acknowledged)} acknowledged, {figures}, killed: {dict(kills)}")  # noqa: T201 - the figures
    assert twice <= len(acknowledged) / 2
    assert victims == "all" or not within  # a process knows what it had in hand, and has done


async def test_of_a_push_only_the_row_that_kills_is_a_dead_letter(
    server: Server, access: ConnectOptions, programs
) -> None:
    """The others are handled, and no more often than they were given out before the third time."""
    numbers = [str(FIRST + number) for number in range(100)]
    rows = [HlrReport(one, f"id-{one}", HlrStatus.DELIVRD, "DELIVRD") for one in numbers]
    push = RawPush(PushKind.HLR_REPORTS, "", hlr_dlr.encode_push(rows), 0.0)
    worker = programs("fragile", server.url, numbers[40])
    async with NatsJournal(access, ack_wait=1) as journal:
        await journal.put(push)
        async with asyncio.timeout(3 * LIMIT):
            while not (dead := [one async for one in journal.dead()]):
                if not worker.runs:
                    await worker.start()
                await asyncio.sleep(0.05)
        assert [one.number for one in dead] == [40]
        assert "3 times" in dead[0].reason

        async def waiting() -> int:
            return (await journal.counts()).waiting

        await found(0, waiting)
    handled = await all_handled([worker], numbers[:40] + numbers[41:])
    assert max(handled.values()) <= 3


async def all_handled(workers: list[Program], acknowledged: list[str]) -> Counter[str]:
    """Wait until everything is handled, by whichever worker; how often each was."""
    async with asyncio.timeout(LIMIT):
        while True:
            handled = Counter(
                line for worker in workers for line in worker.lines if line != "ready"
            )
            if handled.keys() >= set(acknowledged):
                return handled
            await asyncio.sleep(0.1)
