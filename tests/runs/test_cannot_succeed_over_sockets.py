"""The same over sockets, in its smallest case: what the client makes of real replies."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
from aiohttp import web

from infobip_async import RunStoppedError
from infobip_async.protocol.exchange import HttpRequest
from jumping import jump
from ports import reserved_port
from tests.runs.conftest import COMMANDS, KINDS, Ending, Kind, Place, Size

COUNT = 30

TEXTS = {
    "wrong password": r"AUTH_FAILED|username or password wrong",
    "wrong path": r"HTTP 404 from http://127\.0\.0\.1:\d+/sms/\S*: is the address right\?",
    "301": r"HTTP 301 from http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "401": r"HTTP 401 from http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "502": r"HTTP 502 from http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "HTML 200": r"(status|OK nor FAILED).* http://127\.0\.0\.1:\d+/\S*: is the address right\?",
    "refused": r"could not be reached, nothing was sent",
}

AWAY = 300.0


@attrs.frozen
class Worker:
    """`HlrJob.work`, with a chunk for each number.

    Attributes:
        broker: where the job is.
    """

    broker: str
    done, logins, reopens, waits = "REPORTED", 2, False, False

    async def run(
        self, place: Place, numbers: list[str], size: Size, job: Path, on_unknown: str
    ) -> Ending:
        """Load the job, and work on it; what has no result then was not sent."""
        from infobip_async.jetstream import HlrJob  # noqa: PLC0415 - an extra
        from infobip_async.jetstream.hlr_messages import ChunkResult  # noqa: PLC0415

        loop = asyncio.get_running_loop()
        start, stopped = loop.time(), None
        async with place.client() as client, HlrJob(self.broker, "spring") as shared:
            await shared.load(numbers, chunk_size=1)
            work = shared.work(
                client,
                place.counting.router,
                concurrency=1,
                timeout=1e6,
                on_unknown=on_unknown,
                unreachable_timeout=0.2,
            )
            try:
                await work
            except RunStoppedError as fault:
                stopped = fault
            seconds = loop.time() - start
            outcomes = dict.fromkeys(numbers, "NOT_SENT")
            for at, number in enumerate(numbers):
                subject = shared._subjects.of("result", at)
                found = await shared._connection.last_message(shared._subjects.stream, subject)
                if found is not None:
                    outcomes[number] = ChunkResult.decode(found.data).results[0].outcome.name
        return Ending(outcomes, stopped, seconds)


# What `hlr` makes of some of these is in the tests of the command, too.
RUNS = [*KINDS, "worker"]
CASES = [
    pytest.param(
        kind,
        trouble,
        marks=[pytest.mark.proof] * (kind in COMMANDS or RUNS.index(kind) != turn % len(RUNS)),
    )
    for turn, trouble in enumerate(TEXTS)
    for kind in [*RUNS, *COMMANDS]
]
"""Each trouble of each kind; all but one kind for each are proofs."""


@pytest.fixture
async def kind(request, tmp_path, monkeypatch) -> AsyncIterator[Kind]:
    """Each kind of runs."""
    known = KINDS | COMMANDS
    if request.param in known:
        yield known[request.param]
        return
    jetstream = pytest.importorskip("tests.jetstream.conftest")
    monkeypatch.setattr("infobip_async.jetstream.hlr_worker._POLL_SECONDS", 0.01)
    (tmp_path / "broker").mkdir()
    async with jetstream.running_server(tmp_path / "broker") as server:
        yield Worker(server.url)


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


@pytest.mark.parametrize(("kind", "trouble"), CASES, indirect=["kind"])
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
        while trouble == "refused" and kind.waits and not running.done():
            await jump(1)
            await asyncio.to_thread(lambda: None)  # the job's file is written in a thread
        first = await running
    assert re.search(TEXTS[trouble], str(first.stopped))
    in_doubt = 0 if trouble in {"wrong password", "refused"} else 1
    assert first.counts["UNKNOWN"] == in_doubt
    assert first.counts["NOT_SENT"] == COUNT - in_doubt
    assert counting.requests == {"wrong password": kind.logins, "refused": 0}.get(trouble, 1)
    if trouble == "refused" and kind.waits:
        assert first.seconds >= AWAY

    counting.trouble = lambda: None
    second = await kind.run(served, source, size, tmp_path / "job", "report")
    assert second.counts[kind.done] == COUNT - in_doubt
    third = await kind.run(served, source, size, tmp_path / "job", "repeat")
    left = 0 if kind.reopens else in_doubt
    assert third.counts == +Counter({kind.done: COUNT - left, "UNKNOWN": left})
    assert counting.copies == dict.fromkeys(source[left:], 1)
