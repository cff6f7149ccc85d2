"""``infobip-async send``, against a gateway on loopback."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result

from infobip_async.simulator import Fault
from infobip_async.simulator.records import Operation
from platforms import needs_dev_full, needs_signals

if TYPE_CHECKING:
    import subprocess

Run = Callable[..., Result]
ADA, BOB = "38598514674", "41793026727"
SEND = ("send", "-s", "Friend", "-t", "Hello", ADA)


def test_each_number_has_an_id(run: Run, gateway: Any) -> None:
    """It is the one that the delivery report will name."""
    result = run("send", "-s", "Friend", "-t", "Hello", ADA, BOB)
    assert result.exit_code == 0
    sent = gateway.simulator.messages
    assert result.stdout == f"{ADA} {sent[0].message_id}\n{BOB} {sent[1].message_id}\n"
    assert result.stderr == "accepted 2 of 2, 999998 credits left\n"
    assert [message.submission.text for message in sent] == ["Hello", "Hello"]


def test_without_reports_there_is_no_id(run: Run, gateway: Any) -> None:
    """The plain form is sent."""
    result = run("send", "--plain", "-s", "Friend", "-t", "Hello", ADA)
    assert (result.exit_code, result.stdout) == (0, f"{ADA}\n")
    assert gateway.simulator.messages[0].message_id is None


def test_by_get_the_gateway_gives_the_id(run: Run, gateway: Any) -> None:
    """It is printed alone."""
    result = run("send", "--get", "-s", "Friend", "-t", "Hello", ADA)
    sent = gateway.simulator.messages[0]
    assert (result.exit_code, result.stdout) == (0, f"{sent.gateway_id}\n")
    assert sent.operation is Operation.SEND_ONE


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["-t", "Hello", "--flash"], {"text": "Hello", "flash": True}),
        (
            ["--binary", "424344", "--udh", "06050400010241", "--data-coding", "4"],
            {"binary": bytes.fromhex("06050400010241424344"), "esm_class": 64, "data_coding": 4},
        ),
        (["--binary", "42", "--esm-class", "3"], {"binary": b"B", "esm_class": 3}),
        (["-t", "See", "--bookmark", "wap.example.com"], {"text": "See", "url": "wap.example.com"}),
        (["-t", "šđ"], {"binary": "šđ".encode("utf-16-be"), "data_coding": 8}),
        (["-t", "šđ", "--ucs2", "text"], {"text": "šđ", "data_coding": 8}),
    ],
)
def test_options_make_the_message(
    run: Run, gateway: Any, args: list[str], expected: dict[str, object]
) -> None:
    """What the gateway got is what was asked for."""
    assert run("send", "-s", "Friend", *args, ADA).exit_code == 0
    submission = gateway.simulator.messages[0].submission
    assert {name: getattr(submission, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["-t", "a"], "Missing argument"),
        ([ADA], "give either --text or --binary"),
        (["-t", "a", "--binary", "41", ADA], "give either --text or --binary"),
        (["--binary", "4", ADA], "not hexadecimal"),
        (["-t", "a", "--udh", "00", ADA], "go with --binary"),
        (["-t", "a", "--data-coding", "8", ADA], "go with --binary"),
        (["-t", "a", "--esm-class", "1", ADA], "go with --binary"),
        (["-t", "a", "--flash", "--bookmark", "x", ADA], "exclude each other"),
        (["--binary", "41", "--flash", ADA], "exclude each other"),
        (["--binary", "41", "--bookmark", "x", ADA], "exclude each other"),
        (["-t", "a", "--get", ADA, BOB], "one recipient"),
        (["-t", "a", "--get"], "one recipient"),
        (["-t", "a", "+385"], "recipients:"),
        (["-t", "a", ADA, ADA], "stands at 1 and at 2"),
        (["-t", "", ADA], "text"),
        (["-t", "a", "--timeout", "0", ADA], "--timeout"),
    ],
)
def test_wrong_usage_is_refused(run: Run, gateway: Any, args: list[str], why: str) -> None:
    """Nothing is sent, and the exit code is 2."""
    result = run("send", "-s", "Friend", *args)
    assert result.exit_code == 2
    assert why in result.stderr
    assert gateway.simulator.messages == ()


@pytest.mark.parametrize("text", ["a" * 161, "š" * 71])
def test_a_long_text_is_shown_before(run: Run, gateway: Any, text: str) -> None:
    """Nobody is asked where there is no terminal."""
    result = run("send", "-s", "Friend", "-t", text, ADA)
    assert result.exit_code == 0
    assert "2 part(s)" in result.stderr


@pytest.mark.parametrize(
    ("text", "options", "answer", "sent"),
    [
        ("a" * 161, [], "y", True),
        ("a" * 161, [], "n", False),
        ("a" * 161, ["-y"], "n", True),
        ("a" * 160, [], "n", True),
    ],
)
def test_a_person_is_asked_before_a_long_text_is_sent(  # noqa: PLR0917 - fixtures
    run: Run, gateway: Any, terminal: None, text: str, options: list[str], answer: str, sent: bool
) -> None:
    """Unless it is short, or one said yes before."""
    result = run("send", "-s", "Friend", "-t", text, *options, ADA, stdin=answer)
    assert result.exit_code == (0 if sent else 1)
    assert bool(gateway.simulator.messages) is sent


def test_exit_codes_tell_the_outcomes_apart(
    run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, unknown with the ids that settle it, done in part, not sent."""
    args = ("send", "-s", "Friend", "-t", "Hello", ADA, BOB)
    gateway.simulator.credits = 1
    result = run(*args)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "NotEnoughCreditsError" in result.stderr
    gateway.simulator.credits = 100
    gateway.simulator.faults.add(Fault.CUT_BEFORE_REPLY)
    result = run(*args)
    assert result.exit_code == 5
    for message in gateway.simulator.messages:
        assert f"may have been sent: {message.message_id}" in result.stderr
    assert run(*args[:-1], "1").exit_code == 6
    monkeypatch.setenv("INFOBIP_BASE_URL", "http://127.0.0.1:1")
    assert run(*args).exit_code == 4


