"""What a stream gives: every number one result, its own."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import attrs
import pytest

from infobip_async.errors import (
    AuthenticationError,
    GatewayFailureError,
    LocalProtocolError,
    LookupTimeoutError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    RunStoppedError,
)
from infobip_async.hlr.pending import Stats
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.receipts import HlrSubmission


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


def numbers(count: int, first: int = 0) -> list[str]:
    """Numbers that no two are the same of."""
    return [str(385980000000 + number) for number in range(first, first + count)]


async def drained(stream) -> list[HlrResult]:
    """All results of a stream."""
    return [result async for result in stream]


async def take(stream: AsyncIterator[HlrResult], results: list[HlrResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in stream:
        results.append(result)  # noqa: PERF401 - a comprehension loses them


def outcomes(results: list[HlrResult]) -> Counter[HlrOutcome]:
    """How many of each."""
    return Counter(result.outcome for result in results)


# --- what a stream gives ---


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("share", [False, True])
async def test_one_result_per_number(gateway, ordered: bool, share: bool) -> None:
    """Every number has one result, its own, in full queries."""
    async with gateway.lookups(batch_size=100) as lookups:
        results = await drained(lookups.stream(numbers(1050), ordered=ordered, share=share))
    assert sorted(result.destination for result in results) == numbers(1050)
    assert outcomes(results) == {HlrOutcome.REPORTED: 1050}
    assert all(one.report.destination == one.destination for one in results)
    assert sorted(map(len, gateway.asked)) == [1, 50, 99, *[100] * 9]  # the first is a trial
    assert lookups.stats == Stats(submitted=1050, reported=1050)


async def test_async_source(gateway) -> None:
    """A source may be an async iterable."""

    async def source() -> AsyncIterator[str]:
        for number in numbers(250):
            yield number

    async with gateway.lookups(batch_size=100) as lookups:
        results = await drained(lookups.stream(source()))
    assert sorted(result.destination for result in results) == numbers(250)
    assert sorted(map(len, gateway.asked)) == [1, 50, 99, 100]


async def test_empty_source(gateway) -> None:
    """No numbers, no results, no query."""
    async with gateway.lookups() as lookups:
        assert await drained(lookups.stream([])) == []
    assert gateway.asked == []


async def test_string_is_one_number(gateway) -> None:
    """A string is a number, not a source of digits that would be paid for one by one."""
    async with gateway.lookups() as lookups:
        (result,) = await drained(lookups.stream("38591"))
    assert result.destination == "38591"


async def test_numbers_given_twice(gateway) -> None:
    """A number that stands twice is looked up twice, with a result for each."""
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(["1", "2", "1"]))
    assert Counter(result.destination for result in results) == {"1": 2, "2": 1}
    assert len({result.lookup_id for result in results}) == 3


async def test_shared_numbers(gateway) -> None:
    """With `share`, a number that stands several times goes out once, and has all its results."""
    async with gateway.lookups(batch_size=10) as lookups:
        given_ = ["1", "2", "1", "1", "3"]
        results = await drained(lookups.stream(given_, share=True))
    assert gateway.asked == [("1",), ("2", "3")]
    assert Counter(result.destination for result in results) == Counter(given_)
    assert lookups.stats == Stats(submitted=3, reported=3)


async def test_shared_with_a_lookup_under_way(gateway) -> None:
    """A number shares the lookup of one that went out before; after that ended, it goes out."""
    gateway.delay = 10

    async def source() -> AsyncIterator[str]:
        yield "1"
        await asyncio.sleep(5)
        yield "1"
        await asyncio.sleep(20)
        yield "1"

    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(source(), share=True))
    assert gateway.asked == [("1",), ("1",)]
    assert [result.lookup_id for result in results] == ["id-1", "id-1", "id-2"]


async def test_shared_numbers_are_not_ordered(gateway) -> None:
    """A shared number that waits does not hold the others."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = await gateway.accept(destinations)
        await gateway.push([row for row in rows if row.destination != "1"])
        return rows

    gateway.answer, gateway.delay = answer, None
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(list("112312"), share=True, timeout=30))
    assert [result.destination for result in results] == list("223111")


