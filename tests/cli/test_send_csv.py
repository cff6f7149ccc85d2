"""``infobip-async send --csv``: in this process, and in others that are stopped or killed."""

import csv
import io
import json
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from infobip_async.models.events import DeliveryStatus
from infobip_async.simulator import Fault
from platforms import needs_signals

Run = Callable[..., Result]
PEOPLE = (
    "id;number;name\n1;38598514674;Ana\n2;+41 79/302 67 27;Beat\n3;n/a;Cy\n\n4;38598514674;Ana\n"
)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A list as people keep it: a number that is none, and one that stands twice."""
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    return path


@pytest.fixture
def send(run: Run, gateway: Any, people: Path) -> Run:
    """Send to them."""

    def send(*args: object, **options: Any) -> Result:
        columns = ("--recipient-column", "number", "--normalise")
        return run("send", "-s", "Friend", "--csv", people, *columns, *args, **options)

    return send


def _sent(gateway: Any) -> list[tuple[str, str]]:
    return sorted((message.msisdn, message.text) for message in gateway.simulator.messages)


def _rows(text: str) -> dict[str, dict[str, str]]:
    """The rows of an output, by position."""
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {row["position"]: row for row in rows}
    assert len(found) == len(rows)
    return found


# --- what is sent -----------------------------------------------------------------------------


def test_everyone_gets_a_text(send: Run, gateway: Any) -> None:
    """A line for each row names the id that the delivery report will name."""
    result = send("--text", "{name}, you are number {id}.", "--key-column", "id")
    assert _sent(gateway) == [
        ("38598514674", "Ana, you are number 1."),
        ("38598514674", "Ana, you are number 4."),
        ("41793026727", "Beat, you are number 2."),
    ]
    rows = _rows(result.stdout)
    assert list(rows["1"]) == ["position", "recipient", "key", "outcome", "message_ids", "reason"]
    ids = {rows[position]["message_ids"] for position in "124"}
    assert ids == {message.message_id for message in gateway.simulator.messages}
    assert (rows["2"]["recipient"], rows["2"]["key"]) == ("41793026727", "2")
    assert (rows["3"]["recipient"], rows["3"]["outcome"]) == ("n/a", "refused")
    assert rows["3"]["reason"] == "recipients: is no telephone number (§2/1.2)"
    assert result.exit_code == 6
    assert "4 rows, 3 messages: 3 in 1 part; 3 parts" in result.stderr
    assert "not sent  1 number: is no telephone number (line 4)" in result.stderr
    assert "repeated  1 row with a number that stood before" in result.stderr


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        (["--text-column", "name"], {"Ana", "Beat"}),
        (["--text", "100 {% of} {{name}}"], None),
        (["--text", "Hi { name }"], {"Hi Ana", "Hi Beat"}),
        (["--text", "Hi {3}"], {"Hi Ana", "Hi Beat"}),
        (["--binary", "486921", "--data-coding", "1"], {"Hi!"}),
    ],
)
def test_texts(send: Run, gateway: Any, args: list[str], texts: set[str] | None) -> None:
    """They are in a column, or have columns in them, or the message is the same for everyone."""
    result = send(*args)
    if texts is None:
        assert result.exit_code == 2
        assert "no column '% of'" in result.stderr
    assert {text for _, text in _sent(gateway)} == (texts or set())


def test_json_lines_go_to_a_file(send: Run, gateway: Any, tmp_path: Path) -> None:
    """What is missing is null, and nothing is printed."""
    result = send("-t", "Hello", "--format", "jsonl", "-o", tmp_path / "out.jsonl")
    lines = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    outcomes = {line["position"]: (line["outcome"], line["key"]) for line in lines}
    assert outcomes == dict.fromkeys((1, 2, 4), ("sent", None)) | {3: ("refused", None)}
    assert result.stdout == ""


@contextmanager
def _piped(text: str) -> Iterator[io.BufferedReader]:
    """A standard input that is a pipe with a text in it."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    with open("<stdin>", "rb", opener=lambda *_: reading) as pipe:
        yield pipe


