"""``infobip-async hlr``, against a gateway on loopback."""

import asyncio
import csv
import io
import json
import os
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from click.testing import Result

from infobip_async.cli import runner
from infobip_async.cli.commands import hlr as module
from infobip_async.cli.progress import ProgressBar
from infobip_async.simulator import Fault, policies
from platforms import needs_signals

NUMBERS = ("38598514674", "41793026727", "49170111222")
Hlr = Callable[..., Result]


@pytest.fixture
def hlr(run: Callable[..., Result], gateway: Any) -> Hlr:
    """Run the command with its receiver where the gateway pushes to."""

    def hlr(*args: object, **options: object) -> Result:
        return run("hlr", "--receive", f"127.0.0.1:{gateway.port}", *args, **options)

    return hlr


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of three numbers."""
    path = tmp_path / "numbers.txt"
    path.write_text("\n".join(NUMBERS))
    return path


@pytest.fixture
def time_out_after(monkeypatch: pytest.MonkeyPatch, gateway: Any) -> Callable[[int], None]:
    """Let an hour pass in all event loops once so many reports are acknowledged."""

    def time_out_after(reports: int) -> None:
        def time(_: object) -> float:
            rows = sum(push.rows for push in gateway.simulator.pushes if push.successful)
            return monotonic() + (3600 if rows >= reports else 0)

        monkeypatch.setattr(asyncio.BaseEventLoop, "time", time)

    return time_out_after


def _rows(text: str) -> list[dict[str, str]]:
    return sorted(csv.DictReader(io.StringIO(text)), key=lambda row: int(row["position"]))


def test_numbers_become_results(hlr: Hlr, source: Path, gateway: Any) -> None:
    """A row for each goes to standard output, what a person wants to know to standard error."""
    result = hlr(source)
    assert result.exit_code == 0
    rows = _rows(result.stdout)
    assert [row["destination"] for row in rows] == list(NUMBERS)
    assert [row["operator"] for row in rows] == ["Hrvatski Telekom", "Swisscom", "Telekom"]
    assert {row["outcome"] for row in rows} == {"reported"}
    assert gateway.urls().hlr_reports in result.stderr
    assert "Hrvatski Telekom (HR)" in result.stderr
    assert "3 numbers went out in 2 queries" in result.stderr


def test_numbers_come_from_standard_input(hlr: Hlr, tmp_path: Path) -> None:
    """And can become JSON lines in a file."""
    output = tmp_path / "out.jsonl"
    result = hlr("-", "--format", "jsonl", "-o", output, stdin="38598514674\n\n41793026727\n")
    assert (result.exit_code, result.stdout) == (0, "")
    rows = list(map(json.loads, output.read_text(encoding="utf-8").splitlines()))
    assert {row["destination"] for row in rows} == {"38598514674", "41793026727"}


def test_a_column_is_read_and_normalised(hlr: Hlr, tmp_path: Path, gateway: Any) -> None:
    """A file as a spreadsheet writes it in Croatia."""
    path = tmp_path / "numbers.csv"
    path.write_text("ime;broj\nAda;098 514 674\nBob;+41 79 302 67 27\nCy;-\n", encoding="utf-8")
    result = hlr(path, "--column", "Broj", "--country", "HR", "--no-interpret")
    assert [row["destination"] for row in _rows(result.stdout)] == [*NUMBERS[:2], "-"]
    assert "operator" not in result.stdout
    assert result.exit_code == 6
    assert gateway.simulator.counts.lookups == 2


def test_a_csv_need_have_no_header(hlr: Hlr) -> None:
    """Then the first line has a number, too."""
    result = hlr("-", "--column", "2", "--no-header", stdin="1;38598514674\n2;41793026727\n")
    assert {row["destination"] for row in _rows(result.stdout)} == set(NUMBERS[:2])


def test_numbers_are_normalised_without_a_country(hlr: Hlr) -> None:
    """An international number needs none."""
    result = hlr("-", "--normalise", stdin="+385 98 514 674\n")
    assert [row["destination"] for row in _rows(result.stdout)] == [NUMBERS[0]]


def test_numbers_stay_as_they_are(hlr: Hlr) -> None:
    """The gateway does not take a +."""
    result = hlr("-", stdin="+38598514674\n")
    assert [row["outcome"] for row in _rows(result.stdout)] == ["refused"]
    assert result.exit_code == 3


def test_ranges_tell_what_is_ported(hlr: Hlr, source: Path) -> None:
    """The holder of a number's range is compared with the operator of its SIM."""
    pytest.importorskip("phonenumbers")
    rows = _rows(hlr(source, "--ranges").stdout)
    assert [row["ported"] for row in rows] == ["no", "no", "no"]
    assert [row["number_type"] for row in rows] == ["mobile", "mobile", ""]


