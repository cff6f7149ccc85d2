"""``infobip-async check`` (§3.1, §5, §6)."""

import sys
from collections.abc import Sequence

import click

from infobip_async import ProbeResult, check_receiver
from infobip_async.cli.exit_codes import runs


@click.command("check")
@click.option(
    "--public-url", required=True, help="The URL that leads to the receiver from outside."
)
@click.option(
    "--secret",
    envvar="INFOBIP_WEBHOOK_SECRET",
    help="The receiver's, in the paths; better set in the environment.",
)
@click.option("--timeout", default=20.0, show_default=True, help="Seconds for each probe.")
@runs
async def command(public_url: str, secret: str | None, timeout: float) -> None:  # noqa: ASYNC109 - an option
    """Ask a running receiver, through its public address, whether pushes arrive.

    A probe of each kind is pushed as the gateway would push. The receiver answers what arrived of
    it, keeps nothing, and hands nothing to a handler. What stands in the way is named. Exit code 1
    says that a probe did not arrive.
    """
    if secret is None:
        raise click.UsageError("the secret is needed: set INFOBIP_WEBHOOK_SECRET, or give --secret")
    results = await check_receiver(public_url, secret=secret or None, timeout=timeout)
    _show(results)
    sys.exit(0 if all(result.arrived for result in results) else 1)


def _show(results: Sequence[ProbeResult]) -> None:
    told = ""
    for result in results:
        end, colour = ("arrived", "green") if result.arrived else ("did not arrive", "red")
        click.secho(f"{result.kind:8} {result.name} {end}", fg=colour)
        if result.problem:
            click.echo(f"         {'the same' if result.problem == told else result.problem}")
        told = result.problem
