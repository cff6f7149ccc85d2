"""``infobip-async send --csv`` (§2/1): a message to everyone in a file."""

import io
import sys
from collections import Counter
from collections.abc import AsyncIterable, Sequence
from contextlib import ExitStack, aclosing
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
import click
from rich.console import Console
from rich.table import Column, Table

from infobip_async import (
    DeliveryReport,
    LocalProtocolError,
    Message,
    OnUnknown,
    Router,
    Run,
    RunStats,
    SendOutcome,
    SendResult,
    Ucs2Form,
    preview,
)
from infobip_async.cli.list_options import check_country, check_encoding, header_option
from infobip_async.cli.output import Form, RowWriter, check_files, check_output, open_output
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.run_options import run_options
from infobip_async.cli.runner import Runner, leave
from infobip_async.cli.running import (
    PARTLY,
    Account,
    as_json,
    options_of,
)
from infobip_async.lists import ListItem, NumberList, read_list

if TYPE_CHECKING:
    from infobip_async import InfobipClient

_COLUMNS: Final = ("position", "recipient", "key", "outcome", "message_ids", "reason")
_IF_ALONE: Final = {
    SendOutcome.SENT: 0,
    SendOutcome.REFUSED: 3,
    SendOutcome.NOT_SENT: 4,
    SendOutcome.UNKNOWN: 5,
    SendOutcome.EXCLUDED: 0,
}


@attrs.frozen(kw_only=True)
class Options:
    """What is to be sent to whom, how, and where the outcomes go."""

    csv: io.BufferedReader | None
    recipient_column: str
    text_column: str | None
    key_column: str | None
    encoding: str
    header: bool
    normalise: bool
    country: str | None
    job: str | None
    on_unknown: OnUnknown
    reconcile: bool
    rate: float | None
    batch_size: int
    concurrency: int
    max_parts: int | None
    min_credits: Decimal | None
    unreachable_timeout: float
    between: str | None
    between_zone: str | None
    output: str | None
    form: Form

    def check(self, text: str | None, *, single: object) -> None:
        """Refuse options that contradict each other, or that do nothing.

        Args:
            text: of the option ``--text``.
            single: whether there is anything that is not for a CSV.

        Raises:
            click.UsageError: naming them.
        """
        of_csv = ("text_column", "key_column", "normalise", "country", "job", "rate", "output")
        given = [name.replace("_", "-") for name in of_csv if getattr(self, name)]
        if self.csv is None and given:
            raise click.UsageError(f"--{given[0]} goes with --csv")
        if self.csv is None and not single:
            raise click.UsageError("Missing argument 'RECIPIENTS...', or --csv.")
        if self.csv is not None and single:
            raise click.UsageError("recipients, --get and --plain exclude --csv")
        if self.text_column is not None and text is not None:
            raise click.UsageError("give either --text or --text-column")
        if self.reconcile and self.job is None:
            raise click.UsageError("--reconcile goes with --job")

    def template(self, text: str | None) -> str | None:
        """The text for everyone, with the names of columns in braces.

        Args:
            text: of the option ``--text``.
        """
        return text if self.text_column is None else f"{{{self.text_column}}}"

    def people(self, source: io.BufferedReader) -> NumberList:
        """The list to send to."""
        return read_list(
            source,
            recipient=self.recipient_column,
            key=self.key_column,
            header=self.header,
            normalise=self.normalise,
            country=self.country,
            encoding=self.encoding,
        )

    def run(self, client: "InfobipClient", items: AsyncIterable[ListItem]) -> Run[SendResult]:
        """Send the items."""
        return client.send_many(
            items,
            job=self.job,
            on_unknown=self.on_unknown,
            rate=self.rate,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            max_parts=self.max_parts,
            min_credits=self.min_credits,
            unreachable_timeout=self.unreachable_timeout,
            between=self.between,
            between_zone=self.between_zone,
            stop_timeout=0,  # what is in flight ends anyway; a second signal leaves at once
        )


options: Final = options_of(
    Options,
    "many",
    click.option(
        "--csv",
        type=click.File("rb"),
        help="Send to everyone in a CSV, whose first line is a header that names its columns;"
        " --text can have {columns}. - is standard input.",
    ),
    click.option(
        "--recipient-column",
        default="1",
        show_default=True,
        help="Of the CSV, by name or by number from 1.",
    ),
    click.option("--text-column", help="In place of --text."),
    click.option("--key-column", help="What tells rows apart in a job, in place of their order."),
    click.option(
        "--encoding",
        default="utf-8",
        show_default=True,
        callback=check_encoding,
        is_eager=True,  # before the file is opened
        help="Of the CSV, such as cp1252.",
    ),
    header_option,
    click.option("--normalise", is_flag=True, help="Take +, 00, blanks and punctuation away."),
    click.option(
        "--country",
        callback=check_country,
        help="Normalise, and read national numbers as of this country, such as HR.",
    ),
    click.option(
        "--job",
        type=click.Path(dir_okay=False),
        help="Keep outcomes in this file, and go on where it ends.",
    ),
    click.option(
        "--reconcile",
        is_flag=True,
        help="Before, pull reports on what the job does not know the outcome of.",
    ),
    *run_options("parts", "Recipients of one text per request.", batch_size=100),
    click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file."),
    click.option(
        "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
    ),
)


