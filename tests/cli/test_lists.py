"""Lists with accidents in them, at the command line; and what becomes of outcomes."""

import csv
import io
import os
import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from infobip_async.cli.commands import send_csv
from infobip_async.simulator import policies
from platforms import needs_dev_full, needs_signals

Run = Callable[..., Result]
NUMBERS = ("38598514674", "41793026727")
PEOPLE = "id,number,name\n1,38598514674,Ana\n\n2,,Beat\n3,41793026727,Cy\n"


@pytest.fixture
def send(run: Run, gateway: Any, tmp_path: Path) -> Run:
    """Send to a list."""

    def send(content: str | bytes, *args: object, text: str = "Hi", **options: Any) -> Result:
        path = tmp_path / "people.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        columns = ("--recipient-column", "number", "-t", text)
        return run("send", "-s", "Friend", "--csv", path, *columns, *args, **options)

    return send


@pytest.fixture
def hlr(run: Run, gateway: Any, tmp_path: Path) -> Run:
    """Look the numbers of a list up."""

    def hlr(content: str | bytes, *args: object, **options: object) -> Result:
        path = tmp_path / "list.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return run("hlr", path, "--receive", f"127.0.0.1:{gateway.port}", *args, **options)

    return hlr


def _sent(gateway: Any) -> list[tuple[str, str]]:
    return sorted((message.msisdn, message.text) for message in gateway.simulator.messages)


def _rows(text: str) -> list[dict[str, str]]:
    return sorted(csv.DictReader(io.StringIO(text)), key=lambda row: int(row["position"]))


# --- what is sent, and what is refused ---


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('number,name\n385981,"Ana\n385982,Beat\n', "a quotation mark in line 2 is not closed"),
        ('number,name\n385981,"Ana\n385982,B"\n', "--multiline takes them"),
        ("number,Name,name\n385981,Ana,Beat\n", "columns 2 and 3 are both 'name': give a number"),
    ],
)
def test_a_list_that_is_uncertain_is_refused_as_a_whole(
    send: Run, gateway: Any, content: str, reason: str
) -> None:
    """Nothing is sent, and the line is named."""
    result = send(content, text="Hi {name}")
    assert (result.exit_code, _sent(gateway)) == (2, [])
    assert reason in result.stderr


def test_a_row_that_is_cut_is_refused(send: Run, gateway: Any) -> None:
    """The others are sent, and the line is told before."""
    result = send("number,name\n38598514674,Ana, Beat\n41793026727,Cy\n", text="Hi {name}")
    assert _sent(gateway) == [("41793026727", "Hi Cy")]
    assert result.exit_code == 6
    assert "stands in a row of 3 cells under a header of 2" in _rows(result.stdout)[0]["reason"]
    assert "(line 2)" in result.stderr


SHORT = "number,name\n38598514674\n41793026727,Cy\n"


@pytest.mark.parametrize(
    ("options", "code", "sent"), [((), 2, 0), (("--yes",), 0, 2), (("--dry-run",), 0, 0)]
)
def test_a_text_with_a_hole_needs_a_yes(
    send: Run, gateway: Any, options: tuple[str, ...], code: int, sent: int
) -> None:
    """Where there is nobody to be asked, the run is refused."""
    result = send(SHORT, *options, text="Hi {name}")
    assert (result.exit_code, len(_sent(gateway))) == (code, sent)
    assert "1 row too short for a column of the text" in result.stderr
    assert ("1 text has a hole" in result.stderr) is (code == 2)


@pytest.mark.parametrize(("options", "sent"), [((), 1), (("--yes",), 2)])
def test_a_pipe_has_nobody_to_be_asked(
    run: Run, gateway: Any, options: tuple[str, ...], sent: int
) -> None:
    """A row that is too short is refused when it comes, unless it may have a hole."""
    reading, writing = os.pipe()
    os.write(writing, SHORT.encode())
    os.close(writing)
    with open("<stdin>", "rb", opener=lambda *_: reading) as pipe:
        args = ("-t", "Hi {name}", "--csv", "-", *options)
        result = run("send", "-s", "Friend", *args, stdin=pipe)
    assert len(_sent(gateway)) == sent
    assert ("too short for the text" in result.stdout) is (sent == 1)


@pytest.mark.parametrize(("answer", "sent"), [("y", 2), ("n", 0)])
def test_a_person_is_asked_about_holes(
    send: Run, gateway: Any, terminal: None, answer: str, sent: int
) -> None:
    """However few parts there are."""
    send(SHORT, text="Hi {name}", stdin=answer)
    assert len(_sent(gateway)) == sent


