"""``infobip-async credits`` (§2/2.1)."""

import click

from infobip_async.cli.account import Account, account_options
from infobip_async.cli.exit_codes import runs


@click.command("credits")
@account_options
@runs
async def command(account: Account) -> None:
    """Show the balance of the account."""
    async with account.client() as client:
        click.echo(f"{await client.credits():f}")
