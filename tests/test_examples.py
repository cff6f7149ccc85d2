"""Every example is run against the simulator, as its reader would run it."""

import asyncio
import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import click
import pytest
from aiohttp import ClientConnectionError, ClientSession
from aiohttp.test_utils import TestServer

from children import start_child_async
from infobip_async import InfobipClient
from infobip_async.cli.group import infobip_async
from infobip_async.simulator import Fault, Simulator
from infobip_async.testing import STORE_CHECKS, StoreCheck
from infobip_async.webhook import callback_urls
from ports import reserved_port

EXAMPLES = Path(__file__).parent.parent / "examples"
SECRET = "long-random-string"


def load(name: str) -> ModuleType:
    """Import an example without running it."""
    spec = spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def urls_of(server: TestServer, prefix: str = "/infobip"):
    """The callback URLs of an example's application."""
    return callback_urls(str(server.make_url(prefix)), secret=SECRET)


async def until_it_answers(http: ClientSession) -> None:
    """Wait for a server that is being started."""
    while True:
        try:
            async with http.get("/orders/0") as reply:
                assert reply.status == 404
                return
        except ClientConnectionError:
            await asyncio.sleep(0.05)


async def test_send(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The text is sent once, and its message id is printed."""
    await load("send").main()
    [message] = simulator.messages
    assert message.text == "Your table is booked for 8 pm."
    assert f"accepted: {message.message_id}" in capsys.readouterr().out


async def test_from_synchronous_code(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain function sends, through the loop of a thread, which ends in the end."""
    await asyncio.to_thread(load("from_synchronous_code").main)
    assert [message.text for message in simulator.messages] == ["Your code is 4711"]
    assert "1 accepted" in capsys.readouterr().out


async def test_send_to_many(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Each customer gets a text of his own, then all get the same one."""
    await load("send_to_many").main()
    texts = sorted(message.text or "" for message in simulator.messages[:3])
    assert texts == [f"{name}, see you tomorrow!" for name in ("Ana", "Beat", "Carla")]
    assert {message.text for message in simulator.messages[3:]} == {"We moved to 1 Main Street."}
    assert "3 of 3 accepted" in capsys.readouterr().out


async def test_send_list(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everyone gets one text, however often the example is run, and though a reply is lost."""
    people = tmp_path / "people.csv"
    people.write_text(
        "id,number,name\n1,38598514674,Ana\n2,41793026727,Beat\n3,0,Carla\n4,49170111222,Dan\n"
    )
    simulator.faults.add(Fault.CUT_BEFORE_REPLY, times=1)
    main = load("send_list").main
    assert await main(people) == 1  # one has no good number
    assert "1 of the unknown ones were sent after all" in capsys.readouterr().out
    await main(people)
    out = capsys.readouterr().out
    assert "0: refused: recipients: has a leading 0" in out
    assert "3 sent" in out
    assert sorted(message.text or "" for message in simulator.messages) == [
        f"{name}, see you tomorrow!" for name in ("Ana", "Beat", "Dan")
    ]
    people.write_text("id,number,name\n1,38598514674,Ana\n")
    people.with_suffix(".job").unlink()
    assert await main(people) == 0


async def test_receive(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Reports reach the handler, and the application's own pages go on working."""
    async with TestServer(load("receive").make_app()) as server:
        simulator.callbacks = urls_of(server)
        await load("send").main()
        await simulator.settled()
    out = capsys.readouterr().out
    assert f"{simulator.messages[0].message_id} arrived at" in out
    assert [push.status for push in simulator.pushes] == [200]


async def test_look_up(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every number is looked up, and its operator printed."""
    with reserved_port() as port:
        monkeypatch.setenv("PORT", str(port))
        simulator.callbacks = callback_urls(f"http://127.0.0.1:{port}", secret=SECRET)
        module = load("look_up")
        await module.main()
    out = capsys.readouterr().out
    assert all(number in out for number in module.NUMBERS)
    assert "True HlrReport(" in out


async def test_order_service(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each order is confirmed once, and the service knows when that has arrived."""
    monkeypatch.setenv("DELIVERIES", str(tmp_path / "deliveries.db"))
    app = load("order_service").make_app()
    async with TestServer(app) as server, ClientSession(server.make_url("/")) as http:
        simulator.callbacks = urls_of(server)
        order = {"number": 17, "phone": "38598514674"}
        for _ in range(2):
            async with http.post("/orders", json=order) as reply:
                assert reply.status == 200
        await simulator.settled()
        async with http.get("/orders/17") as reply:
            assert await reply.json() == {"final": True, "delivered": True}
        async with http.get("/orders/18") as reply:
            assert reply.status == 404
        async with http.post("/orders", json={"number": 19, "phone": "098 514"}) as reply:
            assert reply.status == 422
    [message] = simulator.messages
    assert message.text == "Thank you! Order 17 is on its way."


async def test_deliveries_in_sqlalchemy(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The order and its confirmation are written together, and the store is fit."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("aiosqlite")
    module = load("deliveries_in_sqlalchemy")
    monkeypatch.setenv("DATABASE", f"sqlite+aiosqlite:///{tmp_path}/shop.db")
    await module.main()
    assert "confirmation of order-17: delivered True" in capsys.readouterr().out
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        assert shop.execute("select number from orders").fetchall() == [(17,)]
        assert shop.execute("select count(*) from deliveries").fetchall() == [(1,)]
    [message] = simulator.messages
    assert message.text == "Thank you!"


@pytest.mark.proof
@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_the_store_in_sqlalchemy_is_fit(check: StoreCheck, tmp_path: Path) -> None:
    """As those of the package are."""
    pytest.importorskip("aiosqlite")
    module = load("deliveries_in_sqlalchemy")
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    await check(lambda: module.SqlAlchemyDeliveryStore(module.create_async_engine(url)))


@pytest.mark.parametrize(
    "name", ["order_service_fastapi", pytest.param("order_service_django", marks=pytest.mark.proof)]
)
async def test_order_service_of_other_hosts(
    name: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on aiohttp, under a server of its own."""
    with reserved_port() as port:
        child = await start_child_async(
            *(sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), f"{name}:app"),
            *("--port", str(port), "--log-level", "warning"),
            env={**os.environ, "DELIVERIES": str(tmp_path / "deliveries.db")},
        )
    simulator.callbacks = callback_urls(f"http://127.0.0.1:{port}/infobip", secret=SECRET)
    try:
        async with ClientSession(f"http://127.0.0.1:{port}") as http, asyncio.timeout(60):
            await until_it_answers(http)
            order = {"number": 17, "phone": "38598514674"}
            for _ in range(2):
                async with http.post("/orders", json=order) as reply:
                    assert reply.status == 200
            await simulator.settled()
            async with http.get("/orders/17") as reply:
                assert await reply.json() == {"final": True, "delivered": True}
            async with http.get("/orders/18") as reply:
                assert reply.status == 404
            async with http.post("/orders", json={"number": 19, "phone": "098 514"}) as reply:
                assert reply.status == 422
    finally:
        child.terminate()
        await child.wait()
    assert [message.text for message in simulator.messages] == [
        "Thank you! Order 17 is on its way."
    ]


async def test_nightly_lookups(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each number has one row, and a second start asks for none of them again."""
    with reserved_port() as port:
        monkeypatch.setenv("PORT", str(port))
    simulator.callbacks = callback_urls(f"http://127.0.0.1:{port}", secret=SECRET)
    monkeypatch.setenv("HOURS", "")
    numbers, answers = tmp_path / "numbers.txt", tmp_path / "answers.csv"
    numbers.write_text("38598303174\n38598514674\nsdfsd\n")
    for _ in range(2):
        await load("nightly_lookups").main(numbers, answers)
        assert "2 reported" in capsys.readouterr().out
        rows = list(csv.DictReader(answers.read_text().splitlines()))
        assert sorted((row["number"], row["reachable"], row["ported"] or None) for row in rows) == [
            ("38598303174", "yes", "unknown"),
            ("38598514674", "yes", "unknown"),
            ("sdfsd", None, None),
        ]
    assert len(simulator.lookups) == 3  # each was asked for once


async def test_answer(simulator: Simulator) -> None:
    """An inbound SMS is answered to its sender, from the number that was texted."""
    async with TestServer(load("answer").make_app()) as server:
        simulator.callbacks = urls_of(server)
        await simulator.inbound("38598123123", "hours", receiver="41793026700")
        await simulator.inbound("38598123123", data=b"\x01\x02", data_coding=4)
        texts = [(one.msisdn, one.submission.sender, one.text) for one in simulator.messages]
    assert texts == [
        ("38598123123", "41793026700", "Open from 9 to 17, Saturdays to 12."),
        ("38598123123", "Shop", "Sorry, we can only read text."),
    ]


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        *((text, True) for text in ("STOP", " stop ", "Stop.", " STOPP", "stop it!!", "ne", "Ne!")),
        *((text, False) for text in ("Hi", "don't stop", "ne razumijem", "", "123", None)),
    ],
)
def test_what_means_stop(text: str | None, stops: bool) -> None:
    """As people write it, and not whatever has the letters in it."""
    assert load("stop_list").says_stop(text) is stops


async def test_stop_list(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is on the list gets nothing, though the number was added after the list was opened."""
    people, stop = tmp_path / "people.csv", tmp_path / "stop.txt"
    people.write_text("number,name\n098 514 674,Ana\n+41793026727,Beat\n38598303174,Cy\n")
    stop.write_text("+41 79 302 67 27")  # a person left out the end of the line
    example = load("stop_list")
    opened = example.StopList(stop)
    for _ in range(2):  # as two processes
        await example.StopList(stop).add("38598514674")
    assert stop.read_text().splitlines()[1:] == ["38598514674"]
    await example.send(people, opened)
    assert [(one.msisdn, one.text) for one in simulator.messages] == [
        ("38598303174", "Cy, our sale begins today. STOP ends this.")
    ]
    assert capsys.readouterr().out == "2 excluded, 1 sent\n"


async def test_two_way(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each text is answered once, and a STOP is kept, though the service is stopped at once."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    example, stop = load("two_way"), tmp_path / "stop.txt"
    texts = [("38598514674", "Stopp."), ("Shop", "STOP"), ("38598303174", "hours")]
    async with InfobipClient.from_env() as client:
        for sender, text in texts:
            async with TestServer(example.make_app(client, example.StopList(stop))) as server:
                simulator.callbacks = urls_of(server, "")
                assert await simulator.inbound(sender, text, receiver="41793026700") == (200,)
        async with TestServer(example.make_app(client, example.StopList(stop))):
            for sender in ("38598303174", "38598514674"):
                await simulator.wait_for(to=sender, timeout=60)
    assert stop.read_text() == "38598514674\n"
    answers = [(one.msisdn, one.submission.sender, one.text) for one in simulator.messages]
    assert sorted(answers) == [
        ("38598303174", "41793026700", "Open from 9 to 17, Saturdays to 12."),
        ("38598514674", "41793026700", example.GOODBYE),
    ]


async def test_poll(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Both reports are collected, and the loop ends."""
    async with asyncio.timeout(60):
        await load("poll").main()
    out = capsys.readouterr().out
    assert all(f"{message.message_id}: DELIVERED" in out for message in simulator.messages)


def test_test_my_service() -> None:
    """The tests of the example service pass in a process that has only the plugin."""
    others = ("cacheprovider", "hypothesispytest", "anyio", "respx", "xdist", "faker", "randomly")
    arguments = [sys.executable, "-m", "pytest", *(f"-pno:{other}" for other in others)]
    arguments += ["-o", "asyncio_mode=auto", "--rootdir", str(EXAMPLES), "test_my_service.py"]
    run = subprocess.run(  # noqa: S603 - the arguments are ours
        arguments, cwd=EXAMPLES, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


# --- the simulator in a container ---


def _lists(name: str, key: str) -> list[list[str]]:
    """The lists of words behind a key, in a file of examples/simulator."""
    text = (EXAMPLES / "simulator" / name).read_text(encoding="utf-8")
    return [json.loads(found) for found in re.findall(rf"{key}:? (\[.*\])", text)]


def test_the_container_starts_with_known_options() -> None:
    """Those of the image, and those that the compose file adds."""
    (image,) = _lists("Dockerfile", "ENTRYPOINT")
    (added,) = _lists("compose.yaml", "command")
    (receiver,) = _lists("compose.yaml", "entrypoint")
    # click keeps a command's options for help as the first context has them.
    group = click.Context(infobip_async, help_option_names=["-h", "--help"])
    for program, name, *options in (image + added, receiver):
        assert program == "infobip-async"
        command = infobip_async.get_command(group, name)
        assert command is not None
        context = command.make_context(name, list(options), parent=group)
        assert "--bind" in options
        assert context.params["bind"][1] in {8080, 8081}
    assert _lists("compose.yaml", "test")[0][:3] == ["CMD", "python", "-c"]
