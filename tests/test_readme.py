"""README's code blocks run as they stand, one after the other."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from blocks import python_blocks, run_block
from infobip_async import Endpoints, InfobipClient
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls

README = Path(__file__).parent.parent / "README.md"
BLOCKS = python_blocks(README)


async def test_blocks(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Every block runs, and says what its comments promise."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    receiver = next(at for at, block in enumerate(BLOCKS) if "webhook_app(" in block)
    before, after = BLOCKS[: receiver + 1], BLOCKS[receiver + 1 :]
    for block in before:
        await run_block(block, str(README), namespace)
    async with TestServer(namespace["app"]) as server:
        base = str(server.make_url("/infobip"))
        simulator.callbacks = callback_urls(base, secret="long-random-string")
        for block in after:
            await run_block(block, str(README), namespace)
    out = capsys.readouterr().out
    assert "2 accepted, 9997 credits left" in out
    assert "order 17: DeliveryStatus.DELIVERED delivered: True" in out
    assert "UCS-2 (7,)" in out
    assert "38598514674 sent ('" in out
    assert "sdfsd refused" in out
    assert "sent all the same: Once only" in out
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "password", endpoints=endpoints) as client:
        monkeypatch.setattr(simulator.gateway, "messages", type(simulator.gateway.messages)())
        await namespace["test_my_service"](simulator, client)
