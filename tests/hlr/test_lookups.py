"""Single lookups, the context around them, and the pace."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Sequence

import pytest

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    InfobipError,
    InvalidDestinationError,
    LocalProtocolError,
    LookupTimeoutError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.hlr.table import Stats
from infobip_async.models import HlrReport, HlrSubmission
from infobip_async.pace import Pace
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


# --- what a lookup gives ---


async def test_report(gateway) -> None:
    """A lookup gives the result with its report, whenever that comes in time."""
    gateway.delay = 29.9
    async with gateway.lookups() as lookups:
        result = await lookups.lookup("38591", timeout=30)
    assert (result.destination, result.outcome) == ("38591", HlrOutcome.REPORTED)
    assert (result.lookup_id, result.report.lookup_id) == ("id-1", "id-1")
    assert result.reason is None
    assert lookups.stats == Stats(submitted=1, reported=1)


async def test_report_before_the_reply(gateway) -> None:
    """A report that is pushed while its query is in flight is the result."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = (HlrSubmission(destinations[0], True, "early", "OK"),)
        await gateway.push(rows)
        await asyncio.sleep(1)
        return rows

    gateway.answer = answer
    async with gateway.lookups() as lookups:
        assert (await lookups.lookup("38591")).outcome is HlrOutcome.REPORTED


async def test_report_too_early(gateway) -> None:
    """A report that waited for its reply beyond the grace is given up."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = (HlrSubmission(destinations[0], True, "early", "OK"),)
        await gateway.push(rows)
        assert lookups.stats.early_kept == 1
        await asyncio.sleep(5)
        assert lookups.stats.early_kept == 0
        return rows

    gateway.answer = answer
    async with gateway.lookups(report_grace=4) as lookups:
        with pytest.raises(LookupTimeoutError):
            await lookups.lookup("38591", timeout=300)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NotSentError("no route"), NotSentError),
        (LocalProtocolError("bad", field="x"), NotSentError),
        (OutcomeUnknownError("cut"), OutcomeUnknownError),
        (AuthenticationError("who?", code=5, name="N", operation="o"), AuthenticationError),
        (ZeroDivisionError(), OutcomeUnknownError),
    ],
)
async def test_query_that_fails(gateway, fault: Exception, kind: type[InfobipError]) -> None:
    """A lookup raises what its query's failure means, with the words of that failure."""
    gateway.answer = raising(fault)
    async with gateway.lookups() as lookups:
        with pytest.raises(kind, match=str(fault.args[0]) if fault.args else "ZeroDivision"):
            await lookups.lookup("38591")
    assert lookups.stats.in_flight == 0


async def test_refusal_of_a_query_keeps_its_code(gateway) -> None:
    """Lookups that share a refused query raise errors of their own, with its code."""
    gateway.answer = raising(GatewayFailureError("no", code="FAILED", name="F", operation="o"))
    async with gateway.lookups() as lookups:
        pair = (lookups.lookup("38591"), lookups.lookup("38592"))
        one, other = await asyncio.gather(*pair, return_exceptions=True)
    assert isinstance(one, GatewayFailureError)
    assert isinstance(other, GatewayFailureError)
    assert one is not other
    assert (one.code, one.name, one.operation) == ("FAILED", "F", "o")