def test_a_list_can_come_through_a_pipe(run: Run, gateway: Any) -> None:
    """It is read once, so nothing is said about it before."""
    with _piped("number\n385981\n385982\n") as pipe:
        result = run("send", "-s", "Friend", "-t", "Hello", "--csv", "-", stdin=pipe)
    assert [row["outcome"] for row in _rows(result.stdout).values()] == ["sent", "sent"]
    assert "messages:" not in result.stderr
    assert result.exit_code == 0


def test_requests_are_as_large_as_asked_for(send: Run, gateway: Any) -> None:
    """And a number that stands twice is in two."""
    send("-t", "Hello", "--batch-size", "1")
    assert gateway.simulator.counts.requests == {"send": 3}


def test_hours_that_are_none(send: Run, gateway: Any) -> None:
    """Are refused before anything is sent; with a zone, too."""
    for options in (["--between", "25:00-26:00"], ["--between-zone", "Europe/Zagreb"]):
        result = send("--text", "Hi", "--yes", *options)
        assert (result.exit_code, "between" in result.stderr) == (2, True)
    assert not _sent(gateway)


# --- before and after -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "options", "answer", "sent"),
    [(500, [], "y", True), (500, [], "n", False), (500, ["-y"], "n", True), (160, [], "n", True)],
)
def test_a_person_is_asked_before_many_parts_are_sent(  # noqa: PLR0917 - fixtures
    send: Run,
    gateway: Any,
    terminal: None,
    length: int,
    options: list[str],
    answer: str,
    sent: bool,
) -> None:
    """What it takes is shown, with the first texts; unless it is little, or yes was said before."""
    price = ("--price", "0.5")
    result = send("-t", "{id}" + "." * (length - 1), *price, *options, stdin=answer)
    expected = "3 in 4 parts; 12 parts" if length > 160 else "3 in 1 part; 3 parts"
    assert f"3 messages: {expected}" in result.stderr
    asked = length > 160 and not options
    assert ("balance      1000000 credits" in result.stderr) is asked
    assert f"{6.0 if length > 160 else 1.5} credits at 0.5 a part" in result.stderr
    assert ("41793026727  2....." in result.stderr) is asked
    assert bool(gateway.simulator.messages) is sent


def test_texts_that_cannot_be_sent_are_counted(send: Run, gateway: Any, people: Path) -> None:
    """They are refused, and cost nothing."""
    people.write_text(PEOPLE.replace("Beat", ""), encoding="utf-8")
    result = send("--text-column", "name")
    assert "4 rows, 2 messages: 2 in 1 part; 2 parts" in result.stderr
    assert "not sent  1 number: is empty (line 3)" in result.stderr
    assert _rows(result.stdout)["2"]["outcome"] == "refused"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--csv", "{people}", "-t", "a", "38598514674"], "exclude --csv"),
        (["--csv", "{people}", "-t", "a", "--get"], "exclude --csv"),
        (["--csv", "{people}", "-t", "a", "--plain"], "exclude --csv"),
        (["--csv", "{people}", "-t", "a", "--text-column", "name"], "either --text or --text-col"),
        (["--csv", "{people}"], "either --text or --binary"),
        (["--csv", "{people}", "-t", "a", "--recipient-column", "phone"], "no column 'phone'"),
        (["--csv", "{people}", "-t", "Hi {{who}}"], "no column 'who'"),
        (["--csv", "{people}", "-t", "a", "--reconcile"], "--reconcile goes with --job"),
        (["--csv", "{people}", "-t", "a", "-o", "{people}"], "the same file"),
        (["--csv", "{people}", "-t", "a", "-s", "a sender too long"], "sender"),
        (["-t", "a", "--job", "x", "38598514674"], "--job goes with --csv"),
        (["-t", "a", "--text-column", "x", "38598514674"], "--text-column goes with --csv"),
        (["-t", "a", "--rate", "5", "38598514674"], "--rate goes with --csv"),
        (["-t", "a", "--max-parts", "0", "38598514674"], "--max-parts goes with --csv"),
        (["-t", "a", "--min-credits", "9", "38598514674"], "--min-credits goes with --csv"),
        (["-t", "a", "--between", "09:00-20:00", "38598514674"], "--between goes with --csv"),
        (["-t", "a", "--country", "FR", "612345678"], "--country goes with --csv"),
        (["-t", "a", "--normalise", "38598514674"], "--normalise goes with --csv"),
        (["-t", "a", "--no-header", "38598514674"], "--no-header goes with --csv"),
        (["-t", "a", "--csv", "{people}", "--exclude-column", "1"], "goes with --exclude"),
        (["-t", "a", "--csv", "{people}", "--exclude", "{people}"], "such as --exclude-column 1"),
    ],
)
def test_wrong_usage_is_refused(
    run: Run, gateway: Any, people: Path, args: list[str], why: str
) -> None:
    """Nothing is sent, and the exit code is 2."""
    result = run("send", "-s", "Friend", *(arg.format(people=people) for arg in args))
    assert result.exit_code == 2
    assert why in result.stderr
    assert gateway.simulator.messages == ()


