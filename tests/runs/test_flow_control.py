"""The flow control of a run: each rule, with requests that do nothing but fail or not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time
from decimal import Decimal

import attrs
import pytest

from infobip_async import (
    AuthenticationError,
    GatewayFailureError,
    InfobipError,
    InvalidDestinationError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    RemoteProtocolError,
)
from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.tasks import cancel
from infobip_async.runs.flow_control import ClosedError, FlowControl
from infobip_async.runs.hours import Hours
from infobip_async.runs.settings import RunSettings

AWAY = NotSentError("away")
LOST = OutcomeUnknownError("lost")
UNREADABLE = RemoteProtocolError("HTTP 404")


def now() -> float:
    """The loop's time, which passes only while everything waits."""
    return asyncio.get_running_loop().time()


async def no_answer_to_credits() -> Decimal:
    """No balance is asked for."""
    raise AssertionError("nobody should ask")


@attrs.define
class Line:
    """Requests under flow control, one item each at first.

    Attributes:
        flow: what lets them out.
        seconds: that a request takes.
        answers: what the next requests fail of, or None; the last one stays.
        sizes: items of each request that went out.
        times: when.
        told: what those were told that did not go out.
        most: requests in flight at once, at the most.
    """

    flow: FlowControl
    seconds: float = 0.0
    answers: list[Exception | None] = attrs.field(factory=lambda: [None])
    sizes: list[int] = attrs.field(factory=list)
    times: list[float] = attrs.field(factory=list)
    told: list[InfobipError] = attrs.field(factory=list)
    most: int = 0

    async def send(self, items: int = 10, units: int = 1) -> int:
        """Have a request pass; gives how many items went out."""
        try:
            count = await self.flow.enter(items, units)
        except ClosedError as closed:
            self.told.append(closed.fault)
            return 0
        self.sizes.append(count)
        self.times.append(now())
        self.most = max(self.most, self.flow.in_flight)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(self.seconds)
        self.flow.leave(answer, count * units)
        return count

    async def send_all(self, requests: int, items: int = 10) -> None:
        """Have several requests pass, as a run does: what is left of one goes out again."""

        async def send(left: int) -> None:
            while left and (count := await self.send(left)):
                left -= count

        await asyncio.gather(*(send(items) for _ in range(requests)))


@pytest.fixture
def line() -> Callable[..., Line]:
    """Make requests under flow control."""

    def make(
        *,
        rate: float | None = None,
        balance: Callable[[], Awaitable[Decimal]] | None = None,
        most: int | None = None,
        min_credits: int | None = None,
        concurrency: int = 4,
        hours: Hours | None = None,
        **options: object,
    ) -> Line:
        settings = RunSettings(
            batch_size=10,
            batch_age=0.0,
            concurrency=concurrency,
            window=100,
            most=most,
            min_credits=None if min_credits is None else Decimal(min_credits),
            unreachable_timeout=20.0,
            hours=hours,
        )
        flow = FlowControl(
            settings,
            RateLimiter(rate),
            ask_balance=balance,
            **options,  # type: ignore[arg-type]
        )
        return Line(flow)

    return make


# --- start with one ---


async def test_it_starts_with_one(line) -> None:
    """One request of one item, until it is answered; then side by side, and whole."""
    way = line()
    way.seconds = 1
    await way.send_all(6)
    assert (way.sizes[0], way.times[1]) == (1, 1)
    assert sorted(way.sizes[1:]) == [9, *[10] * 5]
    assert way.most == 4
    assert way.times == [0, *[1] * 4, *[2] * 2]


@pytest.mark.parametrize("answer", [InvalidDestinationError("bad"), GatewayFailureError("ill")])
async def test_a_refusal_is_an_answer(line, answer) -> None:
    """The address is right, and so are name and password."""
    way = line()
    way.answers = [answer, None]
    await way.send_all(2)
    assert sorted(way.sizes) == [1, 9, 10]


