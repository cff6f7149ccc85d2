"""A receiver with a journal under load and faults, for minutes: ``python soak.py [SECONDS]``.

Handlers fail, hang and are slow; the disk is full now and then; posts come twice, cannot be read,
or are parts of messages; dead letters are put back. Asked is at the end whether

- every acknowledged event was handled, or is known to the journal,
- the memory is flat after the first quarter of the time,
- the write-ahead log, and the file itself, are bounded,
- no task is left when the receiver has stopped.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SECRET = "long-random-string"
SENDERS = 16
DEDUP_WINDOW = 20.0
MEMORY_GROWTH = 2 * 2**20
LOG_LIMIT = 20 * 2**20


async def serve(folder: Path) -> None:
    """Receive until SIGTERM; then print how many tasks are left."""
    from aiohttp import web  # noqa: PLC0415 - in the receiver's process only

    from infobip_async import DeliveryReport, HlrReport, InboundSms, Router  # noqa: PLC0415
    from infobip_async.journal import HandlerSettings, SqliteJournal  # noqa: PLC0415
    from infobip_async.text.reassembly import Reassembler  # noqa: PLC0415
    from infobip_async.webhook import webhook_app  # noqa: PLC0415

    before = asyncio.all_tasks()
    handled = os.open(folder / "handled", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    # It remembers whole messages for an hour; here its limit is to be reached in the warm-up.
    router = Router(reassembler=Reassembler(limit=200))

    async def handle(event: object) -> None:
        chance = random.random()
        if chance < 0.02:
            raise RuntimeError("at random")
        if chance < 0.021:
            await asyncio.Event().wait()
        if chance < 0.1:
            await asyncio.sleep(random.random() * 0.02)
        os.write(handled, f"{number_of(event)}\n".encode())

    def number_of(event: object) -> str:
        match event:
            case DeliveryReport():
                return event.message_id
            case HlrReport():
                return event.destination
        assert isinstance(event, InboundSms)
        return (event.text or "").replace(" ", "\n").strip()

    router.on(DeliveryReport)(handle)
    router.on(HlrReport)(handle)
    router.on(InboundSms, whole=True)(handle)
    settings = HandlerSettings(attempts=3, first_delay=0.05, time_limit=0.2)
    journal = SqliteJournal(folder / "posts.db", settings=settings, dedup_window=DEDUP_WINDOW)
    runner = web.AppRunner(webhook_app(router, secret=SECRET, journal=journal), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 4.0)
        with suppress(Exception):  # there may be no room for it
            await journal.requeue()
        # No room on the disk, until the file is opened anew.
        with suppress(Exception):
            await journal._thread.do(lambda c: c.execute("pragma max_page_count = 1").fetchall())
    await runner.cleanup()
    left = asyncio.all_tasks() - before
    sys.stdout.write(f"{len(left)}\n")


def request(method: str, path: str, body: str = "") -> bytes:
    """A request as octets."""
    head = f"{method} /{SECRET}/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def posts() -> Iterator[tuple[bytes, list[int]]]:
    """Posts without end, with the numbers of their events."""
    numbers = itertools.count(1)
    chance = random.Random(1)
    while True:
        events = list(itertools.islice(numbers, chance.choice((1, 1, 1, 5, 20))))
        kind = chance.random()
        if kind < 0.45:
            rows = "".join(f'<message id="{one}" status="DELIVERED"/>' for one in events)
            yield request("POST", "dlr", f"<DeliveryReport>{rows}</DeliveryReport>"), events
        elif kind < 0.9:
            rows = "%0A".join(f"{one};1-{one};DELIVRD;;;0" for one in events)
            yield request("POST", "hlr", f"dlr={rows}"), events
        elif kind < 0.99:
            for part, one in enumerate(events[:2], 1):
                total = len(events[:2])
                octets = bytes([5, 0, 3, events[0] % 256, total, part]) + f"{one} ".encode()
                query = f"sender={events[0]}&bin={octets.hex()}&esmclass=64"
                yield request("GET", f"inbound?{query}"), [one]
        else:
            yield request("POST", "dlr", "nonsense"), []


async def send(port: int, until: float, acknowledged: bytearray) -> tuple[int, int]:
    """Send from many senders; how many posts were taken, and how many refused for now."""
    source = posts()
    taken = refused = 0

    async def sender() -> None:
        nonlocal taken, refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            raw, events = next(source)
            again = raw.startswith(b"POST")
            for _ in range(2 if again and random.random() < 0.05 else 1):  # it comes twice
                status = b""
                while b" 200 " not in status:
                    writer.write(raw)
                    head = await reader.readuntil(b"\r\n\r\n")
                    status, _, rest = head.partition(b"\r\n")
                    length = rest.lower().partition(b"content-length: ")[2].split()[0]
                    await reader.readexactly(int(length))
                    refused += b" 503 " in status
                    if not again and b" 200 " not in status:
                        break  # an inbound message comes once
                else:
                    for one in events:
                        acknowledged[one >> 3] |= 1 << (one & 7)
                taken += b" 200 " in status
            await asyncio.sleep(0.005)
        writer.close()

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return taken, refused


async def watch(pid: int, folder: Path, samples: list[tuple[int, int, int]]) -> None:
    """Look at memory, log and file every second."""
    while True:
        samples.append(look(pid, folder))
        await asyncio.sleep(1.0)


def look(pid: int, folder: Path) -> tuple[int, int, int]:
    """The octets of a process in memory, of its log and of its file."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    log, file = (folder / f"posts.db{ending}" for ending in ("-wal", ""))
    sizes = [path.stat().st_size if path.exists() else 0 for path in (log, file)]
    return pages * os.sysconf("SC_PAGE_SIZE"), *sizes


