"""When an ASGI receiver starts and stops, whoever tells it to, or nobody."""

import asyncio
import contextvars
import subprocess
import sys

from infobip_async.asgi import AsgiReceiver
from infobip_async.errors import StorageUnavailableError
from infobip_async.journal import SqliteJournal
from infobip_async.models.events import DeliveryReport
from jumping import until

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'


def journal_in(folder) -> dict:
    """The settings of a receiver with a journal."""
    return {"journal": SqliteJournal(folder / "journal")}


async def test_a_server_that_tells(make, tmp_path):
    """It starts before the first request, and stops after the last one."""
    client = make(**journal_in(tmp_path))

    async with client.lifespan() as told:
        assert told == [{"type": "lifespan.startup.complete"}]
        assert (await client.post("dlr", REPORT)).status == 200
        await until(lambda: client.events)
    assert told[1:] == [{"type": "lifespan.shutdown.complete"}]
    assert (await client.post("dlr", REPORT)).status == 503


async def test_a_host_that_tells(make, tmp_path):
    """`lifespan` takes the host, as those of Starlette, FastAPI and Litestar do."""
    client = make(**journal_in(tmp_path))

    async with client.receiver.lifespan(object()):
        assert (await client.post("dlr", REPORT)).status == 200
    assert (await client.post("dlr", REPORT)).status == 503


async def test_nobody_tells(make, tmp_path):
    """The first request starts it, once for all that come meanwhile; it stops with the loop."""
    client = make(**journal_in(tmp_path))

    async def requests() -> list[int]:
        replies = await asyncio.gather(*(client.post("dlr", REPORT) for _ in range(3)))
        await until(lambda: client.events)
        return [reply.status for reply in replies]

    for _ in range(2):  # another loop starts it anew
        assert await asyncio.to_thread(asyncio.run, requests()) == [200] * 3


class Refusing:
    """A journal that cannot be opened."""

    def serve(self, *_: object) -> None:
        """Refuse to be opened."""
        raise StorageUnavailableError("the disk is full")


async def test_it_cannot_start(make, caplog):
    """The server hears why; where nobody tells, each request hears that it cannot be kept."""
    client = make(journal=Refusing())
    for _ in range(2):
        assert (await client.post("dlr", REPORT)).status == 503
    assert caplog.text.count("the receiver cannot start") == 1  # whoever asks, asks for no line

    async with client.lifespan() as told:
        assert told == [{"type": "lifespan.startup.failed", "message": "the disk is full"}]


async def test_faults_of_others_are_not_quoted(make, monkeypatch):
    """They may hold anything."""
    client = make()

    def refuse() -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(client.receiver, "serving", refuse)
    async with client.lifespan() as told:
        assert told == [{"type": "lifespan.startup.failed", "message": "ValueError"}]


async def test_a_stop_waits_for_handlers(make):
    """What they acknowledge is answered, and nothing new is taken."""
    client = make()
    begun, release = asyncio.Event(), asyncio.Event()

    @client.router.on(DeliveryReport)
    async def slow(_: DeliveryReport) -> None:
        begun.set()
        await release.wait()

    async with client.lifespan():
        first = asyncio.create_task(client.post("dlr", REPORT))
        await begun.wait()
        stop = asyncio.create_task(client.receiver._receiver.stop())
        await asyncio.sleep(0)
        assert (await client.post("dlr", REPORT)).status == 503
        release.set()
        await stop
    assert (await first).status == 200


async def test_the_first_request_lends_nothing(make, tmp_path):
    """Handlers of a journal do not run in the context of the request that started it."""
    request_id = contextvars.ContextVar("request_id", default="none")
    seen = []
    client = make(**journal_in(tmp_path))

    @client.router.on(DeliveryReport)
    async def note(_: DeliveryReport) -> None:
        seen.append(request_id.get())

    async def requests() -> None:
        request_id.set("first")
        await client.post("dlr", REPORT)
        await until(lambda: seen)

    await asyncio.to_thread(asyncio.run, requests())
    assert seen == ["none"]


def test_no_aiohttp_is_imported():
    """A host on another server does not pay for it."""
    code = "import sys, infobip_async.asgi; print('aiohttp' in sys.modules, 'httpx' in sys.modules)"
    run = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False", "False"]


async def test_no_repr_holds_the_secret(make, secret):
    """It may be logged."""
    receiver = make().receiver
    assert isinstance(receiver, AsgiReceiver)
    assert secret not in repr(receiver) + repr(receiver._receiver)
