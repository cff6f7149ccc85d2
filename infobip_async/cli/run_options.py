"""The options of a run that sends and lookups share: described once."""

from decimal import Decimal, InvalidOperation
from typing import Final

import click

from infobip_async.cli.running import POSITIVE, Decorator


class Credits(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """A balance, to the last decimal."""

    name = "credits"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Take a decimal number of 0 or more."""
        try:
            credits_left = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no number", param, ctx)
        if not credits_left.is_finite() or credits_left < 0:
            self.fail("it must be 0 or more", param, ctx)
        return credits_left


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
            "--min-credits", type=Credits(), help="End before fewer credits than that are left."
        ),
        unreachable_timeout_option,
        *_HOURS,
    )
