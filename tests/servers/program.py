"""A receiver for real servers to serve, which writes down each event that it handles.

The environment says how: ``SECRET``, ``EVENTS`` (a file that gets a line for each event) and, if
pushes are to be kept first, ``JOURNAL``.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from aiohttp import web

from infobip_async import DeliveryReport, HlrReport, InboundSms, Router, SqliteJournal
from infobip_async.asgi import AsgiReceiver, asgi_app
from infobip_async.webhook import Limits, run_receiver, webhook_app

router = Router()


def note(kind: str, *values: object) -> None:
    """Write a line in one piece: other processes write to this file, too."""
    with Path(os.environ["EVENTS"]).open("a", encoding="utf-8") as events:
        events.write(json.dumps([kind, *values]) + "\n")


@router.on(DeliveryReport)
async def delivered(report: DeliveryReport) -> None:
    """Take a report."""
    note("dlr", report.message_id)


@router.on(HlrReport)
async def looked_up(report: HlrReport) -> None:
    """Take an HLR report."""
    note("hlr", report.destination)


@router.on(InboundSms)
async def received(sms: InboundSms) -> None:
    """Take a message."""
    note("inbound", sms.text)


def settings() -> dict[str, object]:
    """The arguments that both kinds of applications take."""
    journal = os.environ.get("JOURNAL")
    return {
        "secret": os.environ["SECRET"],
        "limits": Limits(read_seconds=1.0),
        "journal": SqliteJournal(journal) if journal else None,
    }


def asgi() -> AsgiReceiver:
    """The receiver for ASGI servers."""
    return asgi_app(router, **settings())


async def aiohttp() -> web.Application:
    """The receiver for aiohttp's servers, below a prefix as everywhere here."""
    app = web.Application(handler_args={"max_line_size": 65536})
    app.add_subapp("/infobip", webhook_app(router, **settings()))
    return app


async def application(scope, receive, send) -> None:
    """The receiver for ASGI servers, mounted as a host would mount it by hand."""
    mounted = scope | {"root_path": "/infobip"} if scope["type"] == "http" else scope
    await _receiver(mounted, receive, send)


async def ours(port: int) -> None:
    """Our own runner."""
    await run_receiver(await aiohttp(), port=port)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    if sys.argv[2:] == ["ours"]:
        asyncio.run(ours(int(sys.argv[1])))
    else:
        shared = sys.argv[2:] == ["shared"]
        web.run_app(aiohttp(), host="127.0.0.1", port=int(sys.argv[1]), reuse_port=shared)
elif "SECRET" in os.environ:
    _receiver = asgi()
