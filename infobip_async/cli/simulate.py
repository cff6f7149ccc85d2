"""``infobip-async simulate``: the simulated gateway, to be run beside a program."""

import os
from functools import partial

import click

from infobip_async import CallbackUrls
from infobip_async.cli.receiving import read_address
from infobip_async.cli.running import FiniteRange, check_url, runs, until_stopped
from infobip_async.simulator import Fault, Simulator
from infobip_async.webhook import callback_urls


def _callbacks(
    base: str | None, dlr: str | None, hlr: str | None, secret: str | None
) -> CallbackUrls | None:
    """The addresses that are entered; none for inbound SMS, which nobody sends here."""
    if base is not None:
        made = callback_urls(base, secret=secret)
        return CallbackUrls(dlr or made.delivery_reports, hlr or made.hlr_reports, "")
    if (dlr is None) != (hlr is None):
        raise click.UsageError("give both --dlr-url and --hlr-url, or --callback-url for the other")
    return CallbackUrls(dlr, hlr, "") if dlr and hlr else None


@click.command("simulate")
@click.option("--bind", callback=read_address, default="127.0.0.1:8081", show_default=True)
@click.option("-u", "--username", envvar="INFOBIP_USERNAME", default="user", show_default=True)
@click.option("--credits", "balance", type=click.IntRange(0), default=10_000, show_default=True)
@click.option(
    "--callback-url",
    help="Where a receiver of this package is, as `serve` says without its secret; delivery"
    " reports go to URL/SECRET/dlr and HLR reports to URL/SECRET/hlr.",
)
@click.option("--dlr-url", callback=check_url, help="Where delivery reports go, as it is entered.")
@click.option("--hlr-url", callback=check_url, help="Where HLR reports go, as it is entered.")
@click.option("--secret", envvar="INFOBIP_WEBHOOK_SECRET", help="The receiver's.")
@click.option(
    "--report-delay",
    type=FiniteRange(0),
    default=1,
    show_default=True,
    help="Seconds to a report.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=(click.Choice([fault.value for fault in Fault]), FiniteRange(0, 1)),
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
    dlr_url: str | None,
    hlr_url: str | None,
    secret: str | None,
    report_delay: float,
    faults: tuple[tuple[str, float], ...],
) -> None:
    """Run the simulated gateway until it is stopped.

    The password is INFOBIP_PASSWORD, or `password`. Without a URL for them, delivery reports
    wait for a pull.
    """
    simulator = Simulator(
        username=username,
        password=os.environ.get("INFOBIP_PASSWORD") or "password",
        credits=balance,
        callbacks=_callbacks(callback_url, dlr_url, hlr_url, secret),
        host=bind[0],
        port=bind[1],
        report_delay=report_delay,
        keep=1_000,
    )
    for name, rate in faults:
        simulator.faults.add(name, rate=rate)
    async with simulator:
        await until_stopped(partial(click.echo, f"INFOBIP_BASE_URL={simulator.base_url}"))
