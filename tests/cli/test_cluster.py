"""``infobip-async cluster``: jobs of lookups that commands share over a NATS broker."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from infobip_async import HlrOutcome, HlrResult
from infobip_async.cli.commands import cluster as cluster_command
from infobip_async.cli.progress import ProgressBar
from infobip_async.jetstream import ConnectOptions, HlrJob, Total
from infobip_async.jetstream.hlr_messages import ChunkResult
from platforms import needs_signals
from tests.jetstream.conftest import LIMIT, Server, found, running_server, until

NUMBERS = [str(385980000000 + number) for number in range(250)]
NOWHERE = "nats://127.0.0.1:1"

Cluster = Callable[..., Result]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Server]:
    """A broker that runs."""
    async with running_server(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker on a busy machine may take long to answer."""
    monkeypatch.setitem(ConnectOptions.__init__.__kwdefaults__, "timeout", LIMIT)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of numbers."""
    source = tmp_path / "numbers.txt"
    source.write_text("\n".join(NUMBERS))
    return source


@pytest.fixture
def cluster(run: Callable[..., Result], broker: Server) -> Cluster:
    """Runs one of the commands on a job."""

    def cluster(name: str, *args: object, **options: Any) -> Result:
        return run("cluster", name, "--cluster", broker.url, "--job", "spring", *args, **options)

    return cluster


def in_job(broker: Server, work: Callable[[HlrJob], Awaitable[None]]) -> None:
    """Do something with the job from outside."""

    async def enter() -> None:
        async with asyncio.timeout(LIMIT), HlrJob(broker.url, "spring") as job:
            await work(job)

    asyncio.run(enter())


def test_a_job_from_its_numbers_to_its_results(
    cluster: Cluster, source: Path, gateway: Any, tmp_path: Path
) -> None:
    """They are loaded once, looked up once, and written as often as asked."""
    for _ in range(2):
        loaded = cluster("load", source, "--chunk-size", 100)
        assert (loaded.exit_code, loaded.stdout) == (0, "")
        assert "250 numbers, in 3 chunks" in loaded.stderr
    worked = cluster("work", "--receive", f"127.0.0.1:{gateway.port}")
    assert worked.exit_code == 0, worked.stderr
    assert "the job is done; 3 chunks of it here" in worked.stderr
    assert gateway.urls().hlr_reports in worked.stderr
    written = cluster("results", "-o", tmp_path / "results.csv")
    assert written.exit_code == 0, written.stderr
    assert "250 results; 0 numbers may have been looked up more than once" in written.stderr
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert sorted(row["destination"] for row in rows) == NUMBERS
    assert {row["outcome"] for row in rows} == {"reported"}
    again = cluster("results", "--format", "jsonl")
    assert sorted(json.loads(line)["position"] for line in again.stdout.splitlines()) == [
        *range(1, 251)
    ]
    assert gateway.simulator.counts.lookups == 250


def test_results_are_written_as_they_come(
    cluster: Cluster, broker: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is waited for until it is loaded, and each result is there before the next one is."""
    output, looked, total = tmp_path / "results.csv", threading.Event(), HlrJob.total

    async def look(job: HlrJob) -> Total | None:
        size = await total(job)
        looked.set()
        return size

    async def store(job: HlrJob, chunk: int) -> None:
        await job.load(NUMBERS[:2], chunk_size=1)
        result = HlrResult(NUMBERS[chunk], HlrOutcome.TIMED_OUT)
        subjects = job._subjects
        for subject, payload in (
            (subjects.of("attempt", chunk), b"once"),
            (subjects.of("result", chunk), ChunkResult("once", chunk, [result]).encode()),
        ):
            await job._connection.store(subjects.stream, subject, payload)

    def written() -> list[str]:
        return output.read_text().splitlines() if output.exists() else []

    monkeypatch.setattr(HlrJob, "total", look)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(cluster, "results", "-o", output)
        assert looked.wait(LIMIT)
        for chunk in (0, 1):
            in_job(broker, partial(store, chunk=chunk))
            asyncio.run(until(lambda: len(written()) == chunk + 2))  # noqa: B023 - awaited here
            assert written()[-1].startswith(f"{chunk + 1},{NUMBERS[chunk]},timed out,")
        result = writing.result(LIMIT)
    assert result.exit_code == 6
    assert "the job is not loaded yet, and is waited for\n" in result.stderr


