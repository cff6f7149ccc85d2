"""``infobip-async deliveries``: what became of messages that were sent with a store."""

import json
import time
from contextlib import ExitStack
from typing import Final

import attrs
import click

from infobip_async import Deliveries, Delivery, Router, SqliteDeliveryStore
from infobip_async.cli.account import Account, account_options
from infobip_async.cli.event_json import as_json
from infobip_async.cli.exit_codes import cancelled_by_signals, runs
from infobip_async.cli.following import Following, follow_options, how_to_go_on, shown
from infobip_async.cli.options import StoredFile
from infobip_async.cli.output import Form, RowWriter, check_output, open_output, output_options
from infobip_async.cli.verbosity import Verbosity, verbosity_options

_file = click.argument("file", type=StoredFile())
_COLUMNS: Final = (
    *("key", "run", "message_id", "msisdn", "outcome", "status", "is_final", "delivered"),
    *("done_at", "reason"),
)


@click.group("deliveries")
def command() -> None:
    """See what became of messages that were sent with --deliveries, and follow the rest.

    Programs may send and receive with the file meanwhile.
    """


def _opened(file: str) -> Deliveries:
    """Make the deliveries of a file, as a context."""
    return Deliveries(None, Router(), store=SqliteDeliveryStore(file))


@command.command("status")
@_file
@runs
async def status(file: str) -> None:
    """Print how many messages have come to what, and how long the oldest has waited, as JSON."""
    async with _opened(file) as deliveries:
        counts = await deliveries.counts()
        oldest = [one.created_at async for one in deliveries.pending()][:1]
    found: dict[str, object] = {"total": counts.total, **shown(counts)}
    if oldest:
        found["oldest_age"] = round(time.time() - oldest[0], 1)
    click.echo(json.dumps(found))


@command.command("list")
@_file
@click.option("--pending", is_flag=True, help="Only those that are not final.")
@click.option("--run", help="Only those of this run.")
@runs
async def list_(file: str, *, pending: bool, run: str | None) -> None:
    """Print each message with its reports as a JSON line, the oldest first."""
    async with _opened(file) as deliveries:
        async for one in deliveries.stored(run=run):
            if not (pending and one.is_final):
                click.echo(as_json(one))


@command.command("export")
@_file
@click.option("--run", help="Only those of this run.")
@output_options
@runs
async def export(file: str, run: str | None, output: str | None, form: Form) -> None:
    """Write a row for each message, the oldest first."""
    check_output(output)
    with ExitStack() as stack:
        rows = RowWriter(lambda: stack.enter_context(open_output(output)), form, _COLUMNS)
        async with _opened(file) as deliveries:
            async for one in deliveries.stored(run=run):
                rows.write([_row(one)])
        rows.write(())
        rows.check()


def _row(one: Delivery) -> list[object]:
    values = attrs.asdict(one, recurse=False)
    plain = [values[name] for name in _COLUMNS]
    return [getattr(value, "value", value) for value in plain]


@command.command("follow")
@_file
@follow_options
@account_options
@verbosity_options
@runs
async def follow(file: str, account: Account, following: Following, verbosity: Verbosity) -> None:
    """Wait until every message is final; then say what became of them.

    Without --receive or --poll, another program receives the reports and stores them in the file.
    """
    following.check()
    with cancelled_by_signals(lambda _: verbosity.say(how_to_go_on(file))):
        if following.poll:
            async with account.client() as client, following.open(file, client) as deliveries:
                code = await following.follow(deliveries, file, verbosity)
        else:
            async with following.open(file, None) as deliveries:
                code = await following.follow(deliveries, file, verbosity)
    raise SystemExit(code)
