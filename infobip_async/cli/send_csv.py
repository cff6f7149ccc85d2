"""``infobip-async send --csv`` (§2/1): a message to everyone in a file."""

import asyncio
import io
import re
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, aclosing
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
import click
from rich.console import Console
from rich.table import Column, Table

from infobip_async import (
    DeliveryReport,
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    Message,
    Outgoing,
    Router,
    SendOutcome,
    SendResult,
    Ucs2Form,
    preview,
)
from infobip_async.bulk.settings import BulkOptions, Guarantee
from infobip_async.cli.numbers import check_country, check_encoding, header_option, read_rows, tidy
from infobip_async.cli.output import Form, Lines, Threaded, check_files, check_output, open_output
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.running import (
    PARTLY,
    POSITIVE,
    SIGNALLED,
    Account,
    as_json,
    cancelled_by_signals,
    options_of,
)

if TYPE_CHECKING:
    from infobip_async import InfobipClient

_COLUMNS: Final = ("position", "recipient", "key", "outcome", "message_ids", "reason")
_FIELD: Final = re.compile(r"\{([^{}]+)\}")
_TICK: Final = 0.1
"""Seconds between two looks at what is to be written and shown."""
_MOST: Final = 1_000
"""Outcomes that wait to be written, at the most."""
_IF_ALONE: Final = {
    SendOutcome.SENT: 0,
    SendOutcome.REFUSED: 3,
    SendOutcome.NOT_SENT: 4,
    SendOutcome.UNKNOWN: 5,
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
    guarantee: Guarantee
    reconcile: bool
    rate: float | None
    batch_size: int
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

    def bulk(self, stop: asyncio.Event) -> BulkOptions:
        """How the client is to send."""
        return BulkOptions(
            job=self.job,
            guarantee=self.guarantee,
            rate=self.rate,
            batch_size=self.batch_size,
            stop=stop,
            stop_timeout=0,
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
        "--guarantee",
        type=click.Choice(["at_most_once", "at_least_once"]),
        default="at_most_once",
        show_default=True,
        help="Whether what a job does not know the outcome of is sent again.",
    ),
    click.option(
        "--reconcile",
        is_flag=True,
        help="Before, pull reports on what the job does not know the outcome of.",
    ),
    click.option("--rate", type=POSITIVE, help="Parts per second at the most."),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 10_000),
        default=100,
        show_default=True,
        help="Recipients of one text per request.",
    ),
    click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file."),
    click.option(
        "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
    ),
)


@attrs.frozen
class _Item(Outgoing):
    """A row of the CSV.

    Attributes:
        position: of it, from 1.
    """

    position: int = 0


@attrs.frozen
class Sheet:
    """The CSV, and what becomes of a row.

    Attributes:
        options: which columns there are.
        template: the text, with the names of columns in braces; where it is None, the text is in
            a column, or the same message goes to everyone.
        make: makes the message of a text.
    """

    options: Options
    template: str | None
    make: Callable[[str | None], Message]

    async def items(self, source: io.BufferedReader) -> AsyncGenerator[_Item, None]:
        """Yield the item of each row.

        Raises:
            click.UsageError: a column is missing, or the CSV cannot be read.
        """
        options, position = self.options, 0
        national = options.normalise or options.country
        tidied: Callable[[str], str] = partial(tidy, country=options.country) if national else str
        named = (options.text_column, options.key_column, *_FIELD.findall(self.template or ""))
        columns = [options.recipient_column, *(name for name in named if name is not None)]
        rows = read_rows(source, columns, options.encoding, header=options.header)
        async for row in rows:
            position += 1
            recipient = tidied(row[options.recipient_column].strip())
            key = None if options.key_column is None else row[options.key_column]
            yield _Item(self.make(self._text(row)), recipient, key, position)

    def _text(self, row: dict[str, str]) -> str | None:
        if self.options.text_column is not None:
            return row[self.options.text_column]
        if self.template is None:
            return None
        return _FIELD.sub(lambda field: row[field[1]], self.template)

    async def survey(self, source: io.BufferedReader) -> Counter[int]:
        """Count the items by their parts; by 0 those that break a rule."""
        parts: Counter[int] = Counter()
        async for item in self.items(source):
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