async def missing(folder: Path, acknowledged: bytearray) -> int:
    """Acknowledged events that were not handled, and that the journal does not know either."""
    from infobip_async.journal import SqliteJournal  # noqa: PLC0415 - after the measurement
    from infobip_async.protocol.push import PushFormat, decode  # noqa: PLC0415

    with (folder / "handled").open(encoding="ascii") as lines:
        for line in lines:
            if line.strip():
                one = int(line)
                acknowledged[one >> 3] &= ~(1 << (one & 7)) & 0xFF
    async with SqliteJournal(folder / "posts.db") as journal:
        pushes = [post.push async for post in journal.waiting()]
        pushes += [letter.push async for letter in journal.dead()]
    for push in pushes:
        with suppress(Exception):
            for event in decode(push, PushFormat()):
                told = getattr(event, "message_id", None) or getattr(event, "destination", None)
                one = int(told or event.text)
                acknowledged[one >> 3] &= ~(1 << (one & 7)) & 0xFF
    return sum(octet.bit_count() for octet in acknowledged)


async def soak(seconds: float) -> dict[str, object]:
    """Run it, and tell what was seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, __file__, "serve", name]
        server = subprocess.Popen(command, stdout=-1, stderr=subprocess.DEVNULL, text=True)  # noqa: S603, ASYNC220 - ours
        port = int(server.stdout.readline())
        samples: list[tuple[int, int, int]] = []
        watching = asyncio.create_task(watch(server.pid, folder, samples))
        acknowledged = bytearray(16 * 2**20)
        taken, refused = await send(port, time.monotonic() + seconds, acknowledged)
        watching.cancel()
        server.terminate()
        left = int((await asyncio.to_thread(server.stdout.read)).strip())
        server.wait()
        lost = await missing(folder, acknowledged)
    memory, log, file = zip(*samples[len(samples) // 4 :], strict=True)
    half = len(memory) // 2
    growth = sum(memory[half:]) / len(memory[half:]) - sum(memory[:half]) / half
    return {
        "posts taken": taken,
        "posts refused for now": refused,
        "acknowledged events lost": lost,
        "memory after warm-up, MiB": [round(min(memory) / 2**20, 1), round(max(memory) / 2**20, 1)],
        "its growth from half to half, MiB": round(growth / 2**20, 2),
        "log at most, MiB": round(max(log) / 2**20, 1),
        "file, MiB": [round(min(file) / 2**20, 1), round(max(file) / 2**20, 1)],
        "tasks left": left,
        "passed": lost == left == 0 and growth < MEMORY_GROWTH and max(log) < LOG_LIMIT,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        found = asyncio.run(soak(float((sys.argv[1:] or ["180"])[0])))
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        sys.exit(not found["passed"])