async def test_what_nobody_reads_at_the_start_ends_the_run(line) -> None:
    """The address is wrong, and one item found out."""
    way = line()
    way.seconds, way.answers = 1, [UNREADABLE]
    await way.send_all(6)
    assert way.sizes == [1]
    assert way.flow.fault is UNREADABLE
    assert way.flow.closed
    assert len(way.told) == 6
    assert {type(why) for why in way.told} == {NotSentError}
    assert {str(why) for why in way.told} == {"the run ended before its turn: HTTP 404"}


async def test_what_breaks_a_rule_says_nothing(line) -> None:
    """It was not even made: the next one is alone again."""
    way = line()
    way.answers = [LocalProtocolError("bad"), LocalProtocolError("bad"), None]
    await way.send_all(3)
    assert way.sizes[:3] == [1, 1, 1]
    assert sum(way.sizes) == 30


# --- the account ---


@pytest.mark.parametrize("refusal", [AuthenticationError("no"), NotEnoughCreditsError("poor")])
async def test_what_concerns_the_account_ends_the_run(line, refusal) -> None:
    """Nothing goes out any more, and what waits is told why."""
    way = line()
    way.seconds, way.answers = 1, [None, refusal]
    await way.send_all(9)
    assert len(way.sizes) == 1 + 4
    assert way.flow.fault is refusal
    assert set(way.told) == {refusal}


async def test_an_opaque_refusal_makes_it_one_at_a_time(line) -> None:
    """Refused again, alone, it is the account's; those in flight beside say nothing."""
    way = line(opaque=True)
    refusal = GatewayFailureError("no")
    way.seconds, way.answers = 1, [None, refusal]
    await way.send_all(9)
    assert way.sizes == [1, *way.sizes[1:5], 1]
    assert way.times == [0, *[1] * 4, 2]
    assert way.flow.fault is refusal


async def test_an_opaque_refusal_that_was_about_a_request(line) -> None:
    """Another one is accepted, and the run goes on as before."""
    way = line(opaque=True)
    way.answers = [None, GatewayFailureError("no"), None]
    await way.send_all(1)
    await way.send_all(2)
    assert sum(way.sizes) == 20 + 10
    assert not way.flow.closed
    way.answers = [GatewayFailureError("no"), None]
    assert [await way.send(), await way.send(), await way.send()] == [10, 1, 10]


async def test_an_opaque_refusal_beside_other_trouble(line) -> None:
    """The first one since an answer is no proof, though its request went out alone."""
    way = line(opaque=True)
    way.answers = [None, AWAY, GatewayFailureError("no"), None]
    for _ in range(4):
        await way.send()
    assert way.sizes == [1, 10, 1, 1]
    assert not way.flow.closed


async def test_what_concerns_the_account_says_so(line) -> None:
    """Also where other refusals do not say what they are about: nobody has to find out."""
    way = line(opaque=True)
    refusal = AuthenticationError("no")
    way.seconds, way.answers = 1, [None, refusal]
    await way.send_all(9)
    assert len(way.sizes) == 1 + 4
    assert way.flow.fault is refusal


async def test_an_opaque_refusal_at_the_start(line) -> None:
    """Two single items find out."""
    way = line(opaque=True)
    way.seconds, way.answers = 1, [GatewayFailureError("no")]
    await way.send_all(6)
    assert way.sizes == [1, 1]
    assert way.flow.closed


# --- the breaker ---


@pytest.mark.parametrize("fault", [LOST, UNREADABLE, ZeroDivisionError("a bug")])
async def test_failures_in_a_row_open_the_breaker(line, fault) -> None:
    """Single items try after pauses, one at a time; the last one that fails ends the run."""
    way = line()
    way.seconds, way.answers = 0.001, [None, fault]
    await way.send_all(99)
    assert way.sizes == [1, *way.sizes[1:5], *[1] * 5]
    assert way.times[-5:] == pytest.approx([1, 3, 7, 15, 31], abs=0.1)
    assert isinstance(way.flow.fault, InfobipError)


async def test_lost_replies_at_the_start(line) -> None:
    """Eight items find out that there is no answer."""
    way = line()
    way.answers = [LOST]
    await way.send_all(99)
    assert way.sizes == [1] * 8
    assert way.times == [0, 0, 0, 1, 3, 7, 15, 31]


