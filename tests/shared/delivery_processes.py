"""Programs that send and that receive on one store, killed at random, and what must hold then."""

import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import attrs

from children import start_child_async
from infobip_async import Deliveries, DeliveryStatus, DeliveryStore, Router
from infobip_async.simulator import Fault, ManualClock, Simulator
from infobip_async.webhook import callback_urls
from ports import reserved_port

PROGRAM = Path(__file__).parent / "delivery_program.py"
SECRET = "a-secret-of-the-tests"


def ending(number: str) -> DeliveryStatus:
    """What becomes of a message to a number."""
    return DeliveryStatus.NOT_DELIVERED if int(number) % 10 == 3 else DeliveryStatus.DELIVERED


@attrs.define
class Processes:
    """The two programs, started again whenever they were killed.

    Attributes:
        commands: the arguments of each.
        running: the process of each.
        killed: how many were killed.
    """

    commands: dict[str, list[str]]
    running: dict[str, asyncio.subprocess.Process] = attrs.field(factory=dict)
    killed: int = 0

    async def start(self, name: str) -> None:
        """Start a program."""
        self.running[name] = await start_child_async(
            sys.executable, str(PROGRAM), name, *self.commands[name]
        )

    async def kill(self, name: str) -> None:
        """Kill a program, and start it again."""
        process = self.running[name]
        if process.returncode is None:
            process.kill()
            self.killed += 1
            await process.wait()
            await self.start(name)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Both run."""
        for name in self.commands:
            await self.start(name)
        try:
            yield
        finally:
            for process in self.running.values():
                if process.returncode is None:
                    process.kill()
                await process.wait()


Kill = Callable[[], Awaitable[None]]
"""Kills something that both programs use, and starts it again."""


async def outlive(processes: Processes, clock: ManualClock, kills: int, other: Kill | None) -> None:
    """Kill so many at random, then let the sender come to its end."""
    chance = random.Random(0)
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.6, 1.2))  # a start takes half of that
        if other is not None and chance.random() < 0.3:
            await other()
        else:
            await processes.kill(chance.choice(["send", "receive", "receive"]))
        await clock.advance(60)  # what nobody took is pushed again
    ended = asyncio.create_task(processes.running["send"].wait())
    while not ended.done():
        await asyncio.wait([ended], timeout=1)
        await clock.advance(3600)


async def check_kills(
    folder: Path,
    store: Callable[[], DeliveryStore],
    place: str,
    *,
    count: int,
    kills: int,
    other: Kill | None = None,
) -> None:
    """Every delivery is final and right; each change was an event, and nothing else was."""
    events, clock = folder / "events", ManualClock()
    with reserved_port() as port:
        urls = callback_urls(f"http://127.0.0.1:{port}", secret=SECRET)
        async with Simulator(
            credits=10 * count, callbacks=urls, clock=clock, delivery=ending
        ) as simulator:
            simulator.faults.add(Fault.REPORT_BEFORE_REPLY, rate=0.3)
            simulator.faults.add(Fault.DUPLICATE_REPORT, rate=0.2)
            simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send", rate=0.02)
            processes = Processes(
                {
                    "receive": [place, str(port), str(folder / "journal"), str(events)],
                    "send": [place, simulator.base_url, str(count)],
                }
            )
            async with processes.alive():
                await outlive(processes, clock, kills, other)
            sent = Counter(message.msisdn for message in simulator.messages)
    async with Deliveries(None, Router(), store=store()) as deliveries:
        known = [one async for one in deliveries.stored()]
    assert len(known) == count
    final = [one for one in known if one.is_final]
    for one in final:
        assert one.delivered is (ending(one.msisdn) is DeliveryStatus.DELIVERED)
        assert sent[one.msisdn] <= len(one.part_ids)
    # Killed between an intent and its request, nobody knows but the gateway: it has not got all.
    assert all(sent[one.msisdn] < len(one.part_ids) for one in known if not one.is_final)
    assert count - len(final) <= 20 * kills
    check_events(events, {one.key: one.delivered for one in final}, kills)


def check_events(events: Path, ends: dict[str, bool], killed: int) -> None:
    """Each end was given last. What was given before a kill may be given again, in its order."""
    given = defaultdict(list)
    for line in events.read_text(encoding="utf-8").splitlines():
        key, *state = json.loads(line)
        given[key].append(tuple(state))
    repeated = 0
    for key, end in ends.items():
        order = list(dict.fromkeys(given[key]))
        places = [order.index(state) for state in given[key]]
        repeated += len(places) - len(order)
        assert given[key][-1][-1] is end
        assert places[-1] == len(order) - 1
        assert all(after <= before + 1 for before, after in pairwise(places))
    assert repeated <= 100 * killed
