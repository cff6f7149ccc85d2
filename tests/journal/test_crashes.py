"""Receivers that are killed under load, at random and at named points.

The gateway is played here. It sends delivery reports and HLR reports again until it gets a 200,
and inbound messages once (§3.1).
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

from children import start_child_async
from infobip_async.journal import SqliteJournal
from infobip_async.protocol.push import PushFormat, decode
from platforms import needs_fork
from scale import scaled

pytestmark = needs_fork

SECRET = "a-secret-of-the-tests"
SENDERS = 8


@attrs.frozen
class Post:
    """What the gateway sends, and what tells its events from others."""

    request: bytes
    events: tuple[str, ...]
    again: bool = True


def post(name: str, body: str, *events: str) -> Post:
    """A POST."""
    head = f"POST /{SECRET}/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return Post((head + body).encode(), events)


def inbound(query: str, *events: str) -> Post:
    """A GET."""
    return Post(
        f"GET /{SECRET}/inbound?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), events, False
    )


def reports(n: int, rows: int) -> Post:
    """Delivery reports on so many messages."""
    return reports_on(*(f"id {n}-{row}" for row in range(rows)))


def reports_on(*ids: str) -> Post:
    """Delivery reports on messages."""
    body = "".join(f'<message id="{one}" status="DELIVERED"/>' for one in ids)
    return post("dlr", f"<DeliveryReport>{body}</DeliveryReport>", *ids)


def posts(number: int) -> list[Post]:
    """So many posts of each kind."""
    made = []
    for n in range(number):
        made.append(reports(n, n % 4 + 1))
        numbers = [f"38598{n:03}{row}" for row in range(n % 3 + 1)]
        rows = "%0A".join(f"{one};1-{one};DELIVRD;;;0" for one in numbers)
        made.append(post("hlr", f"dlr={rows}", *numbers))
        made.append(inbound(f"sender=one&text=text+{n}", f"text {n}"))
        for part in (1, 2):
            octets = (bytes([5, 0, 3, n, 2, part]) + f"part {n} {part}, ".encode()).hex()
            query = f"sender=long{n}&bin={octets}&esmclass=64"
            made.append(inbound(query, f"part {n} {part}, "))
    return made


@attrs.define
class Nursery:
    """Receivers in child processes, one after the other, on one file.

    Attributes:
        process: forks them.
        folder: where the file is.
        without: a protection that they do without.
        in_flight: events of each type that they may have in flight.
        delay: seconds until a handler that failed is called again.
        waiting: what is to be sent.
        acknowledged: the events of posts that were answered with 200.
        killed: how many were killed.
    """

    process: asyncio.subprocess.Process
    folder: Path
    without: str = ""
    in_flight: int = 10
    delay: float = 0.005
    waiting: list[Post] = attrs.field(factory=list)
    acknowledged: set[str] = attrs.field(factory=set)
    killed: int = 0
    _child: int | None = None

    async def live(
        self,
        *,
        point: str = "",
        calls: int = 0,
        seconds: float = 0.0,
        end: signal.Signals | None = signal.SIGTERM,
        idle: bool = False,
    ) -> None:
        """Let a child receive until it has it all, or dies.

        Args:
            point: where it kills itself.
            calls: after so many calls there.
            seconds: how long it is let live; else until it has it all.
            end: what it gets then: SIGTERM lets it handle all that waits, None leaves it alone.
            idle: its handlers do nothing.
        """
        order = {
            "path": str(self.folder / "posts.db"),
            "handled": str(self.folder / "handled"),
            "seed": self.killed,
            "in_flight": self.in_flight,
            "delay": self.delay,
            "point": point,
            "calls": calls,
            "without": self.without,
            "idle": idle,
        }
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        told = [(await self.process.stdout.readline()).decode().split() for _ in range(2)]
        found = {word: int(number) for word, number in told}
        self._child = found["pid"]
        if "port" in found:  # else it has killed itself before
            load = asyncio.gather(*(self._send(found["port"]) for _ in range(SENDERS)))
            await (asyncio.sleep(seconds) if seconds else load)
            with suppress(ProcessLookupError):  # it has killed itself
                if end:
                    os.kill(found["pid"], end)
            await load
            status = int((await self.process.stdout.readline()).split()[1])
        else:
            status = found["end"]
        self._child = None
        self.killed += status == -signal.SIGKILL
        assert status in {0, -signal.SIGKILL}

    async def _send(self, port: int) -> None:
        """Send what waits, until the receiver is gone."""
        while self.waiting:
            post = self.waiting.pop(0)
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                self.waiting.append(post)
                return
            status = b""
            with suppress(OSError):
                writer.write(post.request)
                status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                self.acknowledged.update(post.events)
            elif post.again:
                self.waiting.append(post)

    async def crash(self, seed: int, *, number: int, deaths: int, timed: float = 0.3) -> None:
        """Have the gateway send, while receivers die at random and at every point.

        Args:
            seed: makes the deaths repeatable.
            number: posts of each kind.
            deaths: how many.
            timed: the share of the deaths that come at any time, and not at a point.
        """
        chance = random.Random(seed)
        self.waiting += posts(number)
        chance.shuffle(self.waiting)
        points = ["kept", "read", "handled", "marked"]
        chance.shuffle(points)
        for death in range(deaths):
            if chance.random() < timed:
                await self.live(seconds=0.03 + chance.random() * 0.15, end=signal.SIGKILL)
            else:
                calls = chance.randint(1, 30)
                await self.live(point=points[death % 4], calls=calls, end=signal.SIGKILL)
        alive = -1
        while alive < self.killed:  # events that kill their process end this one, too
            alive = self.killed
            await self.live()
        assert not self.waiting

    def handled(self) -> Counter[str]:
        """How often each event was handled; a part of a message counts with the whole."""
        events: Counter[str] = Counter()
        for line in (self.folder / "handled").read_bytes().splitlines():
            first, _, third = json.loads(line)
            text = str(third)
            if text.startswith("part"):
                events.update(f"{half}, " for half in text.split(", ")[:-1])
            else:
                events[text if text.startswith("text") else first] += 1
        return events

    async def lost(self) -> set[str]:
        """Events that were acknowledged, not handled, and are not parts that wait for others."""
        async with SqliteJournal(self.folder / "posts.db") as journal:
            posts = [post.push async for post in journal.waiting()]
        waiting = {decode(push, PushFormat())[0].text for push in posts}
        return self.acknowledged - self.handled().keys() - waiting

    def repeated(self) -> int:
        """Events handled again, counted each time."""
        return sum(times - 1 for times in self.handled().values())

    @property
    def allowed(self) -> int:
        """Events that can have been in flight when a receiver was killed: three types of them."""
        return 3 * self.in_flight * self.killed


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    """Where receivers are born, on a fresh file."""
    process = await start_child_async(
        sys.executable,
        Path(__file__).parent / "nursery.py",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    nursery = Nursery(process, tmp_path)
    yield nursery
    if nursery._child:  # the test has failed
        os.kill(nursery._child, signal.SIGKILL)
    process.terminate()
    await process.wait()


@pytest.mark.parametrize(
    ("seed", "number", "deaths"),
    [
        (0, 20, 4),
        *(pytest.param(seed, 60, 8, marks=pytest.mark.proof) for seed in range(scaled(3))),
    ],
)
async def test_nothing_acknowledged_is_lost(
    nursery: Nursery, seed: int, number: int, deaths: int
) -> None:
    """Whenever a receiver dies; and no more is handled again than was in flight."""
    await nursery.crash(seed, number=number, deaths=deaths)
    assert nursery.killed == deaths
    assert len(nursery.acknowledged) > 5 * number
    assert await nursery.lost() == set()
    assert nursery.repeated() <= nursery.allowed


@pytest.mark.parametrize(
    ("number", "deaths", "killers", "delay"),
    [
        (6, 1, 1, 0.005),
        pytest.param(scaled(80), scaled(30), scaled(4), 0.1, marks=pytest.mark.proof(long=True)),
    ],
)
async def test_events_that_kill_their_process(
    nursery: Nursery, number: int, deaths: int, killers: int, delay: float
) -> None:
    """Each is a dead letter in the end, nothing else is, and everything else is handled.

    Other deaths come at any time: who dies whenever an event is handled cannot be told from who
    dies of that event. They come sooner than a suspect is handled again.
    """
    nursery.delay = delay
    ids = {f"killer {n}" for n in range(killers)}
    nursery.waiting += [reports_on(one) for one in ids]
    await nursery.crash(1, number=number, deaths=deaths, timed=1.0)
    async with SqliteJournal(nursery.folder / "posts.db") as journal:
        dead = {letter.read().message_id async for letter in journal.dead()}
    assert dead == ids
    assert await nursery.lost() == ids
    assert nursery.repeated() <= nursery.allowed
    figures = f"{len(nursery.acknowledged)} acknowledged, {nursery.repeated()} handled again"
    print(f"{nursery.killed} deaths, {figures}, {len(dead)} dead letters")  # noqa: T201 - the figures


async def test_a_death_at_each_point(nursery: Nursery) -> None:
    """One after the other at the same point: it is handled again no more than once for each."""
    for number, point in enumerate(("kept", "read", "handled", "marked")):
        nursery.waiting.append(reports(number, 1))
        for _ in range(3):
            await nursery.live(point=point, calls=1, end=signal.SIGKILL)
        await nursery.live()
        assert await nursery.lost() == set(), point
        assert 1 <= nursery.handled()[f"id {number}-0"] <= 4, point


@pytest.mark.proof
async def test_posts_that_come_again(nursery: Nursery) -> None:
    """What was kept and not acknowledged is sent again, and would be handled each time."""
    for number, (without, times) in enumerate((("", 1), ("duplicates", 4))):
        nursery.without = without
        nursery.waiting.append(reports(number, 1))
        for _ in range(3):
            await nursery.live(point="kept", calls=1, end=signal.SIGKILL, idle=True)
        await nursery.live()
        assert nursery.handled()[f"id {number}-0"] == times


@pytest.mark.proof
async def test_without_commit_before_answer(nursery: Nursery) -> None:
    """What is only in memory when it is acknowledged is lost."""
    for nursery.without, lost in (("", set()), ("commit before answer", {"id 1-0"})):
        nursery.waiting.append(reports(len(lost), 1))
        await nursery.live(end=signal.SIGKILL, idle=True)
        await nursery.live()
        assert await nursery.lost() == lost


@pytest.mark.proof
async def test_without_marks(nursery: Nursery) -> None:
    """Everything would be handled again after each death."""
    nursery.without = "marks"
    nursery.in_flight = 1
    nursery.waiting.append(reports(0, 30))
    for _ in range(2):
        await nursery.live(point="handled", calls=20, end=None)
    assert nursery.repeated() >= 10 > nursery.allowed