async def test_an_answer_closes_the_breaker(line) -> None:
    """Then requests go out side by side again."""
    way = line(concurrency=1)
    way.answers = [None, LOST, LOST, LOST, LOST, None]
    await way.send_all(20)
    assert way.times[-1] == 1 + 2
    assert not way.flow.closed
    assert not way.flow.waiting


async def test_a_gateway_that_is_waited_for(line) -> None:
    """Is told of, from the first failure that makes it so."""
    way = line(concurrency=1)
    assert not way.flow.waiting
    way.answers = [None, LOST, LOST, LOST, None]
    sending = asyncio.create_task(way.send_all(20))
    await asyncio.sleep(0.5)
    assert way.flow.waiting
    await sending
    assert not way.flow.waiting


async def test_those_that_wait_when_the_breaker_opens(line) -> None:
    """For the rate, do not go out: they wait anew, and give their turn back."""
    way = line(rate=20)
    way.answers = [None, LOST, LOST, LOST, None]
    sending = asyncio.create_task(way.send_all(8, items=1))
    await asyncio.sleep(0.9)
    assert len(way.sizes) == 4
    assert (way.flow.in_flight, way.flow.requests, way.flow.budget.used) == (0, 4, 4)
    await sending
    assert way.flow.requests == 8
    assert way.times[4] == pytest.approx(0.15 + 1, abs=0.1)


# --- away ---


async def test_a_gateway_that_is_away(line) -> None:
    """Is tried by one item, ever less often, and not for ever."""
    way = line()
    way.answers = [AWAY]
    await way.send_all(9)
    assert set(way.sizes) == {1}
    assert way.times == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3, 20])
    assert (way.flow.fault, way.flow.requests) == (AWAY, 0)
    assert set(way.told) == {AWAY}


async def test_a_client_that_is_closed(line) -> None:
    """Will never send anything again."""
    way = line()
    way.answers = [closed := NotSentError("closed", final=True)]
    await way.send_all(9)
    assert (way.sizes, way.flow.fault) == ([1], closed)


# --- the budget ---


async def test_so_many_units(line) -> None:
    """A request has no more than is left; then the run ends, and says why."""
    way = line(most=25)
    await way.send_all(4)
    assert sum(way.sizes) == way.flow.budget.used == 25
    assert str(way.flow.fault) == "25 parts or numbers have gone out, as many as may"


async def test_a_limit_that_is_just_enough(line) -> None:
    """Ends nothing."""
    way = line(most=40)
    await way.send_all(4)
    assert sum(way.sizes) == 40
    assert way.flow.fault is None


async def test_what_was_not_carried_out_is_not_used_up(line) -> None:
    """A refusal and a request that did not leave; a lost reply may have been carried out."""
    way = line(most=30)
    way.answers = [None, InvalidDestinationError("bad"), AWAY, LOST, None]
    await way.send_all(9)
    assert way.flow.budget.used == 30
    assert sum(way.sizes) == 30 + way.sizes[1] + way.sizes[2]


async def test_a_request_in_flight_may_leave_room(line) -> None:
    """So the end is not told before it is over."""
    way = line(most=11)
    await way.send(1)
    way.seconds, way.answers = 5, [InvalidDestinationError("bad"), None]
    first = asyncio.create_task(way.send(10))
    await asyncio.sleep(1)
    assert await way.send(10) == 10
    await first
    assert way.times == [0, 0, 5]


async def test_the_balance_is_found_out_by_one(line) -> None:
    """However many requests wait; then as many go out as it pays for, at 2 credits each."""
    asked: list[float] = []

    async def balance() -> Decimal:
        asked.append(now())
        await asyncio.sleep(1)
        return Decimal(100 - 2 * (way.flow.budget.used - 20 * way.flow.in_flight))

    way = line(min_credits=10, balance=balance)
    way.seconds = 5
    await asyncio.gather(*(way.send(20) for _ in range(4)))
    assert asked == [0, 6, 7]  # the last time since two requests are out, which cost much
    assert way.sizes == [1, 20, 20, 4]
    assert way.times == [1, 7, 7, 8]


async def test_credits_that_would_run_out(line) -> None:
    """The run ends before, as far as prices are known."""
    left = Decimal(30)

    async def balance() -> Decimal:
        return left - way.flow.budget.used

    way = line(min_credits=10, balance=balance)
    await way.send_all(9)
    assert sum(way.sizes) == 20
    assert str(way.flow.fault) == "10 credits are left, and 10 must be"


async def test_credits_are_used_up_to_the_limit(line) -> None:
    """Though balances are asked for while requests that they include are in flight."""
    left = Decimal(1_000)

    async def balance() -> Decimal:
        told = left - sum(way.sizes)  # what is charged is charged at once
        await asyncio.sleep(0.7)
        return told

    way = line(min_credits=300, balance=balance)
    way.seconds = 1
    await asyncio.gather(*(way.send(100) for _ in range(40)))
    assert sum(way.sizes) == 700
    assert str(way.flow.fault) == "300 credits are left, and 300 must be"


async def test_replies_tell_the_balance_too(line) -> None:
    """Then nobody needs to ask."""

    async def balance() -> Decimal:
        asked.append(now())
        return Decimal(100)

    asked: list[float] = []
    way = line(min_credits=0, balance=balance)
    await way.send(1)
    way.flow.learn_balance(Decimal(99))
    await way.send(40)
    way.flow.learn_balance(Decimal(59))
    assert await way.send(100) == 59
    assert len(asked) == 1


async def test_a_balance_that_cannot_be_had(line) -> None:
    """Is a request like any other: a refusal ends the run, and so does an address that is wrong."""
    for fault in (AuthenticationError("no"), GatewayFailureError("ill"), UNREADABLE):

        async def balance(fault: Exception = fault) -> Decimal:
            raise fault

        way = line(min_credits=0, balance=balance)
        await way.send_all(3)
        assert (way.sizes, way.flow.fault) == ([], fault)


async def test_a_balance_from_a_gateway_that_is_away(line) -> None:
    """Is asked for again, as long as for anything else."""
    answers = iter([AWAY, AWAY, Decimal(1_000), Decimal(999), AWAY])

    async def balance() -> Decimal:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    way = line(min_credits=0, balance=balance)
    await way.send_all(3)
    assert sum(way.sizes) == 30
    assert way.times[0] == pytest.approx(0.3)


async def test_a_balance_from_a_client_that_is_closed(line) -> None:
    """Is not waited for: it will never send anything again."""
    closed = NotSentError("closed", final=True)

    async def balance() -> Decimal:
        raise closed

    way = line(min_credits=0, balance=balance)
    await way.send_all(3)
    assert (way.sizes, way.flow.fault, now()) == ([], closed, 0)


async def test_a_balance_whose_replies_are_lost(line) -> None:
    """Is asked for alone, so that each of its failures counts."""
    asked: list[float] = []

    async def balance() -> Decimal:
        asked.append(now())
        assert len(asked) < 20
        raise LOST

    way = line(min_credits=0, balance=balance)
    await way.send(10)
    assert asked == [0, 0, 0, 1, 3, 7, 15, 31]
    assert (way.sizes, way.flow.fault) == ([], LOST)


async def test_a_limit_of_credits_where_nobody_can_be_asked(line) -> None:
    """Requests go out until a reply tells the balance."""
    way = line(min_credits=10)
    await way.send(1)
    way.flow.learn_balance(Decimal(10))
    assert await way.send(1) == 0
    assert str(way.flow.fault) == "10 credits are left, and 10 must be"


async def test_what_is_in_flight_is_not_charged_yet(line) -> None:
    """A reply that overtakes it tells the balance without it."""

    async def balance() -> Decimal:
        return Decimal(100)

    way = line(min_credits=0, balance=balance)
    await way.send(1)
    way.flow.learn_balance(Decimal(99))
    way.seconds = 5
    first = asyncio.create_task(way.send(10))
    await asyncio.sleep(1)
    way.flow.learn_balance(Decimal(99))
    assert await way.send(100) == 89
    await first


# --- the rate ---


async def test_the_rate(line) -> None:
    """Counts units, evenly."""
    way = line(rate=100)
    for _ in range(6):
        await way.send(5, units=2)
    assert way.sizes == [1, *[5] * 5]
    assert way.times == pytest.approx([0, 0, 0.07, 0.17, 0.27, 0.37], abs=0.1)


