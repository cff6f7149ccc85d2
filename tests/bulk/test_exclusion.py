"""Numbers that nothing is sent to."""

import asyncio

import pytest

from infobip_async import (
    AuthenticationError,
    LocalProtocolError,
    Outgoing,
    Recipient,
    SendOutcome,
    SendResult,
    TextMessage,
)
from tests.bulk.conftest import take

HELLO = TextMessage("Hello", "Friend")
SOURCE = [(HELLO, f"385{number}") for number in range(6)]
STOPPED = {"3851", "3854", "no number"}


class Numbers:
    """A container that is asked, and keeps nothing."""

    def __contains__(self, number: object) -> bool:
        return number in STOPPED


async def ask(number: str) -> bool:
    """A coroutine function that knows."""
    await asyncio.sleep(0)
    return number in STOPPED


@pytest.fixture(params=["set", "container", "coroutine function"])
def exclude(request):
    """Each kind of exclusion."""
    return {"set": STOPPED, "container": Numbers(), "coroutine function": ask}[request.param]


@pytest.mark.parametrize("with_job", [True, False])
async def test_excluded_numbers_have_that_outcome(run, gateway, tmp_path, exclude, with_job):
    """And nothing is sent to them."""
    job = tmp_path / "job" if with_job else None
    results = await run(SOURCE, exclude=exclude, job=job)
    excluded = {one.item.recipient for one in results if one.outcome is SendOutcome.EXCLUDED}
    assert excluded == {"3851", "3854"}
    assert sorted(gateway.sent) == ["3850", "3852", "3853", "3855"]
    assert all(not one.message_ids for one in results if one.outcome is SendOutcome.EXCLUDED)


@pytest.mark.parametrize("kind", [set, list, frozenset])
@pytest.mark.parametrize("number", ["+385 98 514 674", "00385/98514674", "+385 098 514 674"])
async def test_excluded_numbers_may_be_written_in_any_form(run, gateway, kind, number):
    """They are read at the start; what is added to a collection later must be a destination."""
    exclude, source = kind([number, "no number"]), [(HELLO, "38598514674"), (HELLO, "38591234567")]
    results = await run(source, exclude=exclude)
    excluded = [one.item.recipient for one in results if one.outcome is SendOutcome.EXCLUDED]
    assert (excluded, gateway.sent) == (["38598514674"], ["38591234567"])


@pytest.mark.parametrize("number", ["098514674", "3.8598E+10", "+385 981"])
async def test_an_excluded_number_that_cannot_be_read_is_refused(run, gateway, number):
    """It would get something."""
    with pytest.raises(LocalProtocolError, match=r"exclude: .*(leading 0|spreadsheet|3 digits)"):
        await run(SOURCE, exclude={number})
    assert gateway.tries == []


async def test_a_recipient_is_looked_at_by_its_number(run, gateway, exclude):
    """Whatever message id it has."""
    [result] = await run([Outgoing(HELLO, Recipient("3851", "mine"))], exclude=exclude)
    assert (result.outcome, gateway.tries) == (SendOutcome.EXCLUDED, [])


@pytest.mark.parametrize("number", ["+3859", 3859, Recipient(3859)])
async def test_bad_numbers_are_refused_as_ever(run, gateway, exclude, number):
    """The exclusion is not asked about what is no number."""
    results = await run([(HELLO, number), *SOURCE], exclude=exclude)
    refused = [one for one in results if one.outcome is SendOutcome.REFUSED]
    assert [one.item.recipient for one in refused] == [number]
    assert len(gateway.sent) == 4


async def test_an_excluded_number_is_sent_to_when_it_is_not_any_more(run, gateway, tmp_path):
    """The next run of the job sends to it."""
    await run(SOURCE, exclude=STOPPED, job=tmp_path / "job")
    results = await run(SOURCE, job=tmp_path / "job")
    assert {one.item.recipient for one in results if not one.resumed} == {"3851", "3854"}
    assert sorted(gateway.sent) == [number for _, number in SOURCE]


async def test_what_was_sent_stays_sent(run, tmp_path):
    """Though the number is excluded since."""
    await run(SOURCE, job=tmp_path / "job")
    results = await run(SOURCE, exclude=STOPPED, job=tmp_path / "job")
    assert {one.outcome for one in results} == {SendOutcome.SENT}


@pytest.mark.parametrize("fault", [ZeroDivisionError, TimeoutError, asyncio.CancelledError])
@pytest.mark.parametrize("size", [1, 10_000])
async def test_an_exclusion_that_fails_ends_the_run(bulk, gateway, size, fault):
    """Nothing is sent of which nobody knows whether it may be."""

    async def fail(number: str) -> bool:
        if number == "3854":
            raise fault
        return False

    results = bulk(SOURCE, exclude=fail, window=size, batch_age=0)
    with pytest.raises(fault):
        [one async for one in results]
    assert not {"3854", "3855"} & set(gateway.sent)


async def test_after_the_end_of_a_run_nobody_is_asked(stopped, gateway):
    """What was read and is not looked at yet, is not sent."""
    gateway.answer = lambda *_: AuthenticationError("no")
    asked = []

    async def slow(number: str) -> bool:
        asked.append(number)
        if number == "3851":
            await ended.wait()
        return False

    ended = asyncio.Event()
    gateway.pause = lambda: asyncio.sleep(0, asyncio.get_running_loop().call_soon(ended.set))
    end = await stopped(SOURCE, exclude=slow, batch_size=1, batch_age=0)
    assert {one.outcome for one in end.results} == {SendOutcome.NOT_SENT}
    assert len(end.results) == 6
    assert asked == ["3850", "3851"]


async def test_an_exclusion_that_does_not_answer(bulk, gateway):
    """Holds no run that is stopped: what nobody knows of is not sent."""
    asked = asyncio.Event()

    async def wait(number: str) -> bool:
        if number == "3851":
            asked.set()
            await asyncio.Event().wait()
        return False

    found: list[SendResult] = []
    run = bulk(SOURCE, exclude=wait, batch_age=0)
    taking = asyncio.create_task(take(run, found))
    await asked.wait()
    await run.stop()
    await taking
    assert len(found) == 6
    assert set(gateway.sent) <= {"3850"}
    assert sum(one.outcome is SendOutcome.NOT_SENT for one in found) >= 5
