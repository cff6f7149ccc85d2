"""Single lookups."""

import asyncio
import gc
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
from infobip_async.hlr.pending import Stats
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.receipts import HlrSubmission


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
        (LocalProtocolError("bad", field="x"), LocalProtocolError),
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
        with pytest.raises(LookupTimeoutError, match="no report in time") as caught:
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


async def test_one_timer_for_all(gateway) -> None:
    """However many queries wait, there is one timer, and each is timed out when it is due."""
    gateway.delay = None
    ended: dict[int, float] = {}

    async def lookup(seconds: int) -> None:
        with pytest.raises(LookupTimeoutError):
            await lookups.lookup("1", timeout=seconds)
        ended[seconds] = now()

    async with gateway.lookups(batch_age=0) as lookups:
        tasks = [asyncio.create_task(lookup(seconds)) for seconds in (50, 20, 70, 10, 60, 30)]
        await asyncio.sleep(5)
        assert gateway.timers == 1
        await asyncio.gather(*tasks)
    assert list(ended) == [10, 20, 30, 50, 60, 70]
    assert list(ended.values()) == pytest.approx(list(ended), abs=0.01)


async def test_queries_in_flight_are_bounded(gateway) -> None:
    """No more queries are in flight at once than allowed."""
    gateway.answer = lambda numbers: asyncio.sleep(1, failing_row(numbers))
    async with gateway.lookups(batch_size=1, concurrency=3) as lookups:
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
