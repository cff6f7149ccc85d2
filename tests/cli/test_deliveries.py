"""``infobip-async send --deliveries`` and ``infobip-async deliveries``, against a gateway."""

import csv
import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from infobip_async.cli import following
from infobip_async.cli.commands import serve
from infobip_async.simulator import Fault
from platforms import needs_dev_full, needs_signals

Run = Callable[..., Result]
ADA, BOB = "38598514674", "41793026727"
SEND = ("send", "-s", "Friend", "-t", "Hello")


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Where deliveries are stored."""
    return str(tmp_path / "sent.db")


@pytest.fixture
def pulled(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gateway whose reports wait for a pull, and little time between two pulls."""
    gateway.simulator.callbacks = None
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.1)
    return gateway


def status(run: Run, file: str) -> dict[str, object]:
    """What has become of the messages in a file."""
    return json.loads(run("deliveries", "status", file).stdout)


def test_send_and_poll(run: Run, pulled: Any, file: str) -> None:
    """The reports are pulled until each message is final."""
    result = run(*SEND, ADA, BOB, "--deliveries", file, "--poll")
    assert result.exit_code == 0
    sent = pulled.simulator.messages
    assert result.stdout == f"{ADA} {sent[0].message_id}\n{BOB} {sent[1].message_id}\n"
    assert "delivered" in result.stderr
    assert status(run, file) == {"total": 2, "delivered": 2}


def test_send_and_receive(run: Run, gateway: Any, file: str) -> None:
    """The reports are pushed to this process."""
    address = f"127.0.0.1:{gateway.port}"
    result = run(*SEND, ADA, "--deliveries", file, "--receive", address)
    assert result.exit_code == 0
    assert "Enter in the account's profile page" in result.stderr
    assert status(run, file) == {"total": 1, "delivered": 1}


def test_what_failed_is_told(run: Run, pulled: Any, file: str) -> None:
    """By its status, and by the exit code."""
    pulled.simulator.gateway.delivery = lambda number: (
        "REJECTED" if number == ADA else "NOT_DELIVERED"
    )
    result = run(*SEND, ADA, BOB, "--deliveries", file, "--poll")
    assert result.exit_code == 6
    assert status(run, file) == {"total": 2, "failed: NOT_DELIVERED": 1, "failed: REJECTED": 1}


def test_follow_later(run: Run, pulled: Any, file: str) -> None:
    """What was sent without waiting, or whose wait timed out, is followed by another command."""
    sent = run(*SEND, ADA, "--deliveries", file, "--key", "order-17")
    assert (sent.exit_code, f"deliveries follow {file}" in sent.stderr) == (0, True)
    late = run("deliveries", "follow", file, "--follow-timeout", "0.1")
    assert (late.exit_code, f"deliveries follow {file}" in late.stderr) == (6, True)
    found = status(run, file)
    assert (found["waiting"], found["oldest_age"] >= 0) == (1, True)
    assert run("deliveries", "follow", file, "--poll").exit_code == 0
    assert status(run, file) == {"total": 1, "delivered": 1}


def test_a_key_is_sent_once(run: Run, gateway: Any, file: str) -> None:
    """The second time it is an error, and nothing is sent."""
    command = (*SEND, ADA, "--deliveries", file, "--key", "order-17")
    assert run(*command).exit_code == 0
    again = run(*command)
    assert (again.exit_code, "AlreadySentError" in again.stderr) == (1, True)
    assert len(gateway.simulator.messages) == 1


def test_a_list(run: Run, pulled: Any, file: str, tmp_path: Path) -> None:
    """The file of deliveries is the record of the run: again, it sends only what is new."""
    people = tmp_path / "people.csv"
    people.write_text(f"number,id\n{ADA},a\n{BOB},b\n")
    command = (
        *(*SEND, "--csv", str(people), "--recipient-column", "number", "--key-column", "id"),
        *("--deliveries", file, "--run", "may", "--poll"),
    )
    pulled.simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send")
    first = run(*command)
    assert first.exit_code in {0, 5, 6}
    assert status(run, file) == {"total": 2, "delivered": 2}
    with people.open("a") as stream:
        stream.write("49170111222,c\n")
    assert run(*command).exit_code == 0
    assert status(run, file) == {"total": 3, "delivered": 3}
    assert len(pulled.simulator.messages) == 3