@pytest.mark.parametrize(
    ("on_unknown", "reason", "times", "code"),
    [
        ("repeat", "may have been looked up more than once", 1, 0),
        ("report", "another worker stopped while it submitted this number", 0, 5),
    ],
)
def test_what_may_have_been_looked_up_twice_says_so(
    *,
    cluster: Cluster,
    broker: Server,
    source: Path,
    gateway: Any,
    on_unknown: str,
    reason: str,
    times: int,
    code: int,
) -> None:
    """In the column for reasons; a number that is merely unknown was looked up once at most."""

    async def attempt(job: HlrJob) -> None:
        await job._connection.store("infobip_jobs", job._subjects.of("attempt", 0), b"once")

    source.write_text(NUMBERS[0], encoding="utf-8")
    cluster("load", source)
    in_job(broker, attempt)
    receive = ("--receive", f"127.0.0.1:{gateway.port}")
    assert cluster("work", "--on-unknown", on_unknown, *receive).exit_code == 0
    result = cluster("results", "--format", "jsonl")
    assert result.exit_code == code
    assert json.loads(result.stdout)["reason"] == reason
    assert f"1 results; {times} numbers may have been looked up more than once" in result.stderr
    assert gateway.simulator.counts.lookups == times


@needs_signals
def test_a_stopped_worker_leaves_its_numbers_to_others(
    cluster: Cluster,
    broker: Server,
    source: Path,
    gateway: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a wait for what is out, and SIGTERM is its exit code."""
    stopped_well, stop_job = [], HlrJob.stop

    async def note(job: HlrJob) -> None:
        await stop_job(job)
        stopped_well.append(job)

    monkeypatch.setattr(HlrJob, "stop", note)
    monkeypatch.setattr(cluster_command, "LAST_WAIT", 0.1)

    async def in_hand(job: HlrJob) -> int:
        infos = await job._connection.call(lambda js: js.consumers_info("infobip_jobs"))
        return sum(info.num_ack_pending or 0 for info in infos)

    def stop() -> None:
        in_job(broker, lambda job: found(1, partial(in_hand, job)))
        os.kill(os.getpid(), signal.SIGTERM)

    cluster("load", source)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stop)
        stopped = cluster("work")
        stopping.result(LIMIT)
    assert "stopping: other workers" in stopped.stderr
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert len(stopped_well) == 1
    worked = cluster("work", "--receive", f"127.0.0.1:{gateway.port}")
    assert "the job is done; 1 chunks of it here" in worked.stderr


def test_a_job_keeps_its_numbers(cluster: Cluster, source: Path) -> None:
    """Others are refused."""
    assert cluster("load", source).exit_code == 0
    source.write_text("38598514674", encoding="utf-8")
    other = cluster("load", source)
    assert other.exit_code == 2
    assert "the job has other numbers" in other.stderr


def test_a_job_is_deleted_if_that_is_confirmed(cluster: Cluster, source: Path) -> None:
    """Then it can have other numbers."""
    cluster("load", source)
    assert cluster("delete", stdin="n\n").exit_code == 1
    source.write_text("38598514674", encoding="utf-8")
    assert cluster("load", source).exit_code == 2
    deleted = cluster("delete", "--yes")
    assert (deleted.exit_code, deleted.stderr) == (0, "the job spring is deleted\n")
    assert "1 numbers, in 1 chunks" in cluster("load", source).stderr


def test_loading_shows_how_far_it_is(
    cluster: Cluster, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every thousand numbers."""
    shown: list[int] = []
    monkeypatch.setattr(ProgressBar, "show", lambda _, count, __: shown.append(count))
    source.write_text(
        "\n".join(str(385980000000 + number) for number in range(2_500)), encoding="utf-8"
    )
    assert cluster("load", source).exit_code == 0
    assert shown == [1_000, 2_000]


def test_a_broker_that_is_away_is_said(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a traceback."""
    monkeypatch.setitem(ConnectOptions.__init__.__kwdefaults__, "timeout", 0.1)
    result = run("cluster", "results", "--cluster", NOWHERE, "--job", "spring")
    assert result.exit_code == 1
    assert "StorageUnavailableError: the broker is away" in result.stderr


def test_an_output_is_checked_before(run: Callable[..., Result], tmp_path: Path) -> None:
    """Nobody is connected to."""
    job = ("--cluster", NOWHERE, "--job", "spring")
    result = run("cluster", "results", *job, "-o", tmp_path / "no" / "out.csv")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("cluster", "work", "--job", "spring"), 2, "pip install 'infobip-async[nats]'"),
        pytest.param(("--help",), 0, "it needs the extra nats", marks=pytest.mark.proof),
    ],
)
def test_without_the_extra_it_is_said_what_is_missing(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    """The other commands can be used all the same."""
    main = "from infobip_async.cli import main; main()"
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", f"import sys; sys.modules['nats'] = None; {main}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr
