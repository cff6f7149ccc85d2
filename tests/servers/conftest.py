"""Real servers on free ports of loopback, and a client that sends octets as they are given."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import attrs
import pytest

from children import start_child
from ports import reserved_port

SECRET = "MARKED-secret.of_the-webhook"
PATIENCE = 90.0
"""Seconds that a busy machine may take for what takes none; more than servers wait for clients."""

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


def _python(*argv: str) -> list[str]:
    return [sys.executable, "-W", "error::DeprecationWarning:infobip_async", *argv]


COMMANDS: dict[str, Callable[[int, int], Sequence[str]]] = {
    "run_receiver": lambda port, _: _python("program.py", str(port), "ours"),
    "run_app": lambda port, workers: _python(
        "program.py", str(port), *(["shared"] if workers > 1 else [])
    ),
    "gunicorn-aiohttp": lambda port, workers: _gunicorn(
        port, workers, "aiohttp.GunicornWebWorker", "program:aiohttp"
    ),
    "gunicorn-uvicorn": lambda port, workers: _gunicorn(
        port, workers, "uvicorn_worker.UvicornWorker", "program:application"
    ),
    "uvicorn-h11": lambda port, workers: _uvicorn(port, workers, "h11"),
    "uvicorn-httptools": lambda port, workers: _uvicorn(port, workers, "httptools"),
    "uvicorn-quiet": lambda port, _: _python(
        *("-m", "uvicorn", "--port", str(port), "--no-access-log", "program:application")
    ),
    "hypercorn": lambda port, workers: _python(
        *("-m", "hypercorn", "-b", f"127.0.0.1:{port}", "-w", str(workers)),
        *("--access-logfile", "-", "--error-logfile", "-", "program:application"),
        # The format has the query on its own, which the default one has not.
        *("--access-logformat", '"%(r)s" %(s)s %(U)s %(q)s %(Uq)s'),
    ),
    "granian": lambda port, workers: _python(
        *("-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", str(workers), "--access-log", "program:application"),
        *("--access-log-fmt", '"%(method)s %(path)s %(query_string)s" %(status)d'),
    ),
    "daphne": lambda port, _: _python(
        *(
            "-m",
            "daphne",
            "-v",
            "0",
            "-t",
            "5",
            "-b",
            "127.0.0.1",
            "-p",
            str(port),
            "program:application",
        ),
    ),
}
"""The command of each server, by its port and its number of workers."""

KEEP = 'for _ in $(seq ${TIMES:-1}); do (while :; do "$@"; done) & done; wait'
"""Starts a server again whenever it has ended, as a service manager does."""


def _gunicorn(port: int, workers: int, kind: str, app: str) -> list[str]:
    options = ("--access-logfile", "-", "--error-logfile", "-", "--log-level", "debug")
    address = ("-b", f"127.0.0.1:{port}", "-w", str(workers), "-k", kind)
    return _python("-m", "gunicorn", *options, *address, app)


def _uvicorn(port: int, workers: int, parser: str) -> list[str]:
    options = ("--http", parser, "--workers", str(workers), "--log-level", "trace")
    return _python("-m", "uvicorn", "--port", str(port), *options, "program:application")


@attrs.frozen
class Reply:
    """What a server answered, and whether it closed the connection after that."""

    status: int
    body: bytes
    headers: dict[str, str]
    closed: bool


@attrs.define
class Server:
    """A server that runs, the events that its receiver wrote down, and what it logged."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, *pieces: bytes, closing: bool = True) -> Reply:
        """Send octets over a new connection, and read one reply.

        Args:
            pieces: are sent one after the other.
            closing: look whether the server closes the connection then.
        """
        with self.connect() as connection, suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
            return read_reply(connection, head_only=pieces[0].startswith(b"HEAD"), closing=closing)
        return Reply(0, b"", {}, closed=True)

    def events(self) -> list[list[str]]:
        """The events that were handled so far."""
        path = self.folder / "events"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def log(self) -> str:
        """All that the server wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def wait(self) -> None:
        """Wait until the server answers."""
        end = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            with suppress(OSError), self.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if connection.recv(1):
                    return
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop it as an operator does, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def read_reply(
    connection: socket.socket, *, head_only: bool = False, closing: bool = True
) -> Reply:
    """Read one reply, behind an interim one; it counts as closed if the connection is, after it."""
    with connection.makefile("rb") as stream:
        status, headers = _head(stream)
        while status == 100:
            status, headers = _head(stream)
        body = stream.read(0 if head_only else int(headers.get("content-length", "0")))
    return Reply(status, body, headers, closed=closing and _is_closed(connection))


def _head(stream: BinaryIO) -> tuple[int, dict[str, str]]:
    line = stream.readline().split()
    lines = iter(lambda: stream.readline().decode().strip(), "")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(line[1]) if line else 0, headers


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers, and kill what runs after the test."""
    if os.name != "posix":
        pytest.skip("a shell starts the servers, and SIGTERM stops them")
    with ExitStack() as stack:

        def start(
            name: str,
            *,
            workers: int = 1,
            journal: bool = False,
            files: int = 1024,
            kept: bool = False,
        ) -> Server:
            port = stack.enter_context(reserved_port())
            (tmp_path / "events").touch()
            given = {"SECRET": SECRET, "EVENTS": str(tmp_path / "events"), "PYTHONPATH": str(HERE)}
            if journal:
                given["JOURNAL"] = str(tmp_path / "journal")
            script = f"ulimit -n {files}; " + ('exec "$@"' if not kept else KEEP)
            if name == "run_app":  # it has no workers of its own
                given["TIMES"] = str(workers)
            log = stack.enter_context((tmp_path / "log").open("wb"))
            process = start_child(
                ["sh", "-c", script, "", *COMMANDS[name](port, workers)],
                env=os.environ | given,
                stdout=log,
                stderr=log,
                cwd=HERE,
                start_new_session=True,
            )
            stack.callback(_kill, process)
            server = Server(name, port, process, tmp_path)
            server.wait()
            return server

        yield start


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a server with its workers: they are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
