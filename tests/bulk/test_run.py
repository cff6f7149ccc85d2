"""The engine of bulk sends."""

import asyncio
from collections import Counter

import pytest

from infobip_async import (
    AuthenticationError,
    BinaryMessage,
    GatewayFailureError,
    InvalidDestinationError,
    JournalUnavailableError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    TextMessage,
)
from infobip_async.bulk.items import Outgoing, SendOutcome
from infobip_async.bulk.run import OPEN_GROUPS

HELLO = TextMessage("Hello", "Friend")
BYE = TextMessage("Bye", "Friend")


def numbers(count: int, start: int = 0) -> list[str]:
    """So many good numbers."""
    return [f"385985{number:06}" for number in range(start, start + count)]


def outcomes(results) -> Counter[SendOutcome]:
    """How many of each."""
    return Counter(result.outcome for result in results)


async def test_items_of_one_message_share_requests(run, gateway):
    """Order is kept, and a request is full at the batch size."""
    given = numbers(25)
    results = await run((HELLO, number) for number in given)
    assert [len(recipients) for _, recipients in gateway.requests] == [10, 10, 5]
    assert gateway.sent == given
    assert outcomes(results) == {SendOutcome.SENT: 25}
    sent_ids = {(recipient.message_id,) for _, several in gateway.requests for recipient in several}
    assert {result.message_ids for result in results} == sent_ids


async def test_a_number_that_occurs_twice_goes_into_two_requests(run, gateway):
    """The gateway would drop the second of two in one request."""
    await run([(HELLO, "3851"), (HELLO, "3852"), (HELLO, "3851")])
    assert [[one.msisdn for one in several] for _, several in gateway.requests] == [
        ["3851", "3852"],
        ["3851"],
    ]


async def test_messages_do_not_mix(run, gateway):
    """Each request has one message, and each item its own."""
    source = [(HELLO, "3851"), (BYE, "3851"), (HELLO, "3852"), (BYE, "3852")]
    await run(source)
    assert {(m, one.msisdn) for m, several in gateway.requests for one in several} == set(source)
    assert len(gateway.requests) == 2


async def test_personal_texts_go_out_without_waiting_for_more(run, gateway):
    """Only so many requests are being filled at once."""
    count = 3 * OPEN_GROUPS
    source = [(TextMessage(f"Hi {number}", "Friend"), number) for number in numbers(count)]
    results = await run(source, batch_age=3600)
    assert outcomes(results) == {SendOutcome.SENT: count}
    assert len(gateway.requests) == count


async def test_a_slow_source_does_not_hold_items_back(bulk, gateway):
    """A request goes out by age, too."""
    more = asyncio.Event()

    async def source():
        yield HELLO, "3851"
        await more.wait()

    results = bulk(source()).results()
    assert (await anext(results)).outcome is SendOutcome.SENT
    more.set()
    assert [one async for one in results] == []


async def test_the_callers_ids_are_kept(run, gateway):
    """An id of the caller's is what is sent, and reported."""
    [result] = await run([Outgoing(HELLO, Recipient("3851", "mine"))])
    assert gateway.requests[0][1] == [Recipient("3851", "mine")]
    assert result.message_ids == ("mine",)


async def test_bad_items_cost_only_themselves(run, gateway):
    """A rule that an item breaks is its own outcome."""
    results = await run([(HELLO, "+3851"), (HELLO, "3852"), (TextMessage("", "F"), "3853")])
    by_number = {result.item.recipient: result for result in results}
    assert by_number["3852"].outcome is SendOutcome.SENT
    for number in ("+3851", "3853"):
        assert by_number[number].outcome is SendOutcome.REFUSED
        assert isinstance(by_number[number].error, LocalProtocolError)
        assert by_number[number].message_ids == ()


async def test_who_is_to_blame_for_a_request_shows_one_by_one(run, gateway):
    """Nothing was sent of a request that breaks a rule, so its items can be tried alone."""

    def answer(_, recipients):
        bad = any(one.message_id == "bad" for one in recipients)
        return LocalProtocolError("no such id") if bad else len(recipients)

    gateway.answer = answer
    results = await run([(HELLO, "3851"), (HELLO, Recipient("3852", "bad")), (HELLO, "3853")])
    assert outcomes(results) == {SendOutcome.SENT: 2, SendOutcome.REFUSED: 1}
    assert gateway.sent == ["3851", "3853"]


@pytest.mark.parametrize("error", [AuthenticationError("no"), NotEnoughCreditsError("poor")])
async def test_what_concerns_the_account_stops_the_run(run, gateway, error):
    """Nothing more is sent, and every item still has its outcome."""
    gateway.answer = lambda _, recipients: error if gateway.requests else len(recipients)
    results = await run([(HELLO, one) for one in numbers(200)], requests=1)
    assert outcomes(results) == {SendOutcome.SENT: 10, SendOutcome.NOT_SENT: 190}
    assert {result.error for result in results[10:]} == {error}