def test_braces_can_be_written(send: Run, gateway: Any) -> None:
    """As in a format of Python."""
    send("number,code\n38598514674,7\n", text="{{{code}}}")
    assert _sent(gateway) == [("38598514674", "{7}")]


def test_excluded_numbers_get_nothing(send: Run, gateway: Any, tmp_path: Path) -> None:
    """In whatever form they are; one that cannot be read ends the run before its start."""
    stop = tmp_path / "stop.txt"
    stop.write_text("+385 98 514 674\n")
    result = send(PEOPLE, "--exclude", stop, "--country", "HR")
    assert _sent(gateway) == [("41793026727", "Hi")]
    assert [row["outcome"] for row in _rows(result.stdout)] == ["excluded", "refused", "sent"]
    assert "excluded  1 number" in result.stderr
    assert result.exit_code == 6  # one was refused
    assert send("number\n38598514674\n41793026727\n", "--exclude", stop).exit_code == 0
    stop.write_text("stop: 098\n")
    assert send(PEOPLE, "--exclude", stop).exit_code == 2
    assert len(_sent(gateway)) == 2


def test_a_spreadsheet_is_sent_to(run: Run, gateway: Any, tmp_path: Path) -> None:
    """And looked up; its numbers need no zero."""
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book, path = openpyxl.Workbook(), tmp_path / "people.xlsx"
    for row in (("number", "name"), (98514674, "Ana"), ("098 303 174", "Beat")):
        book.active.append(row)
    book.save(path)
    args = ("--recipient-column", "number", "-t", "Hi {name}", "--country", "HR")
    result = run("send", "-s", "Friend", "--csv", path, *args)
    assert _sent(gateway) == [("38598303174", "Hi Beat"), ("38598514674", "Hi Ana")]
    assert "guessed  1 row: a number of HR without its zero" in result.stderr
    receive = ("--receive", f"127.0.0.1:{gateway.port}")
    result = run("hlr", path, "--column", "1", "--country", "HR", *receive)
    assert [row["outcome"] for row in _rows(result.stdout)] == ["reported"] * 2


# --- lookups ---


@pytest.mark.parametrize("line", ["38598514674;Ana;secret", '"38598514674"', "Ana\t38598514674"])
def test_whole_rows_are_not_looked_up(hlr: Run, gateway: Any, line: str) -> None:
    """A list with cells needs a column, and the option is named."""
    result = hlr(f"41793026727\n{line}\n")
    assert result.exit_code == 2
    assert "line 2 has a" in result.stderr
    assert "--column 1" in result.stderr
    assert gateway.simulator.counts.lookups == 0


def test_results_can_be_joined_to_the_list(hlr: Run, send: Run, gateway: Any) -> None:
    """By the position of the row, which both commands count alike, by keys and by columns."""
    columns = ("--key-column", "id", "--keep", "name")
    looked_up = _rows(hlr(PEOPLE, "--column", "number", *columns).stdout)
    sent = _rows(send(PEOPLE, *columns).stdout)
    for rows in (looked_up, sent):
        places = [(row["position"], row["key"], row["name"]) for row in rows]
        assert places == [("1", "1", "Ana"), ("2", "2", "Beat"), ("3", "3", "Cy")]
    assert [row["outcome"] for row in looked_up] == ["reported", "refused", "reported"]
    assert "is missing: the row has no number" in looked_up[1]["reason"]


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (["reason"], "have a column of that name"),
        (["name"] * 2, "have a column of that name"),
        (["age"], "no column 'age'"),
    ],
)
def test_columns_that_cannot_be_kept(hlr: Run, gateway: Any, keep: list[str], why: str) -> None:
    """Nothing is looked up."""
    result = hlr(PEOPLE, "--column", "number", *(f"--keep={name}" for name in keep))
    assert result.exit_code == 2
    assert why in result.stderr
    assert gateway.simulator.counts.lookups == 0


def test_a_list_to_look_up_has_an_encoding(hlr: Run, gateway: Any) -> None:
    """UTF-16 is known by its mark, others are named, and nothing is guessed."""
    text = "ime,broj\nJosé,38598514674\n"
    options = ("--column", "broj", "--keep", "ime")
    for content, more in [
        (text.encode("utf-16"), ()),
        (text.encode("cp1252"), ("--encoding", "cp1252")),
        ("\ufeffsep=,\n" + text, ()),
    ]:
        assert _rows(hlr(content, *options, *more).stdout)[0]["ime"] == "José"
    result = hlr(text.encode("cp1252"), *options)
    assert result.exit_code == 2
    assert "line 2 is not utf-8" in result.stderr