async def test_refused_row(gateway) -> None:
    """A row that is not accepted raises, with the status in words; its neighbours go on."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        return (*failing_row(destinations[:1]), *await gateway.accept(destinations[1:]))

    gateway.answer = answer
    async with gateway.lookups() as lookups:
        pair = (lookups.lookup("38591"), lookups.lookup("38592"))
        bad, good = await asyncio.gather(*pair, return_exceptions=True)
    assert isinstance(bad, InvalidDestinationError)
    assert "REJECTD" in str(bad)
    assert (bad.code, bad.operation) == ("FAILED", "lookup")
    assert isinstance(good, HlrResult)
    assert lookups.stats == Stats(submitted=2, refused=1, reported=1)


async def test_no_report_in_time(gateway) -> None:
    """A number without a report in time raises a timeout with its id; the report is late then."""
    gateway.delay = 31
    async with gateway.lookups() as lookups:
        start = now()
        with pytest.raises(LookupTimeoutError, match="38591: no report in time") as caught:
            await lookups.lookup("38591", timeout=30)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.lookup_id == "id-1"
        assert now() - start == pytest.approx(30, abs=0.1)
        await asyncio.sleep(2)
    assert lookups.stats == Stats(submitted=1, timed_out=1, late=1)


async def test_query_that_hangs(gateway) -> None:
    """A query without a reply in time leaves its numbers unknown."""
    gateway.answer = hang
    async with gateway.lookups() as lookups:
        with pytest.raises(OutcomeUnknownError, match="no reply to the query in time"):
            await lookups.lookup("38591", timeout=30)


@pytest.mark.parametrize("number", ["", "385;91", "385\n91"])
async def test_number_that_no_query_can_carry(gateway, number: str) -> None:
    """A number that would break the query is the caller's mistake, and nothing is sent."""
    async with gateway.lookups() as lookups:
        with pytest.raises(LocalProtocolError):
            await lookups.lookup(number)
    assert gateway.asked == []


# --- sharing queries ---


async def test_lookups_share_a_query(gateway) -> None:
    """Lookups that start together go out in one query, and each gets its own result."""
    async with gateway.lookups() as lookups:
        numbers = [f"385{number}" for number in range(500)]
        results = await asyncio.gather(*map(lookups.lookup, numbers))
    assert [result.destination for result in results] == numbers
    assert [result.report.destination for result in results] == numbers
    assert len(gateway.asked) == 1


async def test_full_query_goes_out_at_once(gateway) -> None:
    """A query that is full does not wait for its age, and the next lookups fill another."""
    async with gateway.lookups(batch_size=2, batch_age=100) as lookups:
        start = now()
        await asyncio.gather(*map(lookups.lookup, "1234"))
        assert now() - start < 1
    assert gateway.asked == [("1", "2"), ("3", "4")]


async def test_lookup_waits_for_others(gateway) -> None:
    """A query that is not full goes out at its age."""
    async with gateway.lookups(batch_age=0.25) as lookups:
        first = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(0.2)
        await asyncio.gather(first, lookups.lookup("2"))
        assert now() == pytest.approx(0.25)
    assert gateway.asked == [("1", "2")]


async def test_same_number_twice(gateway) -> None:
    """A number may be looked up twice in one query."""
    async with gateway.lookups() as lookups:
        results = await asyncio.gather(lookups.lookup("1"), lookups.lookup("1"))
    assert {result.lookup_id for result in results} == {"id-1", "id-2"}


async def test_each_timeout_has_its_own_query(gateway) -> None:
    """Lookups with different timeouts keep to their own."""
    gateway.delay = 20
    async with gateway.lookups() as lookups:
        pair = (lookups.lookup("1", timeout=10), lookups.lookup("2", timeout=30))
        short, long = await asyncio.gather(*pair, return_exceptions=True)
    assert isinstance(short, LookupTimeoutError)
    assert isinstance(long, HlrResult)


async def test_queries_in_flight_are_bounded(gateway) -> None:
    """No more queries are in flight at once than allowed."""
    gateway.answer = lambda numbers: asyncio.sleep(1, failing_row(numbers))
    async with gateway.lookups(batch_size=1, queries=3) as lookups:
        tasks = [lookups.lookup(str(number)) for number in range(1, 10)]
        await asyncio.gather(*tasks, return_exceptions=True)
    assert (gateway.most_flying, len(gateway.asked)) == (3, 9)


# --- cancelled lookups ---