async def _survey(people: NumberList, template: Message) -> Counter[int]:
    """Count the items by their parts; by 0 those that break a rule."""
    parts: Counter[int] = Counter()
    async for item in people.messages(template):
        parts[_parts(item.message)] += 1
    return parts


@lru_cache(maxsize=1_000)
def _parts(message: Message) -> int:
    try:
        return len(preview(message).parts)
    except LocalProtocolError:
        return 0


def _announce(parts: Counter[int], *, yes: bool) -> None:
    """Say what it takes before it is sent, and let a person think again."""
    counts = [
        f"{items:,} in {number} part{'s' * (number > 1)}"
        for number, items in sorted(parts.items())
        if number
    ]
    if parts[0]:
        counts.append(f"{parts[0]:,} that cannot be sent")
    whole = sum(number * items for number, items in parts.items())
    listed = ", ".join(counts) or "none"
    click.echo(f"{parts.total():,} messages: {listed}; {whole:,} parts", err=True)
    if max(parts, default=0) > 1 and sys.stdin.isatty() and not yes:
        click.confirm("Send them?", abort=True, err=True)


def _row(result: SendResult) -> Sequence[object]:
    item = result.item
    position = item.row.position if isinstance(item, ListItem) else None
    ids = " ".join(result.message_ids)
    return position, item.recipient, item.key, result.outcome.value, ids, result.reason


async def _reconcile(client: "InfobipClient", job: str) -> None:
    """Have the job know what was sent, and print the reports, which the gateway gives once."""
    router = Router()

    @router.on(DeliveryReport)
    async def tell(report: DeliveryReport) -> None:
        click.echo(as_json(report), err=True)

    proven = await client.reconcile(job=job, router=router)
    click.echo(f"{len(proven):,} reports on what was unknown", err=True)


async def send_csv(
    account: Account,
    options: Options,
    source: io.BufferedReader,
    template: Message,
    *,
    ucs2: Ucs2Form,
    yes: bool,
) -> NoReturn:
    """Send to everyone in a CSV, and leave with the exit code that tells what came of it."""
    people, total = options.people(source), None
    check_files(getattr(source, "name", None), options.output, options.job)
    check_output(options.output)
    if source.seekable():
        parts = await _survey(people, template)
        total = parts.total()
        _announce(parts, yes=yes)
    with ExitStack() as stack:
        rows = RowWriter(
            lambda: stack.enter_context(open_output(options.output)), options.form, _COLUMNS
        )
        hidden = options.output in {None, "-"} and sys.stdout.isatty()
        bar = ProgressBar(Console(stderr=True), total, hidden=hidden)

        def write(results: Sequence[SendResult]) -> None:
            rows.write([_row(result) for result in results])

        runner: Runner[SendResult] = Runner(write=write, bar=bar, note=_note)
        async with account.client(ucs2=ucs2, stop_timeout=0) as client:
            if options.reconcile and options.job:
                await _reconcile(client, options.job)
            if people.can_be_read_again:
                await options.run(client, people.messages(template)).check()
            async with aclosing(people.messages(template)) as items:
                await runner.run(options.run(client, items))
        rows.write(())
    _end(runner, options)


def _note(stats: RunStats) -> str:
    counts = (f"{stats.outcomes.get(name, 0):,} {name}" for name in ("sent", "refused", "unknown"))
    return ", ".join(counts)


def _end(runner: Runner[SendResult], options: Options) -> NoReturn:
    outcomes = Counter(runner.stats.outcomes if runner.stats else ())
    summary = Table("outcome", Column("messages", justify="right"))
    for outcome, count in outcomes.most_common():
        summary.add_row(outcome, f"{count:,}")
    Console(stderr=True).print(summary)
    several = len(outcomes) > 1
    alone = next(iter(outcomes), SendOutcome.SENT.value)
    done = any(outcomes[one.value] for one in (SendOutcome.SENT, SendOutcome.UNKNOWN))
    code = PARTLY if several else _IF_ALONE[SendOutcome(alone)]
    leave(runner, job=options.job is not None, done=done, code=code)
