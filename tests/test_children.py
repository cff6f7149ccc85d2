"""No child process outlives the tests."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import children
from platforms import needs_linux

SHARED = Path(__file__).parent / "shared"

# It starts a child that holds our pipes, and dies at once.
PARENT = """
import os, signal, sys
import children
if sys.argv[1] == "without setpriv":
    children._SETPRIV = None
children.start_child(["cat"])
os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_linux
@pytest.mark.parametrize("way", ["with setpriv", "without setpriv"])
def test_a_child_dies_with_its_parent(way: str) -> None:
    """Also if the parent is killed."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", PARENT, way],
        env=os.environ | {"PYTHONPATH": str(SHARED)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout.read() == b""  # as soon as nobody holds its other end
        assert parent.wait() == -signal.SIGKILL


async def test_a_child_is_started_as_any_other() -> None:
    """With the options of `subprocess`, and of asyncio."""
    echo = [sys.executable, "-c", "print(input())"]
    with children.start_child(echo, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.communicate(b"one\n") == (b"one\n", None)
    pipe = asyncio.subprocess.PIPE
    other = await children.start_child_async(*echo, stdin=pipe, stdout=pipe)
    assert await other.communicate(b"two\n") == (b"two\n", None)
