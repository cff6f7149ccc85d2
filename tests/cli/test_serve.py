"""``infobip-async serve`` and ``simulate``."""

import asyncio
import errno
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import Result

from infobip_async import (
    DeliveryReport,
    Endpoints,
    InboundSms,
    InfobipClient,
    Router,
    TextMessage,
)
from infobip_async.cli.commands import serve, simulate
from infobip_async.cli.event_json import as_json
from infobip_async.cli.receiving import receiving
from platforms import needs_signals

Run = Callable[..., Result]
SEND = ("send", "-s", "Friend", "-t", "Hello", "38598514674")


def _when_it_serves(
    monkeypatch: pytest.MonkeyPatch, module: Any, work: Callable[[], Awaitable[object]]
) -> None:
    """Do something once a command serves, and have it stop after that."""

    async def until_stopped(announce: Callable[[], None]) -> None:
        announce()
        await work()

    monkeypatch.setattr(module, "until_stopped", until_stopped)


# --- serve ---


def test_events_are_printed(run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a JSON line, and the addresses to enter are shown."""
    urls = gateway.urls()
    answers: list[int] = []

    async def push() -> None:
        delivery = (
            '<DeliveryReport><message id="1" status="DELIVERED" donedate="2010/8/2 14:55:10" '
            'price="0.5"/></DeliveryReport>'
        )
        inbound = {"sender": "1", "text": "š"}
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            replies = (
                await http.post(urls.delivery_reports, content=delivery),
                await http.post(urls.hlr_reports, data={"dlr": "385981;id-1;DELIVRD;;;0"}),
                await http.post(urls.hlr_reports, data={"dlr": "385981;id-1"}),
                await http.get(urls.inbound_sms.split("?")[0], params=inbound),
            )
        answers.extend(reply.status_code for reply in replies)

    _when_it_serves(monkeypatch, serve, push)
    result = run("serve", "--bind", f"127.0.0.1:{gateway.port}")
    assert (result.exit_code, answers) == (0, [200, 200, 400, 200])
    delivery, hlr, unreadable, inbound = map(json.loads, result.stdout.splitlines())
    assert delivery["type"] == "DeliveryReport"
    assert delivery["done_at"] == "2010-08-02 14:55:10"
    assert delivery["extras"] == {"price": "0.5"}
    assert (hlr["type"], hlr["status"]) == ("HlrReport", "DELIVRD")
    assert (unreadable["type"], unreadable["raw"]) == ("UnreadableRow", "385981;id-1")
    assert (inbound["type"], inbound["text"]) == ("InboundSms", "š")
    for url in (urls.delivery_reports, urls.hlr_reports, urls.inbound_sms):
        assert url in result.stderr


def test_octets_are_hexadecimal() -> None:
    """And a header is an object of its own."""
    sms = InboundSms("1", data=b"\x01\xff", params={"bin": "01FF"})
    assert json.loads(as_json(sms))["data"] == "01FF"


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ([], "http://127.0.0.1:"),
        (["--bind", "[::1]:0"], "http://[::1]:"),
        (["--public-url", "https://sms.example.com/x"], "https://sms.example.com/x/"),
    ],
)
def test_the_addresses_lead_here(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: list[str], url: str
) -> None:
    """From this machine, or as somebody else leads here; with a new secret each time."""

    async def nothing() -> None: ...

    _when_it_serves(monkeypatch, serve, nothing)
    monkeypatch.delenv("INFOBIP_WEBHOOK_SECRET", raising=False)
    first, second = (run("serve", "--bind", "127.0.0.1:0", *options).stderr for _ in range(2))
    assert f"HLR reports       {url}" in first
    secrets = [text.rsplit("/hlr\n", 1)[0].rsplit("/", 1)[1] for text in (first, second)]
    assert secrets[0] != secrets[1]
    assert min(map(len, secrets)) >= 32


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--bind", "127.0.0.1"], 2, "not HOST:PORT"),
        (["--bind", "127.0.0.1:x"], 2, "not HOST:PORT"),
        (["--bind", "127.0.0.1:²"], 2, "not HOST:PORT"),
        (["--secret", "a/secret"], 2, "secret"),
        (["--public-url", "sms.example.com"], 2, "base"),
    ],
)
def test_wrong_usage_of_serve_is_refused(run: Run, options: list[str], code: int, why: str) -> None:
    """What is wrong is named; the secret itself is not shown."""
    result = run("serve", "--bind", "127.0.0.1:0", *options)
    assert result.exit_code == code
    assert why in result.stderr
    assert "a/secret" not in result.stderr


def test_a_port_that_is_taken_is_named(run: Run) -> None:
    """What the system says is shown without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in ("serve", "simulate"):
            result = run(command, "--bind", f"127.0.0.1:{port}")
            assert result.exit_code == 1
            assert str(port) in result.stderr
            assert "give another port" in result.stderr


@needs_signals
@pytest.mark.parametrize(
    ("number", "code"),
    # `test_check.py` stops one, too.
    [
        pytest.param(signal.SIGTERM, 0, marks=pytest.mark.proof),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.proof),
    ],
)
def test_serve_stops(
    start: Callable[..., Any], run: Run, gateway: Any, number: signal.Signals, code: int
) -> None:
    """SIGTERM is the usual end; Ctrl-C ends it, too, and what came was printed."""
    receiver = start("serve", "--bind", f"127.0.0.1:{gateway.port}")
    assert receiver.stderr.readline().startswith("Enter")
    message_id = run(*SEND).stdout.split()[1]
    assert json.loads(receiver.stdout.readline())["message_id"] == message_id
    receiver.send_signal(number)
    _, stderr = receiver.communicate()
    assert receiver.returncode == code
    assert "Traceback" not in stderr


