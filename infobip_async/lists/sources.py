"""The octets of a file or a pipe, in chunks."""

import asyncio
import io
import os
import stat
from collections.abc import AsyncGenerator, Iterator
from typing import Final

_CHUNK: Final = 1 << 16


def chunks(file: io.BufferedIOBase) -> Iterator[bytes]:
    """Read a file to its end; the last chunk is empty. A pipe is waited for."""
    chunk = b"..."
    while chunk:
        chunk = file.read1(_CHUNK)
        yield chunk


async def chunks_as_they_come(file: io.BufferedIOBase) -> AsyncGenerator[bytes, None]:
    """Read a file to its end; the last chunk is empty. A pipe does not hold the event loop up."""
    pipe = _pipe(file)
    chunk = b"..."
    while chunk:
        # Between the parts of a file, the others on the event loop have their turn.
        await (asyncio.sleep(0) if pipe is None else _readable(pipe))
        chunk = file.read1(_CHUNK)
        yield chunk


def _pipe(file: io.BufferedIOBase) -> int | None:
    """The descriptor of a source that may have to be waited for: of anything but a file."""
    try:
        descriptor = file.fileno()
    except OSError:  # octets in memory
        return None
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor


async def _readable(pipe: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(pipe, ready.set)
    except (PermissionError, NotImplementedError):
        return  # /dev/null cannot be waited for, and on Windows nothing can
    try:
        await ready.wait()
    finally:
        loop.remove_reader(pipe)
