"""Child processes that do not outlive the tests, however these end.

On Linux the kernel kills the child when the thread that started it ends, so start one from the
main thread. Elsewhere the interpreter kills its children at its exit, which a SIGKILL prevents.
"""

import asyncio
import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

Argument = str | os.PathLike[str]

# util-linux has a program that asks for the signal and becomes the command. The detour without it
# costs the start of an interpreter. `preexec_fn` would fork a large process, and 3.12 warns of it.
_SETPRIV = shutil.which("setpriv")
_PR_SET_PDEATHSIG = 1
_ASK = f"""
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, signal.SIGKILL)
os.execvp(sys.argv[1], sys.argv[1:])
"""

# The parent may have died before the signal was asked for.
_IF_PARENT_LIVES = 'test "$PPID" = "$0" && exec "$@"'

_started: WeakSet[subprocess.Popen[Any]] = WeakSet()


def mortal(argv: Sequence[Argument]) -> list[Argument]:
    """The command that runs another one, in the same process, until the parent dies."""
    if sys.platform != "linux":
        return [*argv]
    ask = [_SETPRIV, "--pdeathsig", "KILL", "--"]
    if not _SETPRIV:
        ask = [sys.executable, "-I", "-S", "-c", _ASK]
    return [*ask, "sh", "-c", _IF_PARENT_LIVES, str(os.getpid()), *argv]


def die_with_parent() -> None:
    """End this process as soon as its parent is dead, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start_child(argv: Sequence[Argument], **options: Any) -> subprocess.Popen[Any]:
    """As `subprocess.Popen`."""
    child = subprocess.Popen(mortal(argv), **options)  # noqa: S603 - the tests' own commands
    _started.add(child)
    return child


async def start_child_async(*argv: Argument, **options: Any) -> asyncio.subprocess.Process:
    """As `asyncio.create_subprocess_exec`."""
    return await asyncio.create_subprocess_exec(*mortal(argv), **options)


@atexit.register
def _kill() -> None:
    for child in _started:
        if child.poll() is None:
            child.kill()
