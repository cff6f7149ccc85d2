"""``infobip-async simulate``: the simulated gateway, to be run beside a program."""

import os

import click

from infobip_async.cli.receiving import read_address
from infobip_async.cli.running import runs, until_stopped
from infobip_async.simulator import Fault, Simulator
from infobip_async.webhook import callback_urls


@click.command("simulate")
@click.option("--bind", callback=read_address, default="127.0.0.1:8081", show_default=True)
@click.option("-u", "--username", envvar="INFOBIP_USERNAME", default="user", show_default=True)
@click.option("--credits", "balance", default=10_000, show_default=True)
@click.option("--callback-url", help="Where the receiver is, as `serve` says without its secret.")
@click.option("--secret", envvar="INFOBIP_WEBHOOK_SECRET", help="The receiver's.")
@click.option(
    "--report-delay",
    type=click.FloatRange(0),
    default=1,
    show_default=True,
    help="Seconds to a report.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=(click.Choice([fault.value for fault in Fault]), click.FloatRange(0, 1)),
    metavar="NAME RATE",
    help=f"Let a share of requests or reports go wrong: {', '.join(Fault)}.",
)
@runs
async def command(
    *,
    bind: tuple[str, int],
    username: str,
    balance: int,
    callback_url: str | None,
    secret: str | None,
    report_delay: float,
    faults: tuple[tuple[str, float], ...],
) -> None:
    """Run the simulated gateway until it is stopped.

    The password is INFOBIP_PASSWORD, or `password`. Without a callback URL, delivery reports
    wait for a pull.
    """
    simulator = Simulator(
        username=username,
        password=os.environ.get("INFOBIP_PASSWORD") or "password",
        credits=balance,
        callbacks=callback_urls(callback_url, secret=secret) if callback_url else None,
        host=bind[0],
        port=bind[1],
        report_delay=report_delay,
        keep=1_000,
    )
    for name, rate in faults:
        simulator.faults.add(name, rate=rate)
    async with simulator:
        click.echo(f"INFOBIP_BASE_URL={simulator.base_url}")
        await until_stopped()