@attrs.define(kw_only=True)
class Run:
    """Takes results, writes them, and shows how far it is.

    Attributes:
        write: writes rows; it may block.
        bar: shows how far it is.
        outcomes: counts.
        refusal: for what the gateway has refused the account, or what is wrong with the rest of
            the source.
    """

    write: Threaded[list[Sequence[object]]] = attrs.field(
        converter=Threaded[list[Sequence[object]]]
    )
    bar: ProgressBar
    outcomes: Counter[SendOutcome] = attrs.field(factory=Counter, init=False)
    refusal: InfobipError | click.UsageError | None = attrs.field(default=None, init=False)
    _rows: list[Sequence[object]] = attrs.field(factory=list, init=False)

    async def send(self, results: AsyncGenerator[SendResult, None], stop: asyncio.Event) -> None:
        """Take results to their end; when this task is cancelled, stop, and take what comes then.

        Cancelled once more, it ends at once.
        """
        taking = asyncio.create_task(self._take(results))
        try:
            while not taking.done():
                await asyncio.wait([taking], timeout=_TICK)
                await self._flush()
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([taking])
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
        try:
            await taking
        except click.UsageError as fault:
            if not self.outcomes:
                raise
            self.refusal = fault
        await self._flush()

    async def _take(self, results: AsyncGenerator[SendResult, None]) -> None:
        async with aclosing(results):
            async for result in results:
                self.outcomes[result.outcome] += 1
                match result:
                    case SendResult(outcome=SendOutcome.NOT_SENT, error=GatewayRefusedError()):
                        self.refusal = result.error
                self._rows.append(_row(result))
                if len(self._rows) >= _MOST:
                    await self._flush()

    async def _flush(self) -> None:
        """Write what has come, and show how far it is."""
        rows, self._rows = self._rows, []
        await self.write(rows)
        shown = (SendOutcome.SENT, SendOutcome.REFUSED, SendOutcome.UNKNOWN)
        counts = (f"{self.outcomes[outcome]:,} {outcome.value}" for outcome in shown)
        self.bar.show(self.outcomes.total(), ", ".join(counts))


def _row(result: SendResult) -> Sequence[object]:
    item = result.item
    position = item.position if isinstance(item, _Item) else None
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


def _tell(bar: ProgressBar, signals: int) -> None:
    """Say what a signal to stop does, the first or a further one."""
    bar.say(
        "leaving at once" if signals > 1 else "stopping: what is in flight ends; once more leaves"
    )


async def send_csv(
    account: Account, sheet: Sheet, source: io.BufferedReader, *, ucs2: Ucs2Form, yes: bool
) -> NoReturn:
    """Send to everyone in a CSV, and leave with the exit code that tells what came of it."""
    options, total = sheet.options, None
    check_files(getattr(source, "name", None), options.output, options.job)
    check_output(options.output)
    if source.seekable():
        parts = await sheet.survey(source)
        source.seek(0)
        total = parts.total()
        _announce(parts, yes=yes)
    with ExitStack() as stack:
        lines = Lines(
            lambda: stack.enter_context(open_output(options.output)), options.form, _COLUMNS
        )
        hidden = options.output in {None, "-"} and sys.stdout.isatty()
        bar = ProgressBar(Console(stderr=True), total, hidden=hidden)
        run = Run(write=lines.write, bar=bar)
        stack.callback(run.write.close)
        async with account.client(ucs2=ucs2, close_timeout=0) as client:
            if options.reconcile and options.job:
                await _reconcile(client, options.job)
            with bar, cancelled_by_signals(partial(_tell, bar)) as signals:
                async with aclosing(sheet.items(source)) as items:
                    stop = asyncio.Event()
                    await run.send(client.send_many(items, **options.bulk(stop)), stop)
    _end(run, options, signals)


def _end(run: Run, options: Options, signals: list[int]) -> NoReturn:
    summary = Table("outcome", Column("messages", justify="right"))
    for outcome, count in run.outcomes.most_common():
        summary.add_row(outcome.value, f"{count:,}")
    Console(stderr=True).print(summary)
    if signals:
        kept = "the same command goes on" if options.job else "with --job, it could go on"
        click.echo(f"stopped; {kept} from here", err=True)
        sys.exit(SIGNALLED + signals[0])
    if run.refusal is not None:
        if not (run.outcomes[SendOutcome.SENT] or run.outcomes[SendOutcome.UNKNOWN]):
            raise run.refusal
        click.secho(f"{type(run.refusal).__name__}: {run.refusal}", fg="red", err=True)
        sys.exit(PARTLY)
    alone = _IF_ALONE.get(next(iter(run.outcomes), SendOutcome.SENT), PARTLY)
    sys.exit(alone if len(run.outcomes) < 2 else PARTLY)  # noqa: PLR2004 - alone
