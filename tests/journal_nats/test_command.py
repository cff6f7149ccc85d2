"""``infobip-async hlr --cluster`` and the example, as their users run them."""

import asyncio
import csv
import sys
from pathlib import Path

import pytest

from children import start_child_async
from infobip_async.cli.commands import infobip_async
from infobip_async.cluster import HlrJob
from infobip_async.journal.broker import Access
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls
from tests.journal_nats.conftest import FIRST, LIMIT, free_port

SECRET = "long-random-string"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account in the environment, and commands that are patient with a busy broker."""
    monkeypatch.setitem(Access.__init__.__kwdefaults__, "timeout", LIMIT)
    monkeypatch.setenv("INFOBIP_USERNAME", "user")
    monkeypatch.setenv("INFOBIP_PASSWORD", "password")
    monkeypatch.setenv("INFOBIP_WEBHOOK_SECRET", SECRET)


def command(*arguments: object) -> int:
    """Run the command line, in this process; its exit code."""
    try:
        infobip_async.main([*map(str, arguments)], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


async def test_a_job_on_the_command_line(server, tmp_path: Path, monkeypatch, capsys) -> None:
    """One command loads and collects, another works, and takes the reports in."""
    port, run = free_port(), asyncio.to_thread
    numbers = [str(FIRST + number) for number in range(250)]
    (tmp_path / "numbers.txt").write_text("\n".join(numbers))
    urls = callback_urls(f"http://127.0.0.1:{port}", secret=SECRET)
    job = ("--cluster", server.url, "--job", "spring")
    load = ("hlr", *job, tmp_path / "numbers.txt", "--chunk-size", 100)
    async with Simulator(callbacks=urls) as simulator, asyncio.timeout(LIMIT):
        monkeypatch.setenv("INFOBIP_BASE_URL", simulator.base_url)
        codes = await asyncio.gather(
            run(command, *load, "-o", tmp_path / "results.csv"),
            run(command, "hlr", *job, "--work", "--receive", f"127.0.0.1:{port}"),
        )
    said = capsys.readouterr().err
    assert codes == [0, 0], said
    assert "3 chunks" in said
    assert urls.hlr_reports in said
    assert "250 numbers, 0 of them perhaps looked up twice" in said
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert sorted(row["destination"] for row in rows) == numbers
    assert {row["outcome"] for row in rows} == {"reported"}
    # Once more: the results are there.
    assert await run(command, *load, "--format", "jsonl") == 0
    assert capsys.readouterr().out.count('"outcome": "reported"') == 250


async def test_what_may_have_been_looked_up_twice_says_so(
    server, access, tmp_path: Path, capsys
) -> None:
    """In the column for reasons."""
    async with HlrJob(access, "spring") as job:
        await job.load(["38598514674"])
        names = job._names
        for attempt in (b"one", b"two"):
            await job._broker.publish(names.stream, names.one("mark", 0), attempt)
    (tmp_path / "numbers.txt").write_text("38598514674\n")
    job, run = ("hlr", "--cluster", server.url, "--job", "spring"), asyncio.to_thread
    assert await run(command, *job, "--work", "--on-doubt", "park") == 0
    await run(command, *job, tmp_path / "numbers.txt")
    said = capsys.readouterr()
    assert "a worker died while it was being submitted; may have been looked up more" in said.out
    assert "1 numbers, 1 of them perhaps looked up twice" in said.err


@pytest.mark.proof
async def test_the_example_runs() -> None:
    """In one command: every number is looked up."""
    path = Path(__file__).parents[2] / "examples" / "cluster" / "run.py"
    process = await start_child_async(sys.executable, path, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(4 * LIMIT):  # several processes, one after the other
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().count("{'reported': 1000}") == 2
