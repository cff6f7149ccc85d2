"""Flow control of a run: when each request may go out, and what ends the run.

Rules, all of them here:

- *Start with one.* Until the first readable answer, one request of one item is in flight. An
  answer that cannot be read at this stage ends the run: the address, or something on the way, is
  wrong, and one item found out.
- *Account.* A refusal that concerns the account ends the run. Where a refusal does not say whether
  it does (an HLR query that is refused as a whole, §4), one item is tried, and refused again it is
  the account's.
- *Breaker.* Three requests in a row without a readable answer: pauses, and probes of one item.
- *Away.* A gateway that cannot be connected to is waited for, up to a limit.
- *Rate* and *budget.* So many units a second, and so many in all.
- *Hours.* Outside the hours of the day that the caller gives, everything waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from decimal import Decimal
from typing import Final

import attrs

from infobip_async.concurrency.breaker import Breaker
from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.tasks import Interrupt
from infobip_async.errors import GatewayRefusedError, InfobipError, NotSentError
from infobip_async.runs.budget import Budget
from infobip_async.runs.outcomes import Answer, answer_of, concerns_account, is_final
from infobip_async.runs.settings import RunSettings

_logger = logging.getLogger("infobip_async.runs")

_LOOK: Final = 60.0
"""Seconds between two looks at the clock on the wall."""


def _nothing() -> None:
    """Nobody wants to know."""


class ClosedError(Exception):
    """Nothing goes out any more.

    Attributes:
        fault: the error that items are given which do not go out.
    """

    def __init__(self, fault: InfobipError) -> None:
        super().__init__(str(fault))
        self.fault = fault


@attrs.define(eq=False)
class FlowControl:
    """Lets the requests of a run out, one after the other or side by side.

    Attributes:
        settings: of the run.
        limiter: spaces the requests out; several runs can share one.
        ask_balance: asks the gateway for the credits that are left, for the budget.
        closing: is called once, when nothing goes out any more.
        opaque: whether a refusal does not say if it concerns the account or the items.
        lenient: whether a request that fails says nothing of the next one, as where each has a
            caller of its own who is told at once.
        budget: the units and credits that may be used up.
        fault: the error that ended the run; None before, or if the caller stopped the run.
        requests: how many went out, or are about to.
        units: how many parts or numbers went out, those that came to nothing included.
    """

    settings: RunSettings = attrs.field(repr=False)
    limiter: RateLimiter
    ask_balance: Callable[[], Awaitable[Decimal]] | None = attrs.field(default=None, repr=False)
    closing: Callable[[], None] = attrs.field(default=_nothing, repr=False)
    opaque: bool = False
    lenient: bool = False
    budget: Budget = attrs.field(init=False)
    fault: InfobipError | None = attrs.field(default=None, init=False)
    requests: int = attrs.field(default=0, init=False)
    units: int = attrs.field(default=0, init=False)
    in_flight: int = attrs.field(default=0, init=False)
    _closed: Interrupt = attrs.field(factory=Interrupt, init=False, repr=False)
    _breaker: Breaker = attrs.field(init=False, repr=False)
    _slots: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _changed: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)
    _units_out: int = attrs.field(default=0, init=False)
    _probe_out: bool = attrs.field(default=False, init=False)
    _refused: bool = attrs.field(default=False, init=False)
    _asking: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.budget = Budget(self.settings.most, self.settings.min_credits)
        self._breaker = Breaker(self.settings.unreachable_timeout)
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        if self.lenient:
            self._breaker.answered()

    @property
    def closed(self) -> bool:
        """Whether nothing goes out any more."""
        return self._closed.error is not None

    @property
    def why(self) -> InfobipError:
        """The error for items that do not go out any more; only once this is closed."""
        assert isinstance(self._closed.error, ClosedError)  # noqa: S101 - for the type checker
        return self._closed.error.fault

    @property
    def waiting(self) -> bool:
        """Whether the gateway does not answer now, and is waited for."""
        return self._breaker.waits and not self.closed

    @property
    def paused(self) -> bool:
        """Whether nothing goes out now, since it is not the hour for that."""
        hours = self.settings.hours
        return hours is not None and not self.closed and hours.seconds_until_open() > 0

    async def enter(self, items: int, units: int = 1) -> int:
        """Wait until a request may go out. Call `leave` when the request is over.

        Args:
            items: how many items the request would have.
            units: how many units of the rate and the budget each item takes.

        Returns:
            How many of the items may go out: all, one, or as many as the budget allows.

        Raises:
            ClosedError: none, now and later.
        """
        async with self._closed.scope():
            await self._slots.acquire()
            try:
                return await self._turn(items, units)
            except BaseException:
                self._slots.release()
                raise

    async def _turn(self, items: int, units: int) -> int:
        fresh = False  # whether the balance is as the gateway told it last
        while True:
            await self._in_hours()
            probe = self._breaker.alone
            if probe and not await self._is_time_for_a_probe():
                continue
            if self.budget.asks(units) and not fresh:
                fresh = await self._learn_balance()
                continue  # meanwhile another request may have gone out
            count = self.budget.room(1 if probe else items, units)
            if not count:
                # A reply, or the next balance, may tell of more credits than are reckoned with.
                if self.in_flight or self.budget.asks(units):
                    if self.in_flight:
                        await self._changed.wait()
                    fresh = False
                    continue
                self.end(NotSentError(self.budget.reason))
                self._closed.check()
            if await self._pass(count * units, probe=probe):
                return count

    async def _in_hours(self) -> None:
        """Wait for the hours in which requests go out."""
        hours = self.settings.hours
        while hours is not None and (seconds := hours.seconds_until_open()):
            self._breaker.rest()
            # The clock on the wall may be put right, or this machine sleep meanwhile.
            await asyncio.sleep(min(seconds, _LOOK))

    async def _pass(self, units: int, *, probe: bool) -> bool:
        """Wait for the rate, and say whether the request may still go out then."""
        self._take(units)
        self._probe_out = probe
        passes = False
        try:
            await self.limiter.wait(units)
            self._closed.check()  # the end may have come in the same step as the turn
            # Meanwhile the breaker may have opened, or the hours ended.
            passes = (probe or not self._breaker.alone) and not self.paused
        finally:
            if not passes:
                self._take(-units)
                self._pulse()
        if passes:
            self.requests += 1
            self.units += units
        else:
            self.limiter.give_back(units)
        return passes

    def unless_closed(self) -> AbstractAsyncContextManager[None]:
        """A wait of the caller's that is cut short where nothing goes out any more.

        Raises:
            ClosedError: nothing goes out any more.
        """
        return self._closed.scope()

    def _take(self, units: int) -> None:
        self.in_flight += 1 if units > 0 else -1
        self._units_out += units
        self.budget.take(units)

    async def _learn_balance(self) -> bool:
        """Ask for the balance; False where it is not known, or another request has asked."""
        if self.ask_balance is None:
            return True
        if self._asking.locked():
            async with self._asking:
                return False
        async with self._asking:
            charged = (
                self.budget.used - self._units_out
            )  # what goes out meanwhile may not be charged
            try:
                left = await self.ask_balance()
            except InfobipError as fault:
                answer = answer_of(fault)
                refused = answer in {Answer.READABLE, Answer.NOT_ASKED}
                if refused or not self._goes_on(answer, fault, alone=True):
                    self.end(fault)
                    self._closed.check()
                return False
            self.budget.balance(left, charged)
            return True

    async def _is_time_for_a_probe(self) -> bool:
        """Whether a probe may go out; if not, wait until that may have changed."""
        if self.in_flight:
            await self._changed.wait()
            return False
        now = asyncio.get_running_loop().time()
        if now < self._breaker.not_before:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._breaker.not_before):
                    await self._changed.wait()
            return False
        return True

    def _pulse(self) -> None:
        """Wake whoever waits for a request to be over."""
        self._changed.set()
        self._changed = asyncio.Event()

    def leave(self, fault: Exception | None, units: int) -> None:
        """Say that a request is over.

        Args:
            fault: why the request failed; None where it did not.
            units: how many units of the rate and the budget the request took.
        """
        self.in_flight -= 1
        self._units_out -= units
        answer = answer_of(fault)
        if answer is Answer.NOT_ASKED:
            self.limiter.give_back(units)
        if answer in {Answer.NOT_ASKED, Answer.UNREACHED}:
            self.requests -= 1  # it never went out
        if answer in {Answer.NOT_ASKED, Answer.UNREACHED} or isinstance(fault, GatewayRefusedError):
            self.budget.take(-units)  # nothing was carried out
        alone, self._probe_out = self._probe_out, False
        waited = self.waiting
        if not (self.lenient or self._goes_on(answer, fault, alone=alone)):
            self.end(fault if isinstance(fault, InfobipError) else NotSentError(repr(fault)))
        if self.waiting is not waited and not self.closed:
            _logger.warning(
                "requests get no answer: a run waits, and probes with single items"
                if self.waiting
                else "requests are answered again: a run goes on"
            )
        self._slots.release()
        self._pulse()

    def _goes_on(self, answer: Answer, fault: Exception | None, *, alone: bool) -> bool:
        """Whether there is a point in sending more."""
        now = asyncio.get_running_loop().time()
        match answer:
            case Answer.READABLE if fault and self.opaque and not concerns_account(fault):
                again, self._refused = self._refused, True
                self._breaker.doubt()
                return not (again and alone)
            case Answer.READABLE:
                self._refused = False
                self._breaker.answered()
                return not concerns_account(fault)
            case Answer.UNREADABLE:
                return self._breaker.proven and self._breaker.unanswered(now, alone=alone)
            case Answer.NONE:
                return self._breaker.unanswered(now, alone=alone)
            case Answer.UNREACHED:
                return not is_final(fault) and self._breaker.unreached(now)
            case Answer.NOT_ASKED:
                return True

    def learn_balance(self, left: Decimal) -> None:
        """Take the balance that the reply to a request told, after `leave`."""
        if self.budget.min_credits is not None:
            self.budget.hear(left, self.budget.used - self._units_out)

    def end(self, fault: InfobipError) -> None:
        """Let nothing out any more, because the run ends early."""
        if not self.closed:
            self.fault = fault
            kind = type(fault).__name__
            _logger.warning("a run ends early: %s", kind, extra={"error": kind})
            self._close(fault)

    def stop(self, why: str) -> None:
        """Let nothing out any more, because the caller wants no more."""
        if not self.closed:
            self._close(NotSentError(why))

    def _close(self, fault: InfobipError) -> None:
        if not isinstance(fault, NotSentError | GatewayRefusedError):
            fault = NotSentError(f"the run ended before its turn: {fault}")
        self._closed.set(ClosedError(fault))
        self.closing()
