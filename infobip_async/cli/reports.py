"""``infobip-async reports`` (§3.2)."""

from contextlib import aclosing

import click

from infobip_async.cli.running import POSITIVE, Account, account_options, as_json, runs


@click.command("reports")
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--interval", type=POSITIVE, default=60, show_default=True, help="Seconds between two pulls."
)
@account_options
@runs
async def command(
    account: Account, message_ids: tuple[str, ...], *, follow: bool, interval: float
) -> None:
    """Take the delivery reports that wait at the gateway, and print each as a JSON line.

    The gateway gives each report once: keep what is printed.
    """
    if follow and message_ids:
        raise click.UsageError("--follow takes all reports; it goes without message ids")
    async with account.client() as client:
        if not follow:
            for report in await client.pull_reports(message_ids):
                click.echo(as_json(report))
            return
        async with aclosing(client.poll_reports(interval=interval)) as reports:
            async for report in reports:
                click.echo(as_json(report))
