"""Lookups with a job: what a later run, and a run that is going wrong, makes of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal

import pytest

from infobip_async.errors import (
    GatewayFailureError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    RunStoppedError,
    StorageUnavailableError,
)
from infobip_async.hlr.job import HlrJobFile
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission
from jumping import jump, turns, until

NUMBERS = ["38591", "38592", "38593"]
ACCEPTED = [HlrSubmission(one, True, f"before-{at}", "OK") for at, one in enumerate(NUMBERS)]


@pytest.fixture
def job(tmp_path):
    """Where a job is."""
    return tmp_path / "job"


@pytest.fixture
def run(gateway, job):
    """Look numbers up with the job, to the end, and give the results in the order of the source."""

    async def run(source=tuple(NUMBERS), **options: object) -> list[HlrResult]:
        async with gateway.lookups(stop_timeout=0) as lookups:
            stream = lookups.stream(source, job=job, ordered=True, **options)
            return [result async for result in stream]

    return run


async def take(stream: AsyncIterator[HlrResult], results: list[HlrResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in stream:
        results.append(result)  # noqa: PERF401 - a comprehension loses them


def outcomes(results: Sequence[HlrResult]) -> list[HlrOutcome]:
    """The outcome of each."""
    return [result.outcome for result in results]


async def earlier_run(job, *, accepted: int, seconds: float = 600.0) -> None:
    """Leave what a run leaves that dies when so many of its lookups were accepted."""
    async with HlrJobFile(job, "user") as file:
        await file.meet(list(enumerate(NUMBERS)))
        await file.intend(range(len(NUMBERS)))
        await file.accept(range(accepted), ACCEPTED[:accepted], seconds)


# --- a later run ---


async def test_a_finished_job_looks_nothing_up_again(gateway, run) -> None:
    """The second run gives the same results, and says that it knows them."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        rows = await gateway.accept(destinations)
        return [
            HlrSubmission(row.destination, False, None, "FAILED")
            if row.destination == NUMBERS[1]
            else row
            for row in rows
        ]

    def report(row: HlrSubmission) -> HlrReport:
        known = (row.destination, row.lookup_id or "", HlrStatus.UNDELIV, "UNDELIV")
        return HlrReport(*known, "219011234567890", "38598", "27")

    gateway.answer, gateway.report = answer, report
    first = await run()
    asked = len(gateway.asked)
    second = await run()
    assert len(gateway.asked) == asked
    assert outcomes(first) == [HlrOutcome.REPORTED, HlrOutcome.REFUSED, HlrOutcome.REPORTED]
    for before, after in zip(first, second, strict=True):
        assert (after.resumed, before.resumed) == (True, False)
        for name in ("destination", "outcome", "lookup_id", "report", "reason"):
            assert getattr(before, name) == getattr(after, name)
        assert after.error is None


async def test_numbers_that_were_not_sent_are_looked_up_by_the_next_run(gateway, job, run) -> None:
    """The gateway refused the account, and judged none of them."""
    gateway.answer = refuse_all
    with pytest.raises(RunStoppedError):
        await run()
    gateway.answer = gateway.accept
    asked = len(gateway.asked)
    results = await run()
    assert outcomes(results) == [HlrOutcome.REPORTED] * 3
    assert not any(result.resumed for result in results)
    assert Counter(one for several in gateway.asked[asked:] for one in several) == dict.fromkeys(
        NUMBERS, 1
    )


async def refuse_all(_: Sequence[str]) -> Sequence[HlrSubmission]:
    """Refuse a query as a whole."""
    raise GatewayFailureError("no")


@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
async def test_a_run_that_died_after_an_intent(gateway, job, run, on_unknown) -> None:
    """Its numbers may have been submitted: they are unknown, or looked up again."""
    await earlier_run(job, accepted=0)
    results = await run(on_unknown=on_unknown)
    if on_unknown == "report":
        assert gateway.asked == []
        assert outcomes(results) == [HlrOutcome.UNKNOWN] * 3
        assert all(result.resumed for result in results)
        assert results[0].reason == "an earlier run ended before the outcome was known"
    else:
        assert sorted(one for several in gateway.asked for one in several) == NUMBERS
        assert outcomes(results) == [HlrOutcome.REPORTED] * 3
        for known in (results, await run()):
            assert all(result.possibly_repeated for result in known)


