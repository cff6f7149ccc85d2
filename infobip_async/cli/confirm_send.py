"""What a send to a list takes, shown before anything is sent, and the question whether to send."""

import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import attrs
import click
from rich.table import Table
from rich.text import Text

from infobip_async import InfobipError, TextMessage
from infobip_async.cli.exit_codes import spelled
from infobip_async.cli.tables import counted, visible
from infobip_async.cli.verbosity import Verbosity
from infobip_async.lists import NumberList, Survey

if TYPE_CHECKING:
    from infobip_async import InfobipClient

MOST_PARTS: Final = 10
"""Parts that go out without a question."""
_OFFENDERS: Final = 12
"""Characters that are listed."""


@attrs.frozen(kw_only=True)
class Confirmation:
    """What is shown, and whether it is asked about.

    Attributes:
        verbosity: says it.
        price: credits a part, where the caller knows them.
        yes: whether the question is answered beforehand.
        dry_run: whether nothing is sent anyway.
        resumes: whether there is a job of an earlier run.
    """

    verbosity: Verbosity
    price: Decimal | None
    yes: bool
    dry_run: bool
    resumes: bool

    async def show(self, found: Survey, people: NumberList, client: "InfobipClient") -> None:
        """Show what was found, and let a person think again.

        Raises:
            click.Abort: the person does.
            click.UsageError: nobody can be asked about texts with holes.
        """
        asks = sys.stdin.isatty() and not self.yes
        whole = self.dry_run or (asks and found.parts > MOST_PARTS)
        self.verbosity.say(_messages(found))
        rows = Table.grid(padding=(0, 2, 0, 0))
        rows.add_column(no_wrap=True)
        rows.add_column(overflow="fold")
        for name, text in _remarks(found):
            rows.add_row(name, visible(text))
        if self.resumes:
            rows.add_row("job", Text("what an earlier run has sent is not sent again"))
        if self.price is not None:
            cost = f"{self.price * found.parts:f} credits at {self.price:f} a part"
            rows.add_row("cost", Text(cost))
        if whole:
            rows.add_row("balance", Text(await _balance(client)))
            for item in found.first:
                message = item.message
                text = message.text if isinstance(message, TextMessage) else type(message).__name__
                rows.add_row(str(item.row.msisdn), visible(text))
        if self.verbosity.verbose:
            for remark in (*people.faults, *people.guesses):
                rows.add_row(f"line {remark.line}", Text(remark.reason))
        if rows.row_count:
            self.verbosity.console.print(rows)
        self._ask(found, asks=asks, whole=whole)

    def _ask(self, found: Survey, *, asks: bool, whole: bool) -> None:
        if self.dry_run:
            return
        if asks and (whole or found.short):
            click.confirm("Send them?", abort=True, err=True)
        elif found.short and not self.yes:
            holes = counted(found.short, "text has a hole", "texts have a hole")
            raise click.UsageError(f"{holes}, since a row is too short: --yes sends them so")


def _messages(found: Survey) -> str:
    """Say in a line how many messages of how many parts there are."""
    counts = [
        f"{items:,} in {counted(number, 'part')}"
        for number, items in sorted(found.messages.items())
    ]
    total, listed = found.messages.total(), ", ".join(counts) or "none"
    rows = "" if total == found.rows else f"{counted(found.rows, 'row')}, "
    return f"{rows}{counted(total, 'message')}: {listed}; {counted(found.parts, 'part')}"


def _remarks(found: Survey) -> Iterator[tuple[str, str]]:
    """What a person wants to know before the send, where there is anything to know."""
    for reason, refused in found.refused.items():
        lines = ", ".join(map(str, refused.lines))
        more = ", ..." if refused.count > len(refused.lines) else ""
        where = f"{'line' if refused.count == 1 else 'lines'} {lines}{more}"
        yield "not sent", f"{counted(refused.count, 'number')}: {spelled(reason)} ({where})"
    if found.excluded:
        yield "excluded", counted(found.excluded, "number")
    if found.repeated:
        yield "repeated", f"{counted(found.repeated, 'row')} with a number that stood before"
    if found.short:
        yield "holes", f"{counted(found.short, 'row')} too short for a column of the text"
    if found.blank:
        yield "empty", f"{counted(found.blank, 'text')} with an empty column"
    for guess, count in found.guessed.most_common():
        yield "guessed", f"{counted(count, 'row')}: {guess}"
    if found.offenders:
        listed = ", ".join(
            f"{character} {count:,}" for character, count in found.offenders.most_common(_OFFENDERS)
        )
        saved = f"; simple characters would save {counted(found.saved, 'part')}"
        yield "UCS-2", f"because of {listed}{saved if found.saved else ''}"


async def _balance(client: "InfobipClient") -> str:
    try:
        return f"{await client.credits():f} credits"
    except InfobipError as fault:
        return f"cannot be asked for: {type(fault).__name__}"
