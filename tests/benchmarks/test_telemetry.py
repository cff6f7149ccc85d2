"""What telemetry costs in processor time, against the same work without OpenTelemetry.

Each way is a process of its own that does the same work in turns with the others: without
OpenTelemetry, with its API alone, and with an SDK that samples everything into memory. A push is
given to the ASGI application without a server, whose own time would hide the difference.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

SECRET = "long-random-string"
ROUNDS = 9
AT_ONCE = 10
WORKS = {"send": 100, "push": 300, "push with a journal": 100}
ROW = quote("38598514674;{}-{};DELIVRD;2019011231213;385980501;0\n", safe="{}")
WAYS = {"api": "with OpenTelemetry's API alone", "sdk": "with an SDK that samples everything"}


def prepare(way: str) -> Callable[[], None]:
    """Hide OpenTelemetry, or configure an SDK, before the library is imported."""
    if way == "none":
        sys.modules["opentelemetry"] = None
    if way != "sdk":
        return lambda: None
    from opentelemetry import metrics, trace  # noqa: PLC0415 - one of three ways has it
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    spans, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    return spans.clear


async def serve(way: str, base: str, folder: str) -> None:
    """Do each work that standard input names, and print what one of it has cost."""
    forget = prepare(way)
    from infobip_async import Endpoints, InfobipClient, SqliteJournal, TextMessage  # noqa: PLC0415
    from infobip_async.asgi import asgi_app  # noqa: PLC0415
    from infobip_async.router import Router  # noqa: PLC0415

    handled = asyncio.Semaphore(0)
    journal = SqliteJournal(f"{folder}/{way}")
    message = TextMessage("Hello", "Friend")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        client = await enter(InfobipClient("u", "p", endpoints=Endpoints.at(base)))
        direct = asgi_app(counting(Router(), handled), secret=SECRET)
        stored = asgi_app(counting(Router(), handled), secret=SECRET, journal=journal)
        for receiver in (direct, stored):
            await enter(receiver.serving())
        works: dict[str, Callable[[int], Awaitable[object]]] = {
            "send": lambda _: client.send(message, "385911234567"),
            "push": partial(push, direct, handled),
            "push with a journal": partial(push, stored, handled),
        }
        numbers = iter(range(10**9))
        while work := (await asyncio.to_thread(sys.stdin.readline)).strip():
            spent = await cost(works[work], numbers, WORKS[work])
            forget()
            sys.stdout.write(f"{spent!r}\n")
            sys.stdout.flush()


def counting(router: Any, handled: asyncio.Semaphore) -> Any:
    """A router whose handler says that an event was handled."""
    from infobip_async import HlrReport  # noqa: PLC0415

    @router.on(HlrReport)
    async def handle(_: object) -> None:
        handled.release()

    return router


async def push(app: Any, handled: asyncio.Semaphore, number: int) -> None:
    """Push rows, and wait until all of them were handled."""
    sent: list[dict[str, Any]] = []
    body = b"dlr=" + "".join(ROW.format(number, row) for row in range(5)).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": f"/{SECRET}/hlr", "raw_path": f"/{SECRET}/hlr".encode(),
        "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1), "server": None,
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(part: dict[str, Any]) -> None:
        sent.append(part)

    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    for _ in range(5):
        await handled.acquire()


async def cost(
    work: Callable[[int], Awaitable[object]], numbers: Iterator[int], count: int
) -> float:
    """Processor time of one piece of work, of several that are done at once."""

    async def turns(several: range) -> None:
        for _ in several:
            await work(next(numbers))

    start = time.process_time()
    await asyncio.gather(*(turns(range(count // AT_ONCE)) for _ in range(AT_ONCE)))
    return (time.process_time() - start) / count


class Child:
    """A process that works in one of the ways."""

    def __init__(self, way: str, base: str, folder: Path) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), way, base, str(folder)]
        self.process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)  # noqa: S603 - ours

    def cost(self, work: str) -> float:
        """What one of the work costs, this time."""
        self.process.stdin.write(f"{work}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """Let it end."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def children(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Child]]:
    """A process for each way."""
    folder = tmp_path_factory.mktemp("telemetry")
    children = {way: Child(way, gateway, folder) for way in ("none", *WAYS)}
    yield children
    for child in children.values():
        child.close()


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("way", WAYS)
def test_telemetry(bench, children, way, work):
    """Each way, against the one without it."""
    several = children[way], children["none"]
    for child in several:
        child.cost(work)
    ours, without = (partial(child.cost, work) for child in several)
    target = "<= 1.03" if way == "api" else "-"
    bench.measure(f"a {work}, {WAYS[way]}", ours, without, target, rounds=ROUNDS)


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
