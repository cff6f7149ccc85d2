"""``infobip-async forget``: a person's data out of journals and jobs."""

import json

import click

from infobip_async import LocalProtocolError, StorageUnavailableError, forget
from infobip_async.cli.exit_codes import PARTLY, runs


@click.command("forget")
@click.argument("number")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@runs
async def command(number: str, files: tuple[str, ...]) -> None:
    """Forget a NUMBER in journals, jobs and stores of deliveries.

    Each FILE is written anew, so that the digits are nowhere in it. Receivers may go on using a
    journal or a store; a job must not be in use. Prints how much was forgotten in each file, as
    JSON lines.
    """
    failed = False
    for file in files:
        try:
            click.echo(json.dumps({"file": file, "forgotten": await forget(number, file)}))
        except (LocalProtocolError, StorageUnavailableError) as fault:
            if isinstance(fault, LocalProtocolError) and fault.field != "path":
                raise  # the number is none
            click.echo(fault, err=True)
            failed = True
    if failed:
        raise SystemExit(PARTLY)