@pytest.mark.parametrize("error", [InvalidDestinationError("bad"), GatewayFailureError("ill")])
async def test_what_concerns_a_request_does_not(run, gateway, error):
    """The other requests go on."""
    gateway.answer = lambda message, several: error if message == BYE else len(several)
    results = await run([(HELLO, "3851"), (BYE, "3852"), (HELLO, "3853")])
    assert outcomes(results) == {SendOutcome.SENT: 2, SendOutcome.REFUSED: 1}


async def test_unknown_outcomes_have_their_ids(run, gateway):
    """Delivery reports on these ids can settle them."""
    gateway.answer = lambda *_: OutcomeUnknownError("lost")
    [result] = await run([(HELLO, "3851")])
    assert (result.outcome, result.message_ids) == (SendOutcome.UNKNOWN, ("id-1",))
    assert result.reason == "lost"


async def test_a_count_that_is_too_low_does_not_say_which(run, gateway):
    """The gateway dropped one of three, so each of them may be the one."""
    gateway.answer = lambda _, recipients: len(recipients) - 1
    results = await run([(HELLO, one) for one in numbers(3)])
    assert outcomes(results) == {SendOutcome.UNKNOWN: 3}
    assert "accepted 2 of 3" in (results[0].reason or "")


async def test_an_unreachable_gateway_is_tried_again(run, gateway, pauses):
    """After a pause, and only because nothing left this machine."""
    failures = iter([NotSentError("away")])
    gateway.answer = lambda _, recipients: next(failures, len(recipients))
    [result] = await run([(HELLO, "3851")])
    assert result.outcome is SendOutcome.SENT
    assert gateway.sent == ["3851"]
    assert pauses == [pytest.approx(0.1, abs=0.01)]


async def test_a_gateway_that_stays_away(run, gateway, pauses):
    """After its attempts an item is not sent, and has no id to ask about."""
    attempts = []
    gateway.answer = lambda *_: attempts.append(1) or NotSentError("away")
    [result] = await run([(HELLO, "3851")])
    assert (result.outcome, result.message_ids) == (SendOutcome.NOT_SENT, ())
    assert len(attempts) == 3


async def test_the_window_holds_the_source_up(bulk):
    """No more is read than the consumer takes results of."""
    read = 0

    def source():
        nonlocal read
        for number in numbers(10_000):
            read += 1
            yield HELLO, number

    results = bulk(source(), window=20).results()
    for taken in range(1, 200):
        await anext(results)
        assert read <= taken + 21
    await results.aclose()


async def test_requests_in_flight_are_bounded(run, gateway):
    """No more than the setting, and as many as that."""
    gateway.pause = lambda: asyncio.sleep(0.001)
    await run([(HELLO, one) for one in numbers(200)], requests=3)
    assert gateway.most_in_flight == 3


async def test_the_rate_has_no_burst(run, gateway, pauses):
    """At four parts a second no request has more than four, and each waits for its time."""
    long = TextMessage("x" * 161, "Friend")
    await run([(long, one) for one in numbers(10)], rate=4, requests=1)
    assert [len(recipients) for _, recipients in gateway.requests] == [2] * 5
    assert pauses[0] == 0
    assert all(pause > 0.9 for pause in pauses[1:])
    assert len(pauses) == 5


async def test_leaving_early_sends_nothing_more(bulk, gateway):
    """What is under way is finished, the rest is not begun, and no task is left."""
    before = asyncio.all_tasks()
    gateway.pause = lambda: asyncio.sleep(0.001)
    results = bulk(((HELLO, one) for one in numbers(1_000)), requests=1).results()
    await anext(results)
    await results.aclose()
    assert asyncio.all_tasks() == before
    assert len(gateway.sent) <= 20


async def test_what_the_source_raises_comes_after_the_results(bulk):
    """Everything that was read has its outcome first."""

    def source():
        yield HELLO, "3851"
        raise ZeroDivisionError

    results = bulk(source()).results()
    assert (await anext(results)).outcome is SendOutcome.SENT
    with pytest.raises(ZeroDivisionError):
        await anext(results)


async def test_an_unexpected_fault_is_not_hidden(bulk, gateway):
    """A client that was closed meanwhile, for one."""
    gateway.answer = lambda *_: RuntimeError("the client is closed")
    with pytest.raises(RuntimeError, match="closed"):
        await anext(bulk([(HELLO, "3851")]).results())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("batch_size", 0), ("batch_size", 10_001), ("requests", 0), ("window", 0), ("attempts", 0)],
)
def test_settings_out_of_range(bulk, setting, value):
    """Each is refused by its name."""
    with pytest.raises(LocalProtocolError) as caught:
        bulk([], **{setting: value})
    assert caught.value.field == setting


def test_a_rate_of_nothing(bulk):
    """No limit is None, not 0."""
    with pytest.raises(LocalProtocolError):
        bulk([], rate=0)


# --- with a job -----------------------------------------------------------------------------


