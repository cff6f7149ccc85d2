"""A stream of numbers against the simplest program for the same traffic, and the table beneath it.

The programs run in processes of their own, over sockets, against a gateway in another. The
simplest one makes the same values of each report, and yields them one by one; a second one leaves
it at lists of fields, so what a value costs can be seen.

What remains for a number: its row of the reply and its report as values, two look-ups in dicts,
one of them of its batch, the comparison of the numbers, the result's value, an await of the
handler, and a step of the async generator. A waiting number is in two dicts, since its batch must
know what to end at its deadline.
"""

import itertools
import os
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from infobip_async import HlrOutcome, HlrReport, HlrResult, HlrStatus
from infobip_async.hlr.pending import Batch, LookupTable
from infobip_async.models.receipts import HlrSubmission

BATCH = 1_000
OUTSTANDING = 1_000_000
PROGRAMS = str(Path(__file__).with_name("hlr_programs.py"))


@pytest.fixture
def run(gateway):
    """Runs a program: seconds of processor time for each number, and octets at the peak."""

    def run(program, count=50_000, loop="asyncio"):
        profile = os.environ.get("PROFILE_CHILD", "").split()
        command = [sys.executable, *profile, PROGRAMS, program, str(count), gateway, loop]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - ours
        return tuple(map(float, done.stdout.split()))

    return run


@pytest.mark.parametrize(
    ("programs", "told", "target"),
    [
        (("stream", "simplest"), "against the simplest program", "<= 1.5"),
        (("ordered", "simplest"), "ordered, against the same", "-"),
        (("share", "simplest"), "share, against the same", "-"),
        (("stream", "lists"), "against one that makes no values", "-"),
    ],
)
def test_stream(bench, run, programs, told, target):
    """Queries of 1,000 numbers, reports in posts of 100."""
    path = f"HlrLookups.stream, each number, {told}"
    both = [lambda program=program: run(program)[0] for program in programs]
    bench.measure(path, *both, target, rounds=5)


def test_stream_with_uvloop(bench, run):
    """What it brings."""
    pytest.importorskip("uvloop")
    path = "HlrLookups.stream, each number, uvloop against asyncio"
    bench.measure(path, lambda: run("stream", loop="uvloop")[0], lambda: run("stream")[0], rounds=3)


def test_memory_of_a_stream(bench, run):
    """What it holds does not grow with its length."""
    bench.measure(
        "HlrLookups.stream, peak memory, 1,000,000 numbers against 10,000",
        lambda: run("stream", 1_000_000)[1],
        lambda: run("stream", 10_000)[1],
        "<= 1.3",
        rounds=1,
        unit="MiB",
    )


@pytest.fixture(scope="module")
def rows():
    """Replies that accept every number, of one query after the other."""
    return [
        HlrSubmission(str(385980000000 + number), True, f"121c0a6b752-1-{number}", "OK")
        for number in range(OUTSTANDING)
    ]


class InTable:
    """Lookups that wait in the table of the library."""

    def __init__(self, rows):
        self.results = []
        table = LookupTable(lambda: 0.0, 60.0, 100)
        for start in range(0, len(rows), BATCH):
            several = rows[start : start + BATCH]
            batch = Batch([row.destination for row in several], self.settle)
            table.begin(batch, 60.0)
            table.accept(batch, several)
            table.query_ended(batch)
        self.report = table.report

    def settle(self, _batch, _position, result):
        """Keep a result."""
        self.results.append(result)


class InDict:
    """Lookups that wait in a dict of id to number."""

    def __init__(self, rows):
        self.results = []
        self.waiting = {row.lookup_id: row.destination for row in rows}

    def report(self, report):
        """End a lookup."""
        lookup_id = report.lookup_id
        self.results.append(
            HlrResult(self.waiting.pop(lookup_id), HlrOutcome.REPORTED, lookup_id, report)
        )


def test_memory_of_waiting(bench, rows):
    """What a waiting number takes beyond its two strings."""

    def held(make):
        tracemalloc.start()
        try:
            waiting = make(rows)
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()  # else all that is measured later takes many times as long
        del waiting
        return float(size)

    bench.measure(
        "1,000,000 waiting lookups, each, against a dict of id to number",
        lambda: held(InTable),
        lambda: held(InDict),
        "<= 3",
        rounds=1,
        fold=OUTSTANDING,
        unit="octets",
    )


def test_resolving(bench, rows):
    """Reports come in any order while so many wait."""
    rounds, each = 7, 20_000
    sample = random.Random(1).sample(rows, rounds * each)
    reports = [
        HlrReport(row.destination, row.lookup_id, HlrStatus.DELIVRD, "DELIVRD", "219", "38", "0")
        for row in sample
    ]

    def resolving(waiting):
        source = iter(reports)

        def resolve():
            start = time.process_time()
            for report in itertools.islice(source, each):
                waiting.report(report)
            return time.process_time() - start

        return resolve

    bench.measure(
        "resolving one of 1,000,000, against a dict of id to number",
        resolving(InTable(rows)),
        resolving(InDict(rows)),
        "<= 2",
        rounds=rounds,
        fold=each,
    )
