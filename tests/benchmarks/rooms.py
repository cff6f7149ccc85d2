"""The rooms of the library that data enters on its way: folders, modules, and moves.

::

    python tests/benchmarks/rooms.py            the table
    python tests/benchmarks/rooms.py --list     and the modules of each way, in order of entry

Each way is gone once to open files and connections, and is then measured. A move is a call, or a
coroutine that goes on, in another module of the package than the last one of its thread.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from types import CodeType, FrameType
from typing import Self

from aiohttp import web

import infobip_async
from infobip_async import (
    Endpoints,
    HlrLookups,
    HlrReport,
    InfobipClient,
    Router,
    SqliteJournal,
    TextMessage,
)
from infobip_async.journal import Journal
from infobip_async.webhook import webhook_app

PACKAGE = str(Path(infobip_async.__file__).parent) + os.sep
GATEWAY = Path(__file__).with_name("gateway.py")
QUIET = 0.3  # seconds after the outcome, for what is written down behind it
SECRET = "secret"
MESSAGE = TextMessage("Hello", sender="Friend")

Way = Callable[[], Awaitable[object]]

numbers = map(str, count(385980000000))


class Rooms:
    """Notes the modules of the package that are entered, in each thread."""

    def __init__(self) -> None:
        self.noting = False
        self.entered: defaultdict[int, list[str]] = defaultdict(list)
        self._modules: dict[CodeType, str] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call, as a profile function."""
        if not self.noting or event != "call":
            return
        module = self._modules.get(frame.f_code)
        if module is None:
            file = frame.f_code.co_filename
            inside = file.startswith(PACKAGE)
            module = file[len(PACKAGE) : -len(".py")].replace(os.sep, ".") if inside else ""
            self._modules[frame.f_code] = module
        entered = self.entered[threading.get_ident()]
        if module and entered[-1:] != [module]:
            entered.append(module)

    async def measure(self, name: str, way: Way) -> None:
        """Go a way twice, and print what was entered the second time."""
        await way()
        await asyncio.sleep(QUIET)
        self.entered.clear()
        self.noting = True
        await way()
        await asyncio.sleep(QUIET)
        self.noting = False
        modules = list(dict.fromkeys(module for one in self.entered.values() for module in one))
        on_loop = set(self.entered[threading.get_ident()])
        folders = {module.partition(".")[0] for module in modules}
        moves = sum(map(len, self.entered.values()))
        sys.stdout.write(
            f"{name:34} {len(folders):3} rooms {len(modules):4} modules, {len(on_loop):2} on"
            f" the event loop, {moves:5} moves\n"
        )
        if "--list" in sys.argv:
            sys.stdout.write("".join(f"    {module}\n" for module in modules))


rooms = Rooms()


class Storing:
    """A journal whose pushes another process handles."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.put = journal.put

    @asynccontextmanager
    async def serve(self, *_: object) -> AsyncIterator[None]:
        """Open the file, and handle nothing."""
        async with self._journal:
            yield


class Receiver:
    """A receiver that serves on a port of its own."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.router = Router()
        self._runner = web.AppRunner(
            webhook_app(self.router, secret=SECRET, journal=journal), access_log=None
        )
        self.port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def push(name: str, journal: Journal | None = None) -> None:
    """From a request on a socket to its answer, its handler, and what is written down."""
    handled = asyncio.Event()
    async with Receiver(journal) as receiver:

        @receiver.router.on(HlrReport)
        async def handle(_: HlrReport) -> None:
            handled.set()

        async def way() -> None:
            handled.clear()
            body = f"dlr={next(numbers)};121c0a6b752-1-1;DELIVRD;2190112345678;385980501;0"
            head = f"POST /{SECRET}/hlr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
            writer.write(f"{head}{body}".encode())
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            if not isinstance(journal, Storing):
                await handled.wait()
            writer.close()

        await rooms.measure(name, way)


async def requests(gateway: str, folder: Path) -> None:
    """What goes to a gateway, and, of lookups, what comes back."""
    jobs = count()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        endpoints = Endpoints.at(f"{gateway}/{receiver.port}")
        client = await stack.enter_async_context(InfobipClient("u", "p", endpoints=endpoints))
        lookups = await stack.enter_async_context(HlrLookups(client, receiver.router))
        sender = InfobipClient("u", "p", endpoints=Endpoints.at(gateway))
        await stack.enter_async_context(sender)

        async def look_up() -> None:
            async for _ in lookups.stream([next(numbers)]):
                pass

        async def send_many(**options: Path) -> None:
            async for _ in sender.send_many([(MESSAGE, next(numbers))], **options):
                pass

        await rooms.measure("send", lambda: sender.send(MESSAGE, next(numbers)))
        await rooms.measure("an item of send_many", send_many)
        await rooms.measure(
            "an item of a job", lambda: send_many(job=folder / f"sends{next(jobs)}.job")
        )
        await rooms.measure("a number of stream", look_up)


async def main() -> None:
    """Print the table."""
    await push("a push")
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "pushes.db")
        await push("a push with a journal, to its 200", Storing(journal))
        await push("a push with a journal, handled", journal)
        with subprocess.Popen(  # noqa: ASYNC220, S603 - ours, and nothing waits meanwhile
            [sys.executable, str(GATEWAY)], stdin=-1, stdout=-1, text=True
        ) as gateway:
            try:
                await requests(gateway.stdout.readline().strip(), Path(folder))
            finally:
                gateway.stdin.close()


if __name__ == "__main__":
    threading.setprofile(rooms)
    sys.setprofile(rooms)
    asyncio.run(main())
