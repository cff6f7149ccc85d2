"""Single lookups: those that start within some milliseconds share a query."""

import asyncio
import copy
from itertools import compress

import attrs

from infobip_async.hlr.pending import Batch
from infobip_async.hlr.queries import Queries
from infobip_async.hlr.results import HlrOutcome, HlrResult


@attrs.define(eq=False)
class _Shared:
    """Numbers that will share a query, and who awaits their results."""

    timer: asyncio.TimerHandle
    numbers: list[str] = attrs.field(factory=list)
    results: list[asyncio.Future[HlrResult]] = attrs.field(factory=list)

    def withdraw_cancelled(self) -> None:
        """Leave out the numbers that nobody awaits any more."""
        wanted = [not waiter.done() for waiter in self.results]
        self.numbers = list(compress(self.numbers, wanted))
        self.results = list(compress(self.results, wanted))

    def answer(self, _: Batch, position: int, result: HlrResult) -> None:
        """Give a number's result, or the error behind its outcome, to whoever awaits it."""
        waiter = self.results[position]
        if waiter.done():
            return
        if result.outcome is HlrOutcome.REPORTED:
            waiter.set_result(result)
        else:
            # Several lookups of a query must not share one traceback.
            assert result.error is not None  # noqa: S101 - this very run met one
            waiter.set_exception(copy.copy(result.error))


class SingleLookups:
    """Gathers numbers that are looked up one by one, and submits them together.

    Args:
        queries: makes the queries.
        largest: numbers of a query at most.
        age: seconds that a number waits for others.
    """

    def __init__(self, queries: Queries, largest: int, age: float) -> None:
        self._queries = queries
        self._largest = largest
        self._age = age
        self._waiting: dict[float, _Shared] = {}  # by the seconds that reports are waited for

    def add(self, destination: str, timeout: float) -> asyncio.Future[HlrResult]:
        """Have a number looked up.

        Args:
            destination: the number.
            timeout: seconds from the query to the report.

        Returns:
            What gets the result, or the error behind its outcome.
        """
        loop = asyncio.get_running_loop()
        shared = self._waiting.get(timeout)
        if shared is None:
            timer = loop.call_later(self._age, self._submit, timeout)
            shared = self._waiting[timeout] = _Shared(timer)
        waiter: asyncio.Future[HlrResult] = loop.create_future()
        shared.numbers.append(destination)
        shared.results.append(waiter)
        if len(shared.numbers) == self._largest:
            self._submit(timeout)
        return waiter

    def submit_all(self) -> None:
        """Submit what waits for others."""
        for timeout in tuple(self._waiting):
            self._submit(timeout)

    def _submit(self, timeout: float) -> None:
        shared = self._waiting.pop(timeout)
        shared.timer.cancel()
        shared.withdraw_cancelled()
        if shared.numbers:
            self._queries.start(shared.numbers, shared.answer, timeout=timeout)
