"""How many posts a second one worker process handles, and two, on one machine.

    python tests/benchmarks/nats_throughput.py

Each post has 1, or 100, HLR reports; the handler does nothing. The posts are in the broker before
the workers start, so that they alone are measured; then as many receivers put posts in.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection  # noqa: TC003 - so that annotations can be read
from pathlib import Path

from infobip_async.jetstream import NatsJournal
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.protocol import hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.router import Router


def post(first: int, rows: int) -> RawPush:
    """A post of reports on numbers from one on."""
    reports = [
        HlrReport(
            str(first + i), f"id-{first + i}", HlrStatus.DELIVRD, "DELIVRD", "219100000000001"
        )
        for i in range(rows)
    ]
    return RawPush(PushKind.HLR_REPORTS, "", hlr_dlr.encode_push(reports), time.time())


async def put(url: str, posts: int, rows: int, first: int) -> float:
    """Put posts in, 64 at a time; seconds that took."""
    journal = NatsJournal(url, handles=False)
    async with journal.serve(Router(), lambda _: ()):
        numbers = iter(range(posts))

        async def sender() -> None:
            for number in numbers:
                await journal.put(post(first + number * rows, rows))

        began = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(64)))
        return time.perf_counter() - began


async def work(url: str, pipe: "Connection[object, object]") -> None:
    """Handle what is there, and say every so often how much that was."""
    router, count = Router(), 0

    @router.on(HlrReport)
    async def handle(_: HlrReport) -> None:
        nonlocal count
        count += 1

    journal = NatsJournal(url)
    async with journal.serve(router, partial(decode, settings=PushFormat())):
        while True:
            await asyncio.sleep(0.02)
            pipe.send(count)


def run_work(url: str, pipe: "Connection[object, object]") -> None:
    """A worker process."""
    asyncio.run(work(url, pipe))


def run_put(url: str, posts: int, rows: int, first: int) -> float:
    """A receiver process; posts per second."""
    return posts / asyncio.run(put(url, posts, rows, first))


def handled(url: str, workers: int, events: int) -> float:
    """Events per second, from the first ones that are handled to the last."""
    context = get_context("spawn")
    pipes, processes = [], []
    for _ in range(workers):
        receiving, sending = context.Pipe(duplex=False)
        processes.append(context.Process(target=run_work, args=(url, sending)))
        pipes.append(receiving)
        processes[-1].start()
    counts, first, began = [0] * workers, 0, 0.0
    while sum(counts) < events:
        for place, pipe in enumerate(pipes):
            while pipe.poll(0.001):
                counts[place] = pipe.recv()
        if not first and sum(counts):
            first, began = sum(counts), time.perf_counter()
    seconds = time.perf_counter() - began
    for process in processes:
        process.terminate()
        process.join()
    return (events - first) / seconds


def taken(url: str, receivers: int, posts: int, rows: int) -> float:
    """Posts per second that so many receivers put in."""
    context = get_context("spawn")
    firsts = [385 * 10**9 + place * 10**7 for place in range(receivers)]
    with context.Pool(receivers) as pool:
        work = [(url, posts // receivers, rows, first) for first in firsts]
        return sum(pool.starmap(run_put, work))


def measure(rows: int, posts: int, processes: int) -> None:
    """Measure so many receivers, then as many workers, on a broker of their own."""
    binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = str(listening.getsockname()[1])
        place = ("-p", port, "-a", "127.0.0.1", "-sd", folder, "-l", f"{folder}/log")
        broker = subprocess.Popen([binary, "-js", *place])  # noqa: S603 - our own
        try:
            time.sleep(0.5)
            url = f"nats://127.0.0.1:{port}"
            put_in = taken(url, processes, posts, rows)
            rate = handled(url, processes, posts // processes * processes * rows)
        finally:
            broker.kill()
            broker.wait()
    print(  # noqa: T201 - the figures
        f"{rows:>3} rows a post, {processes} processes:"
        f" {put_in:>7,.0f} posts/s taken in, {rate:>8,.0f} events/s handled"
    )


def main() -> None:
    """Print a line for each number of rows and of processes."""
    for rows, posts in ((1, 20_000), (100, 1_000)):
        for processes in (1, 2, 3):
            measure(rows, posts, processes)


if __name__ == "__main__":
    main()
