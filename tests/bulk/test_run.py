"""The engine of bulk sends."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from infobip_async import (
    AuthenticationError,
    BinaryMessage,
    GatewayFailureError,
    InvalidDestinationError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    Recipient,
    TextMessage,
)
from infobip_async.bulk.groups import OPEN_GROUPS
from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult

HELLO = TextMessage("Hello", "Friend")
BYE = TextMessage("Bye", "Friend")


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


async def test_items_of_one_message_share_requests(run, gateway):
    """Order is kept, and a request is full at the batch size, but the first, which is a trial."""
    given = numbers(25)
    results = await run((HELLO, number) for number in given)
    assert [len(recipients) for _, recipients in gateway.requests] == [1, 9, 10, 5]
    assert gateway.sent == given
    assert outcomes(results) == {SendOutcome.SENT: 25}
    sent_ids = {(recipient.message_id,) for _, several in gateway.requests for recipient in several}
    assert {result.message_ids for result in results} == sent_ids


async def test_a_number_that_occurs_twice_goes_into_two_requests(run, gateway):
    """The gateway would drop the second of two in one request."""
    await run([(HELLO, "3850"), (HELLO, "3851"), (HELLO, "3852"), (HELLO, "3851")])
    assert [[one.msisdn for one in several] for _, several in gateway.requests] == [
        ["3850"],
        ["3851", "3852"],
        ["3851"],
    ]


async def test_messages_do_not_mix(run, gateway):
    """Each request has one message, and each item its own."""
    source = [(HELLO, "3851"), (BYE, "3851"), (HELLO, "3852"), (BYE, "3852")]
    await run(source)
    assert {(m, one.msisdn) for m, several in gateway.requests for one in several} == set(source)
    assert len(gateway.requests) == 1 + 2


async def test_personal_texts_go_out_without_waiting_for_more(bulk, gateway):
    """Only so many requests are being filled at once; the oldest makes room."""
    more = asyncio.Event()

    async def source():
        for at, number in enumerate(numbers(OPEN_GROUPS + 1)):
            yield TextMessage(f"Hi {at}", "Friend"), number
        await more.wait()

    results = bulk(source(), batch_age=3600)
    assert (await anext(results)).item.recipient == numbers(1)[0]
    assert asyncio.get_running_loop().time() == 0
    assert len(gateway.tries) == 1
    more.set()
    assert len([one async for one in results]) == OPEN_GROUPS


async def test_a_slow_source_does_not_hold_items_back(bulk, gateway):
    """A request goes out by age, too."""
    more = asyncio.Event()

    async def source():
        yield HELLO, "3851"
        await more.wait()

    results = bulk(source())
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
    """Nothing is sent of a request that breaks a rule, so its items can be tried alone."""

    def answer(_, recipients):
        bad = any(one.message_id == "bad" for one in recipients)
        return LocalProtocolError("no such id") if bad else len(recipients)

    gateway.answer = answer
    bad = (HELLO, Recipient("3852", "bad"))
    results = await run([(HELLO, "3850"), (HELLO, "3851"), bad, (HELLO, "3853")])
    assert outcomes(results) == {SendOutcome.SENT: 3, SendOutcome.REFUSED: 1}
    assert gateway.sent == ["3850", "3851", "3853"]
    assert [size for _, size in gateway.tries] == [1, 3, 1, 1, 1]


async def test_looking_for_who_is_to_blame_takes_no_time(run, gateway):
    """The rate was waited for once: nothing was sent since."""
    answers = iter([1])
    gateway.answer = lambda *_: next(answers, LocalProtocolError("no such sender"))
    await run([(HELLO, one) for one in numbers(11)], rate=200)
    assert [size for _, size in gateway.tries] == [1, 9, *[1] * 9, 1]
    assert asyncio.get_running_loop().time() < 0.1


async def test_keys_are_for_jobs(run, gateway):
    """Without one, nobody needs to tell items apart."""
    results = await run([Outgoing(HELLO, "3851", "a"), Outgoing(HELLO, "3852", "a")])
    assert outcomes(results) == {SendOutcome.SENT: 2}


@pytest.mark.parametrize("error", [AuthenticationError("no"), NotEnoughCreditsError("poor")])
async def test_what_concerns_the_account_stops_the_run(stopped, gateway, error):
    """Nothing more is sent or read, and every item that was read still has its outcome."""
    gateway.answer = lambda _, recipients: error if gateway.requests else len(recipients)
    left = iter(numbers(200))
    end = await stopped(((HELLO, one) for one in left), concurrency=1)
    unread = len(list(left))
    assert unread == 100
    assert outcomes(end.results) == {SendOutcome.SENT: 1, SendOutcome.NOT_SENT: 199 - unread}
    assert {result.error for result in end.results[1:]} == {error}
    assert end.cause is error
    assert len(gateway.tries) == 2


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
    gateway.answer = lambda _, recipients: (len(recipients) + 1) // 2
    results = await run([(HELLO, one) for one in numbers(4)])
    assert outcomes(results) == {SendOutcome.SENT: 1, SendOutcome.UNKNOWN: 3}
    assert "accepted 2 of 3" in (results[-1].reason or "")


# --- a gateway that cannot be reached, and the pace -----------------------------------------


async def test_an_unreachable_gateway_is_tried_again(run, gateway):
    """After a pause, and only because nothing left this machine."""
    failures = iter([NotSentError("away")])
    gateway.answer = lambda _, recipients: next(failures, len(recipients))
    [result] = await run([(HELLO, "3851")], batch_age=0)
    assert result.outcome is SendOutcome.SENT
    assert gateway.sent == ["3851"]
    assert gateway.tries == [(0, 1), (pytest.approx(0.1), 1)]


async def test_a_gateway_that_stays_away(stopped, gateway):
    """It is waited for, ever less often; then what was read is not sent, and no more is read."""
    gateway.answer = lambda *_: NotSentError("away")
    left = iter(numbers(200))
    end = await stopped(((HELLO, one) for one in left), unreachable_timeout=20)
    assert outcomes(end.results) == {SendOutcome.NOT_SENT: 100}
    assert {one.message_ids for one in end.results} == {()}
    assert (str(end.why), str(end.cause)) == ("away", "away")
    assert len(list(left)) == 100
    times = [time for time, _ in gateway.tries]
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 3.7])


async def test_failures_at_the_same_time_make_one_pause(stopped, gateway):
    """Requests in flight that fail together fail for one reason; then one item tries alone."""
    answers = iter([1])
    gateway.pause = lambda: asyncio.sleep(0.01)
    gateway.answer = lambda *_: next(answers, NotSentError("away"))
    source = [(HELLO, one) for one in numbers(9)]
    await stopped(source, batch_size=1, concurrency=4, unreachable_timeout=0.3)
    assert [round(time, 2) for time, _ in gateway.tries] == [0.0, *[0.01] * 4, 0.12, 0.32]


async def test_a_gateway_without_answers(stopped, gateway):
    """After three requests in a row, one item tries alone, ever less often; then the run ends."""
    gateway.answer = lambda _, to: OutcomeUnknownError("lost") if gateway.requests else len(to)
    end = await stopped([(HELLO, one) for one in numbers(200)], concurrency=1, window=60)
    unknown = 9 + 10 + 10 + 5
    assert outcomes(end.results) == {
        SendOutcome.SENT: 1,
        SendOutcome.UNKNOWN: unknown,
        SendOutcome.NOT_SENT: 60 - 1,  # of a full window, but the last one that was unknown
    }
    times = [time for time, size in gateway.tries if size == 1][1:]
    assert times == [1, 3, 7, 15, 31]
    assert 'on_unknown="repeat"' in str(end.why)


async def test_an_answer_ends_the_pauses(run, gateway):
    """Then requests go out side by side again."""
    answers = iter([1, *[OutcomeUnknownError("lost")] * 3])
    gateway.answer = lambda _, recipients: next(answers, len(recipients))
    results = await run([(HELLO, one) for one in numbers(100)], concurrency=1)
    assert outcomes(results)[SendOutcome.UNKNOWN] == 9 + 10 + 10
    assert [size for _, size in gateway.tries[4:]] == [1, *[10] * 6, 9]
    assert asyncio.get_running_loop().time() == 1


async def test_the_rate_has_no_burst(run, gateway):
    """No second has more parts than the rate, and a tenth of it: not even after a stop.

    The gateway is away for the first requests, so that many wait for it together.
    """
    away = iter([1, *[NotSentError("away")] * 8])
    gateway.answer = lambda _, recipients: next(away, len(recipients))
    long = TextMessage("x" * 161, "Friend")
    await run([(long, one) for one in numbers(500)], rate=100, batch_size=50, concurrency=8)
    sent = [(time, 2 * size) for time, size in gateway.tries]
    assert {parts for _, parts in sent} == {2, 4}
    for start, _ in sent:
        assert sum(parts for time, parts in sent if start <= time < start + 1) <= 110
    assert sent[-1][0] - sent[10][0] == pytest.approx(9.9, abs=0.2)


@pytest.mark.parametrize(("rate", "most"), [(1000, 10), (200, 10), (199, 9), (0.5, 1)])
async def test_a_request_has_a_twentieth_of_the_rate(run, gateway, rate, most):
    """Or one item, and no more than the batch size."""
    await run([(HELLO, one) for one in numbers(30)], rate=rate)
    assert max(size for _, size in gateway.tries) == most


# --- windows and ends -----------------------------------------------------------------------


async def test_the_window_holds_the_source_up(bulk):
    """No more is read than the consumer takes results of."""
    read = 0

    def source():
        nonlocal read
        for number in numbers(10_000):
            read += 1
            yield HELLO, number

    results = bulk(source(), window=20)
    for taken in range(1, 200):
        await anext(results)
        assert read < taken + 20
    await results.aclose()


async def test_requests_in_flight_are_bounded(run, gateway):
    """No more than the setting, and as many as that."""
    gateway.pause = lambda: asyncio.sleep(0.001)
    await run([(HELLO, one) for one in numbers(200)], concurrency=3)
    assert gateway.most_in_flight == 3


async def test_leaving_early_sends_nothing_more(bulk, gateway):
    """What is under way is finished, the rest is not begun, and no task is left."""
    before = asyncio.all_tasks()
    gateway.pause = lambda: asyncio.sleep(0.001)
    results = bulk(((HELLO, one) for one in numbers(1_000)), concurrency=1)
    await anext(results)
    await results.aclose()
    assert asyncio.all_tasks() == before
    assert len(gateway.sent) <= 20


async def test_what_the_source_raises_comes_after_the_results(bulk):
    """Everything that was read has its outcome first."""

    def source():
        yield HELLO, "3851"
        raise ZeroDivisionError

    results = bulk(source())
    assert (await anext(results)).outcome is SendOutcome.SENT
    with pytest.raises(ZeroDivisionError):
        await anext(results)


async def test_an_unexpected_fault_is_not_hidden(bulk, gateway):
    """A client that was closed meanwhile, for one."""
    gateway.answer = lambda *_: RuntimeError("the client is closed")
    with pytest.raises(RuntimeError, match="closed"):
        await anext(bulk([(HELLO, "3851")]))


async def test_a_request_that_is_cancelled_from_inside(bulk, gateway):
    """Ends the run like any other fault: nobody waits for its items."""

    async def give_up() -> None:
        raise asyncio.CancelledError

    gateway.pause = give_up
    with pytest.raises(asyncio.CancelledError):
        [one async for one in bulk([(HELLO, "3851")])]


async def test_an_unexpected_fault_ends_the_run(bulk, gateway):
    """Though items without a result fill the window; nothing is sent after it."""
    faults = iter([1, RuntimeError("the client is closed")])
    gateway.answer = lambda _, recipients: next(faults, len(recipients))
    results = bulk(((HELLO, one) for one in numbers(1_000)), window=20, concurrency=1)
    found = []
    with pytest.raises(RuntimeError, match="closed"):
        await drain(results, found)
    assert outcomes(found) == {SendOutcome.SENT: 1, SendOutcome.NOT_SENT: 10}
    assert len(gateway.tries) == 2


async def test_the_caller_can_stop_it(bulk, gateway):
    """What is in flight gets its outcome, and so does what was read and not sent."""
    gateway.pause = lambda: asyncio.sleep(1)
    left = iter(numbers(1_000))
    results = bulk(((HELLO, one) for one in left), concurrency=2, window=50)
    found = [await anext(results), await anext(results)]
    await asyncio.gather(results.stop(), drain(results, found))
    assert outcomes(found)[SendOutcome.SENT] == len(gateway.sent) == 1 + 10 + 10 + 10 + 10
    unread = len(list(left))
    assert outcomes(found)[SendOutcome.NOT_SENT] == 1_000 - unread - 41 > 0
    assert unread > 900
    reasons = {one.reason for one in found if one.outcome is SendOutcome.NOT_SENT}
    assert reasons == {"the run was stopped before its turn"}


async def test_a_stop_waits_for_what_is_out(bulk, gateway):
    """But not longer than the settings allow; the consumer need not do anything meanwhile."""
    gateway.pause = lambda: asyncio.sleep(7 if gateway.requests else 0)
    for timeout, stopped_at in ((10, 7), (5, 5)):
        results = bulk([(HELLO, one) for one in numbers(20)], stop_timeout=timeout)
        await anext(results)
        start = asyncio.get_running_loop().time()
        await results.stop()
        waited = asyncio.get_running_loop().time() - start
        assert waited == pytest.approx(stopped_at, abs=0.1)
        await results.aclose()


@pytest.mark.parametrize("trouble", ["the rate", "the gateway"])
async def test_a_stop_waits_for_no_turn(bulk, gateway, trouble):
    """Neither for the rate, nor for a gateway that cannot be reached."""
    if trouble == "the gateway":
        gateway.answer = lambda *_: NotSentError("away")
    source = ((HELLO, one) for one in numbers(1_000))
    rate = 0.01 if trouble == "the rate" else None
    results = bulk(source, rate=rate, unreachable_timeout=99)
    found: list[SendResult] = []
    consumer = asyncio.create_task(drain(results, found))
    await asyncio.sleep(50)
    await results.stop()
    await consumer
    assert asyncio.get_running_loop().time() == pytest.approx(50)
    assert outcomes(found)[SendOutcome.NOT_SENT] == len(found) - (trouble == "the rate")


async def test_a_run_can_be_stopped_before_it_begins(bulk, gateway):
    """Then it reads nothing."""
    results = bulk([(HELLO, "3851")])
    await results.stop()
    assert [one async for one in results] == []
    assert gateway.tries == []


async def test_an_account_that_is_refused_waits_for_no_turn(stopped, gateway):
    """What waits for the rate is not sent after the refusal."""
    answers = iter([1])
    gateway.pause = lambda: asyncio.sleep(0.5)
    gateway.answer = lambda *_: next(answers, AuthenticationError("no"))
    end = await stopped([(HELLO, one) for one in numbers(30)], rate=1, batch_size=1)
    assert len(gateway.tries) == 2
    assert outcomes(end.results) == {SendOutcome.SENT: 1, SendOutcome.NOT_SENT: 29}
    assert asyncio.get_running_loop().time() == pytest.approx(1.5, abs=0.03)


async def test_the_first_reason_to_stop_is_the_one(stopped, gateway):
    """Two requests are refused together, while others wait for their turn."""
    answers = iter([1, AuthenticationError("no"), NotEnoughCreditsError("poor")])
    gateway.answer = lambda *_: next(answers)
    slow = asyncio.Event()
    gateway.pause = lambda: slow.wait() if gateway.requests else asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.25, slow.set)
    end = await stopped(((HELLO, one) for one in numbers(9)), rate=10, batch_size=1)
    assert [str(result.error) for result in end.results] == ["None", "no", "poor", *["no"] * 6]
    assert str(end.cause) == "no"


async def test_progress_is_told(bulk, gateway):
    """A run counts what it reads, what goes out, and what becomes of it."""
    slow = asyncio.Event()
    gateway.pause = lambda: slow.wait() if gateway.requests else asyncio.sleep(0)
    results = bulk([(HELLO, one) for one in numbers(10)], concurrency=1)
    stats = results.stats
    assert (stats.read, stats.finished, stats.requests, stats.waiting) == (0, 0, 0, False)
    await anext(results)
    await asyncio.sleep(1)
    stats = results.stats
    assert (stats.read, stats.finished, stats.in_flight, stats.outcomes) == (10, 1, 9, {"sent": 1})
    assert (stats.requests, stats.units, stats.requests_in_flight) == (2, 10, 1)
    slow.set()
    assert len([one async for one in results]) == 9
    assert results.stats.outcomes == {"sent": 10}


async def test_leaving_twice_leaves_no_task(bulk, gateway):
    """A consumer that is cancelled while it waits for requests in flight waits no longer."""
    gateway.pause = asyncio.Event().wait
    results = bulk([(HELLO, "3851")], stop_timeout=3600)
    consumer = asyncio.create_task(anext(results))
    await gateway.entered.wait()
    for _ in range(2):
        consumer.cancel()
        await asyncio.sleep(0.1)
    assert consumer.cancelled()
    assert gateway.in_flight == 0


async def test_requests_that_hang_are_left_behind(bulk, gateway):
    """After the time that the settings allow."""
    gateway.pause = asyncio.Event().wait
    results = bulk([(HELLO, "3851")], stop_timeout=5)
    consumer = asyncio.create_task(anext(results))
    await gateway.entered.wait()
    consumer.cancel()
    await asyncio.wait([consumer])
    assert asyncio.get_running_loop().time() == pytest.approx(5, abs=0.1)
    assert gateway.in_flight == 0


async def test_a_long_source_lets_others_run(bulk):
    """Reading does not hold the event loop, though the window has room for everything."""
    turns = []

    async def other():
        while True:
            turns.append(read)
            await asyncio.sleep(0)

    read = 0

    def source():
        nonlocal read
        for read, number in enumerate(numbers(5_000), 1):  # noqa: B007 - the count is what is seen
            yield HELLO, number

    beside = asyncio.create_task(other())
    results = bulk(source(), window=10_000)
    await anext(results)
    beside.cancel()
    assert max(after - before for before, after in pairwise(turns)) <= 100
    await results.aclose()


async def test_a_binary_message_has_parts_to_count(run, gateway):
    """The rate counts one part for octets."""
    results = await run([(BinaryMessage(b"\x01", "Friend"), "3851")], rate=1000)
    assert outcomes(results) == {SendOutcome.SENT: 1}


async def test_an_empty_id_is_none(run, gateway):
    """The id that is sent is the one that is reported."""
    [result] = await run([(HELLO, Recipient("3851", ""))])
    assert result.message_ids == ("id-1",)
    assert gateway.requests[0][1] == [Recipient("3851", "id-1")]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 10_001),
        ("batch_age", -1),
        ("concurrency", 0),
        ("window", 0),
        ("unreachable_timeout", -1),
        ("most", -1),
        ("concurrency", float("nan")),
        ("rate", 0),
        ("on_unknown", "twice"),
        ("stop_timeout", -1),
    ],
)
def test_settings_out_of_range(bulk, setting, value):
    """Each is refused by its name."""
    with pytest.raises(LocalProtocolError) as caught:
        bulk([], **{setting: value})
    assert caught.value.field == {"most": "max_parts"}.get(setting, setting)
