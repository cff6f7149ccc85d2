"""The same over sockets, in its smallest case: what the client makes of real replies."""

import asyncio
import re
from collections.abc import AsyncIterator

import attrs
import pytest
from aiohttp import web

from infobip_async.protocol.exchange import HttpRequest
from jumping import jump
from ports import reserved_port

COUNT = 30

TEXTS = {
    "wrong password": r"AUTH_FAILED|username or password wrong",
    "wrong path": r"HTTP 404 from http://127\.0\.0\.1:\d+/sms/\S*: is the address right\?",
    "301": r"HTTP 301 from http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "401": r"HTTP 401 from http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "502": r"HTTP 502 from http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "HTML 200": r"status|OK nor FAILED",
    "refused": r"could not be reached, nothing was sent",
}

AWAY = 300.0


@pytest.fixture
async def served(place) -> AsyncIterator:
    """A gateway on a port."""
    counting = place.counting

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        body, kind = await request.read(), request.headers.get("Content-Type")
        reply = counting.answer(HttpRequest(request.method, request.raw_path, body, kind))
        headers = {"Location": request.raw_path} if reply.status == 301 else {}
        kind = reply.content_type.partition(";")[0]
        return web.Response(
            status=reply.status, body=reply.body, content_type=kind, headers=headers
        )

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield attrs.evolve(place, base_url=f"http://{host}:{port}", http=None)
    await runner.cleanup()


@pytest.mark.parametrize("trouble", TEXTS)
async def test_a_run_that_cannot_succeed(  # noqa: PLR0917 - fixtures
    kind, size, served, many, tmp_path, trouble
) -> None:
    """Ends after one request or none; then its job does each item once, but the one in doubt."""
    counting, source = served.counting, many(COUNT)
    with reserved_port() as port:
        wrong = {
            "wrong password": attrs.evolve(served, password="wrong"),
            "wrong path": attrs.evolve(served, base_url=f"{served.base_url}/sms"),
            "refused": attrs.evolve(served, base_url=f"http://127.0.0.1:{port}"),
        }.get(trouble, served)
        if wrong is served:
            counting.trouble = lambda: trouble
        running = asyncio.create_task(kind.run(wrong, source, size, tmp_path / "job", "report"))
        while trouble == "refused" and not running.done():
            await jump(1)
            await asyncio.to_thread(lambda: None)  # the job's file is written in a thread
        first = await running
    assert re.search(TEXTS[trouble], str(first.stopped))
    in_doubt = 0 if trouble in {"wrong password", "refused"} else 1
    assert first.counts["UNKNOWN"] == in_doubt
    assert first.counts["NOT_SENT"] == COUNT - in_doubt
    assert counting.requests == {"wrong password": kind.logins, "refused": 0}.get(trouble, 1)
    if trouble == "refused":
        assert first.seconds >= AWAY

    counting.trouble = lambda: None
    second = await kind.run(served, source, size, tmp_path / "job", "report")
    assert second.counts[kind.done] == COUNT - in_doubt
    third = await kind.run(served, source, size, tmp_path / "job", "repeat")
    assert third.counts == {kind.done: COUNT}
    assert counting.copies == dict.fromkeys(source, 1)
