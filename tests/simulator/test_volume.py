"""Lookups in bulk: what the simulator carries, and what it knows of it afterwards (§4, §5)."""

import asyncio
import math
from collections import Counter
from itertools import chain
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from infobip_async.protocol.exchange import CallbackUrls
from infobip_async.simulator import Fault, Simulator
from infobip_async.simulator.policies import in_network
from scale import scaled

QUERIES = 50
CLIENTS = 5

volumes = pytest.mark.parametrize(
    "count", [1_000, pytest.param(scaled(20_000), marks=pytest.mark.proof)]
)


class Receiver:
    """Takes posts of HLR reports apart, as the simplest receiver would."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.largest = 0

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Serve one post."""
        form = parse_qs((await request.content.read()).decode())
        rows = form["dlr"][0].split("\n")
        self.largest = max(self.largest, len(rows))
        self.rows += rows
        return web.Response()


async def ask_in_bulk(connect, simulator, every: range) -> list[str]:
    """Make the queries of one client, one after the other; the rows of the replies."""
    rows: list[str] = []
    for start in every:
        size = every.step // CLIENTS
        numbers = ";".join(str(385_980_000_000 + n) for n in range(start, start + size))
        body = f"user=user&pass=password&destinations={numbers}".encode()
        wire = await connect(simulator)
        await wire.send("POST", "/api/hlr/query.aspx", body)
        try:
            rows += (await wire.read()).body.decode().splitlines()[1:]
        except asyncio.IncompleteReadError:
            pass  # the reply was cut; the simulator knows what it was
        finally:
            wire.writer.close()
    return rows


async def run(connect, simulator: Simulator, count: int) -> tuple[list[str], Receiver]:
    """Query so many numbers from several clients at once, and collect all reports."""
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.take, access_log=None), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    simulator.callbacks = CallbackUrls(url, url, url)
    size = count // QUERIES
    starts = (range(size * n, count, size * CLIENTS) for n in range(CLIENTS))
    clients = (ask_in_bulk(connect, simulator, every) for every in starts)
    replies = await asyncio.gather(*clients)
    await simulator.settled()
    await runner.cleanup()
    return list(chain.from_iterable(replies)), receiver


def near(found: int, count: int, rate: float) -> bool:
    """Whether a share is what it should be, but for what chance does once in 10 ** 8 times."""
    return abs(found - count * rate) < 6 * math.sqrt(count * rate)


@volumes
async def test_every_number_is_reported_once(connect, count: int) -> None:
    """In posts of at most 100 rows, each with what the policy says of its number."""
    async with Simulator() as simulator:
        replies, receiver = await run(connect, simulator, count)
        assert receiver.largest == 100
        answers = {}
        for row in receiver.rows:
            msisdn, lookup_id, status, imsi, msc, error = row.split(";")
            answers[lookup_id] = msisdn
            expected = in_network(msisdn)
            assert (status, imsi, msc, error) == (
                "DELIVRD",
                expected.imsi,
                expected.serving_msc,
                "0",
            )
        assert len(receiver.rows) == len(answers) == count == simulator.counts.lookups
        assert {lookup.lookup_id: lookup.msisdn for lookup in simulator.lookups} == answers
        assert {f"{msisdn};OK;{lookup_id}" for lookup_id, msisdn in answers.items()} == set(replies)
        assert simulator.credits == 10_000 - count // 1000


@volumes
async def test_under_faults_the_simulator_knows_what_is_right(connect, count: int) -> None:
    """Of every lookup it can be told whether its reply was cut and how often it was reported."""
    async with Simulator(seed=7) as simulator:
        faults = simulator.faults
        faults.add(Fault.CUT_BEFORE_REPLY, rate=0.3, operation="submit_hlr")
        faults.add(Fault.REPORT_BEFORE_REPLY, rate=0.2)
        faults.add(Fault.DUPLICATE_REPORT, rate=0.05)
        faults.add(Fault.LOST_REPORT, rate=0.02)
        faults.add(Fault.REORDERED_REPORTS, rate=1.0)
        replies, receiver = await run(connect, simulator, count)
        all_ids = {lookup.lookup_id for lookup in simulator.lookups}
        cut, lost, twice, early = (
            set(faults.struck(fault))
            for fault in (
                Fault.CUT_BEFORE_REPLY,
                Fault.LOST_REPORT,
                Fault.DUPLICATE_REPORT,
                Fault.REPORT_BEFORE_REPLY,
            )
        )
        reported = Counter(row.split(";")[1] for row in receiver.rows)
        assert {row.split(";")[2] for row in replies} == all_ids - cut
        assert set(reported) == all_ids - lost
        assert {lookup_id for lookup_id, times in reported.items() if times == 2} == twice
        assert len(all_ids) == count
        assert len(cut) % (count // QUERIES) == 0 < len(cut)
        assert near(len(lost), count, 0.02)
        assert near(len(twice), count - len(lost), 0.05)
        assert near(len(early), count - len(lost), 0.2)


@volumes
async def test_nothing_is_kept_on_request(connect, count: int) -> None:
    """With keep=0 it counts, and remembers nothing that grows with the numbers."""
    async with Simulator(keep=0) as simulator:
        simulator.faults.add(Fault.DUPLICATE_REPORT, rate=0.1)
        _, receiver = await run(connect, simulator, count)
        assert len(receiver.rows) > count == simulator.counts.lookups
        assert simulator.lookups == simulator.pushes == ()
        assert simulator.faults.struck(Fault.DUPLICATE_REPORT) == ()