def _stopped(process: "subprocess.Popen[str]") -> None:
    """Stop a send for the first time."""
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "waiting up to 30 s for the reply; once more leaves\n"


@needs_signals
def test_a_send_that_is_stopped_waits_for_its_reply(
    start: Any, gateway: Any, tripwire: Any
) -> None:
    """What became of it is told."""
    tripwire.set(1)
    process = start(*SEND)
    with tripwire.held():
        _stopped(process)
    stdout, stderr = process.communicate()
    (message,) = gateway.simulator.messages
    assert process.returncode == 128 + signal.SIGINT
    assert stdout == f"{ADA} {message.message_id}\n"
    assert "accepted 1 of 1" in stderr


@needs_signals
def test_a_send_that_is_stopped_twice_ends(start: Any, gateway: Any, tripwire: Any) -> None:
    """The id with which it may have been sent is told."""
    tripwire.set(1)
    process = start(*SEND)
    with tripwire.held():
        _stopped(process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    gateway.settle()
    (message,) = gateway.simulator.messages
    assert process.returncode == 5
    assert "leaving at once" in stderr
    assert f"may have been sent: {message.message_id}" in stderr
    assert "Traceback" not in stderr


@needs_dev_full
def test_a_full_disk_does_not_hide_that_a_message_is_sent(
    start: Callable[..., Any], gateway: Any
) -> None:
    """The ids are lost; what was accepted is said, and the exit code says that not all was done."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = start("send", "-s", "Friend", "-t", "Hi", ADA, stdout=full)
    _, stderr = process.communicate()
    assert process.returncode == 6
    assert "sent, but its ids cannot be written: No space left on device" in stderr
    assert "accepted 1 of 1" in stderr
    assert len(gateway.simulator.messages) == 1