async def test_ordered(gateway) -> None:
    """With `ordered`, results come as the numbers stand, though they complete otherwise."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = await gateway.accept(destinations)
        for delay, row in enumerate(reversed(rows), 1):
            gateway.spawn(gateway.push([row], delay))
        return rows

    gateway.answer, gateway.delay = answer, None
    async with gateway.lookups(batch_size=7) as lookups:
        results = await drained(lookups.stream(numbers(30), ordered=True))
    assert [result.destination for result in results] == numbers(30)
    assert outcomes(results) == {HlrOutcome.REPORTED: 30}


async def test_ordered_waits_for_the_first(gateway) -> None:
    """With `ordered`, the number that waits longest holds those behind it, but not for ever."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = await gateway.accept(destinations)
        await gateway.push([row for row in rows if row.destination != numbers(1)[0]])
        return rows

    gateway.answer, gateway.delay = answer, None
    async with gateway.lookups() as lookups:
        stream = lookups.stream(numbers(5), ordered=True, timeout=30)
        first = await anext(stream)
        assert now() == pytest.approx(30, abs=0.1)
        rest = await drained(stream)
    assert first.outcome is HlrOutcome.TIMED_OUT
    assert [one.destination for one in (first, *rest)] == numbers(5)


async def test_ordered_and_shared_with_refusals_between(gateway) -> None:
    """Order holds across shared numbers, numbers that no query can carry, and refused rows."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = [
            HlrSubmission(one, False, None, "FAILED") if one.endswith("9") else row
            for one, row in zip(destinations, await gateway.accept(destinations), strict=True)
        ]
        for row in rows:
            if row.accepted:
                gateway.spawn(gateway.push([row], random.Random(row.lookup_id).random()))
        return rows

    gateway.answer, gateway.delay = answer, None
    chosen = random.Random(1).choices([*numbers(40), "", "1;2", "3\n4"], k=500)
    async with gateway.lookups(batch_size=11, window=50) as lookups:
        results = await drained(lookups.stream(chosen, ordered=True, share=True))
    assert [result.destination for result in results] == chosen
    for result in results:
        bad = result.destination.endswith("9") or not result.destination.isdigit()
        assert result.outcome is (HlrOutcome.REFUSED if bad else HlrOutcome.REPORTED)
    stats = lookups.stats
    assert stats.submitted == stats.refused + stats.reported == sum(map(len, gateway.asked))


async def test_numbers_that_no_query_can_carry(gateway) -> None:
    """They are refused with a reason, and their neighbours go out."""
    bad = ["", "1;2", "3\n4", 38591, None, b"38591", ["38591"]]
    mixed = [*numbers(2), *bad, *numbers(2, 2)]
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(mixed))
    refused = [result for result in results if result.outcome is HlrOutcome.REFUSED]
    assert [result.destination for result in refused] == bad
    assert all(result.reason for result in refused)
    assert "is not a string" in refused[3].reason
    assert gateway.asked == [tuple(numbers(1)), tuple(numbers(3, 1))]
    assert lookups.stats == Stats(submitted=4, reported=4, invalid=7)


@pytest.mark.parametrize("ordered", [False, True])
async def test_nothing_but_bad_numbers(gateway, ordered: bool) -> None:
    """Without a number that can go out there is no query."""
    async with gateway.lookups(batch_size=2) as lookups:
        results = await drained(lookups.stream([""] * 5, ordered=ordered))
    assert outcomes(results) == {HlrOutcome.REFUSED: 5}
    assert gateway.asked == []


async def test_integers_can_be_shared(gateway) -> None:
    """What is no string is refused once for each time it stands there."""
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream([1, 1, "1", ["1"]], share=True, ordered=True))
    assert [result.destination for result in results] == [1, 1, "1", ["1"]]
    assert outcomes(results) == {HlrOutcome.REFUSED: 3, HlrOutcome.REPORTED: 1}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (LocalProtocolError("bad"), HlrOutcome.REFUSED),
        (OutcomeUnknownError("cut"), HlrOutcome.UNKNOWN),
        (ZeroDivisionError("bug"), HlrOutcome.UNKNOWN),
    ],
)
async def test_query_that_fails(gateway, fault: Exception, outcome: HlrOutcome) -> None:
    """The numbers of a query that fails have its outcome and its words; the next ones go on."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        if numbers(40)[15] in destinations:
            raise fault
        return await gateway.accept(destinations)

    gateway.answer = answer
    async with gateway.lookups(batch_size=10, concurrency=1) as lookups:
        results = await drained(lookups.stream(numbers(40)))
    assert outcomes(results) == {outcome: 10, HlrOutcome.REPORTED: 30}
    assert {one.reason for one in results if not one.report} == {str(fault)}
    assert lookups.stats.in_flight == 0