@pytest.mark.parametrize(
    ("rows", "prepare", "code"),
    [
        ("", None, 0),
        ("38598514674\n", None, 0),
        ("n/a\n", None, 3),
        ("38598514674\n", "poor", 3),
        ("38598514674\n", "lost", 5),
        ("38598514674\nn/a\n", None, 6),
    ],
)
def test_exit_codes_tell_the_outcomes_apart(  # noqa: PLR0917 - fixtures
    run: Run, gateway: Any, people: Path, rows: str, prepare: str | None, code: int
) -> None:
    """As those of a single send do."""
    people.write_text("number\n" + rows, encoding="utf-8")
    if prepare == "poor":
        gateway.simulator.credits = 0
    if prepare == "lost":
        gateway.simulator.faults.add(Fault.CUT_BEFORE_REPLY)
    result = run("send", "-s", "Friend", "-t", "Hello", "--csv", people)
    assert result.exit_code == code
    assert ("NotEnoughCreditsError" in result.stderr) == (prepare == "poor")
    assert len(_rows(result.stdout)) == rows.count("\n")


def test_an_account_that_runs_out_is_told(send: Run, gateway: Any) -> None:
    """Some are sent before, so it is done in part."""
    gateway.simulator.credits = 1
    result = send("-t", "Hello", "--batch-size", "1")
    assert result.exit_code == 6
    assert "NotEnoughCreditsError" in result.stderr
    outcomes = Counter(row["outcome"] for row in _rows(result.stdout).values())
    assert outcomes == {"sent": 1, "not sent": 2, "refused": 1}


# --- with a job -------------------------------------------------------------------------------


def test_a_job_goes_on(send: Run, gateway: Any, tmp_path: Path) -> None:
    """The same command sends nothing again, and writes the same outcomes."""
    args = ("-t", "Hello", "--key-column", "id", "--job", tmp_path / "job")
    first, second = send(*args), send(*args)
    assert len(gateway.simulator.messages) == 3
    assert _rows(first.stdout) == _rows(second.stdout)
    assert "what an earlier run has sent is not sent again" in second.stderr
    assert "3 outcomes are of an earlier run" in second.stderr
    assert "earlier run" not in first.stderr
    assert first.exit_code == second.exit_code == 6


@pytest.mark.parametrize("on_unknown", ["report", "repeat"])
def test_what_is_unknown(send: Run, gateway: Any, tmp_path: Path, on_unknown: str) -> None:
    """It is sent again or not, as one wants it."""
    args = ("-t", "Hello", "--job", tmp_path / "job", "--on-unknown", on_unknown)
    gateway.simulator.faults.add(Fault.CUT_BEFORE_REPLY, times=1)
    unknown = [at for at, row in _rows(send(*args).stdout).items() if row["outcome"] == "unknown"]
    again = _rows(send(*args).stdout)
    assert unknown
    assert {again[at]["outcome"] for at in unknown} == {
        "unknown" if on_unknown == "report" else "sent"
    }


def test_reports_settle_what_is_unknown(send: Run, gateway: Any, tmp_path: Path) -> None:
    """They are printed, since the gateway gives them once."""
    gateway.simulator.callbacks = None
    gateway.simulator.gateway.delivery = lambda _: DeliveryStatus.NOT_DELIVERED
    args = ("-t", "Hello", "--job", tmp_path / "job")
    gateway.simulator.faults.add(Fault.CUT_BEFORE_REPLY, times=2)
    send(*args)
    result = send(*args, "--reconcile")
    assert "2 reports on what was unknown" in result.stderr
    assert result.stderr.count('"NOT_DELIVERED"') == 4  # status and raw status
    assert Counter(row["outcome"] for row in _rows(result.stdout).values()) == {
        "sent": 3,
        "refused": 1,
    }


