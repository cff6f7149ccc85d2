"""Reports that say nothing: an account without credits is found out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import attrs
import pytest

from infobip_async.errors import NotEnoughCreditsError, OutcomeUnknownError, RunStoppedError
from infobip_async.hlr.credit_check import DOUBTFUL
from infobip_async.hlr.lookups import HlrLookups
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission


def numbers(count: int) -> list[str]:
    """Numbers that no two are the same of."""
    return [str(385980000000 + number) for number in range(count)]


async def take(stream: AsyncIterator[HlrResult], results: list[HlrResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in stream:
        results.append(result)  # noqa: PERF401 - a comprehension loses them


@attrs.define
class Account:
    """The balances that the gateway tells, and how often it was asked."""

    balances: list[Decimal | Exception]
    asked: int = 0

    async def credits(self) -> Decimal:
        """Take a while."""
        await asyncio.sleep(5)
        self.asked += 1
        left = self.balances.pop(0)
        if isinstance(left, Exception):
            raise left
        return left


@pytest.fixture
def account(gateway) -> Account:
    """The account behind the gateway, which is empty."""
    account = Account([Decimal(0)])
    gateway.credits = account.credits
    return account


@pytest.fixture
def silent(gateway) -> Callable[[set[int]], None]:
    """Have the gateway push reports that say nothing, but for numbers at these positions."""

    def make(known: set[int]) -> None:
        good = {numbers(at + 1)[at] for at in known}

        def report(row: HlrSubmission) -> HlrReport:
            status = HlrStatus.DELIVRD if row.destination in good else HlrStatus.UNKNOWN
            return HlrReport(row.destination, row.lookup_id or "", status, status.value)

        gateway.report = report

    return make


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("count", [DOUBTFUL, 10_000])
async def test_an_account_without_credits_ends_the_run(
    gateway, account, silent, count: int, ordered: bool
) -> None:
    """Every number has its report, the source is read no further, and the reason is told."""
    silent(set())
    source, results = iter(numbers(count)), []
    async with gateway.lookups(batch_size=10, window=50, concurrency=1) as lookups:
        with pytest.raises(RunStoppedError) as caught:
            await take(lookups.stream(source, ordered=ordered), results)
    assert isinstance(caught.value.__cause__, NotEnoughCreditsError)
    assert "reports in a row have the status UNKNOWN, and there are 0 credits" in str(caught.value)
    assert {one.outcome for one in results} <= {HlrOutcome.REPORTED, HlrOutcome.NOT_SENT}
    assert len(results) == count - len(list(source))
    assert account.asked == 1


@pytest.mark.parametrize("known", [{0, 99, 198, 250}, {50, 149, 248}])
async def test_a_report_between_them_ends_the_row(gateway, account, silent, known) -> None:
    """Ninety-nine in a row may be bad luck."""
    silent(known)
    async with gateway.lookups(batch_size=10, concurrency=1) as lookups:
        results = [one async for one in lookups.stream(numbers(300), ordered=True)]
    assert {one.outcome for one in results} == {HlrOutcome.REPORTED}
    assert account.asked == 0


async def test_while_there_are_credits_the_run_goes_on(gateway, account, silent) -> None:
    """The next hundred are looked into again."""
    silent(set())
    account.balances = [Decimal("0.01"), OutcomeUnknownError("lost"), Decimal(3)]
    async with gateway.lookups(batch_size=10, window=10) as lookups:
        results = []
        async for result in lookups.stream(numbers(350), ordered=True):
            results.append(result)
            await asyncio.sleep(0.1)
    assert {one.outcome for one in results} == {HlrOutcome.REPORTED}
    assert 2 <= account.asked <= 3


async def test_a_balance_that_cannot_be_had_ends_nothing(gateway, account, silent, caplog) -> None:
    """It is logged."""
    silent(set())
    account.balances = [OutcomeUnknownError("lost")]
    async with gateway.lookups() as lookups:
        assert len([one async for one in lookups.stream(numbers(DOUBTFUL))]) == DOUBTFUL
    assert [record.getMessage() for record in caplog.records] == [
        "the balance cannot be asked for: lost"
    ]


async def test_a_consumer_that_leaves_waits_for_no_balance(gateway, account, silent) -> None:
    """Nor does it leave anything behind."""
    silent(set())
    async with gateway.lookups() as lookups:
        stream = lookups.stream(numbers(DOUBTFUL))
        for _ in range(DOUBTFUL):
            await anext(stream)
        await stream.aclose()
    assert asyncio.get_running_loop().time() < 5
    assert account.asked == 0


async def test_a_client_that_knows_no_account(gateway, silent) -> None:
    """Is asked nothing."""
    silent(set())

    @attrs.frozen
    class Submitting:
        submit_hlr = staticmethod(gateway.submit_hlr)

    async with HlrLookups(Submitting(), gateway.router) as lookups:
        assert len([one async for one in lookups.stream(numbers(300))]) == 300
