"""Bulk sends with a job: what a later run, and a run that is going wrong, makes of it."""

import asyncio
import threading
from collections import Counter

import pytest

from infobip_async import (
    AuthenticationError,
    GatewayFailureError,
    JournalUnavailableError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    TextMessage,
)
from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult
from infobip_async.bulk.job import Job

HELLO = TextMessage("Hello", "Friend")


@pytest.fixture
def job(tmp_path):
    """Where a job is."""
    return tmp_path / "job"


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """No pause takes any time."""
    monkeypatch.setattr("infobip_async.pace.asyncio.sleep", lambda _: asyncio.tasks.sleep(0))


def numbers(count: int, start: int = 0) -> list[str]:
    """So many good numbers."""
    return [f"385985{number:06}" for number in range(start, start + count)]


def outcomes(results) -> Counter[SendOutcome]:
    """How many of each."""
    return Counter(result.outcome for result in results)


async def drain(results, found: list[SendResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in results:
        found.append(result)  # noqa: PERF401 - a comprehension loses them


def take_all(_, recipients) -> int:
    """What a gateway answers that accepts everything."""
    return len(recipients)


async def test_a_finished_job_sends_nothing_again(run, gateway, job):
    """The second run gives the same outcomes, and says that it knows them."""
    source = [(HELLO, one) for one in numbers(25)]
    first = await run(source, job=job)
    second = await run(source, job=job)
    assert len(gateway.sent) == 25
    assert [result.outcome for result in second] == [SendOutcome.SENT] * 25
    assert all(result.resumed for result in second)
    assert {one.message_ids for one in second} == {one.message_ids for one in first}


async def test_what_was_not_sent_is_sent_by_the_next_run(run, gateway, job, monkeypatch):
    """Refused for the account's sake, it was never sent."""
    gateway.answer = lambda *_: AuthenticationError("no")
    await run([(HELLO, "3851")], job=job)
    gateway.answer = take_all
    [result] = await run([(HELLO, "3851")], job=job)
    assert (result.outcome, result.resumed) == (SendOutcome.SENT, False)


@pytest.mark.parametrize(("guarantee", "copies"), [("at_most_once", 0), ("at_least_once", 1)])
async def test_an_unknown_outcome_is_the_callers_choice(run, gateway, job, guarantee, copies):
    """Reported as unknown again, or sent once more."""
    gateway.answer = lambda *_: OutcomeUnknownError("lost")
    await run([(HELLO, Recipient("3851", "mine"))], job=job)
    gateway.answer = take_all
    [result] = await run([(HELLO, Recipient("3851", "mine"))], job=job, guarantee=guarantee)
    assert len(gateway.sent) == copies
    assert result.outcome is (SendOutcome.SENT if copies else SendOutcome.UNKNOWN)
    assert result.message_ids == ("mine",)


async def test_an_intent_without_an_outcome_is_unknown(bulk, run, gateway, job):
    """What was under way when a run died may have been sent."""
    gateway.pause = asyncio.Event().wait
    results = bulk([(HELLO, "3851")], job=job, stop_timeout=0).results()
    waiting = asyncio.create_task(anext(results))
    await gateway.entered.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    [result] = await run([(HELLO, "3851")], job=job)
    assert result.outcome is SendOutcome.UNKNOWN
    assert result.reason == "an earlier run ended before the outcome was known"
    assert gateway.sent == []


async def test_items_are_told_apart_by_their_keys(run, gateway, job):
    """In another order, or among others, an item with a key is the same one."""
    await run([Outgoing(HELLO, "3851", "a"), Outgoing(HELLO, "3852", "b")], job=job)
    source = [Outgoing(HELLO, "3853", "c"), Outgoing(HELLO, "3851", "a")]
    results = await run(source, job=job)
    assert gateway.sent == ["3851", "3852", "3853"]
    assert {result.item.key: result.resumed for result in results} == {"a": True, "c": False}


@pytest.mark.parametrize("batch_size", [1, 10])
async def test_a_key_stands_for_one_item(run, gateway, job, batch_size):
    """The second item with a key is a mistake of the caller's, in one request or in two."""
    source = [Outgoing(HELLO, "3851", "a"), Outgoing(HELLO, "3852", "a")]
    results = await run(source, job=job, batch_size=batch_size)
    assert outcomes(results) == {SendOutcome.SENT: 1, SendOutcome.REFUSED: 1}
    assert gateway.sent == ["3851"]


async def test_a_key_stands_for_one_number(run, gateway, job):
    """A source that is not the one of the job would have its items taken for done."""
    await run([(HELLO, one) for one in numbers(3)], job=job)
    results = await run([(HELLO, one) for one in numbers(3, start=1)], job=job)
    assert outcomes(results) == {SendOutcome.REFUSED: 3}
    assert str(results[0].error) == "key: 0 stands for another item"
    assert len(gateway.sent) == 3


@pytest.mark.parametrize(
    ("answer", "outcome"), [(1, SendOutcome.SENT), (NotSentError("away"), SendOutcome.NOT_SENT)]
)
async def test_a_key_stands_for_one_item_also_when_that_is_done(
    bulk, gateway, job, answer, outcome
):
    """In one run that is a mistake, as it is not to start a job again."""
    gateway.answer = lambda *_: answer
    done = asyncio.Event()

    async def source():
        yield Outgoing(HELLO, "3851", "a")
        await done.wait()
        yield Outgoing(TextMessage("Bye", "Friend"), "3851", "a")

    results = bulk(source(), job=job).results()
    assert (await anext(results)).outcome is outcome
    done.set()
    second = await anext(results)
    assert (second.outcome, str(second.error)) == (
        SendOutcome.REFUSED,
        "key: 'a' stands for another item",
    )
    await results.aclose()


async def test_a_position_is_no_key(run, gateway, job):
    """A key that looks like a position is another item, and every item has a position."""
    source = [Outgoing(HELLO, "3851", "1"), (HELLO, "3852")]
    await run(source, job=job)
    results = await run([source[1], *source], job=job)
    assert {(one.item.key, one.resumed) for one in results} == {("1", True), (None, False)}
    assert outcomes(results) == {SendOutcome.SENT: 3}
    assert len(gateway.sent) == 4


@pytest.mark.parametrize("guarantee", ["at_most_once", "at_least_once"])
async def test_a_refusal_is_not_repeated(run, gateway, job, guarantee):
    """The gateway has judged; there is no id to ask about."""
    gateway.answer = lambda *_: GatewayFailureError("ill")
    await run([(HELLO, "3851")], job=job)
    gateway.answer = take_all
    [result] = await run([(HELLO, "3851")], job=job, guarantee=guarantee)
    assert (result.outcome, result.reason) == (SendOutcome.REFUSED, "ill")
    assert (result.resumed, result.message_ids) == (True, ())


async def test_a_mistake_can_be_corrected(run, gateway, job):
    """What breaks a rule was refused here, so the next run tries it as it is then."""
    gateway.answer = lambda *_: LocalProtocolError("no such sender")
    [first] = await run([(HELLO, "3851")], job=job)
    gateway.answer = take_all
    [second] = await run([(HELLO, "3851")], job=job)
    assert (first.outcome, second.outcome) == (SendOutcome.REFUSED, SendOutcome.SENT)


@pytest.mark.parametrize("guarantee", ["at_most_once", "at_least_once"])
async def test_a_count_that_is_too_low_is_an_answer(run, gateway, job, guarantee):
    """Were it repeated, those that were accepted would get a copy with each run."""
    source = [(HELLO, one) for one in numbers(3)]
    gateway.answer = lambda *_: 2
    await run(source, job=job, guarantee=guarantee)
    results = await run(source, job=job, guarantee=guarantee)
    assert len(gateway.tries) == 1
    assert outcomes(results) == {SendOutcome.UNKNOWN: 3}
    assert all(result.message_ids for result in results)


async def test_what_is_done_is_reported_as_done_though_the_run_stops(run, gateway, job):
    """A refusal of the account says nothing about what an earlier run has sent."""
    await run([Outgoing(HELLO, "3851", "a")], job=job)
    gateway.answer = lambda *_: AuthenticationError("no")
    source = [Outgoing(HELLO, "3852", "b"), Outgoing(HELLO, "3851", "a")]
    results = await run(source, job=job, batch_size=1, requests=1)
    assert [result.outcome for result in results] == [SendOutcome.NOT_SENT, SendOutcome.SENT]


# --- the file ---------------------------------------------------------------------------------


async def test_a_job_in_use_sends_nothing(bulk, run, gateway, job):
    """Two runs on one job would not know of each other's intents."""
    more = asyncio.Event()

    async def source():
        yield HELLO, "3851"
        await more.wait()

    results = bulk(source(), job=job).results()
    await anext(results)
    with pytest.raises(JournalUnavailableError):
        await run([(HELLO, "3852")], job=job)
    await results.aclose()
    assert gateway.sent == ["3851"]


@pytest.mark.parametrize("name", ["", "no/such/folder", "text"])
async def test_what_is_no_job_sends_nothing(run, gateway, tmp_path, name):
    """A folder, a file in none, a file that holds something else; each is left as it is."""
    (tmp_path / "text").write_text("3851\n" * 1_000)
    with pytest.raises(JournalUnavailableError):
        await run([(HELLO, "3851")], job=tmp_path / name)
    assert gateway.tries == []
    assert [thread.name for thread in threading.enumerate() if "journal" in thread.name] == []
    assert (tmp_path / "text").read_text() == "3851\n" * 1_000


def failing(monkeypatch, method: str, calls: int) -> None:
    """Have a method of jobs fail after so many calls."""
    original = getattr(Job, method)
    left = iter(range(calls))

    async def call(self, *args, **kwargs):
        if next(left, None) is None:
            raise JournalUnavailableError("the disk is full")
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(Job, method, call)


@pytest.mark.parametrize("method", ["known", "intend", "settle"])
async def test_a_file_that_fails_ends_the_run(  # noqa: PLR0917 - fixtures
    bulk, run, gateway, job, monkeypatch, method
):
    """Nothing is sent without an intent, nor reported without being kept; the next run goes on."""
    source = [(HELLO, one) for one in numbers(50)]
    with monkeypatch.context() as patch:
        failing(patch, method, calls=2)
        found = []
        with pytest.raises(JournalUnavailableError):
            await drain(bulk(source, job=job, requests=1).results(), found)
    assert outcomes(found)[SendOutcome.SENT] == 20
    assert len(gateway.sent) == (30 if method == "settle" else 20)
    results = await run(source, job=job)
    in_doubt = 10 if method == "settle" else 0
    assert outcomes(results)[SendOutcome.UNKNOWN] == in_doubt
    assert outcomes(results)[SendOutcome.SENT] == 50 - in_doubt
    assert Counter(gateway.sent) == dict.fromkeys(numbers(50), 1)


async def test_the_order_of_what_is_kept_and_done(run, gateway, job, monkeypatch):
    """Intent, request, outcome; and a request that did not leave is no intent while it waits."""
    calls = []

    def spy(name):
        original = getattr(Job, name)

        async def call(self, *args, **kwargs):
            done = await original(self, *args, **kwargs)
            calls.append((name, *(one.value for one in args if isinstance(one, SendOutcome))))
            return done

        monkeypatch.setattr(Job, name, call)

    spy("intend")
    spy("settle")
    answers = iter([NotSentError("away"), 1])
    gateway.answer = lambda *_: calls.append(("send",)) or next(answers)
    await run([(HELLO, "3851")], job=job)
    assert calls == [
        *(("intend",), ("send",), ("settle", "not sent")),
        *(("intend",), ("send",), ("settle", "sent")),
    ]


async def test_what_is_in_doubt_is_found_page_by_page(run, gateway, job):
    """Positions and keys, and of those that are in doubt all, and no others."""
    ids = iter(range(1_000))
    gateway.answer = lambda _, to: OutcomeUnknownError("lost") if next(ids) % 2 else len(to)
    source = [
        Outgoing(HELLO, one, None if at % 3 else f"key {at}") for at, one in enumerate(numbers(500))
    ]
    results = await run(source, job=job, batch_size=10, requests=1)
    unknown = {one.message_ids for one in results if one.outcome is SendOutcome.UNKNOWN}
    async with Job(job) as record:
        pages = [page async for page in record.in_doubt()]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert {ids for page in pages for ids in page.values()} == unknown
