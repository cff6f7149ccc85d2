"""``infobip-async send`` (§2)."""

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from infobip_async import (
    BinaryMessage,
    Message,
    SendReceipt,
    TextMessage,
    Ucs2Form,
    WapBookmark,
    preview,
)
from infobip_async.cli.account import Account, account_options
from infobip_async.cli.commands.preview import show
from infobip_async.cli.commands.send_csv import CsvSend, Options, options
from infobip_async.cli.confirm_send import MOST_PARTS, Confirmation
from infobip_async.cli.exit_codes import PARTLY, SIGNALLED, cancelled_by_signals, runs
from infobip_async.cli.following import Following, Storing, follow_options, store_options
from infobip_async.cli.list_options import ListOptions, list_options
from infobip_async.cli.tables import counted
from infobip_async.cli.verbosity import Verbosity, verbosity_options
from infobip_async.numbering import check_destinations, check_sender

if TYPE_CHECKING:
    from infobip_async import InfobipClient

_LAST_WAIT: Final = 30.0
"""Seconds that a send that is stopped waits for the reply."""


def _octets(_: click.Context, __: click.Parameter, value: str | None) -> bytes | None:
    try:
        return None if value is None else bytes.fromhex(value)
    except ValueError:
        raise click.BadParameter("not hexadecimal") from None


def _message(
    text: str | None,
    binary: bytes | None,
    sender: str,
    bookmark: str | None,
    *,
    flash: bool,
    udh: bytes,
    data_coding: int,
    esm_class: int,
) -> Message:
    if (text is None) == (binary is None):
        raise click.UsageError("give either --text or --binary")
    if binary is None and (udh or data_coding or esm_class):
        raise click.UsageError("--udh, --data-coding and --esm-class go with --binary")
    if flash + (bookmark is not None) + (binary is not None) > 1:
        raise click.UsageError("--flash, --bookmark and --binary exclude each other")
    if binary is not None:
        return BinaryMessage(binary, sender, data_coding=data_coding, esm_class=esm_class, udh=udh)
    if bookmark is not None:
        return WapBookmark(text or "", bookmark, sender)
    return TextMessage(text or "", sender, flash=flash)


def _announce(message: Message, recipients: Sequence[str], confirmation: Confirmation) -> None:
    """Show what costs more than one part before it is sent, and let a person think again."""
    shown = preview(message)
    parts = len(shown.parts)
    if isinstance(message, TextMessage) and (parts > 1 or confirmation.dry_run):
        show(confirmation.verbosity.console, message.text, shown)
    whole = parts * len(recipients)
    if confirmation.dry_run:
        check_destinations(recipients)
        confirmation.verbosity.say(
            f"{counted(whole, 'part')} to {counted(len(recipients), 'recipient')}"
        )
        sys.exit(0)
    if (parts > 1 or whole > MOST_PARTS) and sys.stdin.isatty() and not confirmation.yes:
        click.confirm(f"Send {counted(whole, 'part')}?", abort=True, err=True)


def _print(receipt: SendReceipt | str) -> int:
    """Print what the gateway said, and give the exit code that tells it."""
    if isinstance(receipt, str):
        return _print_lines([receipt])
    lines = [f"{each.msisdn} {each.message_id or ''}".rstrip() for each in receipt.recipients]
    unwritten = _print_lines(lines)
    left = "" if receipt.credits is None else f", {receipt.credits:f} credits left"
    click.echo(f"accepted {receipt.accepted} of {len(receipt.recipients)}{left}", err=True)
    return unwritten if receipt.accepted == len(receipt.recipients) else PARTLY


def _print_lines(lines: Sequence[str]) -> int:
    """Print what tells of a message that is sent, where that can be written; give the exit code."""
    try:
        click.echo("\n".join(lines))
    except OSError as fault:
        click.echo(f"sent, but its ids cannot be written: {fault.strerror}", err=True)
        return PARTLY
    return 0


def _tell(signals: int) -> None:
    """Say what a signal to stop does, the first or a further one."""
    waiting = f"waiting up to {_LAST_WAIT:.0f} s for the reply; once more leaves"
    click.echo("leaving at once" if signals > 1 else waiting, err=True)


