"""A run as its caller sees it, over an engine that does nothing but pass items on."""

import asyncio
import gc
from collections import Counter

import attrs
import pytest

from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.window import Window
from infobip_async.errors import AuthenticationError, OutcomeUnknownError, RunStoppedError
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.run import Run
from infobip_async.runs.settings import RunSettings


@attrs.define
class Engine:
    """Gives each item back, and tells what was called."""

    source: object
    calls: list[str] = attrs.field(factory=list)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    window: Window[int, int] = attrs.field(init=False)
    flow: FlowControl = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.window = Window(self.source, self.take, lambda: None, size=10)  # type: ignore[arg-type]
        settings = RunSettings(batch_size=1, batch_age=0.0, concurrency=1, window=10)
        self.flow = FlowControl(settings, RateLimiter(None), closing=self.window.stop_reading)

    def take(self, items) -> None:
        """Give items back."""
        for item in items:
            self.outcomes["done"] += 1
            self.window.emit(item)

    async def check(self) -> None:
        """There is no job."""

    async def open(self) -> None:
        """Say so."""
        self.calls.append("open")

    async def close(self) -> None:
        """Read no more, and say so."""
        self.flow.stop("left")
        await self.window.reader_ended()
        self.calls.append("close")

    async def stop(self) -> None:
        """Read no more, and say so."""
        self.flow.stop("stopped")
        self.calls.append("stop")


async def drain(run: Run[int], found: list[int]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in run:
        found.append(result)  # noqa: PERF401 - a comprehension loses them


async def test_all_results() -> None:
    """Each item has one, and the engine is opened and closed once."""
    engine = Engine(range(25))
    assert [one async for one in Run(engine)] == list(range(25))
    assert engine.calls == ["open", "close"]


@pytest.mark.parametrize("taken", [0, 1, 12])
async def test_leaving_early(taken: int) -> None:
    """The context closes the run; where it was not begun, there is nothing to close."""
    engine = Engine(range(1_000))
    async with Run(engine) as run:
        for _ in range(taken):
            await anext(run)
    assert engine.calls == (["open", "close"] if taken else [])
    assert engine.window.read <= taken + 10
    assert [one async for one in run] == []


async def test_an_iteration_that_is_dropped() -> None:
    """Is closed as soon as the interpreter notices."""
    engine = Engine(range(1_000))
    async for _ in Run(engine):
        break
    gc.collect()
    await asyncio.sleep(0.01)
    assert engine.calls == ["open", "close"]


async def test_a_run_that_cannot_go_on() -> None:
    """Gives what it has, and then raises, with the reason as its cause."""
    engine = Engine(range(1_000))
    fault = AuthenticationError("no")
    found: list[int] = []
    run = Run(engine)
    found.append(await anext(run))
    engine.flow.end(fault)
    with pytest.raises(RunStoppedError, match=r"^no$") as caught:
        await drain(run, found)
    assert caught.value.__cause__ is fault
    assert found == list(range(engine.window.read))
    assert engine.calls == ["open", "close"]


async def test_what_is_in_doubt_has_a_way_out() -> None:
    """The reason tells it."""
    engine = Engine(range(10))
    engine.flow.end(OutcomeUnknownError("lost"))
    with pytest.raises(RunStoppedError, match=r'^lost \(on_unknown="repeat"'):
        await drain(Run(engine), [])


async def test_who_leaves_is_told_of_no_fault() -> None:
    """Leaving is not taking the rest."""
    engine = Engine(range(1_000))
    async with Run(engine) as run:
        await anext(run)
        engine.flow.end(AuthenticationError("no"))
    assert engine.calls == ["open", "close"]


async def test_a_stop() -> None:
    """What was read has its result, and the iteration ends well."""
    engine = Engine(range(1_000))
    run = Run(engine)
    found = [await anext(run)]
    await run.stop()
    await drain(run, found)
    assert found == list(range(engine.window.read))
    assert engine.calls == ["open", "stop", "close"]


async def test_progress() -> None:
    """Of what was read, and of what went out."""
    engine = Engine(range(1_000))
    run = Run(engine)
    await anext(run)
    await asyncio.sleep(0.01)
    units = await engine.flow.enter(5, 3)
    stats = run.stats
    assert (stats.read, stats.finished, stats.in_flight) == (11, 11, 0)
    assert stats.outcomes == {"done": 11}
    assert (stats.requests, stats.requests_in_flight, stats.units) == (1, 1, 3 * units)
    assert not stats.waiting
    engine.flow.leave(OutcomeUnknownError("lost"), 3)
    assert run.stats.waiting
    assert run.stats.requests_in_flight == 0
    await run.aclose()