def test_a_dry_run_looks_nothing_up(hlr: Run, gateway: Any) -> None:
    """The rows are counted, and those at fault are told."""
    result = hlr("098514674\n3.8E+10\n", "--country", "HR", "--dry-run", "-v")
    assert result.exit_code == 0
    assert "2 numbers" in result.stderr
    assert "1 number will not be looked up: was rounded by a spreadsheet" in result.stderr
    assert "line 2 was rounded by a spreadsheet" in result.stderr
    assert gateway.simulator.counts.lookups == 0


def test_delivery_reports_at_the_port_take_one_line(
    hlr: Run, gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """They are left to the gateway, without a traceback for each."""
    body = b'<DeliveryReport><message id="1" status="DELIVERED"/></DeliveryReport>'

    def answer(number: str) -> Any:
        with pytest.raises(urllib.error.HTTPError, match="500") as refused:
            urllib.request.urlopen(gateway.urls().delivery_reports, body)  # noqa: S310 - on loopback
        refused.value.close()
        return policies.in_network(number)

    gateway.answer = answer
    result = hlr("\n".join(NUMBERS))
    assert result.exit_code == 0
    assert result.stderr.count("left to the gateway: DeliveryReport") == 1
    assert not [record for record in caplog.records if record.exc_info]


def test_a_job_with_faulty_rows_goes_on(hlr: Run, gateway: Any, tmp_path: Path) -> None:
    """The same results in the order of the list, and it is told which are of an earlier run."""
    args = ("--column", "number", "--job", tmp_path / "job", "--key-column", "id")
    first, second = hlr(PEOPLE, *args), hlr(PEOPLE, *args)
    assert first.stdout == second.stdout
    assert [row["position"] for row in csv.DictReader(io.StringIO(first.stdout))] == ["1", "2", "3"]
    assert "of an earlier run" not in first.stderr
    assert "results are of an earlier run" in second.stderr
    assert gateway.simulator.counts.lookups == 2


# --- what is said ---


def test_a_quiet_run_says_errors_only(send: Run, hlr: Run, gateway: Any) -> None:
    """The outcomes are written all the same."""
    result = send(PEOPLE, "-q")
    assert (result.exit_code, result.stderr) == (6, "")
    assert len(_rows(result.stdout)) == 3
    assert hlr(PEOPLE, "--column", "number", "-q").stderr == ""
    assert "no column 'phone'" in hlr(PEOPLE, "--column", "phone", "-q").stderr


def test_a_verbose_run_names_each_line(
    send: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a fault or a guess, however many there are."""
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    monkeypatch.setattr("logging.Logger.setLevel", lambda *_: None)
    result = send("number\n98514674\nn/a\n", "--country", "HR", "-v")
    assert "line 2    a number of HR without its zero" in result.stderr
    assert "line 3    is no telephone number" in result.stderr


@pytest.mark.parametrize(
    "args", [("send", "-s", "Friend", "-t", "Hi", "--csv", "-"), ("hlr", "-", "--column", "1")]
)
def test_a_dry_run_of_a_pipe_is_refused(run: Run, gateway: Any, args: tuple[str, ...]) -> None:
    """A look would use it up."""
    reading, writing = os.pipe()
    os.close(writing)
    with open("<stdin>", "rb", opener=lambda *_: reading) as pipe:
        result = run(*args, "--dry-run", stdin=pipe)
    assert result.exit_code == 2
    assert "--dry-run needs a file" in result.stderr


def test_what_steers_terminals_is_shown_as_escapes(send: Run, gateway: Any) -> None:
    """So that a cell of the list cannot write over what is shown."""
    result = send("number,name\n38598514674,A\u009bna\u200b\n", "--dry-run", text="{name}")
    assert "A\\x9bna\\u200b" in result.stderr
    assert "because of \\x9b 1, \\u200b 1" in result.stderr


def test_a_dry_run_of_a_single_send(run: Run, gateway: Any) -> None:
    """Shows the parts, and sends nothing."""
    result = run("send", "-s", "Friend", "-t", "a" * 161, *NUMBERS, "--dry-run")
    assert result.exit_code == 0
    assert "GSM-7, 2 part(s)" in result.stderr
    assert "4 parts to 2 recipients" in result.stderr
    result = run("send", "-s", "Friend", "-t", "Hi", "098514674", "--dry-run")
    assert result.exit_code == 2
    assert "has a leading 0" in result.stderr
    assert not gateway.simulator.messages


@pytest.mark.parametrize(("count", "answer", "sent"), [(10, "n", 10), (11, "n", 0), (11, "y", 11)])
def test_many_parts_need_a_yes(  # noqa: PLR0917 - fixtures
    run: Run, gateway: Any, terminal: None, count: int, answer: str, sent: int
) -> None:
    """Also where the numbers are arguments."""
    numbers = [str(385980000000 + at) for at in range(count)]
    run("send", "-s", "Friend", "-t", "Hi", *numbers, stdin=answer)
    assert len(gateway.simulator.messages) == sent


def test_a_terminal_gets_escapes(
    start: Callable[..., Any], gateway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what its charset cannot show."""
    pty = pytest.importorskip("pty")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (tmp_path / "people.csv").write_text("number,name\n38598514674,Šime\n", encoding="utf-8")
    ours, theirs = pty.openpty()
    args = ("send", "-s", "Friend", "-t", "Hi", "--csv", "people.csv", "--keep", "name", "-q")
    process = start(*args, stdout=theirs)
    os.close(theirs)
    assert process.wait() == 0
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        assert rb"\u0160ime" in terminal.read(4_096)


# --- outcomes that must not get lost ---


def test_what_a_charset_cannot_write_ends_no_run(
    start: Callable[..., Any], gateway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets UTF-8, whatever the environment says."""
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    (tmp_path / "people.csv").write_text("number,name\n38598514674,Šime 😀\n", encoding="utf-8")
    process = start(
        *("send", "-s", "Friend", "-t", "Hi {name}", "--csv", "people.csv", "--keep", "name"),
        encoding="utf-8",
    )
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert _rows(stdout)[0]["name"] == "Šime 😀"


@needs_dev_full
@pytest.mark.parametrize(
    ("command", "to"),
    [
        ("send", "file"),
        pytest.param("hlr", "standard output", marks=pytest.mark.proof),
        pytest.param("send", "standard output", marks=pytest.mark.proof),
        pytest.param("hlr", "file", marks=pytest.mark.proof),
    ],
)
def test_a_full_disk_stops_the_run_with_a_summary(
    start: Callable[..., Any], gateway: Any, tmp_path: Path, to: str, command: str
) -> None:
    """What was sent is counted, and the exit code says that it was done in part."""
    (tmp_path / "list.csv").write_text("number\n" + "38598514674\n" * 20)
    args = {
        "send": ("send", "-s", "Friend", "-t", "Hi", "--csv", "list.csv", "--batch-size", 1),
        "hlr": ("hlr", "list.csv", "--column", 1, "--receive", f"127.0.0.1:{gateway.port}"),
    }[command]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        where = {"stdout": full} if to == "standard output" else {}
        options = () if where else ("-o", "/dev/full")
        process = start(*args, *options, **where)
        _, stderr = process.communicate()
    assert process.returncode == 6, stderr
    assert "No space left on device" in stderr
    assert "Traceback" not in stderr
    done = {"send": "sent", "hlr": "reported"}[command]
    [row] = [line.split() for line in stderr.splitlines() if line.strip().startswith(done)]
    simulator = gateway.simulator
    went = len(simulator.messages) if command == "send" else simulator.counts.lookups
    assert int(row[1]) == went


@needs_signals
def test_the_first_signal_waits_as_long_as_it_says(
    send: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply that takes longer leaves its recipients unknown, and all outcomes are written."""
    monkeypatch.setattr(send_csv, "LAST_WAIT", 0)
    replies = threading.Event()
    signals = iter([signal.SIGINT])

    def deliver(number: str) -> Any:
        for one in signals:
            os.kill(os.getpid(), one)
            assert replies.wait(60)
        return policies.delivered(number)

    gateway.simulator.gateway.delivery = deliver
    content = "number\n" + "".join(f"38598{at:06}\n" for at in range(9))
    result = send(content, "--batch-size", 1)
    replies.set()
    assert result.exit_code == 128 + signal.SIGINT
    assert "stopping: what is out has 10 s" in result.stderr
    outcomes = Counter(row["outcome"] for row in _rows(result.stdout))
    assert outcomes["unknown"] == 1
    assert outcomes.total() == 9
