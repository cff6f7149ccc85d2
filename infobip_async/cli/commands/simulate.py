"""``infobip-async simulate``: the simulated gateway, to be run beside a program."""

import os
import time
from functools import partial
from typing import Final

import attrs
import click

from infobip_async import CallbackUrls
from infobip_async.cli.exit_codes import runs, until_stopped
from infobip_async.cli.options import FiniteRange, check_url, options_of
from infobip_async.cli.receiving import read_address
from infobip_async.simulator import Fault, ManualClock, Simulator, read_seed, usual_extras
from infobip_async.webhook import callback_urls

_FILE: Final = click.Path(dir_okay=False)
_PRESENT: Final = click.Path(exists=True, dir_okay=False)


@attrs.frozen(kw_only=True)
class Addresses:
    """The options that say where the gateway pushes."""

    callback_url: str | None
    dlr_url: str | None
    hlr_url: str | None
    inbound_url: str | None
    secret: str | None

    def entered(self) -> CallbackUrls | None:
        """The addresses; None where none is given."""
        if (self.dlr_url is None) != (self.hlr_url is None) and self.callback_url is None:
            about = "give both --dlr-url and --hlr-url, or --callback-url for the other"
            raise click.UsageError(about)
        made = CallbackUrls("", "", "")
        if self.callback_url is not None:
            made = callback_urls(self.callback_url, secret=self.secret)
        urls = CallbackUrls(
            self.dlr_url or made.delivery_reports,
            self.hlr_url or made.hlr_reports,
            self.inbound_url or made.inbound_sms,
        )
        return urls if any((urls.delivery_reports, urls.inbound_sms)) else None


address_options: Final = options_of(
    Addresses,
    "addresses",
    click.option(
        "--callback-url",
        help="Where a receiver of this package is, as `serve` says without its secret; delivery"
        " reports go to URL/SECRET/dlr, HLR reports to URL/SECRET/hlr, and inbound SMS to"
        " URL/SECRET/inbound.",
    ),
    click.option(
        "--dlr-url", callback=check_url, help="Where delivery reports go, as it is entered."
    ),
    click.option("--hlr-url", callback=check_url, help="Where HLR reports go, as it is entered."),
    click.option(
        "--inbound-url",
        callback=check_url,
        help="Where inbound SMS go, such as http://localhost/in?who=%sender%&what=%text%.",
    ),
    click.option("--secret", envvar="INFOBIP_WEBHOOK_SECRET", help="The receiver's."),
)


@click.command("simulate")
@click.option("--bind", callback=read_address, default="127.0.0.1:8081", show_default=True)
@click.option("-u", "--username", envvar="INFOBIP_USERNAME", default="user", show_default=True)
@click.option("--credits", "balance", type=click.IntRange(0), default=10_000, show_default=True)
@address_options
@click.option(
    "--report-delay",
    type=FiniteRange(0),
    default=1,
    show_default=True,
    help="Seconds to a report.",
)
@click.option("--extras", is_flag=True, help="Report with gsmerror, price and pducount, too.")
@click.option("--sender", default="", help="Of messages that name none, and are refused without.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=(click.Choice([fault.value for fault in Fault]), FiniteRange(0, 1)),
    metavar="NAME RATE",
    help=f"Let a share of requests or reports go wrong: {', '.join(Fault)}.",
)
@click.option("--seed", type=_PRESENT, help="JSON of what becomes of numbers.")
@click.option("--record", type=_FILE, help="Append what arrives to a file, as lines of JSON.")
@click.option("--manual-clock", is_flag=True, help="Let time stand until the console moves it on.")
@click.option("--open", "opens", is_flag=True, help="Open the console in a browser.")
@click.option(
    "--console-host",
    "hosts",
    multiple=True,
    help="A name by which other machines reach the console; they need its token.",
)
@click.option("--console-token", envvar="INFOBIP_CONSOLE_TOKEN", help="Better set as a variable.")
@runs
async def command(
    *,
    bind: tuple[str, int],
    username: str,
    balance: int,
    addresses: Addresses,
    report_delay: float,
    extras: bool,
    sender: str,
    faults: tuple[tuple[str, float], ...],
    seed: str | None,
    record: str | None,
    manual_clock: bool,
    opens: bool,
    hosts: tuple[str, ...],
    console_token: str | None,
) -> None:
    """Run the simulated gateway until it is stopped, with a page to look at.

    The password is INFOBIP_PASSWORD, or `password`. Without a URL for them, delivery reports
    wait for a pull. The page, and an API behind it, are for this machine alone, unless
    --console-host names it.
    """
    simulator = Simulator(
        username=username,
        password=os.environ.get("INFOBIP_PASSWORD") or "password",
        credits=balance,
        callbacks=addresses.entered(),
        host=bind[0],
        port=bind[1],
        clock=ManualClock(time.time()) if manual_clock else None,
        report_delay=report_delay,
        keep=10_000,
        console=True,
        console_hosts=hosts,
        console_token=console_token,
        record=record,
    )
    simulator.gateway.accounts[username].sender = sender
    if extras:
        simulator.gateway.extras = usual_extras
    if seed is not None:
        planted = read_seed(seed)
        simulator.phones.update(planted.phones)
        simulator.gateway.not_covered = planted.not_covered
    for name, rate in faults:
        simulator.faults.add(name, rate=rate)
    async with simulator:
        await until_stopped(partial(_announce, simulator, opens=opens))


def _announce(simulator: Simulator, *, opens: bool) -> None:
    """Say where the gateway is, and open its console where that is asked for."""
    click.echo(f"INFOBIP_BASE_URL={simulator.base_url}")
    url = simulator.console_url or ""
    click.echo(f"Console: {url}", err=True)
    if opens and click.launch(url):
        click.echo("No browser could be opened.", err=True)
