"""The lines that an operator asks for: one each, with fields, and without numbers or texts."""

import ast
import itertools
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infobip_async import (
    AuthenticationError,
    Endpoints,
    InfobipClient,
    OutcomeUnknownError,
    RunStoppedError,
    TextMessage,
)
from infobip_async.client import outcomes
from infobip_async.redaction import SparseLogger
from infobip_async.simulator import Fault, Simulator

NUMBER = "38598514674"
MESSAGE = TextMessage("text-canary", "sender-can")


def lines(caplog: pytest.LogCaptureFixture, room: str) -> list[logging.LogRecord]:
    """What a room has logged; nothing that anybody has logged holds a number or a text."""
    assert not any(word in caplog.text for word in (NUMBER, "text-canary", "sender-can"))
    return [record for record in caplog.records if record.name == f"infobip_async.{room}"]


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG)
    # Another test may have logged the same kind of line less than a minute ago.
    monkeypatch.setattr(outcomes, "_sparse_logger", SparseLogger(outcomes._logger))


async def test_an_unknown_outcome(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """It is there with the ids that can settle it."""
    simulator.faults.add(Fault.CUT_BEFORE_REPLY)
    async with InfobipClient.from_env() as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.send(MESSAGE, NUMBER)
    [line] = lines(caplog, "client")
    assert line.levelno == logging.WARNING
    assert line.message_ids == caught.value.message_ids
    assert caught.value.message_ids[0] in line.getMessage()
    assert line.operation == "send"


async def test_a_refused_account(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once a minute, however many sends meet it."""
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "another", endpoints=endpoints) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await client.send(MESSAGE, NUMBER)
    [line] = lines(caplog, "client")
    assert (line.levelno, line.error) == (logging.ERROR, "AuthenticationError")
    assert "another" not in caplog.text


async def test_a_run_that_cannot_go_on(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end is told with the kind of its cause."""
    endpoints = Endpoints.at(f"{simulator.base_url}/elsewhere")
    async with InfobipClient("user", "password", endpoints=endpoints) as client:
        with pytest.raises(RunStoppedError):
            async for _ in client.send_many([(MESSAGE, NUMBER)]):
                pass
    [line] = lines(caplog, "runs")
    assert (line.levelno, line.error) == (logging.WARNING, "OutcomeUnknownError")


ROOT = Path(__file__).parent.parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}

Line = tuple[str, str, str, str]
"""Logger, level, text and fields."""


def texts_of(node: ast.expr, names: dict[str, ast.expr]) -> list[str]:
    """Every text that an expression can be, with … for what differs."""
    match node:
        case ast.Constant(value=str() as text):
            return [re.sub(r"%[.0-9]*[sdr]", "…", text)]
        case ast.JoinedStr(values=parts):
            choices = [texts_of(part, names) for part in parts]
            return ["".join(chosen) for chosen in itertools.product(*choices)]
        case ast.FormattedValue(value=ast.Name(id=name)) if name in names:
            return texts_of(names[name], names)
        case ast.FormattedValue():
            return ["…"]
        case ast.IfExp(body=one, orelse=other):
            return [*texts_of(one, names), *texts_of(other, names)]
        case ast.Name(id=name) if name in names:
            return texts_of(names[name], names)
    raise AssertionError(f"no text can be read: {ast.unparse(node)}")


def assigned(function: ast.AST, before: int) -> dict[str, ast.expr]:
    """What the names of a function stand for at one of its lines."""
    names: dict[str, ast.expr] = {}
    several = (one for one in ast.walk(function) if isinstance(one, ast.Assign))
    for one in sorted(several, key=lambda one: one.lineno):
        if one.lineno > before:
            break
        match one:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = value
            case ast.Assign(targets=[ast.Tuple(elts=several)], value=ast.Tuple(elts=values)):
                names |= {
                    name.id: value
                    for name, value in zip(several, values, strict=True)
                    if isinstance(name, ast.Name)
                }
    return names


def fields_of(call: ast.Call, names: dict[str, ast.expr]) -> str:
    """The names of the fields that a call of a logger gives."""
    for keyword in call.keywords:
        if keyword.arg == "extra":
            given = (
                names[keyword.value.id] if isinstance(keyword.value, ast.Name) else keyword.value
            )
            return ", ".join(f"`{ast.literal_eval(key)}`" for key in given.keys)
    return ""


def calls_of_loggers(tree: ast.Module) -> Iterator[tuple[ast.Call, dict[str, ast.expr]]]:
    """Each call of a logger in a module, with what the names of its function stand for."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            match call:
                case ast.Call(func=ast.Attribute(value=logger, attr=level)) if level in LEVELS:
                    if re.search("(logger|lines)$", ast.unparse(logger)):
                        yield call, assigned(function, call.lineno)


def written() -> set[Line]:
    """Every line that the package can write."""
    lines: set[Line] = set()
    for path in (ROOT / "infobip_async").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        owners = set(re.findall(r'(?:getLogger|_of_faults)\(\s*"infobip_async\.(\w+)"', source))
        tree = ast.parse(source)
        for call, names in calls_of_loggers(tree):
            level = {"exception": "error"}.get(call.func.attr, call.func.attr).upper()
            for text in texts_of(call.args[0], names):
                for owner in owners:
                    lines.add((owner, level, text, fields_of(call, names)))
        if "LastingTasks(" in source:
            text = "a part of the … has failed: it is begun again"
            lines |= {(owner, "CRITICAL", text, "") for owner in owners}
        if 'record.msg, record.args = "' in source:
            [text] = re.findall(r'record.msg, record.args = "([^"]+)"', source)
            lines |= {(owner, "ERROR", text, "") for owner in owners}
    return lines


def documented() -> list[Line]:
    """The lines of the page of the documentation."""
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:5] for row in page.splitlines() if row.startswith("| `")]
    cells = [(re.findall(r"`(\w+)`", owners), *map(str.strip, rest)) for owners, *rest in rows]
    return [(owner, *rest) for owners, *rest in cells for owner in owners]


def test_the_documentation_has_each_line() -> None:
    """With its logger, its level and its fields, and no line that nobody writes any more."""
    told = documented()
    assert sorted(written() - set(told)) == []
    assert sorted(set(told) - written()) == []
    assert len(told) == len(set(told))
