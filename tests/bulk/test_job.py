"""Bulk sends with a job: what a later run, and a run that is going wrong, makes of it."""

import asyncio
import threading
from collections import Counter

import pytest

from infobip_async import (
    AuthenticationError,
    GatewayFailureError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    StorageUnavailableError,
    TextMessage,
)
from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult
from infobip_async.bulk.job import SendJob
from infobip_async.hlr.job import HlrJobFile

HELLO = TextMessage("Hello", "Friend")
BYE = TextMessage("Bye", "Friend")


@pytest.fixture
def job(tmp_path):
    """Where a job is."""
    return tmp_path / "job"


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


async def test_what_was_not_sent_is_sent_by_the_next_run(run, stopped, gateway, job):
    """Refused for the account's sake, it was never sent."""
    gateway.answer = lambda *_: AuthenticationError("no")
    await stopped([(HELLO, "3851")], job=job)
    gateway.answer = take_all
    [result] = await run([(HELLO, "3851")], job=job)
    assert (result.outcome, result.resumed) == (SendOutcome.SENT, False)


@pytest.mark.parametrize(("on_unknown", "copies"), [("report", 0), ("repeat", 1)])
async def test_an_unknown_outcome_is_the_callers_choice(run, gateway, job, on_unknown, copies):
    """Reported as unknown again, or sent once more."""
    gateway.answer = lambda *_: OutcomeUnknownError("lost")
    await run([(HELLO, Recipient("3851", "mine"))], job=job)
    gateway.answer = take_all
    [result] = await run([(HELLO, Recipient("3851", "mine"))], job=job, on_unknown=on_unknown)
    assert len(gateway.sent) == copies
    assert result.outcome is (SendOutcome.SENT if copies else SendOutcome.UNKNOWN)
    assert result.message_ids == ("mine",)


async def test_an_intent_without_an_outcome_is_unknown(bulk, run, gateway, job):
    """What was under way when a run died may have been sent."""
    gateway.pause = asyncio.Event().wait
    results = bulk([(HELLO, "3851")], job=job, stop_timeout=0)
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


async def test_a_key_stands_for_one_item_in_each_run(run, gateway, job):
    """A mistake of the caller's does not keep a job from going on: the same item is refused."""
    source = [Outgoing(HELLO, "3851", "a"), Outgoing(BYE, "3851", "a"), Outgoing(HELLO, "3852")]
    for _ in range(2):
        results = await run(source, job=job)
        outcomes_in_order = {result.item: result.outcome for result in results}
        assert outcomes_in_order == {
            source[0]: SendOutcome.SENT,
            source[1]: SendOutcome.REFUSED,
            source[2]: SendOutcome.SENT,
        }
    assert gateway.sent == ["3851", "3852"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(1, SendOutcome.SENT), (LocalProtocolError("no such sender"), SendOutcome.REFUSED)],
)
async def test_a_key_stands_for_one_item_though_that_is_done(bulk, gateway, job, answer, outcome):
    """In one run that is a mistake, as it is not to start a job again."""
    gateway.answer = lambda *_: answer
    done = asyncio.Event()

    async def source():
        yield Outgoing(HELLO, "3851", "a")
        await done.wait()
        yield Outgoing(BYE, "3851", "a")

    results = bulk(source(), job=job, batch_age=0)
    assert (await anext(results)).outcome is outcome
    done.set()
    second = await anext(results)
    assert (second.outcome, str(second.error)) == (
        SendOutcome.REFUSED,
        "key: stands for another item",
    )
    await results.aclose()


@pytest.mark.parametrize(("key", "why"), [(0, "not a string"), ("\ud800", "lone surrogate")])
def test_what_is_no_key(key, why):
    """A number would be taken for a position, and a file keeps no half of a character."""
    with pytest.raises(LocalProtocolError, match=why):
        Outgoing(HELLO, "3851", key)


async def test_a_position_is_no_key(run, gateway, job):
    """A key that looks like a position is another item, and every item has a position."""
    source = [Outgoing(HELLO, "3851", "1"), (HELLO, "3852")]
    await run(source, job=job)
    results = await run([*source, Outgoing(HELLO, "3853", "2"), (HELLO, "3854")], job=job)
    resumed = {one.item.recipient: one.resumed for one in results}
    assert resumed == {"3851": True, "3852": True, "3853": False, "3854": False}
    assert gateway.sent == ["3851", "3852", "3853", "3854"]


@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
async def test_a_refusal_is_not_repeated(run, gateway, job, on_unknown):
    """The gateway has judged; there is no id to ask about."""
    gateway.answer = lambda *_: GatewayFailureError("ill")
    await run([(HELLO, "3851")], job=job)
    gateway.answer = take_all
    [result] = await run([(HELLO, "3851")], job=job, on_unknown=on_unknown)
    assert (result.outcome, result.reason) == (SendOutcome.REFUSED, "ill")
    assert (result.resumed, result.message_ids) == (True, ())


async def test_a_mistake_can_be_corrected(run, gateway, job):
    """What breaks a rule was refused here, so the next run tries it as it is then."""
    gateway.answer = lambda *_: LocalProtocolError("no such sender")
    [first] = await run([(HELLO, "3851")], job=job)
    gateway.answer = take_all
    [second] = await run([(HELLO, "3851")], job=job)
    assert (first.outcome, second.outcome) == (SendOutcome.REFUSED, SendOutcome.SENT)


@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
async def test_a_count_that_is_too_low_is_an_answer(run, gateway, job, on_unknown):
    """Were it repeated, those that were accepted would get a copy with each run."""
    source = [(HELLO, one) for one in numbers(4)]
    gateway.answer = lambda _, recipients: (len(recipients) + 1) // 2
    await run(source, job=job, on_unknown=on_unknown)
    results = await run(source, job=job, on_unknown=on_unknown)
    assert [size for _, size in gateway.tries] == [1, 3]
    assert outcomes(results) == {SendOutcome.SENT: 1, SendOutcome.UNKNOWN: 3}
    assert all(result.message_ids for result in results)


