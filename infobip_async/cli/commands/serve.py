"""``infobip-async serve`` (§3.1, §5, §6)."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

import attrs
import click

from infobip_async import (
    Deliveries,
    Delivery,
    DeliveryReport,
    HlrReport,
    InboundSms,
    Router,
    SqliteDeliveryStore,
    SqliteJournal,
    StorageUnavailableError,
    UnreadableRow,
)
from infobip_async.cli.event_json import as_json
from infobip_async.cli.exit_codes import runs, until_stopped
from infobip_async.cli.receiving import (
    announce,
    public_url_option,
    read_address,
    receiving,
    secret_option,
)


def _following(store: str | None, router: Router) -> AbstractAsyncContextManager[object]:
    """Follow the messages of a store, if there is one."""
    if store is None:
        return nullcontext()
    return Deliveries(None, router, store=SqliteDeliveryStore(store))


@click.command("serve")
@click.option("--bind", callback=read_address, default="127.0.0.1:8080", show_default=True)
@public_url_option
@secret_option
@click.option(
    "--journal",
    "path",
    type=click.Path(dir_okay=False),
    help="Store each push in this file until it is printed: nothing acknowledged is lost.",
)
@click.option(
    "--deliveries",
    "store",
    type=click.Path(dir_okay=False),
    help="Store in this file what became of messages that were sent with it, and print changes.",
)
@runs
async def command(
    bind: tuple[str, int],
    public_url: str | None,
    secret: str | None,
    path: str | None,
    store: str | None,
) -> None:
    """Receive what the gateway pushes, and print each event as a JSON line."""
    journal = None if path is None else SqliteJournal(path)
    router = Router()
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def show(event: attrs.AttrsInstance) -> None:
        try:
            click.echo(as_json(event))
        except BrokenPipeError as fault:
            if not gone.done():
                gone.set_exception(fault)
            # Not handled: the gateway or the journal gives the event again.
            raise StorageUnavailableError("nobody reads standard output") from None

    for event in (DeliveryReport, HlrReport, InboundSms, UnreadableRow, Delivery):
        router.on(event)(show)
    async with (
        _following(store, router),
        receiving(router, bind, secret=secret, public=public_url, journal=journal) as urls,
    ):
        stopped = asyncio.create_task(until_stopped(partial(announce, urls)))
        await asyncio.wait([gone, stopped], return_when=asyncio.FIRST_COMPLETED)
    (gone if gone.done() else stopped).result()