@pytest.mark.proof
def test_serve_ends_with_its_reader(start: Callable[..., Any], run: Run, gateway: Any) -> None:
    """What cannot be printed is not acknowledged, and there is no traceback."""
    receiver = start("serve", "--bind", f"127.0.0.1:{gateway.port}")
    assert receiver.stderr.readline().startswith("Enter")
    receiver.stdout.close()
    run(*SEND)
    stderr = receiver.stderr.read()
    assert receiver.wait() == 1
    assert "Traceback" not in stderr
    assert "Exception" not in stderr
    gateway.settle()
    (push,) = gateway.simulator.pushes
    assert not push.successful


def test_what_cannot_be_printed_is_not_acknowledged(
    run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much comes at once, and the command ends."""
    answers: list[int] = []

    async def push() -> None:
        report = '<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            posts = [http.post(gateway.urls().delivery_reports, content=report) for _ in range(2)]
            answers.extend([reply.status_code for reply in await asyncio.gather(*posts)])

    def as_json(_: object) -> str:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(serve, "as_json", as_json)
    _when_it_serves(monkeypatch, serve, push)
    result = run("serve", "--bind", f"127.0.0.1:{gateway.port}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 200 not in answers


# --- simulate ---


def test_a_gateway_is_simulated(run: Run, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """With the account, the credits and the faults that were asked for."""
    asked: dict[str, str] = {}

    async def ask() -> None:
        parameters = {"username": "ada", "password": "from-env", "cmd": "CREDITS"}
        url = f"http://127.0.0.1:{port}/AddOn/SMSService/command.aspx"
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            asked["credits"] = (await http.get(url, params=parameters)).text
            asked["password"] = (await http.get(url, params=parameters | {"password": "x"})).text

    _when_it_serves(monkeypatch, simulate, ask)
    monkeypatch.setenv("INFOBIP_PASSWORD", "from-env")
    result = run(
        *("simulate", "-u", "ada", "--credits", "7", "--fault", "500", "0"),
        *("--bind", f"127.0.0.1:{port}"),
    )
    assert result.exit_code == 0
    assert result.stdout == f"INFOBIP_BASE_URL=http://127.0.0.1:{port}\n"
    assert asked == {"credits": "7", "password": "UNKNOWN_COMMAND"}


@pytest.mark.parametrize(
    "addresses",
    [
        ["--callback-url", "{base}"],
        ["--callback-url", "http://127.0.0.1:1", "--dlr-url", "{urls.delivery_reports}"],
        ["--dlr-url", "{urls.delivery_reports}", "--hlr-url", "http://127.0.0.1:1/x"],
    ],
)
def test_a_simulated_gateway_calls_back(
    run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch, port: int, addresses: list[str]
) -> None:
    """A receiver that is run beside it, with faults."""
    reports: asyncio.Queue[Any] = asyncio.Queue()
    router, urls = Router(), gateway.urls()
    router.on(DeliveryReport)(reports.put)
    base = f"http://127.0.0.1:{gateway.port}"

    async def send() -> None:
        endpoints, to = Endpoints.at(f"http://127.0.0.1:{port}"), ("127.0.0.1", gateway.port)
        async with (
            receiving(router, to, secret=os.environ["INFOBIP_WEBHOOK_SECRET"]),
            InfobipClient("user", os.environ["INFOBIP_PASSWORD"], endpoints=endpoints) as client,
        ):
            receipt = await client.send(TextMessage("Hello", "Friend"), ["38598514674"])
            sent.append(receipt.recipients[0].message_id)
            reported.extend([(await reports.get()).message_id for _ in range(2)])

    sent: list[str] = []
    reported: list[str] = []
    _when_it_serves(monkeypatch, simulate, send)
    entered = [address.format(base=base, urls=urls) for address in addresses]
    options = ("--report-delay", "0", "--fault", "duplicate-report", "1")
    assert run("simulate", "--bind", f"127.0.0.1:{port}", *entered, *options).exit_code == 0
    assert reported == sent * 2


def test_inbound_messages_reach_a_receiver(
    run: Run, gateway: Any, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    """Answered on the console, which is there without being asked for."""
    heard: asyncio.Queue[InboundSms] = asyncio.Queue()
    router = Router()
    router.on(InboundSms)(heard.put)
    texts: list[str | None] = []

    async def answer() -> None:
        to = ("127.0.0.1", gateway.port)
        secret = os.environ["INFOBIP_WEBHOOK_SECRET"]
        async with (
            receiving(router, to, secret=secret),
            httpx.AsyncClient(verify=False, timeout=60) as http,
        ):
            body = {"from": "38598123123", "text": "STOP"}
            await http.post(f"http://127.0.0.1:{port}/_simulator/inbound", json=body)
            texts.append((await heard.get()).text)

    _when_it_serves(monkeypatch, simulate, answer)
    for option in (
        ["--callback-url", f"http://127.0.0.1:{gateway.port}"],
        ["--inbound-url", gateway.urls().inbound_sms],
    ):
        result = run("simulate", "--bind", f"127.0.0.1:{port}", *option)
        assert (result.exit_code, result.stderr) == (
            0,
            f"Console: http://127.0.0.1:{port}/_simulator/\n",
        )
    assert texts == ["STOP", "STOP"]


def test_a_simulation_is_prepared_and_recorded(
    run: Run, monkeypatch: pytest.MonkeyPatch, port: int, tmp_path: Path
) -> None:
    """By files; and its time can be moved."""
    seed, record = tmp_path / "seed.json", tmp_path / "arrived.jsonl"
    seed.write_text('{"phones": {"38598514674": {"status": "REJECTED"}}, "not_covered": ["41"]}')
    moved: list[float] = []

    async def send() -> None:
        endpoints = Endpoints.at(f"http://127.0.0.1:{port}")
        async with InfobipClient("user", "password", endpoints=endpoints) as client:
            await client.send(TextMessage("Hello", "Friend"), ["38598514674", "41793026727"])
        console = f"http://127.0.0.1:{port}/_simulator/"
        async with httpx.AsyncClient(verify=False, base_url=console, timeout=60) as http:
            before = (await http.get("figures")).json()["now"]
            reply = await http.post("clock", json={"seconds": 3600})
            moved.append(reply.json()["now"] - before)

    _when_it_serves(monkeypatch, simulate, send)
    options = ("--seed", str(seed), "--record", str(record), "--manual-clock")
    assert run("simulate", "--bind", f"127.0.0.1:{port}", *options).exit_code == 0
    (line,) = record.read_text().splitlines()
    statuses = [message["status"] for message in json.loads(line)["messages"]]
    assert (statuses, moved) == (["REJECTED", "NOT_ALLOWED"], [3600])


def test_the_console_is_opened(run: Run, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """With its token, which other machines need."""
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", lambda url: opened.append(url) or len(opened) - 1)
    monkeypatch.setenv("INFOBIP_CONSOLE_TOKEN", "let-me-in")

    async def nothing() -> None:
        """Stop at once."""

    _when_it_serves(monkeypatch, simulate, nothing)
    options = ("--open", "--console-host", "localhost", "--bind", f"0.0.0.0:{port}")
    errors = [run("simulate", *options).stderr for _ in range(2)]
    url = f"http://localhost:{port}/_simulator/?token=let-me-in"
    assert opened == [url, url]
    assert errors == [f"Console: {url}\n", f"Console: {url}\nNo browser could be opened.\n"]


@pytest.mark.proof
@needs_signals
def test_a_simulated_gateway_stops(start: Callable[..., Any]) -> None:
    """SIGTERM is the usual end."""
    simulator = start("simulate", "--bind", "127.0.0.1:0")
    assert simulator.stdout.readline().startswith("INFOBIP_BASE_URL=")
    simulator.send_signal(signal.SIGTERM)
    assert simulator.wait() == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--fault", "earthquake", "1"],
        ["--fault", "hang", "2"],
        ["--fault", "hang", "nan"],
        ["--report-delay", "-1"],
        ["--report-delay", "inf"],
        ["--credits", "-5"],
        ["--dlr-url", "http://127.0.0.1:1"],
        ["--dlr-url", "nowhere", "--hlr-url", "http://127.0.0.1:1"],
        ["--callback-url", "nowhere"],
        ["--inbound-url", "nowhere"],
        ["--seed", "missing.json"],
        ["--record", "."],
    ],
)
def test_wrong_usage_of_simulate_is_refused(run: Run, options: list[str]) -> None:
    """Nothing is started."""
    assert run("simulate", "--bind", "127.0.0.1:0", *options).exit_code == 2