async def test_query_that_does_not_leave(gateway) -> None:
    """It goes out again, and every number has its report."""
    gateway.answer = Cutting(gateway, [None, NotSentError("away"), NotSentError("away")])
    async with gateway.lookups(batch_size=10, concurrency=1) as lookups:
        results = await drained(lookups.stream(numbers(40)))
    assert outcomes(results) == {HlrOutcome.REPORTED: 40}
    assert lookups.stats == Stats(submitted=40, reported=40)
    assert now() == pytest.approx(0.1 + 0.2, abs=0.01)


# --- queries that are refused as a whole ---


async def test_query_that_is_refused_once(gateway) -> None:
    """A refusal does not say why, so one number is tried, and where that goes well, the others."""
    gateway.answer = Cutting(gateway, [None, GatewayFailureError("no")])
    async with gateway.lookups(batch_size=10, concurrency=1) as lookups:
        results = await drained(lookups.stream(numbers(40)))
    assert outcomes(results) == {HlrOutcome.REPORTED: 40}
    assert list(map(len, gateway.asked))[2] == 1
    assert lookups.stats == Stats(submitted=40, reported=40)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_query_that_is_refused_again(gateway, concurrency: int) -> None:
    """Where other numbers are accepted, the refusal is about the numbers of the query."""
    refusal = GatewayFailureError("no")

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        await asyncio.sleep(1)
        if numbers(60)[15] in destinations:
            raise refusal
        return await gateway.accept(destinations)

    gateway.answer = answer
    async with gateway.lookups(batch_size=10, concurrency=concurrency) as lookups:
        results = await drained(lookups.stream(numbers(60)))
    assert outcomes(results)[HlrOutcome.REFUSED] in {9, 10}  # one of them may have been tried alone
    assert outcomes(results).total() == 60
    assert {one.error for one in results if not one.report} == {refusal}
    assert lookups.stats.in_flight == 0


@pytest.mark.parametrize("accepted", [0, 1, 3])
async def test_account_that_is_refused(gateway, accepted: int) -> None:
    """Where a single number is refused, too, it is the account's: the run ends, and burns nothing.

    However many queries are in flight then.
    """
    refusal = GatewayFailureError("no")
    answers = [None] * accepted

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        refuse = not answers or answers.pop()
        await asyncio.sleep(1)
        if refuse:
            raise refusal
        return await gateway.accept(destinations)

    gateway.answer = answer
    source = iter(numbers(1_000))
    results: list[HlrResult] = []
    async with gateway.lookups(batch_size=10, concurrency=4, window=100) as lookups:
        with pytest.raises(RunStoppedError) as caught:
            await take(lookups.stream(source), results)
    assert caught.value.__cause__ is refusal
    reported = sum(map(len, gateway.asked[:accepted]))
    assert outcomes(results) == +Counter(
        {HlrOutcome.REPORTED: reported, HlrOutcome.NOT_SENT: len(results) - reported}
    )
    assert {one.error for one in results if not one.report} == {refusal}
    assert len(list(source)) > 800
    assert len(gateway.asked) - accepted <= (
        9 if accepted else 2
    )  # at most 4 were in flight, twice
    assert len(gateway.asked[-1]) == 1
    assert lookups.stats.in_flight == 0


