"""The guard of all tests: it names what is left, and lets pass what was there or ends by itself."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import leaks
from children import start_child
from platforms import needs_linux

TESTS = Path(__file__).parent

LEAKY = """
import asyncio, threading, leaks

leaks.PATIENCE = 0.0
end = threading.Event()

def test_thread():
    threading.Thread(target=end.wait, name="left-over", daemon=True).start()

async def test_task():
    async def wait_for_ever():
        await asyncio.Event().wait()
    globals()["kept"] = asyncio.create_task(wait_for_ever())

async def test_nothing():
    await asyncio.create_task(asyncio.sleep(0))
"""


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Expects the guard to name something, without waiting for it to end."""
    monkeypatch.setattr(leaks, "PATIENCE", 0.0)

    @contextmanager
    def expect(name: str) -> Iterator[None]:
        with pytest.raises(pytest.fail.Exception, match=name), leaks.nothing_left():
            yield

    return expect


def test_a_thread_is_named(complaint) -> None:
    """By what it is called."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left-over")
    with complaint("thread: .*left-over"):
        thread.start()
    end.set()
    thread.join()


@needs_linux
def test_a_socket_is_named(complaint) -> None:
    """By its descriptor."""
    with complaint("socket: descriptor [0-9]+"):
        left = socket.socket()
    left.close()


@needs_linux
def test_a_child_is_named(complaint) -> None:
    """By its command, while it runs and until it is waited for."""
    with complaint("child process: .*[(]cat[)]"):
        child = start_child(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
    child.communicate()
    with complaint("child process: .*true, which ended"):
        child = start_child(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.wait()


@pytest.mark.parametrize("collected", [leaks.nothing_left, leaks.nothing_to_collect])
def test_an_exception_that_nobody_saw_is_named(collected) -> None:
    """Of any loop, also one that the test ran itself."""

    async def forget() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    with pytest.raises(pytest.fail.Exception, match="ZeroDivisionError"), collected():
        asyncio.run(forget())


async def test_a_task_is_named() -> None:
    """By its coroutine."""
    with pytest.raises(pytest.fail.Exception, match=r"task: .*Event.wait"):
        async with leaks.no_task_left():
            task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()


def test_what_was_there_or_ends_is_let_pass() -> None:
    """Things of wider fixtures, and what was closed or is about to end."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(2)]
    threads[0].start()
    with socket.socket(), leaks.nothing_left(), socket.socket():
        threads[1].start()
        end.set()
    for thread in threads:
        thread.join()


def test_every_test_is_watched(tmp_path: Path) -> None:
    """Fixtures of conftest.py do it, without being asked for."""
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    plugins = ("asyncio", "conftest", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *(f"-p{plugin}" for plugin in plugins)]
    run = subprocess.run(  # noqa: S603 - the arguments are ours
        [*command, "-c", str(TESTS.parent / "pyproject.toml"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ERROR at teardown of test_thread" in run.stdout
    assert "ERROR at teardown of test_task" in run.stdout
    assert "3 passed, 2 errors" in run.stdout