async def test_cancelled_before_the_query(gateway) -> None:
    """A lookup that is cancelled before its query is made up does not go out."""
    async with gateway.lookups() as lookups:
        gone, kept = (asyncio.create_task(lookups.lookup(number)) for number in "12")
        await asyncio.sleep(0)
        gone.cancel()
        assert (await kept).destination == "2"
    assert gone.cancelled()
    assert gateway.asked == [("2",)]
    assert lookups.stats == Stats(submitted=1, reported=1)


async def test_all_cancelled_before_the_query(gateway) -> None:
    """Where all lookups of a query are cancelled, there is no query."""
    async with gateway.lookups() as lookups:
        task = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(1)
    assert gateway.asked == []


@pytest.mark.parametrize("after", [0.006, 5, 15])
async def test_cancelled_after_the_query(gateway, after: float) -> None:
    """A lookup that is cancelled in flight or waiting disturbs nobody, and its report is taken."""

    async def slow(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        await asyncio.sleep(10)
        return await gateway.accept(destinations)

    gateway.answer, gateway.delay = slow, 10
    async with gateway.lookups() as lookups:
        gone, kept = (asyncio.create_task(lookups.lookup(number)) for number in "12")
        await asyncio.sleep(after)
        gone.cancel()
        assert (await kept).destination == "2"
    assert lookups.stats == Stats(submitted=2, reported=2)


async def test_cancelled_together_with_its_report(gateway) -> None:
    """A cancellation that crosses the report is a cancellation."""
    gateway.delay = None
    async with gateway.lookups() as lookups:
        task = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(1)
        task.cancel()
        await gateway.push(gateway.rows)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert lookups.stats == Stats(submitted=1, reported=1)


async def test_nothing_is_kept_of_a_lookup(gateway) -> None:
    """Once a lookup has its result, nothing of it is held, though its deadline is far away."""
    async with gateway.lookups() as lookups:
        result = await lookups.lookup("1", timeout=1e6)
        gone = weakref.ref(result)
        gateway.rows.clear()
        del result
        await asyncio.sleep(0)  # the loop holds the future for the step that it woke
        gc.collect()
        assert gone() is None


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
    async with gateway.lookups(queries=1, batch_size=1, stop_timeout=5) as lookups:
        out, queued = (asyncio.create_task(lookups.lookup(number)) for number in "12")
        await asyncio.sleep(1)
        new = asyncio.create_task(lookups.lookup("3"))
        await asyncio.sleep(0)
    assert gateway.asked == [("1",)]
    with pytest.raises(OutcomeUnknownError):
        await out
    for task in (queued, new):
        with pytest.raises(NotSentError, match="stopped before it was sent"):
            await task
    assert lookups.stats == Stats(submitted=1, unknown=1, unsubmitted=2)


async def test_leaving_before_the_query_is_made_up(gateway) -> None:
    """A lookup that still waits for others is settled when the context is left."""
    async with gateway.lookups(batch_age=100) as lookups:
        task = asyncio.create_task(lookups.lookup("1"))
        await asyncio.sleep(0)
    assert now() < 1
    with pytest.raises(NotSentError):
        await task


async def test_leaving_by_an_exception_does_not_wait(gateway) -> None:
    """An exception leaves the context at once, and every lookup is settled."""
    gateway.delay = 100
    with pytest.raises(ZeroDivisionError):
        async with gateway.lookups(batch_size=1) as lookups:
            task = asyncio.create_task(lookups.lookup("1"))
            await asyncio.sleep(1)
            raise ZeroDivisionError
    assert now() < 2
    with pytest.raises(LookupTimeoutError):
        await task
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


async def test_leaving_does_not_wait_for_a_pause(gateway) -> None:
    """A query that backs off after its numbers are settled holds nobody up."""
    gateway.answer = raising(NotSentError("away"))
    async with gateway.lookups() as lookups:
        for _ in range(8):
            with pytest.raises(NotSentError):
                await lookups.lookup("1")
        left = now()
    assert now() - left < 0.01


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


# --- pauses and pace ---


async def test_failures_make_pauses(gateway) -> None:
    """Each failure makes the next query wait longer, up to a limit, until one is answered."""
    gateway.answer = raising(NotSentError("away"))
    starts: list[float] = []
    async with gateway.lookups(queries=1, batch_size=1) as lookups:
        for _ in range(11):
            with pytest.raises(NotSentError):
                await lookups.lookup("1")
            starts.append(now())
        gateway.answer = gateway.accept
        await lookups.lookup("1")
        gateway.answer = raising(NotSentError("away"))
        before = now()
        for _ in range(2):
            with pytest.raises(NotSentError):
                await lookups.lookup("1")
    pauses = [later - sooner for sooner, later in zip(starts, starts[1:], strict=False)]
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]
    assert pauses == pytest.approx(expected, abs=0.01)
    assert now() - before == pytest.approx(0.1, abs=0.01)


