"""Jobs of lookups that several processes share."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

import attrs
import pytest
from nats.js.errors import NotFoundError

from infobip_async.concurrency.tasks import cancel
from infobip_async.errors import (
    AuthenticationError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    RunStoppedError,
    StorageUnavailableError,
)
from infobip_async.hlr.results import HlrOutcome
from infobip_async.jetstream import HlrJob, JobResult, Total, hlr_job, hlr_worker
from infobip_async.jetstream.connection import ConflictError
from infobip_async.jetstream.hlr_messages import ChunkResult, JobSubjects
from infobip_async.jetstream.lease import Lease
from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.models.receipts import HlrSubmission
from infobip_async.router import Router
from infobip_async.simulator.policies import in_network
from scale import scaled
from tests.jetstream.conftest import FIRST, LIMIT, found, until

NUMBERS = [str(FIRST + number) for number in range(10)]


@attrs.define
class Gateway:
    """A client whose reports come at once, or that does as it is told."""

    router: Router = attrs.field(factory=Router)
    asked: list[tuple[str, ...]] = attrs.field(factory=list)
    faults: list[Exception] = attrs.field(factory=list)
    hangs: bool = False
    answers: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.answers.set()

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Accept all of them, but for odd ends."""
        self.asked.append(tuple(destinations))
        if self.hangs:
            await asyncio.Event().wait()
        await self.answers.wait()
        if self.faults:
            raise self.faults.pop()
        for one in destinations:
            report = HlrReport(one, f"id-{one}", HlrStatus.DELIVRD, "DELIVRD", "2191", "38598", "0")
            await self.router.dispatch([report])
        return [
            HlrSubmission(one, accepted=True, lookup_id=f"id-{one}", raw_status="OK")
            for one in destinations
        ]