@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
async def test_a_run_that_died_after_its_lookups_were_accepted(
    gateway, job, run, on_unknown
) -> None:
    """Their reports are waited for, and nothing is paid for twice."""
    await earlier_run(job, accepted=3)
    results: list[HlrResult] = []
    async with gateway.lookups() as lookups:
        stream = lookups.stream(NUMBERS, job=job, ordered=True, on_unknown=on_unknown)
        taking = asyncio.create_task(take(stream, results))
        await until(lambda: lookups.stats.in_flight == stream.stats.read == 3)
        await jump(30)
        assert not taking.done()
        await gateway.push(ACCEPTED)
        await taking
    assert gateway.asked == []
    assert outcomes(results) == [HlrOutcome.REPORTED] * 3
    assert [result.lookup_id for result in results] == [row.lookup_id for row in ACCEPTED]
    assert not any(result.resumed for result in results)
    assert outcomes(await run()) == [HlrOutcome.REPORTED] * 3


async def test_reports_may_come_before_the_source_is_read(gateway, job) -> None:
    """They are pushed as soon as somebody listens, and kept until their numbers are read."""
    await earlier_run(job, accepted=3)
    more = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        await more.wait()
        for number in NUMBERS:
            yield number

    results: list[HlrResult] = []
    async with gateway.lookups() as lookups:
        taking = asyncio.create_task(take(lookups.stream(source(), job=job), results))
        await until(lambda: lookups.stats.in_flight == 3)
        await gateway.push(ACCEPTED[1:])
        assert lookups.stats.reported == 2
        more.set()
        await turns(50)
        await gateway.push(ACCEPTED[:1])
        await taking
    assert sorted(result.destination for result in results) == NUMBERS
    assert set(outcomes(results)) == {HlrOutcome.REPORTED}
    assert gateway.asked == []


async def test_reports_may_come_before_the_job_is_opened(gateway, job) -> None:
    """The receiver has started, and the stream has not: the job hears of them all the same."""
    await earlier_run(job, accepted=3)
    async with gateway.lookups() as lookups:
        await gateway.push([*ACCEPTED, *ACCEPTED])
        assert lookups.stats.unclaimed == 6
        stream = lookups.stream(NUMBERS, job=job, ordered=True)
        results = [result async for result in stream]
        assert (lookups.stats.reported, lookups.stats.unclaimed) == (3, 3)
    assert outcomes(results) == [HlrOutcome.REPORTED] * 3
    assert not any(result.possibly_repeated for result in results)
    assert gateway.asked == []


async def test_reports_are_not_kept_for_a_job_for_ever(gateway, job) -> None:
    """After the grace for early reports they are nobody's."""
    await earlier_run(job, accepted=3)
    async with gateway.lookups(report_grace=30) as lookups:
        await gateway.push(ACCEPTED[:1])
        await jump(30)
        await gateway.push(ACCEPTED[1:2])
        assert not lookups._deadlines.table._heard
        assert lookups.stats.unclaimed == 2


@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
async def test_a_deadline_that_has_passed(gateway, job, run, on_unknown) -> None:
    """Between two runs: the number has timed out, or is looked up again."""
    await earlier_run(job, accepted=3, seconds=-1)
    results = await run(on_unknown=on_unknown)
    if on_unknown == "report":
        assert gateway.asked == []
        assert outcomes(results) == [HlrOutcome.TIMED_OUT] * 3
        assert results[0].lookup_id == "before-0"
        assert "between two runs" in str(results[0].reason)
    else:
        assert outcomes(results) == [HlrOutcome.REPORTED] * 3
        assert sum(map(len, gateway.asked)) == 3


@pytest.mark.parametrize("read", ["before", "after"])
@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
async def test_a_deadline_that_passes(gateway, job, on_unknown, read) -> None:
    """In the second run: likewise, whether the number was read before the deadline or after."""
    await earlier_run(job, accepted=3)
    more = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        if read == "after":
            await more.wait()
        for number in NUMBERS:
            yield number

    results: list[HlrResult] = []
    async with gateway.lookups() as lookups:
        stream = lookups.stream(source(), job=job, on_unknown=on_unknown)
        taking = asyncio.create_task(take(stream, results))
        await until(lambda: lookups.stats.in_flight == 3)
        if read == "before":
            await until(lambda: stream.stats.read == 3)
            await asyncio.to_thread(lambda: None)
            await turns()
        await jump(601)
        await until(lambda: lookups.stats.timed_out == 3)
        more.set()
        while not taking.done():
            await jump(1)  # what is looked up again waits for others to share its query
    expected = HlrOutcome.TIMED_OUT if on_unknown == "report" else HlrOutcome.REPORTED
    assert outcomes(results) == [expected] * 3
    assert sum(map(len, gateway.asked)) == (0 if on_unknown == "report" else 3)