@needs_dev_full
def test_an_export_to_a_full_disk_fails(run: Run, pulled: Any, file: str) -> None:
    """Rows that are not there are no success."""
    run(*SEND, ADA, "--deliveries", file)
    result = run("deliveries", "export", file, "-o", "/dev/full")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr


def test_list_and_export(run: Run, pulled: Any, file: str) -> None:
    """Each message with what is known of it; an export for a spreadsheet."""
    run(*SEND, ADA, "--deliveries", file, "--key", "order-17")
    [line] = run("deliveries", "list", file, "--pending").stdout.splitlines()
    listed = json.loads(line)
    assert (listed["key"], listed["msisdn"], listed["outcome"]) == ("order-17", ADA, "sent")
    run("deliveries", "follow", file, "--poll")
    assert run("deliveries", "list", file, "--pending").stdout == ""
    [row] = csv.DictReader(io.StringIO(run("deliveries", "export", file).stdout))
    assert (row["key"], row["status"], row["delivered"]) == ("order-17", "DELIVERED", "True")


MISTAKES = [
    (("--key", "k"), "go with --deliveries"),
    (("--poll",), "go with --deliveries"),
    (("--deliveries", "x", "--plain"), "excludes"),
    (("--deliveries", "x", "--poll", "--receive", "127.0.0.1:0"), "either"),
]


@pytest.mark.parametrize(("options", "why"), MISTAKES)
def test_options_that_contradict_each_other(run: Run, gateway: Any, options, why: str) -> None:
    """Nothing is sent."""
    result = run(*SEND, ADA, *options)
    assert (result.exit_code, why in result.stderr) == (2, True)
    assert gateway.simulator.messages == ()


def test_another_file(run: Run, gateway: Any, tmp_path: Path) -> None:
    """It is left as it is."""
    other = tmp_path / "other"
    other.write_text("no database\n" * 100)
    result = run(*SEND, ADA, "--deliveries", str(other))
    assert (result.exit_code, "is not a store of deliveries" in result.stderr) == (2, True)
    assert gateway.simulator.messages == ()


def test_serve(run: Run, pulled: Any, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver stores what the reports say of messages that another command has sent."""
    message_id = run(*SEND, ADA, "--deliveries", file).stdout.split()[1]

    async def until_stopped(announce: Callable[[], None]) -> None:
        announce()
        body = f'<DeliveryReport><message id="{message_id}" status="DELIVERED"/></DeliveryReport>'
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            reply = await http.post(pulled.urls().delivery_reports, content=body)
        assert reply.status_code == 200

    monkeypatch.setattr(serve, "until_stopped", until_stopped)
    address = f"127.0.0.1:{pulled.port}"
    result = run("serve", "--bind", address, "--deliveries", file)
    printed = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["type"] for one in printed].count("DeliveryReport") == 1
    changes = [one["delivered"] for one in printed if one["type"] == "Delivery"]
    assert changes[-1] is True
    assert status(run, file) == {"total": 1, "delivered": 1}


@pytest.mark.proof
@needs_signals
def test_ctrl_c_leaves_the_rest_to_be_followed(
    start: Any, run: Run, pulled: Any, file: str
) -> None:
    """The exit code is the signal's, and the message says how to go on."""
    pulled.simulator.gateway.report_delay = 3_600
    process = start(*SEND, ADA, "--deliveries", file, "--poll")
    assert process.stdout.readline().startswith(ADA)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, f"deliveries follow {file}" in told) == (130, True)
    assert status(run, file)["waiting"] == 1
