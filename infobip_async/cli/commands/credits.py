"""``infobip-async credits`` (§2/2.1)."""

import click

from infobip_async.cli.running import Account, account_options, runs


@click.command("credits")
@account_options
@runs
async def command(account: Account) -> None:
    """Show the balance of the account."""
    async with account.client() as client:
        click.echo(f"{await client.credits():f}")
