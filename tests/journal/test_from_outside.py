"""The order of system calls, as strace sees them: on disk first, then the 200."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from children import start_child_async
from platforms import STRACE, needs_strace

pytestmark = needs_strace

SECRET = "a-secret-of-the-tests"
MARK = "seen-from-outside"


async def calls_of(folder: Path, without: str) -> list[str]:
    """Have a receiver acknowledge a post, and give the calls that it made, as they ended."""
    log = folder / "calls"
    calls = "trace=fsync,fdatasync,pwrite64,sendto"
    process = await start_child_async(
        *(str(STRACE), "-f", "-s", "5000", "-e", calls, "-o", str(log)),
        *(sys.executable, str(Path(__file__).parent / "nursery.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    order = {"path": str(folder / "posts.db"), "handled": str(folder / "handled"), "seed": 0}
    order |= {"in_flight": 1, "delay": 0.005, "point": "", "without": without, "idle": True}
    process.stdin.write(json.dumps(order).encode() + b"\n")
    told = dict([(await process.stdout.readline()).decode().split() for _ in range(2)])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(told["port"]))
    body = f'<DeliveryReport><message id="{MARK}" status="SENT"/></DeliveryReport>'
    head = f"POST /{SECRET}/dlr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    assert b" 200 " in await reader.readline()
    os.kill(int(told["pid"]), signal.SIGKILL)
    writer.close()
    process.stdin.close()
    await process.wait()
    return log.read_text().splitlines()


def synced_before_answer(calls: list[str]) -> bool:
    """Whether a sync that began after the post was written ended before the answer was sent."""
    written = next(n for n, call in enumerate(calls) if "pwrite64" in call and MARK in call)
    answered = next(n for n, call in enumerate(calls) if "sendto" in call and "1.1 200" in call)
    assert written < answered
    return any(
        re.search(r"\b(fsync|fdatasync)(\(| resumed).*= 0$", call)
        for call in calls[written:answered]
    )


async def test_on_disk_before_the_answer(tmp_path: Path) -> None:
    """The write-ahead log is synced after the post was written to it and before the 200."""
    assert synced_before_answer(await calls_of(tmp_path, ""))


@pytest.mark.proof
async def test_without_full(tmp_path: Path) -> None:
    """Without ``synchronous=FULL`` it is not."""
    assert not synced_before_answer(await calls_of(tmp_path, "FULL"))