def test_a_job_that_cannot_be_used(send: Run, gateway: Any, tmp_path: Path) -> None:
    """Nothing is sent."""
    result = send("-t", "Hello", "--job", tmp_path / "no" / "job")
    assert result.exit_code == 2
    assert "there is no directory" in result.stderr
    assert gateway.simulator.messages == ()


# --- stopped and killed -----------------------------------------------------------------------


@pytest.fixture
def command(gateway: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run or start the command that sends to many."""

    def command(run: Callable[..., Any], count: int, **options: Any) -> Any:
        source, job, output = (tmp_path / f"many.{suffix}" for suffix in ("csv", "job", "out"))
        source.write_text("number\n" + "".join(f"38598{at:06}\n" for at in range(count)))
        files = ("--csv", source, "--job", job, "-o", output)
        size = ("--batch-size", "5")
        return run("send", "-s", "Friend", "-t", "Hello", *files, *size, **options)

    return command


def _written(folder: Path) -> list[dict[str, str]]:
    return list(_rows((folder / "many.out").read_text()).values())


def _copies(gateway: Any) -> Counter[str]:
    return Counter(message.msisdn for message in gateway.simulator.messages)


@needs_signals
@pytest.mark.parametrize(
    ("count", "kills"),
    # `tests/bulk/test_crashes.py` kills the same run without its command.
    [
        pytest.param(60, 1, marks=pytest.mark.proof),
        pytest.param(600, 4, marks=pytest.mark.proof),
    ],
)
def test_killed(  # noqa: PLR0917 - fixtures
    command: Callable[..., Any],
    start: Any,
    run: Any,
    gateway: Any,
    tripwire: Any,
    tmp_path: Path,
    count: int,
    kills: int,
) -> None:
    """Again and again: nobody gets two, and in the end everyone has an outcome."""
    chance = random.Random(1)
    for _ in range(kills):
        tripwire.set(chance.randrange(5, count // (kills + 1)))
        process = command(start, count, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with tripwire.held():
            process.kill()
            process.wait()
        gateway.settle()
    result = command(run, count)
    rows, copies = _written(tmp_path), _copies(gateway)
    assert result.exit_code == 6
    assert len(rows) == count
    assert set(copies.values()) == {1}
    for row in rows:
        assert row["outcome"] in {"sent", "unknown"}
        assert row["outcome"] == "unknown" or row["recipient"] in copies


@needs_signals
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.proof)]
)
def test_stopped(  # noqa: PLR0917 - fixtures
    command: Callable[..., Any],
    start: Any,
    run: Any,
    gateway: Any,
    tripwire: Any,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """What is in flight ends, so that nothing is unknown, and the same command does the rest."""
    tripwire.set(30)
    process = command(start, 200)
    with tripwire.held():
        process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == 128 + number
    assert "stopped; the same command goes on where it was" in stderr
    assert "Traceback" not in stderr
    outcomes = Counter(row["outcome"] for row in _written(tmp_path))
    assert outcomes["sent"] == len(gateway.simulator.messages) < 200
    assert outcomes.keys() <= {"sent", "not sent"}
    assert command(run, 200).exit_code == 0
    assert len(_written(tmp_path)) == 200
    assert sorted(_copies(gateway).values()) == [1] * 200


@pytest.mark.proof
@needs_signals
def test_stopped_twice(
    command: Callable[..., Any], start: Any, gateway: Any, tripwire: Any
) -> None:
    """What is in flight is not waited for the second time."""
    tripwire.set(1)
    process = command(start, 60)
    with tripwire.held():
        process.send_signal(signal.SIGINT)
        while "stopping" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert "leaving at once" in stderr
    assert "Traceback" not in stderr


def test_progress_shows_on_a_terminal(send: Run, gateway: Any, terminal: None) -> None:
    """How many are sent, refused and unknown, of how many, and how fast."""
    shown = send("-t", "Hello", "-o", os.devnull).stderr
    assert "3 sent, 1 refused, 0 unknown" in shown
    assert "4/4" in shown


FIRST = ("--recipient-column", "1")


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (b"number,name\r\n38598514674,Jos\xe9\r\n", (), "list.csv, line 2 is not utf-8"),
        (b"number\n" + b"38598514674\n" * 9_000 + b"Jos\xe9", (), "list.csv, line 9002 is not"),
        (b"number,name\n38598514674,A\x00na\n", (), "NUL in line 2"),
        (b"38598514674,A\x00na\n", (*FIRST, "--no-header"), "NUL in line 1"),
        (b"number\n38598514674\n", ("--no-header",), "no column 'number'"),
        (b"38598514674\n41793026727\n", FIRST, "--no-header"),
        (b"+385 98 514 674;Ana\n41793026727;Eva\n", FIRST, "looks like a recipient"),
        (b"number\n38598514674\n", ("-o", "no/outcomes.csv"), "cannot be written"),
        (b"number\n38598514674\n", ("--encoding", "utf-99"), "no encoding"),
        (b"number\n38598514674\n", ("--encoding", "hex"), "no encoding"),
    ],
)
def test_nothing_is_sent_by_mistake(  # noqa: PLR0917 - fixtures
    send: Run, gateway: Any, tmp_path: Path, content: bytes, options: tuple[str, ...], reason: str
) -> None:
    """What would lose a recipient, a letter or the outcomes is refused before anything is sent."""
    (tmp_path / "list.csv").write_bytes(content)
    result = send("-t", "Hello", "--csv", str(tmp_path / "list.csv"), *options)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not gateway.simulator.messages


def test_another_encoding(send: Run, gateway: Any, tmp_path: Path) -> None:
    """Spreadsheets write what their system is set to."""
    (tmp_path / "list.csv").write_bytes(b"number,name\n38598514674,Jos\xe9\n")
    path = str(tmp_path / "list.csv")
    result = send("-t", "Hi {name}", "--csv", path, "--encoding", "cp1252")
    assert result.exit_code == 0, result.stderr
    assert [message.text for message in gateway.simulator.messages] == ["Hi José"]


def test_a_pipe_that_goes_wrong_is_done_in_part(run: Run, gateway: Any) -> None:
    """Those before are sent, with their outcomes: a pipe cannot be looked through before."""
    with _piped("number\n38598514674\n41793026727\nA\x00\n385981\n") as pipe:
        result = run("send", "-s", "Friend", "-t", "Hello", "--csv", "-", stdin=pipe)
    assert result.exit_code == 6
    assert {row["outcome"] for row in _rows(result.stdout).values()} == {"sent"}
    assert len(gateway.simulator.messages) == len(_rows(result.stdout)) == 2
    assert "there is a NUL in line 4" in result.stderr


def test_there_need_be_no_header(send: Run, gateway: Any, tmp_path: Path) -> None:
    """Then the first line is a recipient's, and columns have numbers."""
    (tmp_path / "list.csv").write_text("38598514674;Ana\n41793026727;Eva\n")
    options = ("--csv", str(tmp_path / "list.csv"), "--no-header", "--recipient-column", "1")
    result = send("-t", "Hi {2}", *options)
    assert result.exit_code == 0, result.stderr
    assert _sent(gateway) == [("38598514674", "Hi Ana"), ("41793026727", "Hi Eva")]


def test_columns_of_text_may_look_like_numbers(send: Run, gateway: Any, tmp_path: Path) -> None:
    """Only that of the recipients tells whether there is a header."""
    (tmp_path / "list.csv").write_text("number,2025-2026\n38598514674,Ana\n")
    path = str(tmp_path / "list.csv")
    assert send("-t", "Hi {2025-2026}", "--csv", path).exit_code == 0
    assert _sent(gateway) == [("38598514674", "Hi Ana")]


@pytest.mark.proof
def test_nobody_reads_the_outcomes(start: Callable[..., Any], gateway: Any, tmp_path: Path) -> None:
    """A reader that has enough, such as ``head``, ends the command without a traceback."""
    with (tmp_path / "many.csv").open("w", encoding="utf-8") as file:
        # Their outcomes are more than a pipe holds.
        file.writelines(["number\n", *(f"38598{at:06}\n" for at in range(4_000))])
    process = start("send", "-s", "Friend", "-t", "Hello", "--csv", "many.csv")
    assert process.stdout.readline().startswith("position,")
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait() == 1
    assert "Traceback" not in stderr
    assert "Exception" not in stderr
