"""The commands about the account, and how it is named."""

import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from click.testing import Result

from infobip_async import LocalProtocolError
from infobip_async.cli.commands import reports

Run = Callable[..., Result]
SEND = ("send", "-s", "Friend", "-t", "Hello")
ADA, BOB = "38598514674", "41793026727"


def test_the_balance_is_shown(run: Run, gateway: Any) -> None:
    """As a plain number."""
    result = run("credits")
    assert (result.exit_code, result.stdout) == (0, "1000000\n")


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--later"], 0, ""),
        (["-u", "nobody"], 3, "AuthenticationError"),
        (["--base-url", "http://sms.example.com"], 2, "or --allow-insecure"),
        (["--base-url", "http://127.0.0.1:1"], 4, "NotSentError"),
        (["--base-url", "http://127.0.0.1:1", "--later"], 4, "NotSentError"),
        (["--proxy", "http://127.0.0.1:1"], 4, "NotSentError"),
        (["--proxy", "foo"], 2, "--proxy"),
        (["--proxy", "http://[x"], 2, "--proxy"),
        (["--proxy", "http://a b"], 2, "--proxy"),
        (["--proxy", "user:secret@host:3128"], 2, "--proxy"),
        (["--proxy", "socks5://user:secret@host:1080"], 2, "--proxy"),
        (["--base-url", "http://127.0.0.1:1\r"], 2, "--base-url"),
        (["--base-url", "http://user:secret@127.0.0.1:1"], 2, "--base-url"),
        (["--ca-file", "/no/such/file"], 2, "/no/such/file cannot be read"),
        (["--timeout", "-1"], 2, "--timeout"),
        (["--timeout", "nan"], 2, "no finite number"),
        (["--timeout", "inf"], 2, "no finite number"),
        (["--password", "x"], 2, "No such option"),
    ],
)
def test_an_account_has_options(
    run: Run, gateway: Any, options: list[str], code: int, why: str
) -> None:
    """Each reaches the client; a password is none, since arguments can be seen by others."""
    result = run("credits", *options)
    assert result.exit_code == code
    assert why in result.stderr
    assert "secret" not in result.stderr


def test_insecure_addresses_can_be_allowed(
    run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of plain http to another machine is the only thing that goes away."""

    def nowhere(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    result = run("credits", "--base-url", "http://sms.invalid", "--allow-insecure")
    assert result.exit_code == 4


def test_the_document_s_addresses_are_the_default(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either set of them, over https."""
    asked: list[str] = []

    class Client:
        def __init__(self, *_: object, endpoints: Any, **__: object) -> None:
            asked.append(endpoints.command)
            raise LocalProtocolError("enough")

    monkeypatch.setattr("infobip_async.InfobipClient", Client)
    monkeypatch.delenv("INFOBIP_BASE_URL", raising=False)
    monkeypatch.setenv("INFOBIP_PASSWORD", "x")
    for options in ([], ["--later"]):
        assert run("credits", "-u", "user", *options).exit_code == 2
    assert [re.sub("(https://[^/]+).*", r"\1", url) for url in asked] == [
        "https://www.infobip.com",
        "https://api.infobip.com",
    ]


def test_an_account_is_needed(run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user, and a password where nobody can be asked for it."""
    monkeypatch.delenv("INFOBIP_PASSWORD")
    result = run("credits")
    assert (result.exit_code, "INFOBIP_PASSWORD is not set" in result.stderr) == (2, True)
    monkeypatch.delenv("INFOBIP_USERNAME")
    result = run("credits")
    assert (result.exit_code, "--username" in result.stderr) == (2, True)


def test_a_password_is_asked_for(
    run: Run, gateway: Any, terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not shown."""
    password = gateway.simulator.gateway.accounts["user"].password
    monkeypatch.delenv("INFOBIP_PASSWORD")
    result = run("credits", stdin=f"{password}\n")
    assert (result.exit_code, result.stdout.split()) == (0, ["1000000"])
    assert password not in result.stdout + result.stderr


def test_reports_are_pulled(run: Run, gateway: Any) -> None:
    """Each is a JSON line, and given once."""
    gateway.simulator.callbacks = None
    first, second = (run(*SEND, number).stdout.split()[1] for number in (ADA, BOB))
    result = run("reports", second)
    assert [json.loads(line)["message_id"] for line in result.stdout.splitlines()] == [second]
    result = run("reports")
    (report,) = map(json.loads, result.stdout.splitlines())
    assert (report["type"], report["message_id"], report["status"]) == (
        "DeliveryReport",
        first,
        "DELIVERED",
    )
    assert run("reports").stdout == ""


def test_reports_are_appended_to_a_file(run: Run, gateway: Any, tmp_path: Path) -> None:
    """One that was pulled before is not lost."""
    gateway.simulator.callbacks = None
    sent = []
    for _ in range(2):
        sent.append(run(*SEND, ADA).stdout.split()[1])
        assert run("reports", "-o", tmp_path / "reports").stdout == ""
    lines = (tmp_path / "reports").read_text().splitlines()
    assert [json.loads(line)["message_id"] for line in lines] == sent


def test_reports_are_not_taken_for_a_file_that_cannot_be_written(
    run: Run, gateway: Any, tmp_path: Path
) -> None:
    """They wait for the next command."""
    gateway.simulator.callbacks = None
    run(*SEND, ADA)
    result = run("reports", "-o", tmp_path / "no" / "reports")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert run("reports").stdout


def test_reports_that_nobody_reads_are_counted(
    run: Run, start: Callable[..., Any], gateway: Any
) -> None:
    """The gateway does not give them again."""
    gateway.simulator.callbacks = None
    run(*SEND, ADA, BOB)
    process = start("reports")
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait() == 1
    assert stderr == "2 of 2 reports taken could not be printed\n"


def test_reports_are_followed(run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come until Ctrl-C, those of a message that is sent meanwhile, too."""
    gateway.simulator.callbacks = None
    sent = [run(*SEND, number).stdout.split()[1] for number in (ADA, BOB)]
    password = gateway.simulator.gateway.accounts["user"].password
    one_more = {"user": "user", "password": password, "sender": "F", "SMSText": "t", "GSM": ADA}

    def shown(report: Any) -> str:
        if report.message_id == sent[1]:
            url = f"{gateway.simulator.base_url}/api/sendsms/plain"
            sent.append(httpx.get(url, params=one_more, timeout=60).text)
        elif report.message_id == sent[-1]:
            signal.raise_signal(signal.SIGINT)
        return str(report.message_id)

    monkeypatch.setattr(reports, "as_json", shown)
    result = run("reports", "--follow", "--interval", "0.01")
    assert result.exit_code == 130
    assert result.stdout.split() == sent
    assert len(sent) == 3
    assert result.stderr == "interrupted\n"


@pytest.mark.parametrize("options", [["--follow", "id-1"], ["--follow", "--interval", "0"]])
def test_wrong_usage_of_reports_is_refused(run: Run, gateway: Any, options: list[str]) -> None:
    """No report is taken."""
    assert run("reports", *options).exit_code == 2