@pytest.mark.parametrize("how", ["stop", "leave", "cancel"])
async def test_a_run_that_is_left_while_lookups_wait(gateway, job, run, how) -> None:
    """The next run waits for them: that they were given up is no result."""
    gateway.delay = None
    results: list[HlrResult] = []
    async with gateway.lookups(stop_timeout=0) as lookups:
        stream = lookups.stream(NUMBERS, job=job)
        taking = asyncio.create_task(take(stream, results))
        await until(lambda: len(gateway.rows) == 3 and lookups.stats.in_flight == 3)
        await until(lambda: not stream.stats.requests_in_flight)
        if how == "stop":
            await stream.stop()
        elif how == "cancel":
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
    await asyncio.gather(taking, return_exceptions=True)
    assert set(outcomes(results)) <= {HlrOutcome.TIMED_OUT}
    rows = list(gateway.rows)
    running = asyncio.create_task(run())
    await until(lambda: gateway.router.handles(HlrReport))
    async with asyncio.timeout(60):
        while not running.done():
            await gateway.push(rows)
    assert outcomes(await running) == [HlrOutcome.REPORTED] * 3
    assert sum(map(len, gateway.asked)) == 3


@pytest.mark.parametrize("late", ["numbers", "results"])
async def test_a_stop_that_does_not_wait_for_the_disk(gateway, job, monkeypatch, late) -> None:
    """Each number that was read has its outcome, once the disk has taken what there is."""
    slow, read = asyncio.Event(), []

    def source() -> Iterator[str]:
        for number in NUMBERS:
            read.append(number)
            yield number

    async def wait(*args: object) -> object:
        await slow.wait()
        return await method(*args)

    owner = "meet" if late == "numbers" else "record"
    method = getattr(HlrJobFile, owner)
    monkeypatch.setattr(HlrJobFile, owner, wait)
    results: list[HlrResult] = []
    async with gateway.lookups(stop_timeout=0) as lookups:
        stream = lookups.stream(source(), job=job)
        taking = asyncio.create_task(take(stream, results))
        await until(lambda: stream.stats.read == 3)
        await until(lambda: late == "numbers" or lookups.stats.reported == 3)
        await stream.stop()
        slow.set()
        async with asyncio.timeout(60):
            await taking
    assert sorted(result.destination for result in results) == read


async def test_numbers_may_stand_twice(gateway, run) -> None:
    """Each place in the source has a lookup and a result of its own."""
    for _ in range(2):
        results = await run(["38591", "38591", "38592"])
        assert [one.destination for one in results] == ["38591", "38591", "38592"]
        assert len({one.lookup_id for one in results}) == 3
    assert sum(map(len, gateway.asked)) == 3


@pytest.mark.parametrize("bad", ["", "1;2", 38591, None, ["38591"], "3859\udce9"])
async def test_numbers_that_no_query_can_carry(gateway, run, bad) -> None:
    """They are refused by each run, as without a job, and their neighbours go out once."""
    for _ in range(2):
        results = await run([bad, *NUMBERS])
        assert results[0].destination == bad
        if bad != "3859\udce9":
            assert results[0].outcome is HlrOutcome.REFUSED
        assert outcomes(results[1:]) == [HlrOutcome.REPORTED] * 3
    assert sorted(one for several in gateway.asked for one in several if one in NUMBERS) == NUMBERS


async def test_numbers_behind_an_empty_balance_are_looked_up_again(gateway, run) -> None:
    """A hundred reports that say nothing, and no credits: the next run starts there."""
    gateway.report = lambda row: HlrReport(
        row.destination, row.lookup_id or "", HlrStatus.UNKNOWN, "UNKNOWN"
    )
    gateway.credits = lambda: asyncio.sleep(0, Decimal(0))
    many = [str(385980000000 + at) for at in range(150)]
    with pytest.raises(RunStoppedError) as caught:
        await run(many)
    assert isinstance(caught.value.__cause__, NotEnoughCreditsError)
    assert "there are 0 credits" in str(caught.value)
    before = sum(map(len, gateway.asked))
    del gateway.report
    gateway.report = lambda row: HlrReport(
        row.destination, row.lookup_id or "", HlrStatus.DELIVRD, "DELIVRD"
    )
    results = await run(many)
    assert {one.report.status for one in results if one.report} == {HlrStatus.DELIVRD}
    assert sum(map(len, gateway.asked)) == before + 150


# --- the order of things ---