async def _send(
    client: "InfobipClient",
    message: Message,
    recipients: Sequence[str],
    *,
    get: bool,
    plain: bool,
) -> SendReceipt | str:
    if get:
        return await client.send_one(message, recipients[0])
    return await client.send(message, recipients, registered=not plain)


async def _stoppable(client: "InfobipClient", sending: "asyncio.Task[object]") -> list[int]:
    """Wait for what is sent; when a signal comes, until the client is closed, but no longer.

    Gives the numbers of the signals that came.
    """
    with cancelled_by_signals(_tell) as signals:
        try:
            async with client:
                await asyncio.wait([sending])
        except asyncio.CancelledError:
            if not sending.done():
                raise
    return signals


@click.command("send")
@click.argument("recipients", nargs=-1)
@click.option("-s", "--sender", required=True, help="1 to 11 characters, or 1 to 14 digits.")
@click.option("-t", "--text", help="The text, or with --bookmark its title.")
@click.option("--binary", callback=_octets, help="Octets, in hexadecimal.")
@click.option("--bookmark", metavar="URL", help="Send a WAP bookmark.")
@click.option("--flash", is_flag=True, help="Show it at once.")
@click.option("--udh", callback=_octets, default="", help="The header of --binary.")
@click.option("--data-coding", default=0, help="The data coding of --binary.")
@click.option("--esm-class", default=0, help="The ESM class of --binary.")
@click.option("--get", is_flag=True, help="By GET, which gives the gateway's id; one recipient.")
@click.option("--plain", is_flag=True, help="Without delivery reports.")
@click.option("--ucs2", type=click.Choice(["binary", "text"]), default="binary")
@click.option("-y", "--yes", is_flag=True, help="Answer the question before many parts with yes.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@store_options
@follow_options
@options
@list_options
@account_options
@verbosity_options
@runs
async def command(
    *,
    account: Account,
    many: Options,
    reading: ListOptions,
    following: Following,
    storing: Storing,
    verbosity: Verbosity,
    recipients: tuple[str, ...],
    sender: str,
    text: str | None,
    binary: bytes | None,
    bookmark: str | None,
    ucs2: str,
    data_coding: int,
    esm_class: int,
    udh: bytes,
    flash: bool,
    get: bool,
    plain: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    """Send a message, and print each number with the message id that its report will name.

    With --csv, the message goes to everyone in the file, and a line is written for each. Before
    more than 10 parts, a person at a terminal sees what it takes, and is asked. With
    --job, too, what was intended and what became of it is kept: the same command goes on where
    it was after a crash or Ctrl-C, and sends nothing twice. With --deliveries, what the delivery
    reports say is kept, too, and can be waited for.
    """
    make = partial(
        _message,
        binary=binary,
        sender=sender,
        bookmark=bookmark,
        flash=flash,
        udh=udh,
        data_coding=data_coding,
        esm_class=esm_class,
    )
    form = Ucs2Form[ucs2.upper()]
    check_sender(sender)
    many.check(text, reading, single=bool(recipients) or get or plain)
    storing.check(following, excluded=get or plain or many.job is not None)
    confirmation = Confirmation(
        verbosity=verbosity, price=many.price, yes=yes, dry_run=dry_run, resumes=many.resumes
    )
    if many.csv is not None:
        await CsvSend(
            account=account,
            options=many,
            reading=reading,
            template=make(many.template(text)),
            confirmation=confirmation,
            ucs2=form,
            storing=storing,
            following=following,
        ).run(many.csv)
    message = make(text)
    if get and len(recipients) != 1:
        raise click.UsageError("--get takes one recipient")
    _announce(message, recipients, confirmation)
    client = account.client(ucs2=form, stop_timeout=_LAST_WAIT)
    if storing.deliveries is not None:
        with cancelled_by_signals(partial(storing.tell, verbosity)):
            sys.exit(await storing.send(client, message, recipients, following, verbosity))
    sending = asyncio.create_task(_send(client, message, recipients, get=get, plain=plain))
    signals = await _stoppable(client, sending)
    code = _print(await sending)
    sys.exit(SIGNALLED + signals[0] if signals else code)
