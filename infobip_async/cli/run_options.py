"""The options of a run that sends and lookups share: described once."""

from decimal import Decimal, InvalidOperation
from typing import Final

import click

from infobip_async.cli.options import POSITIVE, Decorator


def read_credits(value: str) -> Decimal:
    """Take a balance or a price, to the last decimal, as click's type of an option."""
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise click.BadParameter(f"{value!r} is no number") from None
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter("it must be 0 or more")
    return amount


concurrency_option: Final = click.option(
    "--concurrency",
    type=click.IntRange(1, 50),
    default=8,
    show_default=True,
    help="Requests in flight, at most.",
)
report_timeout_option: Final = click.option(
    "--report-timeout",
    type=POSITIVE,
    default=60,
    show_default=True,
    help="Seconds from a query to the last report that is waited for.",
)
unreachable_timeout_option: Final = click.option(
    "--unreachable-timeout",
    type=POSITIVE,
    default=300,
    show_default=True,
    help="Seconds that a gateway which cannot be connected to is waited for.",
)
_HOURS: Final = (
    click.option(
        "--between",
        metavar="HH:MM-HH:MM",
        help="The hours in which requests go out, such as 09:00-20:00; outside, the run waits.",
    ),
    click.option(
        "--between-zone",
        metavar="ZONE",
        help="The time zone of these hours, such as Europe/Zagreb; by default, this machine's.",
    ),
)


def run_options(units: str, per_request: str, *, batch_size: int) -> tuple[Decorator, ...]:
    """Make the options of a run.

    Args:
        units: what is counted: parts or numbers.
        per_request: says what `batch_size` is of.
        batch_size: by default.
    """
    return (
        click.option(
            "--on-unknown",
            type=click.Choice(["report", "repeat"]),
            default="report",
            show_default=True,
            help="What becomes of an unknown outcome: it is told, or tried again, which may do it"
            " twice.",
        ),
        click.option("--rate", type=POSITIVE, help=f"{units.capitalize()} per second, evenly."),
        click.option(
            "--batch-size",
            type=click.IntRange(1, 10_000),
            default=batch_size,
            show_default=True,
            help=per_request,
        ),
        concurrency_option,
        click.option(
            f"--max-{units}",
            type=click.IntRange(0),
            help=f"End before more {units} than that go out.",
        ),
        click.option(
            "--min-credits",
            type=read_credits,
            metavar="CREDITS",
            help="End before fewer credits than that are left.",
        ),
        unreachable_timeout_option,
        *_HOURS,
    )