@pytest.mark.parametrize("error", [AuthenticationError("no"), NotEnoughCreditsError("poor")])
async def test_account_that_is_refused_by_name(gateway, error: Exception) -> None:
    """Then nothing is tried again."""
    gateway.answer = Cutting(gateway, [error])
    results: list[HlrResult] = []
    async with gateway.lookups() as lookups:
        with pytest.raises(RunStoppedError) as caught:
            await take(lookups.stream(numbers(3)), results)
    assert caught.value.__cause__ is error
    assert outcomes(results) == {HlrOutcome.NOT_SENT: 3}
    assert gateway.asked == [tuple(numbers(1))]


async def test_rows_that_do_not_match(gateway) -> None:
    """A reply with too few rows leaves its numbers unknown, and says why."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = await gateway.accept(destinations)
        return rows if len(rows) == 1 else rows[:-1]

    gateway.answer, gateway.delay = answer, None
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(numbers(4)))
    unknown = [(one.outcome, one.reason) for one in results[:3]]
    assert unknown == [(HlrOutcome.UNKNOWN, "2 rows for 3 numbers")] * 3


async def test_no_report_in_time(gateway) -> None:
    """A number without a report has a timeout as its result, with its id, and none later."""
    gateway.delay = 31
    async with gateway.lookups() as lookups:
        (result,) = await drained(lookups.stream("38591", timeout=30))
        assert now() == pytest.approx(30, abs=0.1)
        await asyncio.sleep(2)
    reason = "no report in time"
    assert isinstance(result.error, LookupTimeoutError)
    assert attrs.evolve(result, error=None) == HlrResult(
        "38591", HlrOutcome.TIMED_OUT, "id-1", reason=reason
    )
    assert lookups.stats == Stats(submitted=1, timed_out=1, late=1)


async def test_query_that_hangs(gateway) -> None:
    """A query without a reply in time leaves its numbers unknown, and the stream ends with that."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        if len(destinations) > 1:
            await asyncio.sleep(1000)
        return await gateway.accept(destinations)

    gateway.answer = answer
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(numbers(4), timeout=30))
        assert now() == pytest.approx(30, abs=0.1)
    assert outcomes(results) == {HlrOutcome.REPORTED: 1, HlrOutcome.UNKNOWN: 3}


# --- queries of unknown outcome ---


@attrs.define
class Cutting:
    """Answers the first queries with these faults, or accepts them where there is None."""

    gateway: object
    faults: list[Exception | None]

    async def __call__(self, destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        """Answer a query."""
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            await asyncio.sleep(0)
            raise fault
        return await self.gateway.accept(destinations)  # type: ignore[attr-defined]


@pytest.mark.parametrize("cuts", [1, 2, 3])
async def test_repeat(gateway, caplog: pytest.LogCaptureFixture, cuts: int) -> None:
    """With `repeat`, a query of unknown outcome is made again, and its numbers count once."""
    gateway.answer = Cutting(gateway, [None, *[OutcomeUnknownError("cut")] * cuts])
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(numbers(4), on_unknown="repeat"))
    assert outcomes(results) == {HlrOutcome.REPORTED: 4}
    assert {one.destination for one in results if one.possibly_repeated} == set(numbers(3, 1))
    whole = tuple(numbers(3, 1))
    again = [whole[:1], whole[1:]] if cuts == 3 else [whole]  # the breaker has opened
    assert gateway.asked == [tuple(numbers(1)), *[whole] * cuts, *again]
    repeated = [line for line in caplog.records if line.name == "infobip_async.hlr"]
    assert len(repeated) == cuts
    assert lookups.stats == Stats(submitted=4, reported=4)


async def test_repeat_gives_up(gateway) -> None:
    """After three repetitions the outcome is left unknown."""
    gateway.answer = Cutting(gateway, [OutcomeUnknownError("cut")] * 4)
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream(numbers(3), on_unknown="repeat"))
    assert outcomes(results) == {HlrOutcome.UNKNOWN: 1, HlrOutcome.REPORTED: 2}
    assert gateway.asked == [tuple(numbers(1))] * 4 + [(one,) for one in numbers(2, 1)]