def test_ranges_need_an_extra(hlr: Hlr, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the command says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "phonenumbers.carrierdata", None)
    result = hlr(source, "--ranges")
    assert result.exit_code == 2
    assert "infobip-async[phonenumbers]" in result.stderr


def test_outcomes_are_told_apart(hlr: Hlr, gateway: Any, time_out_after: Any) -> None:
    """What has no report says why; the exit code, that it is so for a part."""
    gateway.simulator.faults.add(Fault.LOST_REPORT)
    stdin = "\n".join([*NUMBERS, "n/a", "3.8598E+10"])
    time_out_after(2)
    result = hlr("-", "--report-timeout", 600, "--timeout", 7200, stdin=stdin)
    outcomes = [(row["outcome"], row["reason"]) for row in _rows(result.stdout)]
    spoilt = "was rounded by a spreadsheet, which lost its last digits: "
    spoilt += "have the column shown as text, and export it again"
    assert outcomes == [
        ("timed out", "no report in time"),
        ("reported", ""),
        ("reported", ""),
        ("refused", "the gateway does not look it up: status 'FAILED'"),
        ("refused", f"destinations: {spoilt} (§4)"),
    ]
    assert result.exit_code == 6


def test_a_lost_reply_is_unknown(hlr: Hlr, source: Path, gateway: Any) -> None:
    """Unless it shall be asked for again; the first query has one number."""
    gateway.simulator.faults.add(Fault.CUT_BEFORE_REPLY)
    result = hlr(source)
    assert [row["outcome"] for row in _rows(result.stdout)] == ["unknown", "reported", "reported"]
    assert result.exit_code == 6
    gateway.simulator.faults.add(Fault.CUT_BEFORE_REPLY)
    result = hlr(source, "--on-unknown", "repeat")
    assert {row["outcome"] for row in _rows(result.stdout)} == {"reported"}
    assert "4 numbers went out in 3 queries" in result.stderr
    assert result.exit_code == 0