@pytest.fixture
def gateway() -> Gateway:
    """A good one."""
    return Gateway()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs look again at once whether they are done."""
    for module in (hlr_job, hlr_worker):
        monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)


async def results_of(job: HlrJob, limit: float = LIMIT) -> list[JobResult]:
    """All of them, in order."""
    async with asyncio.timeout(limit):
        return sorted([one async for one in job.results()], key=lambda one: one.position)


async def test_a_job_has_one_result_for_each_number(access, gateway: Gateway) -> None:
    """However often it is loaded, from any kind of source, and its results are read."""

    async def source():  # an async iterable
        for number in NUMBERS:
            yield number

    async with HlrJob(access, "spring") as job:
        assert await job.total() is None
        assert await job.load(NUMBERS, chunk_size=4) == Total(3, 10, 4)
        assert await job.load(source(), chunk_size=4) == Total(3, 10, 4) == await job.total()
        assert await job.work(gateway, gateway.router) == 3
        for _ in range(2):
            found = await results_of(job)
            assert [(one.position, one.result.destination) for one in found] == [
                *enumerate(NUMBERS)
            ]
        assert {one.result.outcome for one in found} == {HlrOutcome.REPORTED}
        assert not any(one.possibly_repeated for one in found)
        assert found[0].result.report == HlrReport(
            NUMBERS[0], f"id-{NUMBERS[0]}", HlrStatus.DELIVRD, "DELIVRD", "2191", "38598", "0"
        )
        assert await job.work(gateway, gateway.router) == 0  # nothing is left


async def test_a_job_keeps_to_its_source(access) -> None:
    """Other numbers, or other chunks, are another job."""
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS, chunk_size=4)
        for numbers, size in ((NUMBERS[1:], 4), (NUMBERS, 5), (NUMBERS[:8], 4), ([], 4)):
            with pytest.raises(LocalProtocolError, match="other numbers"):
                await job.load(numbers, chunk_size=size)
        with pytest.raises(LocalProtocolError, match="5000"):
            await job.load(NUMBERS, chunk_size=5_001)
    with pytest.raises(LocalProtocolError, match="letters"):
        HlrJob(access, "spring.1")


@pytest.mark.parametrize(
    "settings", [{"concurrency": 0}, {"timeout": 0}, {"ack_wait": 0}, {"on_unknown": "again"}]
)
async def test_settings_of_workers_are_checked(access, gateway: Gateway, settings) -> None:
    """Before anything is looked up."""
    async with HlrJob(access, "spring") as job:
        with pytest.raises(LocalProtocolError, match=next(iter(settings))):
            await job.work(gateway, gateway.router, **settings)


async def test_an_empty_job_is_done(access, gateway: Gateway) -> None:
    """It has no results, and no work."""
    async with HlrJob(access, "spring") as job:
        await job.load([])
        assert await job.work(gateway, gateway.router) == 0
        assert await results_of(job) == []


async def test_a_deleted_job_can_be_loaded_anew(access, gateway: Gateway) -> None:
    """Nothing of it is left, and others stay."""
    async with HlrJob(access, "spring") as job, HlrJob(access, "autumn") as other:
        await job.load(NUMBERS)
        await other.load(NUMBERS[:3])
        await job.delete()
        await job.load(NUMBERS[:1])
        await job.work(gateway, gateway.router)
        assert len(await results_of(job)) == 1
        await job.delete()
        assert await job.total() is None
        assert (await other.total()).numbers == 3


async def stop_within(job: HlrJob, gateway: Gateway, **settings: float) -> None:
    """Stop a worker while its query is out."""
    gateway.hangs = True
    work = asyncio.create_task(job.work(gateway, gateway.router, **settings))
    await until(lambda: gateway.asked)
    work.cancel()
    await asyncio.wait([work])
    gateway.hangs = False


@pytest.mark.parametrize(
    ("on_unknown", "outcome", "times"),
    [("repeat", HlrOutcome.REPORTED, 2), ("report", HlrOutcome.UNKNOWN, 1)],
)
async def test_what_a_worker_had_out_is_flagged(
    access, gateway: Gateway, on_unknown: str, outcome: HlrOutcome, times: int
) -> None:
    """As unknown, or looked up again: only then it may have been looked up twice."""
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        await stop_within(job, gateway)
        await job.work(gateway, gateway.router, on_unknown=on_unknown)
        found = await results_of(job)
    assert [one.possibly_repeated for one in found] == [times == 2] * 10
    assert {one.result.outcome for one in found} == {outcome}
    assert sum(NUMBERS[0] in query for query in gateway.asked) == times


async def test_what_was_repeated_before_stays_flagged(access, gateway: Gateway) -> None:
    """Also where the last worker does not repeat it."""
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        for _ in range(2):
            gateway.asked.clear()
            await stop_within(job, gateway)
        await job.work(gateway, gateway.router, on_unknown="report")
        found = await results_of(job)
    assert [one.possibly_repeated for one in found] == [True] * 10
    assert {one.result.outcome for one in found} == {HlrOutcome.UNKNOWN}


async def test_a_stop_waits_for_what_is_out(access, gateway: Gateway) -> None:
    """That is recorded, nothing more goes out, and the rest is in no doubt for another worker."""
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS, chunk_size=5)
        gateway.answers.clear()
        work = asyncio.create_task(job.work(gateway, gateway.router))
        await until(lambda: gateway.asked)
        stopping = asyncio.create_task(job.stop())
        await asyncio.wait([work], timeout=0.05)
        assert not work.done()
        gateway.answers.set()
        async with asyncio.timeout(LIMIT):
            await stopping
            await work
        assert 0 < sum(map(len, gateway.asked)) < len(NUMBERS)
        await job.work(gateway, gateway.router, on_unknown="report")
        results = await results_of(job)
    assert {one.result.outcome for one in results} == {HlrOutcome.REPORTED}
    assert not any(one.possibly_repeated for one in results)
    assert sorted(one for query in gateway.asked for one in query) == NUMBERS


async def test_a_stop_does_not_wait_for_ever(access, gateway: Gateway) -> None:
    """What has no report by then goes to another worker, and is in doubt."""
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        gateway.hangs = True
        work = asyncio.create_task(job.work(gateway, gateway.router, stop_timeout=0.01))
        await until(lambda: gateway.asked)
        async with asyncio.timeout(LIMIT):
            await job.stop()
            assert await work == 0
        gateway.hangs = False
        await job.work(gateway, gateway.router)
        results = await results_of(job)
    assert {one.result.outcome for one in results} == {HlrOutcome.REPORTED}
    flagged = [one.result.destination for one in results if one.possibly_repeated]
    assert flagged == [*gateway.asked[0]]


async def in_hand(job: HlrJob) -> int:
    """How many chunks workers have."""
    try:
        info = await job._connection.call(
            lambda js: js.consumer_info(job._subjects.stream, job._subjects.consumer)
        )
    except NotFoundError:
        return 0
    return info.num_ack_pending


async def test_a_stopped_worker_gives_all_its_chunks_back(access, gateway: Gateway) -> None:
    """Another one need not wait until the broker misses the first, though that was cancelled."""
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS, chunk_size=1)
        gateway.hangs = True
        work = asyncio.create_task(
            job.work(gateway, gateway.router, concurrency=10, ack_wait=3_600)
        )
        await found(len(NUMBERS), partial(in_hand, job))
        await cancel([work])
        gateway.hangs = False
        async with asyncio.timeout(LIMIT):
            await job.work(gateway, gateway.router)


async def test_an_unforeseen_fault_ends_the_work(access, gateway: Gateway) -> None:
    """Rather than leave a chunk in the hands of a worker that does nothing about it."""
    subjects = JobSubjects("infobip_jobs", "spring")
    async with HlrJob(access, "spring") as job:
        await job._connection.store(subjects.stream, subjects.of("chunk", 0), b"\xff")
        async with asyncio.timeout(LIMIT):
            with pytest.raises(UnicodeDecodeError):
                await job.work(gateway, gateway.router)


async def test_what_a_dead_worker_had_out_goes_to_another(
    access, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing was heard of it for a time, and flagged, since the dead give nothing back."""
    monkeypatch.setattr(Lease, "_give_back", lambda _: asyncio.sleep(0))
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        await stop_within(job, gateway, ack_wait=0.2)
        await job.work(gateway, gateway.router, ack_wait=0.2)
        found = await results_of(job)
    assert [one.result.destination for one in found if one.possibly_repeated] == NUMBERS
    assert sum(NUMBERS[0] in query for query in gateway.asked) == 2


