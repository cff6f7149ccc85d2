"""A run over many items, as its caller sees it."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar

import attrs

from infobip_async.errors import RunStoppedError
from infobip_async.runs.flow_control import FlowControl
from infobip_async.runs.outcomes import explain
from infobip_async.telemetry.watching import Watch

if TYPE_CHECKING:
    from infobip_async.concurrency.window import Window

Result = TypeVar("Result")


@attrs.frozen(kw_only=True)
class RunStats:
    """How far a run is.

    Attributes:
        read: items that were read from the source.
        finished: items that have their outcome.
        outcomes: items by the value of their outcome, such as ``"sent"``.
        requests: requests that went out.
        units: parts, or numbers, that went out, each time anew.
        requests_in_flight: requests that wait for their reply now.
        waiting: whether the gateway does not answer now, and is waited for.
        paused: whether nothing goes out now, since it is not the hour for that.
    """

    read: int
    finished: int
    outcomes: Mapping[str, int]
    requests: int
    units: int
    requests_in_flight: int
    waiting: bool
    paused: bool = False

    @property
    def in_flight(self) -> int:
        """Items that were read and have no outcome yet."""
        return self.read - self.finished


class Engine(Protocol[Result]):
    """What a run is made by: sends, or lookups."""

    @property
    def flow(self) -> FlowControl:
        """What the requests pass."""

    @property
    def window(self) -> "Window[Any, Result]":
        """Where items come in, and results go out."""

    @property
    def outcomes(self) -> Counter[str]:
        """How many items have each outcome."""

    async def check(self) -> None:
        """Compare the source with the job."""

    async def open(self) -> None:
        """Be ready for items; raises with nothing left behind."""

    async def close(self) -> None:
        """Read and send nothing more, and leave nothing behind."""

    async def stop(self) -> None:
        """Read and send nothing more, and wait a little for what is out."""


def _state(engine: Engine[Any]) -> dict[str, int]:
    flow = engine.flow
    states = {"waiting": flow.waiting, "paused": flow.paused}
    return {"going": not any(states.values()), **states}


def _window(engine: Engine[Any]) -> dict[str, int]:
    return {"used": engine.window.used, "size": engine.window.size}


def _units(engine: Engine[Any]) -> dict[str, int]:
    return {"": engine.flow.units}


_FIGURES: Final = {
    "infobip.run.active": _state,
    "infobip.run.window": _window,
    "infobip.run.units": _units,
}


@attrs.frozen
class _Lifetime:
    """Opens an engine, and closes it at the end of its run.

    Meanwhile its figures are read where somebody watches.

    A class and not a generator function: of two generators that are garbage together, asyncio
    would close both at once, one inside the other.
    """

    engine: Engine[Any]
    watch: Watch | None
    name: str

    async def __aenter__(self) -> None:
        await self.engine.open()
        if self.watch is not None:
            split = {"messaging.operation.name": self.name}
            self.watch.observe(self.engine, _FIGURES, split)

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        try:
            await self.engine.close()
        finally:
            if self.watch is not None:
                self.watch.forget(self.engine)
        fault = self.engine.flow.fault
        if exc_type is None and fault is not None:
            raise RunStoppedError(explain(fault)) from fault


class Run(Generic[Result]):
    """A run over many items, to be iterated over once: one result for each item that was read.

    ::

        async for result in client.send_many(source): ...

        async with client.send_many(source) as run:     # where one may leave early
            async for result in run: ...

    A run that cannot go on stops reading its source, gives what it has read its outcome, and then
    raises `RunStoppedError`, whose ``__cause__`` is the gateway's refusal, or what came in place of
    an answer. What the source raises is raised likewise, after the results of the items before it.

    Leaving the context, or dropping the iteration, sends nothing more, and waits for no report:
    `stop` does, so that the results of lookups that were paid for are not lost to a job.
    """

    def __init__(self, engine: Engine[Result], watch: Watch | None = None, name: str = "") -> None:
        self._engine = engine
        self._results = engine.window.results(_Lifetime(engine, watch, name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the run: nothing more is sent, and results that were not taken are dropped."""
        await self._results.aclose()

    def __aiter__(self) -> AsyncIterator[Result]:
        return self._results

    async def __anext__(self) -> Result:
        return await anext(self._results)

    async def check(self) -> None:
        """Compare the whole source with the job, and send nothing.

        A run finds a difference when it gets there, and has sent what stands in front of it by
        then. Where the source can be read twice, another run over it can be asked first; that one
        is not to be iterated over. Without a job, or at the first use of one, nothing is read.

        Raises:
            LocalProtocolError: the source is not the job's; names the first row that differs.
            StorageUnavailableError: the job cannot be opened.
        """
        await self._engine.check()

    @property
    def stats(self) -> RunStats:
        """How far it is, now."""
        engine, flow = self._engine, self._engine.flow
        return RunStats(
            read=engine.window.read,
            finished=engine.window.finished,
            outcomes=dict(engine.outcomes),
            requests=flow.requests,
            units=flow.budget.used,
            requests_in_flight=flow.in_flight,
            waiting=flow.waiting,
            paused=flow.paused,
        )

    async def stop(self) -> None:
        """Read and send nothing more, and wait for what is out, up to ``stop_timeout``.

        What was read still gets its outcome, which the iteration gives; then it ends.
        """
        await self._engine.stop()
