"""What a test leaves behind: tasks, exceptions of a loop, threads, sockets, child processes."""

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

# What ends by itself, such as a thread that was told to, or the socket of a peer that went away,
# may take this long on a busy machine. Nothing waits that leaves nothing.
PATIENCE = 60.0

# Python's own helper of multiprocessing lives as long as the process that needed it first.
_OF_PYTHON = "multiprocessing.resource_tracker"

# Turns of the loop in which abandoned generators, and the transports of closed peers, are closed.
TURNS = 10

_DESCRIPTORS = Path("/proc/self/fd")
_THREADS = Path("/proc/self/task")


class _Unseen(logging.Handler):
    """Keeps what event loops log of exceptions that nobody handled."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, with the exception."""
        error = record.exc_info[1] if record.exc_info else None
        self.found.append(f"exception of an event loop: {record.getMessage()}: {error!r}")

    def take(self) -> list[str]:
        """Give what was found, and forget it."""
        found, self.found = self.found, []
        return found


unseen = _Unseen()
logging.getLogger("asyncio").addHandler(unseen)


def sockets() -> dict[str, str]:
    """The open sockets of this process; none where the system does not tell."""
    found = {}
    with suppress(FileNotFoundError, NotADirectoryError):
        for descriptor in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - this runs twice per test
            with suppress(OSError):  # the descriptor of this listing
                target = os.readlink(f"{_DESCRIPTORS}/{descriptor}")  # noqa: PTH115 - likewise
                if target.startswith("socket:"):
                    found[target] = f"descriptor {descriptor}, {target}"
    return found


def has_children() -> bool:
    """Whether a process that this one started runs, or was not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, AttributeError):  # none; or a system without this call
        return False
    return True


def children() -> dict[str, str]:
    """The processes that this one started, with their commands."""
    found = {}
    if has_children():
        for listing in _THREADS.glob("*/children"):
            with suppress(OSError):  # a thread that just ended
                for pid in listing.read_text(encoding="ascii").split():
                    found[pid] = f"{pid} ({_command_of(pid)})"
    return found


def _command_of(pid: str) -> str:
    with suppress(OSError):
        command = (
            Path(f"/proc/{pid}/cmdline")
            .read_text(encoding="utf-8", errors="replace")
            .replace("\0", " ")
        )
        name, _, state = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")
        )
        ended = ", which ended, and was not waited for" if state.startswith("Z") else ""
        return (command.strip()[:200] or name.partition("(")[2]) + ended
    return "gone"


class _Snapshot:
    """What there is outside of event loops."""

    def __init__(self) -> None:
        self.threads = set(threading.enumerate())
        self.sockets = sockets()
        self.children = children()

    def added(self) -> list[str]:
        """What came since, in words."""
        threads = [one for one in threading.enumerate() if one not in self.threads]
        new_sockets = [name for key, name in sockets().items() if key not in self.sockets]
        new_children = [
            name
            for key, name in children().items()
            if key not in self.children and _OF_PYTHON not in name
        ]
        return [
            *(f"thread: {one!r}" for one in threads),
            *(f"socket: {one}" for one in new_sockets),
            *(f"child process: {one}" for one in new_children),
        ]


def _complain(left: Sequence[str]) -> None:
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if what is inside leaves a thread, a socket, a child or a loop's exception behind."""
    unseen.take()
    before = _Snapshot()
    yield
    left = before.added()
    if left:
        gc.collect()  # a socket that only the collector closes gives a warning, which is an error
    end = time.monotonic() + PATIENCE
    while left and time.monotonic() < end:
        time.sleep(0.005)
        left = before.added()
    _complain([*unseen.take(), *left])


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Fail if the collector finds that a loop's exception was not seen; this takes its time.

    What is left lives on, and costs no later collection anything.
    """
    yield
    gc.collect()
    gc.freeze()
    _complain(unseen.take())


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Fail if what is inside leaves a task in the running loop."""
    before = asyncio.all_tasks()
    yield
    gc.collect(1)  # an exception that nobody retrieved is told when its task is collected
    for _ in range(TURNS):
        await asyncio.tasks.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    _complain([f"task: {task!r}" for task in left])
