"""The context of lookups, their settings, and what failures and rates do to their pace."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from infobip_async.errors import (
    LocalProtocolError,
    LookupTimeoutError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.pending import Stats
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport
from infobip_async.models.receipts import HlrSubmission
from infobip_async.router import Router


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


def raising(fault: Exception) -> Callable[[Sequence[str]], Awaitable[Sequence[HlrSubmission]]]:
    """An answer that fails."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        await asyncio.sleep(0)
        raise fault

    return answer


async def hang(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
    """An answer that never comes."""
    await asyncio.get_running_loop().create_future()
    return ()


def failing_row(destinations: Sequence[str]) -> tuple[HlrSubmission, ...]:
    """Rows that refuse every number."""
    return tuple(HlrSubmission(one, False, None, "REJECTD") for one in destinations)


# --- the context ---


async def test_outside_of_the_context(gateway) -> None:
    """Neither before entering the context nor after leaving it is anything looked up."""
    lookups = gateway.lookups()
    with pytest.raises(RuntimeError):
        await lookups.lookup("1")
    async with lookups:
        pass
    with pytest.raises(RuntimeError):
        await lookups.lookup("1")
    with pytest.raises(RuntimeError):
        lookups.stream("1")
    with pytest.raises(RuntimeError):
        await lookups.__aenter__()


async def test_leaving_takes_the_handler_back(gateway) -> None:
    """The router is as it was once the context is left."""
    async with gateway.lookups():
        assert gateway.router.handles(HlrReport)
    assert not gateway.router.handles(HlrReport)


async def test_other_handlers_get_every_report(gateway) -> None:
    """Reports reach the router's other handlers too, late and unknown ones included."""
    seen: list[HlrReport] = []

    @gateway.router.on(HlrReport)
    async def handler(report: HlrReport) -> None:
        seen.append(report)

    async with gateway.lookups() as lookups:
        await lookups.lookup("1")
        await gateway.push([HlrSubmission("2", True, "stranger", "OK")])
    assert [report.destination for report in seen] == ["1", "2"]
    assert lookups.stats.unclaimed == 1


async def test_leaving_waits_for_what_is_out(gateway) -> None:
    """Leaving the context waits for the reports of what is out."""
    gateway.delay = 20
    async with gateway.lookups(stop_timeout=25) as lookups:
        task = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(1)
    assert now() == pytest.approx(20, abs=0.1)
    assert (await task).outcome is HlrOutcome.REPORTED


async def test_leaving_waits_again(gateway) -> None:
    """Leaving waits though everything that was out had once been settled before."""
    async with gateway.lookups() as lookups:
        await lookups.lookup("1")
        gateway.delay = 20
        task = asyncio.create_task(lookups.lookup("2"))
        await asyncio.sleep(1)
    assert now() == pytest.approx(20, abs=0.1)
    assert (await task).outcome is HlrOutcome.REPORTED


async def test_leaving_waits_up_to_a_limit(gateway) -> None:
    """What is still out after the limit is settled as it stands."""
    gateway.delay = 100
    async with gateway.lookups(stop_timeout=10) as lookups:
        waiting = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(1)
        gateway.answer = hang
        flying = asyncio.create_task(lookups.lookup("2"))
        await asyncio.sleep(1)
    assert now() == pytest.approx(12)
    with pytest.raises(LookupTimeoutError):
        await waiting
    with pytest.raises(OutcomeUnknownError):
        await flying


async def test_leaving_sends_nothing_more(gateway) -> None:
    """What is not out when the context is left is not sent, in a slot's queue or before."""
    gateway.answer = hang
    async with gateway.lookups(concurrency=1, batch_size=1, stop_timeout=5) as lookups:
        out, queued = (asyncio.create_task(lookups.lookup(number)) for number in "12")
        await asyncio.sleep(1)
        new = asyncio.create_task(lookups.lookup("3"))
        await asyncio.sleep(0)
    assert gateway.asked == [("1",)]
    with pytest.raises(OutcomeUnknownError):
        await out
    for task in (queued, new):
        with pytest.raises(NotSentError, match="the lookups were left before its turn"):
            await task
    assert lookups.stats == Stats(submitted=1, unknown=1, not_sent=2)


async def test_leaving_before_the_query_is_made_up(gateway) -> None:
    """A lookup that still waits for others is settled when the context is left."""
    async with gateway.lookups(batch_age=100) as lookups:
        task = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(0)
    with pytest.raises(NotSentError):
        await task
    assert now() < 1


async def test_leaving_by_an_exception_does_not_wait(gateway) -> None:
    """An exception leaves the context at once, and every lookup is settled."""
    gateway.delay = 100
    tasks: list[asyncio.Task[HlrResult]] = []

    async def program() -> None:
        async with gateway.lookups(batch_size=1) as lookups:
            tasks.append(asyncio.create_task(lookups.lookup("1")))
            await asyncio.sleep(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await program()
    assert now() < 2
    with pytest.raises(LookupTimeoutError):
        await tasks[0]
    assert not gateway.router.handles(HlrReport)


async def test_leaving_can_be_cancelled(gateway) -> None:
    """Who is cancelled while leaving waits no longer, and leaves nothing behind all the same."""
    gateway.delay = 100
    waiting: list[asyncio.Task[HlrResult]] = []

    async def program() -> None:
        async with gateway.lookups(stop_timeout=50) as lookups:
            waiting.append(asyncio.create_task(lookups.lookup("1")))
            await asyncio.sleep(1)

    task = asyncio.create_task(program())
    await asyncio.sleep(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert now() < 3
    with pytest.raises(LookupTimeoutError):
        await waiting[0]
    assert not gateway.router.handles(HlrReport)


async def test_two_lookups_on_one_router(gateway) -> None:
    """Two HlrLookups on one router each get their own, with the numbers the same."""
    gateway.delay = 5
    async with gateway.lookups() as one, gateway.lookups() as other:
        first, second = await asyncio.gather(one.lookup("1"), other.lookup("1"))
    assert {first.lookup_id, second.lookup_id} == {"id-1", "id-2"}
    for lookups in (one, other):
        assert lookups.stats == Stats(submitted=1, reported=1, unclaimed=1)


async def test_one_of_two_leaves(gateway) -> None:
    """The one that leaves takes its own handler only."""
    gateway.delay = 5
    async with gateway.lookups() as stays:
        async with gateway.lookups():
            task = asyncio.create_task(stays.lookup("1"))
            await asyncio.sleep(1)
        assert (await task).outcome is HlrOutcome.REPORTED


# --- faults and pace ---


async def test_lookups_fail_at_once(gateway) -> None:
    """While the gateway is away, who looks a number up is told without a pause."""
    gateway.answer = raising(NotSentError("away"))
    async with gateway.lookups() as lookups:
        for _ in range(20):
            with pytest.raises(NotSentError):
                await lookups.lookup("1")
    assert now() < 1


async def test_fault_of_the_client_is_logged(gateway, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that the client should not raise is not lost."""
    gateway.answer = raising(ZeroDivisionError("a bug"))
    async with gateway.lookups() as lookups:
        with pytest.raises(OutcomeUnknownError):
            await lookups.lookup("1")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info


@pytest.mark.parametrize(("rate", "most"), [(10, 1), (100, 5)])
async def test_rate(gateway, rate: int, most: int) -> None:
    """So many numbers go out per second, evenly, in queries of a twentieth of them at most."""
    times: list[float] = []

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        times.extend([now()] * len(destinations))
        return await gateway.accept(destinations)

    gateway.answer = answer
    async with gateway.lookups(rate=rate) as lookups:
        numbers = [str(number) for number in range(1, 10 * rate + 1)]
        await asyncio.gather(*map(lookups.lookup, numbers))
    assert times == pytest.approx([at / rate for at in range(10 * rate)], abs=0.11)
    assert max(map(len, gateway.asked)) == most


async def test_rate_is_shared(gateway) -> None:
    """Single lookups and streams keep the rate together."""
    async with gateway.lookups(rate=1) as lookups:
        single = asyncio.create_task(lookups.lookup("1"))
        streamed = [result async for result in lookups.stream(["2", "3"])]
        await single
        assert now() == pytest.approx(2, abs=0.1)
    assert len(streamed) == 2


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("batch_size", [0, 10_001]),
        ("batch_age", [-0.1]),
        ("concurrency", [0]),
        ("window", [0]),
        ("rate", [0, -1, float("nan")]),
        ("report_grace", [-1]),
        ("early_limit", [-1]),
        ("stop_timeout", [-1]),
    ],
)
def test_settings_out_of_range(field: str, values: list[float]) -> None:
    """A setting that makes no sense is refused by name."""
    for value in values:
        with pytest.raises(LocalProtocolError) as caught:
            HlrLookups(None, Router(), **{field: value})  # type: ignore[arg-type]
        assert caught.value.field == field
        assert "must be" in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_timeout_out_of_range(gateway, timeout: float) -> None:  # noqa: ASYNC109 - a setting
    """A timeout is above 0."""
    async with gateway.lookups() as lookups:
        with pytest.raises(LocalProtocolError):
            await lookups.lookup("1", timeout=timeout)
        with pytest.raises(LocalProtocolError):
            lookups.stream("1", timeout=timeout)
    assert gateway.asked == []


async def test_rate_below_one(gateway) -> None:
    """A rate may be below one number a second."""
    async with gateway.lookups(rate=0.1) as lookups:
        await asyncio.gather(lookups.lookup("1"), lookups.lookup("2"))
        assert now() == pytest.approx(10, abs=0.1)


async def test_rate_without_end(gateway) -> None:
    """A rate may be infinite."""
    async with gateway.lookups(rate=float("inf")) as lookups:
        assert (await lookups.lookup("1")).outcome is HlrOutcome.REPORTED
