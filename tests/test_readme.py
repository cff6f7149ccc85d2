"""README's code blocks run as they stand, one after the other."""

import ast
import re
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType

import pytest
from aiohttp.test_utils import TestServer

from infobip_async import Endpoints, InfobipClient
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


async def run(block: str, namespace: dict[str, object]) -> None:
    """Run a block as `python -m asyncio` does, with await at the top level."""
    code = compile(block, str(README), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = FunctionType(code, namespace)()
    if code.co_flags & CO_COROUTINE:
        await result


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
        await run(block, namespace)
    async with TestServer(namespace["app"]) as server:
        base = str(server.make_url("/infobip"))
        simulator.callbacks = callback_urls(base, secret="long-random-string")
        for block in after:
            await run(block, namespace)
    out = capsys.readouterr().out
    assert "2 accepted, 9998 credits left" in out
    assert "UCS-2 (7,)" in out
    assert "38598514674 sent ('" in out
    assert "sdfsd refused" in out
    assert "sent all the same: Once only" in out
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "password", endpoints=endpoints) as client:
        monkeypatch.setattr(simulator.gateway, "messages", type(simulator.gateway.messages)())
        await namespace["test_my_service"](simulator, client)