@pytest.mark.parametrize(
    ("after", "ended"),
    [
        ([OutcomeUnknownError("cut")] * 9, False),
        ([NotSentError("away")] * 99, True),
        ([GatewayFailureError("no")] * 2, True),
        ("stop", False),
    ],
)
async def test_doubt_stays(gateway, after, ended) -> None:
    """A query that may have been taken is not called unsent or refused for what came after.

    Not even the part of it that did not go out again.
    """
    faults = [None, *[OutcomeUnknownError("cut")] * 3]
    gateway.answer = Cutting(gateway, faults if after == "stop" else faults + after)
    results: list[HlrResult] = []
    async with gateway.lookups() as lookups:
        stream = lookups.stream(numbers(4), on_unknown="repeat")
        taking = asyncio.create_task(take(stream, results))
        if after == "stop":
            await asyncio.sleep(0.5)  # in the pause after three failures in a row
            await stream.stop()
        await asyncio.gather(taking, return_exceptions=True)
    assert isinstance(taking.exception(), RunStoppedError) == ended
    found = {(one.outcome, one.reason) for one in results}
    assert found == {(HlrOutcome.REPORTED, None), (HlrOutcome.UNKNOWN, "cut")}
    assert lookups.stats == Stats(submitted=4, reported=1, unknown=3)


@pytest.mark.parametrize(
    ("fault", "on_unknown"),
    [(LocalProtocolError("bad"), "repeat"), (OutcomeUnknownError("cut"), "report")],
)
async def test_repeat_is_for_unknown_outcomes(gateway, fault: Exception, on_unknown) -> None:
    """And for those who want it: what is refused is not tried again."""
    gateway.answer = Cutting(gateway, [None, fault])
    async with gateway.lookups() as lookups:
        await drained(lookups.stream(numbers(4), on_unknown=on_unknown))
    assert len(gateway.asked) == 2


async def test_repeated_query_has_its_own_time(gateway) -> None:
    """The timeout counts from the query that was answered."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        if len(gateway.asked) == 1:
            await asyncio.sleep(20)
            raise OutcomeUnknownError("cut")
        return await gateway.accept(destinations)

    gateway.answer, gateway.delay = answer, 25
    async with gateway.lookups() as lookups:
        results = await drained(lookups.stream("1", timeout=30, on_unknown="repeat"))
    assert outcomes(results) == {HlrOutcome.REPORTED: 1}


async def test_settled_query_is_not_made_again(gateway) -> None:
    """A query that fails after its numbers have timed out is over."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        await asyncio.sleep(40)
        raise OutcomeUnknownError("cut")

    gateway.answer = answer
    async with gateway.lookups() as lookups:
        results: list[HlrResult] = []

        async def source() -> AsyncIterator[str]:
            yield "1"
            await asyncio.sleep(100)

        results = await drained(lookups.stream(source(), timeout=30, on_unknown="repeat"))
    assert outcomes(results) == {HlrOutcome.UNKNOWN: 1}
    assert len(gateway.asked) == 1


async def test_nothing_is_repeated_after_the_stop(gateway) -> None:
    """A query whose repetition waits for its turn is unknown when the context is left."""
    gateway.answer = Cutting(gateway, [OutcomeUnknownError("cut")] * 9)
    async with gateway.lookups(rate=0.1, stop_timeout=100) as lookups:
        task = asyncio.create_task(drained(lookups.stream("1", on_unknown="repeat")))
        await asyncio.sleep(5)
    assert outcomes(await task) == {HlrOutcome.UNKNOWN: 1}
    assert len(gateway.asked) == 1


async def test_resubmissions_keep_the_rate(gateway) -> None:
    """A query that is made again takes its time as any other."""
    gateway.answer = Cutting(gateway, [OutcomeUnknownError("cut")] * 2)
    async with gateway.lookups(rate=1) as lookups:
        await drained(lookups.stream("1", on_unknown="repeat"))
        assert now() == pytest.approx(2, abs=0.1)