async def test_what_is_on_disk_and_when(gateway, run, monkeypatch) -> None:
    """Intent, query, ids, result; a query that did not leave is no intent while it waits."""
    calls: list[str] = []

    def spy(name: str) -> None:
        original = getattr(HlrJobFile, name)

        async def call(self, *args):
            done = await original(self, *args)
            calls.append(name)
            return done

        monkeypatch.setattr(HlrJobFile, name, call)

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        calls.append("query")
        if calls.count("query") == 1:
            raise NotSentError("away")
        return await gateway.accept(destinations)

    for name in ("intend", "accept", "forget", "record"):
        spy(name)
    gateway.answer = answer
    await run(["38591"])
    assert calls == ["intend", "query", "forget", "intend", "query", "accept", "record"]


async def test_a_push_is_acknowledged_when_its_results_are_on_disk(
    gateway, job, monkeypatch
) -> None:
    """Not before; and a result is handed on then, too."""
    kept, recording = asyncio.Event(), asyncio.Event()
    record = HlrJobFile.record

    async def slow(self, results) -> None:
        recording.set()
        await kept.wait()
        await record(self, results)

    monkeypatch.setattr(HlrJobFile, "record", slow)
    gateway.delay = None
    results: list[HlrResult] = []
    async with gateway.lookups() as lookups:
        taking = asyncio.create_task(take(lookups.stream("38591", job=job), results))
        await until(lambda: gateway.rows)
        pushing = asyncio.create_task(gateway.push(gateway.rows))
        await recording.wait()
        await turns()
        assert not pushing.done()
        assert results == []
        kept.set()
        await pushing
        await taking
    assert outcomes(results) == [HlrOutcome.REPORTED]


@pytest.mark.parametrize("method", ["meet", "intend", "accept", "record"])
async def test_a_file_that_fails_ends_the_run(gateway, job, run, monkeypatch, method) -> None:
    """Nothing goes out without an intent, no result is told that is not kept; the job goes on."""
    gateway.delay = None
    many = [str(385980000000 + at) for at in range(30)]
    original, left = getattr(HlrJobFile, method), iter(range(0 if method == "meet" else 1))

    async def failing(self, *args):
        if next(left, None) is None:
            raise StorageUnavailableError("the disk is full")
        return await original(self, *args)

    results: list[HlrResult] = []
    faults: list[Exception] = []

    async def push_all() -> None:
        while True:
            for row in tuple(gateway.rows):
                try:
                    await gateway.push([row])
                except ExceptionGroup as fault:
                    faults.append(fault)
            await asyncio.sleep(0)

    with monkeypatch.context() as patch:
        patch.setattr(HlrJobFile, method, failing)
        pushing = asyncio.create_task(push_all())
        async with gateway.lookups(batch_size=10, concurrency=1) as lookups:
            with pytest.raises(StorageUnavailableError):
                await take(lookups.stream(many, job=job), results)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
    asked = sum(map(len, gateway.asked))
    assert bool(faults) == (method == "record")  # such a push is not acknowledged
    gateway.delay = 0
    rows = tuple(gateway.rows)
    running = asyncio.create_task(run(many))
    await until(lambda: gateway.router.handles(HlrReport))
    async with asyncio.timeout(60):
        while not running.done():
            await gateway.push(rows)
    again = await running
    known = [one.destination for one in results if one.outcome is HlrOutcome.REPORTED]
    assert {one.destination for one in again if one.resumed and one.report} >= set(known)
    unknown = [one for one in again if one.outcome is HlrOutcome.UNKNOWN]
    assert len(unknown) == (asked - 1 if method == "accept" else 0)
    assert max(Counter(one for several in gateway.asked for one in several).values()) == 1
    assert {one.outcome for one in again} <= {HlrOutcome.REPORTED, HlrOutcome.UNKNOWN}


async def test_unknown_outcomes_are_kept_with_their_reason(gateway, run) -> None:
    """The next run tells it, or looks them up again."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        if len(gateway.asked) == 2:
            raise OutcomeUnknownError("cut")
        return await gateway.accept(destinations)

    gateway.answer = answer
    for _ in range(2):
        results = await run()
        assert outcomes(results) == [HlrOutcome.REPORTED, *[HlrOutcome.UNKNOWN] * 2]
        assert results[1].reason == "cut"
    assert len(gateway.asked) == 2
    results = await run(on_unknown="repeat")
    assert outcomes(results) == [HlrOutcome.REPORTED] * 3
    assert [one.resumed for one in results] == [True, False, False]
