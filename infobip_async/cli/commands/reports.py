"""``infobip-async reports`` (§3.2)."""

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TextIO

import click

from infobip_async import DeliveryReport, UnreadableRow
from infobip_async.cli.account import Account, account_options
from infobip_async.cli.event_json import as_json
from infobip_async.cli.exit_codes import runs
from infobip_async.cli.options import POSITIVE
from infobip_async.cli.output import check_output, open_output


def _print(reports: Sequence[DeliveryReport | UnreadableRow], stream: TextIO) -> None:
    """Print reports; those that cannot be printed are gone, so they are counted."""
    left = len(reports)
    try:
        for report in reports:
            click.echo(as_json(report), stream)
            left -= 1
    except OSError:
        click.echo(f"{left:,} of {len(reports):,} reports taken could not be printed", err=True)
        raise


@click.command("reports")
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--interval", type=POSITIVE, default=60, show_default=True, help="Seconds between two pulls."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Append to this file.")
@account_options
@runs
async def command(
    account: Account,
    message_ids: tuple[str, ...],
    *,
    follow: bool,
    interval: float,
    output: str | None,
) -> None:
    """Take the delivery reports that wait at the gateway, and print each as a JSON line.

    The gateway gives each report once, so all of them are to be read or kept: head -1 would lose
    the others.
    """
    if follow and message_ids:
        raise click.UsageError("--follow takes all reports; it goes without message ids")
    check_output(output)
    async with AsyncExitStack() as stack:
        stream = stack.enter_context(open_output(output, "a"))
        client = await stack.enter_async_context(account.client())
        if not follow:
            pulled = await client.pull_reports(message_ids)
            _print([*pulled, *client.take_unreadable_reports()], stream)
            return
        reports = await stack.enter_async_context(aclosing(client.poll_reports(interval=interval)))
        async for report in reports:
            _print([report, *client.take_unreadable_reports()], stream)