async def test_what_another_has_begun_meanwhile_is_flagged(access, gateway: Gateway) -> None:
    """Two can have a chunk where the broker missed one of them; the first result counts."""
    subjects = JobSubjects("infobip_jobs", "spring")
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        await job.work(gateway, gateway.router)
        await job._connection.store(subjects.stream, subjects.of("attempt", 0), b"another")
        assert {one.possibly_repeated for one in await results_of(job)} == {True}
        later = ChunkResult("another", position=0, results=())
        with pytest.raises(ConflictError):
            await job._connection.store(
                subjects.stream, subjects.of("result", 0), later.encode(), first=True
            )


async def test_a_gateway_that_is_away_is_waited_for(access, gateway: Gateway) -> None:
    """Nothing went out, so nothing is flagged."""
    gateway.faults = [NotSentError("away")]
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        await job.work(gateway, gateway.router)
        found = await results_of(job)
    assert {one.result.outcome for one in found} == {HlrOutcome.REPORTED}
    assert not any(one.possibly_repeated for one in found)


async def test_what_a_worker_asks_again_is_flagged(access, gateway: Gateway) -> None:
    """Its query whose reply was lost may have been carried out: a run starts with one number."""
    gateway.faults = [OutcomeUnknownError("cut")]
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS, chunk_size=5)
        await job.work(gateway, gateway.router, concurrency=1)
        found = await results_of(job)
    assert [one.result.destination for one in found if one.possibly_repeated] == NUMBERS[:1]
    assert {one.result.outcome for one in found} == {HlrOutcome.REPORTED}


async def test_an_account_that_is_refused_ends_the_work(access, gateway: Gateway) -> None:
    """What was in hand is there for a worker with a better one, and in no doubt."""
    refusal = AuthenticationError("no", code="-1", name="AUTH", operation="hlr")
    gateway.faults = [refusal]
    async with HlrJob(access, "spring") as job:
        await job.load(NUMBERS)
        with pytest.raises(RunStoppedError):
            await job.work(gateway, gateway.router)
        await job.work(gateway, gateway.router, on_unknown="report")
        results = await results_of(job)
    assert {one.result.outcome for one in results} == {HlrOutcome.REPORTED}
    assert not any(one.possibly_repeated for one in results)


async def test_a_job_needs_its_broker_at_first(hasty, server) -> None:
    """It says at once that it is away."""
    await server.kill()
    with pytest.raises(StorageUnavailableError):
        await HlrJob(hasty, "spring").__aenter__()


@pytest.mark.proof
async def test_a_job_under_kills(server, programs, gateway_on_sockets, access) -> None:
    """Nothing is missed; what was looked up twice is flagged, all of it."""
    simulator, count, chance = gateway_on_sockets, scaled(5_000), random.Random(8)
    loader = programs("load", server.url, "spring", FIRST, count)
    workers = [programs("look_up", server.url, simulator.base_url, "spring") for _ in range(3)]
    began = time.monotonic()
    await loader.start()
    await asyncio.gather(*(worker.start() for worker in workers))
    await loader.kill()
    await loader.start()
    kills = scaled(3)
    async with HlrJob(access, "spring") as job:
        reading = asyncio.create_task(results_of(job, scaled(LIMIT)))
        for kill in range(kills):
            share = count * (kill + chance.random()) / (kills + 1)
            await until(lambda: len(simulator.lookups) >= share)  # noqa: B023 - over before the next
            victim = chance.choice([*workers, server])
            await victim.kill()
            await victim.start()
        async with asyncio.timeout(scaled(LIMIT)):
            found = await reading
            await asyncio.gather(loader.ended(), *(worker.ended() for worker in workers))
    looked_up = Counter(lookup.msisdn for lookup in simulator.lookups)
    twice = {number for number, times in looked_up.items() if times > 1}
    flagged = {one.result.destination for one in found if one.possibly_repeated}
    say = f"{count} numbers, {kills} kills, {len(twice)} looked up again, {len(flagged)} flagged"
    print(f"{say}, {time.monotonic() - began:.1f} s")  # noqa: T201 - the figure
    assert [one.position for one in found] == list(range(count))
    assert all(one.result.outcome is HlrOutcome.REPORTED for one in found)
    assert all(one.result.report.imsi == in_network(one.result.destination).imsi for one in found)
    assert twice <= flagged