def test_a_wrong_password_ends_it(
    hlr: Hlr, source: Path, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway refuses one number twice, and the others are not tried."""
    monkeypatch.setenv("INFOBIP_PASSWORD", "wrong")
    result = hlr(source, "--batch-size", "1")
    assert result.exit_code == 3
    assert "RunStoppedError (GatewayFailureError): the gateway refused the query" in result.stderr
    assert {row["outcome"] for row in _rows(result.stdout)} == {"not sent"}
    assert "0 numbers went out in 2 queries" in result.stderr


def test_a_wrong_address_ends_it(
    hlr: Hlr, source: Path, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One number is in doubt, and the message says what came instead of an answer."""
    monkeypatch.setenv("INFOBIP_BASE_URL", f"{gateway.simulator.base_url}/elsewhere")
    result = hlr(source)
    assert result.exit_code == 6
    assert "HTTP 404" in result.stderr
    assert "--on-unknown repeat" in result.stderr
    outcomes = [row["outcome"] for row in _rows(result.stdout)]
    assert outcomes == ["unknown", "not sent", "not sent"]


def test_a_gateway_that_is_away_ends_it(
    hlr: Hlr, source: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent."""
    monkeypatch.setenv("INFOBIP_BASE_URL", f"http://127.0.0.1:{port}")
    result = hlr(source, "--unreachable-timeout", "0.01")
    assert result.exit_code == 4
    assert "RunStoppedError (NotSentError): the gateway could not be reached" in result.stderr
    assert "with --job" in result.stderr


def test_no_numbers_are_no_fault(hlr: Hlr, tmp_path: Path) -> None:
    """There is nothing to do, and nothing is asked for."""
    output = tmp_path / "out.csv"
    result = hlr("-", "-o", output, stdin="\n\n")
    assert result.exit_code == 0
    assert "Enter" not in result.stderr
    assert output.read_text(encoding="utf-8").startswith("position,destination,")


# --- the job ---


def test_a_finished_job_does_nothing_but_write(
    hlr: Hlr, source: Path, gateway: Any, tmp_path: Path
) -> None:
    """The same once more, in the order of the source."""
    job = ("--job", tmp_path / "job.db")
    first, second = hlr(source, *job), hlr(source, *job)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert second.stdout == first.stdout
    assert [row["destination"] for row in csv.DictReader(io.StringIO(first.stdout))] == [*NUMBERS]
    assert gateway.simulator.counts.lookups == 3
    assert "0 numbers went out in 0 queries" in second.stderr


def test_a_job_goes_on_with_what_was_added(
    hlr: Hlr, source: Path, gateway: Any, tmp_path: Path
) -> None:
    """A source may grow between two runs."""
    args = (source, "--job", tmp_path / "job.db", "-o", tmp_path / "out.csv")
    hlr(*args)
    with source.open("a", encoding="utf-8") as more:
        more.write("\n38598514675\n")
    assert hlr(*args).exit_code == 0
    rows = _rows((tmp_path / "out.csv").read_text(encoding="utf-8"))
    assert [row["destination"] for row in rows] == [*NUMBERS, "38598514675"]
    assert gateway.simulator.counts.lookups == 4


def test_a_job_is_in_the_order_of_the_source(
    hlr: Hlr, source: Path, gateway: Any, tmp_path: Path, time_out_after: Any
) -> None:
    """A number that waits for its report holds up those behind it, also where order is asked."""
    gateway.simulator.faults.add(Fault.LOST_REPORT)
    time_out_after(2)
    timeouts = ("--report-timeout", 600, "--timeout", 7200)
    result = hlr(source, "--job", tmp_path / "job.db", "--ordered", *timeouts)
    outcomes = [row["outcome"] for row in csv.DictReader(io.StringIO(result.stdout))]
    assert outcomes == ["timed out", "reported", "reported"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("41793026727\n", "number 1 is another one there"),
        ("38598514674\n", "it ends after 1 numbers"),
    ],
)
def test_a_job_of_another_source_is_refused(
    hlr: Hlr, source: Path, tmp_path: Path, content: str, why: str
) -> None:
    """Nothing is looked up, and the output of the first is left alone."""
    args = (source, "--job", tmp_path / "job.db", "-o", tmp_path / "out.csv")
    hlr(*args)
    before = (tmp_path / "out.csv").read_bytes()
    source.write_text(content, encoding="utf-8")
    result = hlr(*args)
    assert result.exit_code == 2
    assert why in result.stderr
    assert (tmp_path / "out.csv").read_bytes() == before


def test_a_job_has_one_process(hlr: Hlr, source: Path, tmp_path: Path) -> None:
    """A second one is refused."""
    path = tmp_path / "job.db"
    hlr(source, "--job", path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("begin exclusive")
        result = hlr(source, "--job", path)
    assert result.exit_code == 1
    assert "StorageUnavailableError" in result.stderr
    assert "locked" in result.stderr


def test_what_was_not_sent_is_tried_again(
    hlr: Hlr, source: Path, gateway: Any, tmp_path: Path
) -> None:
    """The same command asks for what a refused login left."""
    args = (source, "--job", tmp_path / "job.db", "-o", tmp_path / "out.csv")
    password = gateway.simulator.gateway.accounts["user"].password
    gateway.simulator.gateway.accounts["user"].password = "changed"
    result = hlr(*args)
    assert result.exit_code == 3
    assert "the same command goes on where it was" in result.stderr
    gateway.simulator.gateway.accounts["user"].password = password
    assert hlr(*args).exit_code == 0


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it(
    hlr: Hlr,
    gateway: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    """What is out comes back and is written; the exit code is the signal's."""
    monkeypatch.setattr(module, "LAST_WAIT", 60.0)
    signals = iter([number])

    def answer(msisdn: str) -> Any:
        for one in signals:
            os.kill(os.getpid(), one)
        return policies.in_network(msisdn)

    gateway.answer = answer
    args = ("-", "--job", tmp_path / "job.db", "--batch-size", 1, "--concurrency", 1)
    stdin = "\n".join(str(385981000000 + at) for at in range(30))
    result = hlr(*args, stdin=stdin)
    assert result.exit_code == 128 + number
    assert "stopping: what is out has 10 s" in result.stderr
    done = [row for row in _rows(result.stdout) if row["outcome"] == "reported"]
    assert 0 < len(done) == gateway.simulator.counts.lookups < 30
    assert len(_rows(hlr(*args, stdin=stdin).stdout)) == gateway.simulator.counts.lookups == 30


@needs_signals
def test_two_signals_end_it_at_once(
    hlr: Hlr, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is out is left."""
    monkeypatch.setattr(module, "LAST_WAIT", 3600.0)
    gateway.simulator.gateway.report_delay = 3600
    say = runner._tell

    def answer(msisdn: str) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return policies.in_network(msisdn)

    def tell(bar: ProgressBar, signals: int) -> None:
        say(bar, signals)
        if signals == 1:
            os.kill(os.getpid(), signal.SIGINT)

    gateway.answer = answer
    monkeypatch.setattr(runner, "_tell", tell)
    result = hlr("-", stdin=NUMBERS[0])
    assert result.exit_code == 128 + signal.SIGTERM
    assert "leaving at once" in result.stderr


# --- what can be wrong with the command ---


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["missing.txt"], "missing.txt"),
        (["-", "--country", "XX"], "XX"),
        (["-", "--receive", "8080"], "'8080' is not HOST:PORT"),
        (["-", "--receive", "localhost:65536"], "is not HOST:PORT"),
        (["-", "--batch-size", "0"], "--batch-size"),
        (["-", "--report-timeout", "0"], "--report-timeout"),
        (["-", "--min-credits", "-1"], "it must be 0 or more"),
        (["-", "--min-credits", "many"], "is no number"),
        (["-", "--column", "phone"], "no column 'phone'"),
        (["-", "--column", "1"], "or --no-header"),
        (["-", "-o", "x.csv", "--job", "./x.csv"], "are the same file"),
    ],
)
def test_wrong_usage_is_refused(
    hlr: Hlr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], why: str
) -> None:
    """Nothing is sent."""
    monkeypatch.chdir(tmp_path)
    result = hlr(*args, stdin="38598514674\n")
    assert result.exit_code == 2
    assert why in result.stderr


def test_the_source_is_not_written_over(hlr: Hlr, source: Path) -> None:
    """An output of the same name is refused."""
    result = hlr(source, "-o", source)
    assert result.exit_code == 2
    assert source.read_text(encoding="utf-8") == "\n".join(NUMBERS)


def test_an_output_that_cannot_be_opened_is_named(
    hlr: Hlr, source: Path, tmp_path: Path, gateway: Any
) -> None:
    """What the system says is shown without a traceback, and nothing is looked up."""
    result = hlr(source, "-o", tmp_path / "no" / "out.csv")
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
    assert gateway.simulator.counts.lookups == 0


def test_a_port_that_is_taken_is_named(hlr: Hlr, source: Path, gateway: Any) -> None:
    """What the system says is shown without a traceback."""
    with socket.create_server(("127.0.0.1", gateway.port)):
        result = hlr(source)
    assert result.exit_code == 1
    assert f"{gateway.port}" in result.stderr


def test_other_posts_are_left_to_the_gateway(hlr: Hlr, source: Path, gateway: Any) -> None:
    """A delivery report that is pushed here is not acknowledged, so that it comes again."""
    body = b'<DeliveryReport><message id="1" status="DELIVERED"/></DeliveryReport>'
    answers: list[int] = []

    def answer(number: str) -> Any:
        url = gateway.urls().delivery_reports
        try:
            with urllib.request.urlopen(url, body) as reply:  # noqa: S310 - on loopback
                answers.append(reply.status)
        except urllib.error.HTTPError as error:
            with error:
                answers.append(error.code)
        return policies.in_network(number)

    gateway.answer = answer
    assert hlr(source).exit_code == 0
    assert answers == [500] * 3
