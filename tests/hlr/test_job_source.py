"""A job of lookups knows its account and its source: it goes on with no other."""

from collections.abc import Sequence

import attrs
import pytest

from infobip_async.bulk.job import SendJob
from infobip_async.errors import GatewayFailureError, LocalProtocolError, RunStoppedError
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.receipts import HlrSubmission

NUMBERS = [f"385{number}" for number in range(6)]


@pytest.fixture
def job(tmp_path):
    """Where a job is."""
    return tmp_path / "job"


@pytest.fixture
def run(gateway, job):
    """Look numbers up with the job, to the end."""

    async def run(source, found: list[HlrResult] | None = None) -> list[HlrResult]:
        results = [] if found is None else found
        async with gateway.lookups(stop_timeout=0) as lookups:
            async for result in lookups.stream(source, job=job, ordered=True):
                results.append(result)
        return results

    return run


CHANGED = {
    "a number is put in front": (["3859", *NUMBERS], "number 1 is another one"),
    "a number is changed": ([*NUMBERS[:2], "3859", *NUMBERS[3:]], "number 3 is another one"),
    "a number is removed": ([*NUMBERS[:4], *NUMBERS[5:]], "number 5 is another one"),
    "the end is removed": (NUMBERS[:4], "it ends after 4 numbers, and the job has 6"),
    "everything is removed": ([], "it ends after 0 numbers, and the job has 6"),
}


@pytest.mark.parametrize("change", CHANGED)
async def test_another_source_ends_the_run(gateway, run, job, change) -> None:
    """Nothing is submitted, and the reason names the number, and the ways out."""
    source, reason = CHANGED[change]
    await run(NUMBERS)
    asked, found = len(gateway.asked), []
    if "end" not in reason:
        source = [*source, "38598", "38599"]
    with pytest.raises(RunStoppedError) as caught:
        await run(source, found)
    assert len(gateway.asked) == asked
    text = str(caught.value)
    assert reason in text
    assert str(job) in text
    assert "nothing from there on was sent" in text
    assert "or take another job file" in text
    assert isinstance(caught.value.__cause__, LocalProtocolError)
    assert {one.outcome for one in found} <= {HlrOutcome.REPORTED, HlrOutcome.NOT_SENT}
    assert all(one.resumed for one in found if one.report)


@pytest.mark.parametrize("change", CHANGED)
async def test_a_source_can_be_compared_first(gateway, run, job, change) -> None:
    """Then nothing is submitted, not even what stands in front of the difference."""
    source, reason = CHANGED[change]
    await run(NUMBERS)
    asked = len(gateway.asked)
    async with gateway.lookups() as lookups:
        with pytest.raises(LocalProtocolError, match=reason):
            await lookups.stream(source, job=job).check()
        await lookups.stream([*NUMBERS, "38598"], job=job).check()
    assert len(gateway.asked) == asked
    assert [one.resumed for one in await run([*NUMBERS, "38598"])] == [True] * 6 + [False]


async def test_nothing_behind_a_difference_is_submitted_or_known(gateway, run) -> None:
    """Numbers before it may be; with the source as it was, the job goes on."""

    async def answer(destinations: Sequence[str]) -> Sequence[HlrSubmission]:
        if len(gateway.asked) > 1:
            raise GatewayFailureError("no")
        return await gateway.accept(destinations)

    gateway.answer = answer
    with pytest.raises(RunStoppedError):
        await run(NUMBERS)  # all are known, and one was looked up
    gateway.answer = gateway.accept
    gateway.asked.clear()
    with pytest.raises(RunStoppedError):
        await run([*NUMBERS[:2], "3859", *NUMBERS[3:], "38598"])
    assert {one for several in gateway.asked for one in several} <= {NUMBERS[1]}
    results = await run([*NUMBERS, "38599"])
    assert {one.outcome for one in results} == {HlrOutcome.REPORTED}
    assert sorted(one for several in gateway.asked for one in several) == [*NUMBERS[1:], "38599"]


async def test_numbers_may_be_appended(gateway, run) -> None:
    """They are looked up, and the others are not looked up again."""
    await run(NUMBERS[:3])
    results = await run(NUMBERS)
    assert [one.resumed for one in results] == [True] * 3 + [False] * 3
    assert sum(map(len, gateway.asked)) == 6


async def test_a_job_of_another_account(gateway, run) -> None:
    """Is refused: what one account has looked up says nothing about another."""
    await run(NUMBERS)
    gateway.username = "somebody else"
    with pytest.raises(LocalProtocolError, match="is a job of another account"):
        await run(NUMBERS)
    gateway.username = "user"
    assert len(await run(NUMBERS)) == 6


async def test_a_job_of_sends(gateway, run, job) -> None:
    """Is none of lookups, and is left as it is."""
    async with SendJob(job, "user"):
        """A file of another kind."""
    before = job.read_bytes()
    with pytest.raises(LocalProtocolError, match="not a job of lookups, but a job of sends"):
        await run(NUMBERS)
    assert job.read_bytes() == before
    assert gateway.asked == []


async def test_a_job_in_use(gateway, job) -> None:
    """Two runs on one job would not know of each other's intents."""
    async with gateway.lookups() as lookups:
        stream = lookups.stream(NUMBERS, job=job)
        await anext(stream)
        with pytest.raises(Exception, match="something else uses it"):
            await anext(lookups.stream(NUMBERS, job=job))
        await stream.aclose()


async def test_what_a_job_cannot_be_combined_with(gateway, job) -> None:
    """Sharing lookups, and a client that does not know its account."""

    @attrs.frozen
    class Submitting:
        submit_hlr = staticmethod(gateway.submit_hlr)

    async with gateway.lookups() as lookups:
        with pytest.raises(LocalProtocolError, match="share"):
            lookups.stream(NUMBERS, job=job, share=True)
    async with HlrLookups(Submitting(), gateway.router) as lookups:
        with pytest.raises(LocalProtocolError, match="client"):
            lookups.stream(NUMBERS, job=job)
    assert not job.exists()