async def test_a_finished_job_sends_nothing_again(run, gateway, tmp_path):
    """The second run gives the same outcomes, and says that it knows them."""
    source = [(HELLO, one) for one in numbers(25)]
    first = await run(source, job=tmp_path / "job")
    second = await run(source, job=tmp_path / "job")
    assert len(gateway.sent) == 25
    assert [result.outcome for result in second] == [SendOutcome.SENT] * 25
    assert all(result.resumed for result in second)
    assert {one.message_ids for one in second} == {one.message_ids for one in first}


async def test_what_was_not_sent_is_sent_by_the_next_run(run, gateway, tmp_path, monkeypatch):
    """Refused for the account's sake, it was never sent."""
    gateway.answer = lambda *_: AuthenticationError("no")
    await run([(HELLO, "3851")], job=tmp_path / "job")
    gateway.answer = lambda _, recipients: len(recipients)
    [result] = await run([(HELLO, "3851")], job=tmp_path / "job")
    assert (result.outcome, result.resumed) == (SendOutcome.SENT, False)


@pytest.mark.parametrize(("guarantee", "copies"), [("at_most_once", 0), ("at_least_once", 1)])
async def test_an_unknown_outcome_is_the_callers_choice(run, gateway, tmp_path, guarantee, copies):
    """Reported as unknown again, or sent once more."""
    gateway.answer = lambda *_: OutcomeUnknownError("lost")
    await run([(HELLO, Recipient("3851", "mine"))], job=tmp_path / "job")
    gateway.answer = lambda _, recipients: len(recipients)
    [result] = await run(
        [(HELLO, Recipient("3851", "mine"))], job=tmp_path / "job", guarantee=guarantee
    )
    assert len(gateway.sent) == copies
    assert result.outcome is (SendOutcome.SENT if copies else SendOutcome.UNKNOWN)
    assert result.message_ids == ("mine",)


async def test_an_intent_without_an_outcome_is_unknown(bulk, run, gateway, tmp_path):
    """What was under way when a run died may have been sent."""
    gateway.pause = asyncio.Event().wait
    results = bulk([(HELLO, "3851")], job=tmp_path / "job", stop_timeout=0).results()
    waiting = asyncio.create_task(anext(results))
    await gateway.entered.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    [result] = await run([(HELLO, "3851")], job=tmp_path / "job")
    assert result.outcome is SendOutcome.UNKNOWN
    assert result.reason == "an earlier run ended before the outcome was known"
    assert gateway.sent == []


async def test_items_are_told_apart_by_their_keys(run, gateway, tmp_path):
    """In another order, or among others, an item with a key is the same one."""
    await run([Outgoing(HELLO, "3851", "a"), Outgoing(HELLO, "3852", "b")], job=tmp_path / "job")
    source = [Outgoing(HELLO, "3853", "c"), Outgoing(HELLO, "3851", "a")]
    results = await run(source, job=tmp_path / "job")
    assert gateway.sent == ["3851", "3852", "3853"]
    assert {result.item.key: result.resumed for result in results} == {"a": True, "c": False}


@pytest.mark.parametrize("batch_size", [1, 10])
async def test_a_key_stands_for_one_item(run, gateway, tmp_path, batch_size):
    """The second item with a key is a mistake of the caller's, in one request or in two."""
    source = [Outgoing(HELLO, "3851", "a"), Outgoing(HELLO, "3852", "a")]
    results = await run(source, job=tmp_path / "job", batch_size=batch_size)
    assert outcomes(results) == {SendOutcome.SENT: 1, SendOutcome.REFUSED: 1}
    assert gateway.sent == ["3851"]


async def test_a_job_in_use_sends_nothing(bulk, run, gateway, tmp_path):
    """Two runs on one job would not know of each other's intents."""
    more = asyncio.Event()

    async def source():
        yield HELLO, "3851"
        await more.wait()

    results = bulk(source(), job=tmp_path / "job").results()
    await anext(results)
    [second] = await run([(HELLO, "3852")], job=tmp_path / "job")
    assert second.outcome is SendOutcome.NOT_SENT
    assert isinstance(second.error, JournalUnavailableError)
    more.set()
    await results.aclose()
    assert gateway.sent == ["3851"]


async def test_the_intent_comes_before_the_request(run, gateway, tmp_path, monkeypatch):
    """And the outcome before the result: the order of calls says so."""
    calls = []
    job = "infobip_async.bulk.job.Job"

    def spy(name):
        original = getattr(__import__("infobip_async.bulk.job", fromlist=["Job"]).Job, name)

        async def call(self, *args, **kwargs):
            done = await original(self, *args, **kwargs)
            calls.append(name)
            return done

        monkeypatch.setattr(f"{job}.{name}", call)

    spy("intend")
    spy("settle")
    gateway.answer = lambda _, recipients: calls.append("send") or len(recipients)
    await run([(HELLO, "3851")], job=tmp_path / "job")
    assert calls == ["intend", "send", "settle"]


async def test_a_binary_message_has_parts_to_count(run, gateway):
    """The rate counts one part for octets."""
    results = await run([(BinaryMessage(b"\x01", "Friend"), "3851")], rate=1000)
    assert outcomes(results) == {SendOutcome.SENT: 1}
