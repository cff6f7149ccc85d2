"""``infobip-async serve`` (§3.1, §5, §6)."""

import attrs
import click

from infobip_async import DeliveryReport, HlrReport, InboundSms, Router, UnreadableRow
from infobip_async.cli.receiving import Address, announce, receiving
from infobip_async.cli.running import as_json, runs, until_stopped


async def _print(event: attrs.AttrsInstance) -> None:
    click.echo(as_json(event))


@click.command("serve")
@click.option("--bind", type=Address(), default="127.0.0.1:8080", show_default=True)
@click.option("--public-url", help="The URL that leads here from outside.")
@click.option(
    "--secret",
    envvar="INFOBIP_WEBHOOK_SECRET",
    help="In the paths; better set in the environment. A new one each time without it.",
)
@runs
async def command(bind: tuple[str, int], public_url: str | None, secret: str | None) -> None:
    """Receive what the gateway pushes, and print each event as a JSON line."""
    router = Router()
    for event in (DeliveryReport, HlrReport, InboundSms, UnreadableRow):
        router.on(event)(_print)
    async with receiving(router, bind, secret=secret, public=public_url) as urls:
        announce(urls)
        await until_stopped()
