"""The receiver inside the applications that people have: where its paths begin, and its life."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from infobip_async.journal import SqliteJournal
from jumping import until

pytestmark = pytest.mark.proof

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
SECRET = "a-secret-of-the-tests"


def fastapi(receiver):
    """As a mount, with the lifespan of the receiver."""
    from fastapi import FastAPI  # noqa: PLC0415 - each host in its own test

    app = FastAPI(lifespan=receiver.lifespan)
    app.mount("/infobip", receiver)
    return app


def starlette(receiver):
    """As a mount inside a mount, with a lifespan of the host's."""
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import Mount  # noqa: PLC0415

    @asynccontextmanager
    async def lifespan(_):
        async with receiver.serving():
            yield

    return Starlette(routes=[Mount("/infobip", receiver)], lifespan=lifespan)


def litestar(receiver):
    """As a mounted handler."""
    from litestar import Litestar, asgi  # noqa: PLC0415
    from litestar.types import Receive, Scope, Send  # noqa: PLC0415

    async def infobip(scope: Scope, receive: Receive, send: Send) -> None:
        await receiver(scope, receive, send)

    handler = asgi("/infobip", is_mount=True, copy_scope=True)(infobip)
    # Its own logging has a thread that does not end with it.
    return Litestar([handler], lifespan=[receiver.lifespan], logging_config=None)


def django(receiver):
    """In front of Django, which knows no lifespan: the first request starts the receiver."""
    from django.conf import settings  # noqa: PLC0415

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
    from django.core.asgi import get_asgi_application  # noqa: PLC0415

    pages = get_asgi_application()

    async def application(scope, receive, send):
        if scope["type"] == "http" and scope["path"].startswith("/infobip/"):
            await receiver(scope | {"root_path": "/infobip"}, receive, send)
        else:
            await pages(scope, receive, send)

    return application


urlpatterns: list[object] = []  # Django's


@pytest.mark.parametrize(
    "host",
    [fastapi, starlette, litestar, django],
    ids=lambda f: f.__name__,
)
async def test_hosts(make, tmp_path, host):
    """A push below the mount point is kept and handled, one elsewhere is not ours."""
    client = make(mount=host, journal=SqliteJournal(tmp_path / "journal"), secret=SECRET)

    async def requests() -> list[int]:
        replies = [
            await client.request("POST", f"/{prefix}{SECRET}/dlr", REPORT)
            for prefix in ("infobip/", "", "infobip/infobip/")
        ]
        await until(lambda: client.events)
        return [reply.status for reply in replies]

    if host is django:
        statuses = await asyncio.to_thread(asyncio.run, requests())
    else:
        async with client.lifespan() as told:
            assert told == [{"type": "lifespan.startup.complete"}]
            statuses = await requests()
    assert statuses == [200, 404, 404]
    assert len(client.events) == 1
