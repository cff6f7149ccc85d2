"""Examples in public docstrings run as they stand, or compile where they cannot run here."""

import ast
import asyncio
import builtins
import importlib
import inspect
import re
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from blocks import run_block
from infobip_async import Deliveries, HlrLookups, InfobipClient, Outgoing, Router, TextMessage
from infobip_async.asgi import asgi_app
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls, webhook_app
from public import MODULES, functions, values

SECRET = "long-random-string"

CANNOT_RUN = {
    "infobip_async.check_receiver": "goes to another machine",
    "infobip_async.serving": "listens on a port of its own",
    "infobip_async.webhook.listening": "listens on a port of its own",
    "infobip_async.webhook.run_receiver": "runs until a signal comes",
}

_BLOCK = re.compile(r"::\n\n((?:(?: {4}.*)?\n)+)")
_ROUTE = re.compile("(GET|POST) ")


def examples() -> Iterator[tuple[str, str]]:
    """Each example of Python in a public docstring, with the name that it stands under."""
    documented: dict[str, object] = {name: value for value, name in values().items()}
    documented |= dict(functions())
    documented |= {module: importlib.import_module(module) for module in MODULES}
    for name, value in documented.items():
        for block in _BLOCK.findall(f"{inspect.getdoc(value) or ''}\n"):
            example = inspect.cleandoc(f"\n{block}")
            if not _ROUTE.match(example):
                yield name, example


def names() -> dict[str, Any]:
    """What a reader has imported, or made as the pages before do."""
    public = {name.rpartition(".")[2]: value for value, name in values().items()}
    from fastapi import FastAPI  # noqa: PLC0415 - heavy

    return public | {
        "asyncio": asyncio,
        "asynccontextmanager": asynccontextmanager,
        "FastAPI": FastAPI,
        "app": web.Application(),
        "receiver": asgi_app(Router(), secret=SECRET),
        "message": TextMessage("Hello", sender="Shop"),
        "source": [Outgoing(TextMessage("Hello", sender="Shop"), "38598514674")],
        "secret": SECRET,
    }


def unknown(example: str, known: dict[str, Any]) -> set[str]:
    """The names that an example uses, and that neither it nor its reader has made."""
    uses = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Name)]
    made = {node.id for node in uses if isinstance(node.ctx, ast.Store)}
    return {node.id for node in uses} - made - set(known) - set(dir(builtins))


async def test_examples(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each, with the objects of the other pages: a client, a router, and a receiver for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("number,name\n098 514 674,Ana\n", encoding="utf-8")
    router = Router()
    receiver = webhook_app(router, secret=SECRET)
    async with (
        InfobipClient.from_env() as client,
        HlrLookups(client, router) as lookups,
        Deliveries(client, router) as deliveries,
        TestServer(receiver) as server,
    ):
        simulator.callbacks = callback_urls(str(server.make_url("/")), secret=SECRET)
        made = {"client": client, "router": router, "lookups": lookups, "deliveries": deliveries}
        made |= {"urls": simulator.callbacks}
        for name, example in sorted(examples()):
            namespace = names() | made
            assert unknown(example, namespace) == set(), name
            if name not in CANNOT_RUN:
                await run_block(example, name, namespace)
    assert set(CANNOT_RUN) < {name for name, _ in examples()}
    assert {message.text for message in simulator.messages} == {"Hello", "Hi Ana"}