async def test_what_breaks_a_rule_takes_no_time(line) -> None:
    """Nothing was sent of it."""
    way = line(rate=1)
    way.answers = [LocalProtocolError("bad")]
    for _ in range(50):
        await way.send(1)
    assert now() < 1


# --- the hours ---


@pytest.fixture
def opening(line):
    """Makes requests whose clock on the wall shows 19:59:50 at the loop's time 0."""

    def make(**options: object) -> object:
        start = datetime(2026, 11, 28, 19, 59, 50, tzinfo=UTC).timestamp()
        clock = lambda: start + now()  # noqa: E731
        return line(hours=Hours(time(9), time(20), UTC, clock), **options)

    return make


async def test_a_run_pauses_and_goes_on(opening) -> None:
    """What would go out later waits for the morning."""
    way = opening(rate=1)
    await way.send(1)
    sending = asyncio.create_task(way.send_all(20, items=1))
    await asyncio.sleep(60)
    assert (way.flow.paused, way.flow.in_flight, way.flow.closed) == (True, 0, False)
    await sending
    assert not way.flow.paused
    evening = [at for at in way.times if at < 3600]
    assert max(evening) < 10 <= len(evening)
    assert min(set(way.times) - set(evening)) == pytest.approx(10 + 13 * 3600)
    assert len(way.times) == 21


async def test_a_run_that_is_stopped_in_its_pause(opening) -> None:
    """Ends at once."""
    way = opening()
    await asyncio.sleep(60)
    sending = asyncio.create_task(way.send_all(3))
    await asyncio.sleep(60)
    way.flow.stop("enough")
    await sending
    assert (now(), way.sizes) == (120, [])
    assert not way.flow.paused


async def test_a_pause_is_no_time_in_which_a_gateway_is_away(opening) -> None:
    """It is waited for as long as anywhere else, in the hours."""
    way = opening()
    way.answers = [*[AWAY] * 8, None]
    await way.send_all(3)
    assert sum(way.sizes) == 30
    assert not way.flow.closed


# --- the end ---


async def test_the_caller_stops(line) -> None:
    """What waits is told so; there is no fault."""
    closings: list[float] = []
    way = line(rate=0.1, closing=lambda: closings.append(now()))
    sending = asyncio.create_task(way.send_all(3))
    await asyncio.sleep(5)
    way.flow.stop("the caller wants no more")
    way.flow.stop("twice")
    way.flow.end(AWAY)
    await sending
    assert (now(), closings) == (5, [5])
    assert {str(why) for why in way.told} == {"the caller wants no more"}
    assert way.flow.fault is None
    assert await way.send() == 0


async def test_the_end_and_a_turn_in_the_same_step(line) -> None:
    """Nothing goes out any more."""
    way = line(rate=20)
    await way.send(1)
    sending = asyncio.create_task(way.send_all(4, items=1))
    await asyncio.sleep(0.01)
    limiter = way.flow.limiter
    assert limiter._timer is not None
    asyncio.get_running_loop().selector.now = limiter._timer.when() + 1  # type: ignore[attr-defined]
    limiter._let_go(now())
    way.flow.stop("now")
    await sending
    assert way.sizes == [1, 1]
    assert way.flow.in_flight == 0


async def test_who_is_cancelled_leaves_nothing(line) -> None:
    """Neither a place nor a part of the budget."""
    way = line(rate=0.1, most=100)
    await way.send(1)
    waiting = [asyncio.create_task(way.send(1)) for _ in range(9)]
    await asyncio.sleep(1)
    await cancel(waiting)
    assert (way.flow.in_flight, way.flow.budget.used) == (0, 1)
    assert await way.send(1) == 1


async def test_each_for_itself(line) -> None:
    """A lenient flow lets everything out, whatever fails."""
    way = line(lenient=True)
    for fault in (AuthenticationError("no"), AWAY, LOST, UNREADABLE):
        way.answers = [fault]
        for _ in range(20):
            assert await way.send(10) == 10
    assert now() == 0
    assert not way.flow.closed