async def test_failures_together_count_once(gateway) -> None:
    """Queries that fail at the same time do not multiply their pauses."""
    gateway.answer = raising(NotSentError("away"))
    async with gateway.lookups(queries=8, batch_size=1) as lookups:
        tasks = [lookups.lookup(str(number)) for number in range(1, 25)]
        await asyncio.gather(*tasks, return_exceptions=True)
        assert now() == pytest.approx(0.3, abs=0.01)


async def test_fault_of_the_client_is_logged(gateway, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that the client should not raise is not lost."""
    gateway.answer = raising(ZeroDivisionError("a bug"))
    async with gateway.lookups() as lookups:
        with pytest.raises(OutcomeUnknownError):
            await lookups.lookup("1")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info


async def test_rate(gateway) -> None:
    """So many numbers go out per second, from the first second on."""
    times: list[float] = []

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        times.extend([now()] * len(destinations))
        return await gateway.accept(destinations)

    gateway.answer = answer
    async with gateway.lookups(rate=10) as lookups:
        await asyncio.gather(*(lookups.lookup(str(number)) for number in range(1, 101)))
    assert times == pytest.approx([second for second in range(10) for _ in range(10)], abs=0.1)
    assert max(map(len, gateway.asked)) == 10


async def test_rate_is_shared(gateway) -> None:
    """Single lookups and streams keep the rate together."""
    async with gateway.lookups(rate=1) as lookups:
        single = asyncio.create_task(lookups.lookup("1"))
        streamed = [result async for result in lookups.stream(["2", "3"])]
        await single
        assert now() == pytest.approx(2, abs=0.1)
    assert len(streamed) == 2


async def test_pace_without_a_limit() -> None:
    """Without a rate nothing waits."""
    pace = Pace(None)
    for _ in range(1000):
        await pace.wait(1_000_000)
    assert now() == 0


async def test_pace_spaces_work() -> None:
    """What was done takes its time from what follows; idle time is not saved up."""
    pace, starts = Pace(10), []
    for units in (5, 20, 1):
        await pace.wait(units)
        starts.append(now())
    await asyncio.sleep(60)
    for _ in range(2):
        await pace.wait(1)
        starts.append(now())
    assert starts == pytest.approx([0, 0.5, 2.5, 62.5, 62.6])


async def test_pace_of_the_cancelled() -> None:
    """Who is cancelled while waiting takes no time from those behind."""
    pace = Pace(1)
    await pace.wait(1)
    waiting = [asyncio.create_task(pace.wait(100)) for _ in range(3)]
    last = asyncio.create_task(pace.wait(1))
    await asyncio.sleep(0.5)
    for task in waiting:
        task.cancel()
    await last
    assert now() == pytest.approx(1)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("batch_size", [0, 10_001]),
        ("batch_age", [-0.1]),
        ("queries", [0]),
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


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_timeout_out_of_range(gateway, timeout: float) -> None:
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
