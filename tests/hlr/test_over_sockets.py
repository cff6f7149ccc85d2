"""The whole way: client, gateway and receiver on sockets, with all that can go wrong at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import attrs
import pytest
from aiohttp import web

from infobip_async import (
    Endpoints,
    HlrLookups,
    HlrOutcome,
    HlrResult,
    InfobipClient,
    LookupTimeoutError,
    OutcomeUnknownError,
    Router,
)
from infobip_async.simulator import Fault, Simulator
from infobip_async.simulator.policies import in_network
from infobip_async.webhook import callback_urls, webhook_app
from jumping import jump, until
from scale import scaled

REFUSED = 100
QUERIES = 100


@attrs.frozen
class Line:
    """A simulator, a client on it, and the router that gets its pushes."""

    simulator: Simulator
    client: InfobipClient
    router: Router


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """All three, on ports that the system chose."""
    router = Router()
    runner = web.AppRunner(webhook_app(router, secret=None), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    urls = callback_urls(f"http://127.0.0.1:{runner.addresses[0][1]}", secret=None)
    async with (
        Simulator(seed=4, callbacks=urls) as simulator,
        InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url)) as client,
    ):
        yield Line(simulator, client, router)
    await runner.cleanup()


def numbers(count: int) -> list[str]:
    """Good numbers, and some that the gateway refuses."""
    good = [str(385980000000 + number) for number in range(count - REFUSED)]
    return good + [f"23'{number}" for number in range(REFUSED)]


def expected(simulator: Simulator) -> dict[str, HlrOutcome]:
    """What must have become of each number, by what the simulator did to it."""
    cut = set(simulator.faults.struck(Fault.CUT_BEFORE_REPLY))
    lost = set(simulator.faults.struck(Fault.LOST_REPORT))
    outcomes: dict[str, HlrOutcome] = {}
    cut_queries = {lookup_id.rpartition("-")[0] for lookup_id in cut}
    for lookup in simulator.lookups:
        if lookup.lookup_id is None:
            outcomes[lookup.msisdn] = HlrOutcome.REFUSED
        elif lookup.lookup_id.rpartition("-")[0] in cut_queries:
            outcomes[lookup.msisdn] = HlrOutcome.UNKNOWN
        elif lookup.lookup_id in lost:
            outcomes[lookup.msisdn] = HlrOutcome.TIMED_OUT
        else:
            outcomes[lookup.msisdn] = HlrOutcome.REPORTED
    return outcomes


def check(result: HlrResult, ids: dict[str, str | None]) -> None:
    """A result is its number's own."""
    if result.outcome is HlrOutcome.REPORTED:
        home = in_network(result.destination)
        assert result.report is not None
        assert result.lookup_id == result.report.lookup_id == ids[result.destination]
        assert result.report.destination == result.destination
        assert (result.report.imsi, result.report.serving_msc) == (home.imsi, home.serving_msc)
    elif result.outcome is HlrOutcome.TIMED_OUT:
        assert result.lookup_id == ids[result.destination]
    else:
        assert result.report is None
        assert result.lookup_id is None


@pytest.mark.parametrize("count", [1_000, pytest.param(scaled(20_000), marks=pytest.mark.proof)])
async def test_every_number_has_one_right_result(line: Line, count: int) -> None:
    """Many numbers under faults, each with what the simulator knows to be right.

    1 % of queries are cut after the gateway took them, 20 % of reports come before their reply,
    5 % twice, 2 % never, and posts are reordered.
    """
    faults, size = line.simulator.faults, count // QUERIES
    # A rate of 1 % could strike none of a hundred queries.
    faults.add(Fault.CUT_BEFORE_REPLY, operation="submit_hlr", rate=0.3, times=1)
    faults.add(Fault.REPORT_BEFORE_REPLY, rate=0.2)
    faults.add(Fault.DUPLICATE_REPORT, rate=0.05)
    faults.add(Fault.LOST_REPORT, rate=0.02)
    faults.add(Fault.REORDERED_REPORTS, rate=1.0)
    given = numbers(count)
    results: list[HlrResult] = []

    async def consume(lookups: HlrLookups) -> None:
        results.extend([one async for one in lookups.stream(given, timeout=600)])

    async with HlrLookups(line.client, line.router, batch_size=size, stop_timeout=0) as lookups:
        consumer = asyncio.create_task(consume(lookups))
        stats = lookups.stats
        await until(lambda: line.simulator.counts.requests.get("submit_hlr") == 1 + QUERIES)
        await line.simulator.settled()
        outcomes = expected(line.simulator)
        silent = Counter(outcomes.values())[HlrOutcome.TIMED_OUT]
        # What is left is what will never be reported: leaving ends it, without a wait.
        await until(lambda: stats.in_flight == silent)
    await consumer

    assert Counter(result.destination for result in results) == Counter(given)
    assert {result.destination: result.outcome for result in results} == outcomes
    ids = {lookup.msisdn: lookup.lookup_id for lookup in line.simulator.lookups}
    for result in results:
        check(result, ids)
    found = Counter(outcomes.values())
    assert found[HlrOutcome.UNKNOWN] > 0
    assert found[HlrOutcome.REFUSED] >= REFUSED - size
    assert silent > 0
    assert stats.submitted == count
    assert stats.in_flight == stats.early_kept == 0
    assert stats.reported == found[HlrOutcome.REPORTED]
    pushed = len(faults.struck(Fault.DUPLICATE_REPORT)) - len(faults.struck(Fault.LOST_REPORT))
    assert stats.reported + stats.late + stats.unclaimed == count - REFUSED + pushed


async def test_lookup(line: Line) -> None:
    """One number, its report awaited; then one whose report never comes, and one that was cut."""
    async with HlrLookups(line.client, line.router) as lookups:
        result = await lookups.lookup("38598514674")
        assert result.report is not None
        assert result.report.imsi == in_network("38598514674").imsi
        line.simulator.faults.add(Fault.LOST_REPORT)
        silent = asyncio.create_task(lookups.lookup("38598514674", timeout=600))
        await until(lambda: not lookups._queries._running and lookups.stats.in_flight)
        await jump(600)
        with pytest.raises(LookupTimeoutError):
            await silent
        line.simulator.faults.add(Fault.CUT_BEFORE_REPLY)
        with pytest.raises(OutcomeUnknownError):
            await lookups.lookup("38598514674")
        await line.simulator.settled()