async def test_what_is_done_is_reported_as_done_though_the_run_stops(run, stopped, gateway, job):
    """A refusal of the account says nothing about what an earlier run has sent."""
    await run([Outgoing(HELLO, one, one) for one in numbers(3)], job=job)
    gateway.answer = lambda *_: AuthenticationError("no")
    gateway.entered.clear()
    read, more = asyncio.Event(), asyncio.Event()
    gateway.pause = read.wait

    async def source():
        yield Outgoing(HELLO, "3852", "b")
        await gateway.entered.wait()
        for one in numbers(3):
            yield Outgoing(HELLO, one, one)
        read.set()  # the run ends while the job is still asked about these
        await more.wait()

    end = await stopped(source(), job=job, batch_age=0)
    known = {result.item.key: result.outcome for result in end.results}
    assert known == {"b": SendOutcome.NOT_SENT, **dict.fromkeys(numbers(3), SendOutcome.SENT)}


# --- the file ---------------------------------------------------------------------------------


async def test_a_job_in_use_sends_nothing(bulk, run, gateway, job):
    """Two runs on one job would not know of each other's intents."""
    more = asyncio.Event()

    async def source():
        yield HELLO, "3851"
        await more.wait()

    results = bulk(source(), job=job, batch_age=0)
    await anext(results)
    with pytest.raises(StorageUnavailableError):
        await run([(HELLO, "3852")], job=job)
    await results.aclose()
    assert gateway.sent == ["3851"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", StorageUnavailableError),
        ("no/such/folder", LocalProtocolError),
        ("text", LocalProtocolError),
        ("other", LocalProtocolError),
    ],
)
async def test_what_is_no_job_sends_nothing(run, gateway, tmp_path, name, fault):
    """A folder, a file in none, a file that holds something else; each is left as it is."""
    (tmp_path / "text").write_text("3851\n" * 1_000)
    async with HlrJobFile(tmp_path / "other", "user"):
        """A job of lookups."""
    before = (tmp_path / "other").read_bytes()
    with pytest.raises(fault):
        await run([(HELLO, "3851")], job=tmp_path / name)
    assert gateway.tries == []
    assert [thread.name for thread in threading.enumerate() if "sqlite" in thread.name] == []
    assert (tmp_path / "text").read_text() == "3851\n" * 1_000
    assert (tmp_path / "other").read_bytes() == before


def failing(monkeypatch, method: str, calls: int) -> None:
    """Have a method of jobs fail after so many calls."""
    original = getattr(SendJob, method)
    left = iter(range(calls))

    async def call(self, *args, **kwargs):
        if next(left, None) is None:
            raise StorageUnavailableError("the disk is full")
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(SendJob, method, call)


@pytest.mark.parametrize("method", ["meet", "intend", "record"])
async def test_a_file_that_fails_ends_the_run(  # noqa: PLR0917 - fixtures
    bulk, run, gateway, job, monkeypatch, method
):
    """Nothing is sent without an intent, nor reported without being kept; the next run goes on."""

    async def source():
        for at, one in enumerate(numbers(50)):
            if at == 20:  # the job meets those behind it later
                await gateway.entered.wait()
            yield HELLO, one

    with monkeypatch.context() as patch:
        failing(patch, method, calls=1 if method == "meet" else 2)
        found = []
        with pytest.raises(StorageUnavailableError):
            await drain(bulk(source(), job=job, concurrency=1), found)
    told = outcomes(found)[SendOutcome.SENT]
    in_doubt = len(gateway.sent) - told
    assert told > 0
    assert (0 < in_doubt <= 20) if method == "record" else not in_doubt
    results = await run(source(), job=job)
    assert outcomes(results)[SendOutcome.UNKNOWN] == in_doubt
    assert outcomes(results)[SendOutcome.SENT] == 50 - in_doubt
    assert Counter(gateway.sent) == dict.fromkeys(numbers(50), 1)


async def test_the_order_of_what_is_kept_and_done(run, gateway, job, monkeypatch):
    """Intent, request, outcome; and a request that did not leave is no intent while it waits."""
    calls = []

    def spy(name):
        original = getattr(SendJob, name)

        async def call(self, *args, **kwargs):
            done = await original(self, *args, **kwargs)
            calls.append((name, *(one.value for one in args if isinstance(one, SendOutcome))))
            return done

        monkeypatch.setattr(SendJob, name, call)

    spy("intend")
    spy("record")
    answers = iter([NotSentError("away"), 1])
    gateway.answer = lambda *_: calls.append(("send",)) or next(answers)
    await run([(HELLO, "3851")], job=job)
    assert calls == [
        *(("intend",), ("send",), ("record", "not sent")),
        *(("intend",), ("send",), ("record", "sent")),
    ]


async def test_what_is_in_doubt_is_found_page_by_page(run, gateway, job):
    """Positions and keys, and of those that are in doubt all, and no others."""
    ids = iter(range(1_000))
    gateway.answer = lambda _, to: OutcomeUnknownError("lost") if next(ids) % 2 else len(to)
    source = [
        Outgoing(HELLO, one, None if at % 3 else f"key {at}") for at, one in enumerate(numbers(500))
    ]
    results = await run(source, job=job, batch_size=10, concurrency=1)
    unknown = {one.message_ids for one in results if one.outcome is SendOutcome.UNKNOWN}
    async with SendJob(job) as record:
        pages = [page async for page in record.in_doubt()]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert {ids for page in pages for ids in page.values()} == unknown
