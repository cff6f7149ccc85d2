"""The command line against a gateway that runs in a thread of its own."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click.testing
import pytest
from click.testing import CliRunner, Result

from children import start_child
from infobip_async.cli.group import infobip_async
from infobip_async.protocol.exchange import CallbackUrls
from infobip_async.simulator import Simulator, policies
from infobip_async.simulator.records import HlrAnswer
from infobip_async.webhook import callback_urls
from jumping import JumpingLoop
from ports import reserved_port

SECRET = "a-secret-of-the-tests"
PASSWORD = "a-password-of-the-tests"
PATIENCE = 300.0
"""Seconds that a busy machine may take to start a process."""
_MAIN = "from infobip_async.cli import main; main()"
_PATIENT = f"from infobip_async.cli.commands import hlr; hlr.LAST_WAIT = {PATIENCE}; {_MAIN}"

T = TypeVar("T")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Time passes, and can be put forward."""
    return {"jumping": JumpingLoop}


class Tripwire:
    """Holds the gateway up when it is asked about so many numbers.

    So what runs against it is at that very point when it is stopped or killed, however slow the
    machine is.
    """

    def __init__(self) -> None:
        self._left = -1
        self._reached = threading.Event()
        self._go_on = threading.Event()

    def set(self, at: int) -> None:
        """Hold the gateway at so many more numbers."""
        self._reached.clear()
        self._go_on.clear()
        self._left = at

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until the gateway is held up, and let it go on afterwards."""
        try:
            assert self._reached.wait(PATIENCE)
            yield
        finally:
            self._go_on.set()

    def before(self, policy: Callable[[str], T]) -> Callable[[str], T]:
        """A policy of the gateway, which is asked in the gateway's thread."""

        def ask(number: str) -> T:
            self._left -= 1
            if self._left == 0:
                self._reached.set()
                self._go_on.wait(PATIENCE)
            return policy(number)

        return ask


@attrs.define
class Gateway:
    """A simulator in a thread, so that commands can have the event loop of this one.

    Attributes:
        simulator: what runs there.
        port: a free port, for the receiver whose addresses are entered.
        answer: what the HLR says of a number; called in the gateway's thread.
    """

    simulator: Simulator = attrs.field(init=False)
    port: int
    answer: Callable[[str], HlrAnswer] = policies.in_network
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.new_event_loop, init=False)
    _ready: threading.Event = attrs.field(factory=threading.Event, init=False)
    _done: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def urls(self) -> CallbackUrls:
        """The addresses of the receiver."""
        return callback_urls(f"http://127.0.0.1:{self.port}", secret=SECRET)

    async def _serve(self) -> None:
        async with Simulator(
            username="user",
            password=PASSWORD,
            credits=1_000_000,
            callbacks=self.urls(),
            hlr=lambda number: self.answer(number),  # noqa: PLW0108 - tests replace it
        ) as self.simulator:
            self._ready.set()
            await self._done.wait()
            await self._accepted()

    def run(self) -> None:
        """Run until it is stopped: the body of the thread."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())  # and, unlike the loop alone, close what is being closed

    def wait(self) -> None:
        """Wait until it listens."""
        assert self._ready.wait(PATIENCE)

    def stop(self) -> None:
        """Have it end."""
        self._loop.call_soon_threadsafe(self._done.set)

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await something in its thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def settle(self) -> None:
        """Wait until its clients have gone, and what they asked for is done and reported."""
        self.call(self._settled())

    async def _settled(self) -> None:
        turns = 20  # a connection that was just made may have a request to be carried out
        while turns:
            await asyncio.sleep(0)
            turns = 20 if self.simulator._http._server.connections else turns - 1
        await self.simulator.settled()

    async def _accepted(self) -> None:
        """Let connections become known that asyncio accepts; it loses them if it is closed now."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nobody listens but who is told of it."""
    with reserved_port() as port:
        yield port


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that the environment points to, and whose pushes go to its port."""
    with reserved_port() as port:
        gateway = Gateway(port)
        thread = threading.Thread(target=gateway.run)
        thread.start()
        gateway.wait()
        monkeypatch.setenv("INFOBIP_USERNAME", "user")
        monkeypatch.setenv("INFOBIP_PASSWORD", PASSWORD)
        monkeypatch.setenv("INFOBIP_BASE_URL", gateway.simulator.base_url)
        monkeypatch.setenv("INFOBIP_WEBHOOK_SECRET", SECRET)
        yield gateway
        gateway.stop()
        thread.join()


@pytest.fixture
def tripwire(gateway: Gateway) -> Tripwire:
    """Behind the gateway, for messages and for lookups."""
    tripwire = Tripwire()
    gateway.answer = tripwire.before(policies.in_network)
    gateway.simulator.gateway.delivery = tripwire.before(policies.delivered)
    return tripwire


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the streams of commands that run in this process look like a terminal's."""
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda _: True, raising=False)


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; what it did not foresee is raised."""
    monkeypatch.setenv("COLUMNS", "120")
    try:
        runner = CliRunner(mix_stderr=False)
    except TypeError:  # click 8.2 and newer keep the two apart by themselves
        runner = CliRunner()

    def run(*args: object, stdin: Any = None) -> Result:
        result = runner.invoke(infobip_async, list(map(str, args)), input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start the command line in a process of its own, which does not outlive the test.

    One that is patient waits minutes, and not 10 seconds, for what is out when it is stopped.
    """
    for mode in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE"):  # prints how slow the machine is
        monkeypatch.delenv(mode, raising=False)
    started: list[subprocess.Popen[str]] = []

    def start(*args: object, patient: bool = False, **options: Any) -> "subprocess.Popen[str]":
        process = start_child(
            [sys.executable, "-c", _PATIENT if patient else _MAIN, *map(str, args)],
            cwd=tmp_path,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
