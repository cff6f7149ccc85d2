"""The lines that an operator asks for: one each, with fields, and without numbers or texts."""

import logging

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
