"""``infobip-async hlr --cluster`` and the example, as their users run them."""

import asyncio
import csv
import os
import sys
from pathlib import Path

from infobip_async.jetstream import HlrJob
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls
from tests.jetstream.conftest import FIRST, free_port

SECRET = "long-random-string"


async def command(*arguments: object, **settings: str) -> tuple[int, str]:
    """Run the command line; its exit code, and what it said."""
    code = "from infobip_async.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *map(str, arguments)),
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(40):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_job_on_the_command_line(server, tmp_path: Path) -> None:
    """One command loads and collects, another works, and takes the reports in."""
    port = free_port()
    numbers = [str(FIRST + number) for number in range(250)]
    (tmp_path / "numbers.txt").write_text("\n".join(numbers))
    urls = callback_urls(f"http://127.0.0.1:{port}", secret=SECRET)
    job = ("--cluster", server.url, "--job", "spring")
    load = ("hlr", *job, tmp_path / "numbers.txt", "--chunk-size", 100)
    async with Simulator(callbacks=urls) as simulator:
        account = {
            "INFOBIP_USERNAME": "user",
            "INFOBIP_PASSWORD": "password",
            "INFOBIP_BASE_URL": simulator.base_url,
            "INFOBIP_WEBHOOK_SECRET": SECRET,
        }
        work = command("hlr", *job, "--work", "--receive", f"127.0.0.1:{port}", **account)
        collected, worked = await asyncio.gather(
            command(*load, "-o", tmp_path / "results.csv"), work
        )
    assert worked == (0, worked[1])
    assert "3 chunks" in worked[1]
    assert urls.hlr_reports in worked[1]
    assert collected[0] == 0, collected[1]
    assert "250 numbers, 0 of them perhaps looked up twice" in collected[1]
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert sorted(row["destination"] for row in rows) == numbers
    assert {row["outcome"] for row in rows} == {"reported"}
    # Once more: the results are there.
    code, said = await command(*load, "--format", "jsonl")
    assert (code, said.count('"outcome": "reported"')) == (0, 250)


async def test_what_may_have_been_looked_up_twice_says_so(server, access, tmp_path: Path) -> None:
    """In the column for reasons."""
    async with HlrJob(access, "spring") as job:
        await job.load(["38598514674"])
        names = job._subjects
        for attempt in (b"one", b"two"):
            await job._connection.store(names.stream, names.of("attempt", 0), attempt)
    (tmp_path / "numbers.txt").write_text("38598514674\n")
    parked = ("hlr", "--cluster", server.url, "--job", "spring")
    account = {"INFOBIP_USERNAME": "user", "INFOBIP_PASSWORD": "password"}
    code, said = await command(*parked, "--work", "--on-doubt", "report", **account)
    assert code == 0, said
    code, said = await command(*parked, tmp_path / "numbers.txt")
    assert (
        "another worker stopped while it submitted this number; may have been looked up more"
        in said
    )
    assert "1 numbers, 1 of them perhaps looked up twice" in said


async def test_the_example_runs() -> None:
    """In one command: every number is looked up."""
    path = Path(__file__).parents[2] / "examples" / "cluster" / "run.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(40):
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().count("{'reported': 1000}") == 2
