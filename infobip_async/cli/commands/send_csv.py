"""``infobip-async send --csv`` (§2/1): a message to everyone in a file."""

import io
import sys
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
import click

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
)
from infobip_async.cli.account import Account
from infobip_async.cli.confirm_send import Confirmation
from infobip_async.cli.event_json import as_json
from infobip_async.cli.exit_codes import code_of, told
from infobip_async.cli.following import Following, Storing, how_to_go_on
from infobip_async.cli.list_options import ListOptions, check_kept
from infobip_async.cli.options import options_of
from infobip_async.cli.output import (
    Form,
    RowWriter,
    check_files,
    check_output,
    open_output,
    output_options,
)
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.run_options import read_credits, run_options
from infobip_async.cli.runner import LAST_WAIT, Runner, leave
from infobip_async.cli.tables import counted, ranking
from infobip_async.lists import ListItem, read_exclusions, survey
from infobip_async.numbering import countries_of

if TYPE_CHECKING:
    from infobip_async import InfobipClient

_COLUMNS: Final = ("position", "recipient", "key", "outcome", "message_ids", "reason")
_OF_CSV: Final = (
    *("text_column", "exclude", "exclude_column", "price", "job", "rate", "max_parts"),
    *("min_credits", "between", "between_zone", "output"),
)
"""Options that do nothing for a message to numbers that are arguments."""


@attrs.frozen(kw_only=True)
class Options:
    """What is to be sent to whom, how, and where the outcomes go."""

    csv: io.BufferedReader | None
    recipient_column: str
    text_column: str | None
    exclude: str | None
    exclude_column: str | None
    price: Decimal | None
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

    def check(self, text: str | None, reading: ListOptions, *, single: object) -> None:
        """Refuse options that contradict each other, or that do nothing.

        Args:
            text: of the option ``--text``.
            reading: the options of the list.
            single: whether there is anything that is not for a CSV.

        Raises:
            click.UsageError: naming them.
        """
        given = [*(name for name in _OF_CSV if getattr(self, name) is not None), *reading.given]
        if self.csv is None and given:
            raise click.UsageError(f"--{given[0].replace('_', '-')} goes with --csv")
        if self.csv is None and not single:
            raise click.UsageError("Missing argument 'RECIPIENTS...', or --csv.")
        if self.csv is not None and single:
            raise click.UsageError("recipients, --get and --plain exclude --csv")
        if self.text_column is not None and text is not None:
            raise click.UsageError("give either --text or --text-column")
        if self.exclude_column is not None and self.exclude is None:
            raise click.UsageError("--exclude-column goes with --exclude")
        if self.reconcile and self.job is None:
            raise click.UsageError("--reconcile goes with --job")

    @property
    def resumes(self) -> bool:
        """Whether there is a job of an earlier run."""
        return self.job is not None and Path(self.job).exists()

    def template(self, text: str | None) -> str | None:
        """The text for everyone, with the names of columns in braces."""
        return text if self.text_column is None else f"{{{self.text_column}}}"

    def excluded(self, country: str | None) -> frozenset[str]:
        """The numbers that get nothing.

        Raises:
            click.UsageError: one of them cannot be read.
        """
        if self.exclude is None:
            return frozenset()
        try:
            return read_exclusions(
                Path(self.exclude), recipient=self.exclude_column, country=country
            )
        except LocalProtocolError as fault:
            what = told(fault).replace("--column 1", "--exclude-column 1")
            raise click.UsageError(f"--exclude: {what}") from None

    def run(
        self,
        send: Callable[..., Run[SendResult]],
        items: AsyncIterable[ListItem],
        exclude: frozenset[str],
    ) -> Run[SendResult]:
        """Send the items."""
        return send(
            items,
            exclude=exclude or None,
            on_unknown=self.on_unknown,
            rate=self.rate,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            max_parts=self.max_parts,
            min_credits=self.min_credits,
            unreachable_timeout=self.unreachable_timeout,
            between=self.between,
            between_zone=self.between_zone,
            stop_timeout=LAST_WAIT,
        )


options: Final = options_of(
    Options,
    "many",
    click.option(
        "--csv",
        type=click.File("rb"),
        help="Send to everyone in a CSV or a spreadsheet (.xlsx), whose first row is a header that"
        " names its columns; --text can have {columns}, and {{ writes a brace. - is standard"
        " input.",
    ),
    click.option(
        "--recipient-column",
        default="1",
        show_default=True,
        help="Of the CSV, by name or by number from 1.",
    ),
    click.option("--text-column", help="In place of --text."),
    click.option(
        "--exclude",
        type=click.Path(exists=True, dir_okay=False),
        help="Send nothing to the numbers in this file, one a line in any form that --normalise"
        " reads.",
    ),
    click.option("--exclude-column", help="Of a CSV of such numbers, by name or by number."),
    click.option(
        "--price",
        type=read_credits,
        metavar="CREDITS",
        help="Credits a part, to say what it will cost.",
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
    output_options,
)


@attrs.define
class _Outcomes:
    """Writes outcomes, and counts those that were sent by country."""

    rows: RowWriter
    reading: ListOptions
    countries: Counter[str] = attrs.field(factory=Counter, init=False)

    def write(self, results: Sequence[SendResult]) -> None:
        """Write results."""
        self.rows.write([self._row(result) for result in results])

    def _row(self, result: SendResult) -> Sequence[object]:
        item = result.item
        row = item.row if isinstance(item, ListItem) else None
        if result.outcome is SendOutcome.SENT:
            found = countries_of(str(item.recipient))
            self.countries[found[0] if len(found) == 1 else "unknown"] += 1
        return (
            row and row.position,
            item.recipient,
            item.key,
            result.outcome.value,
            " ".join(result.message_ids),
            result.reason,
            *self.reading.kept(row),
        )


async def _reconcile(client: "InfobipClient", job: str) -> None:
    """Have the job know what was sent, and print the reports, which the gateway gives once."""
    router = Router()

    @router.on(DeliveryReport)
    async def tell(report: DeliveryReport) -> None:
        click.echo(as_json(report), err=True)

    proven = await client.reconcile(job=job, router=router)
    click.echo(f"{len(proven):,} reports on what was unknown", err=True)


@attrs.frozen(kw_only=True)
class CsvSend:
    """A send to everyone in a file.

    Attributes:
        account: who sends.
        options: to whom, how, and where the outcomes go.
        reading: how the file is read.
        template: what is sent.
        confirmation: shows what the send takes, and says the rest.
        ucs2: how UCS-2 is written.
        storing: says where what becomes of the messages is stored, in place of a job.
        following: says whether that is waited for.
    """

    account: Account
    options: Options
    reading: ListOptions
    template: Message
    confirmation: Confirmation
    ucs2: Ucs2Form
    storing: Storing
    following: Following

    async def run(self, source: io.BufferedReader) -> NoReturn:
        """Send, and leave with the exit code that tells what came of it."""
        options = self.options
        check_files(
            getattr(source, "name", None), options.output, options.job or self.storing.deliveries
        )
        check_kept(self.reading.keep, _COLUMNS)
        check_output(options.output)
        with ExitStack() as stack:
            outcomes = _Outcomes(
                RowWriter(
                    lambda: stack.enter_context(open_output(options.output)),
                    options.form,
                    _COLUMNS + self.reading.keep,
                ),
                self.reading,
            )
            runner = await self._send(source, outcomes)
            outcomes.rows.write(())
        self._end(runner, outcomes)

    async def _send(self, source: io.BufferedReader, outcomes: _Outcomes) -> Runner[SendResult]:
        options, template = self.options, self.template
        people = self.reading.read(source, options.recipient_column)
        exclude, total = options.excluded(self.reading.country), None
        found = None
        if self.confirmation.dry_run and not people.can_be_read_again:
            raise click.UsageError("--dry-run needs a file, since a pipe can be read once")
        if people.can_be_read_again:
            found = await survey(people, template, exclude=exclude)
            total = found.rows
        async with (
            self.account.client(ucs2=self.ucs2, stop_timeout=0) as client,
            AsyncExitStack() as stack,
        ):
            if found is not None:
                await self.confirmation.show(found, people, client)
            if self.confirmation.dry_run:
                sys.exit(0)
            if options.reconcile and options.job:
                await _reconcile(client, options.job)
            send = await stack.enter_async_context(self._sending(client, source))
            if people.can_be_read_again:
                await options.run(send, people.messages(template), exclude).check()
            hidden = options.output in {None, "-"} and sys.stdout.isatty()
            runner: Runner[SendResult] = Runner(
                write=outcomes.write,
                bar=ProgressBar(self.confirmation.verbosity.console, total, hidden=hidden),
                note=_note,
                unwritten=lambda: outcomes.rows.fault,
                cut_off=client.aclose,
            )
            holes = found is not None or self.confirmation.yes
            async with aclosing(people.messages(template, holes=holes)) as items:
                await runner.run(options.run(send, items, exclude))
        return runner

    @asynccontextmanager
    async def _sending(
        self, client: "InfobipClient", source: io.BufferedReader
    ) -> AsyncIterator[Callable[..., Run[SendResult]]]:
        """Give what sends many: the client, with its job, or deliveries, which are followed."""
        if (file := self.storing.deliveries) is None:
            yield partial(client.send_many, job=self.options.job)
            return
        async with self.following.open(file, client) as deliveries:
            name = self.storing.run or Path(getattr(source, "name", "list")).name
            yield partial(deliveries.send_many, run=name)
            if self.following.hears:
                await self.following.follow(deliveries, file, self.confirmation.verbosity)
            else:
                self.confirmation.verbosity.say(how_to_go_on(file))

    def _end(self, runner: Runner[SendResult], shown: _Outcomes) -> NoReturn:
        outcomes = Counter(runner.stats.outcomes if runner.stats else ())
        console = self.confirmation.verbosity.console
        console.print(ranking("outcome", "messages", outcomes))
        if len(shown.countries) > 1:
            console.print(ranking("country", "messages", shown.countries))
        if runner.resumed:
            earlier = counted(runner.resumed, "outcome is", "outcomes are")
            self.confirmation.verbosity.say(f"{earlier} of an earlier run")
        asked_for = {*outcomes} - {SendOutcome.EXCLUDED.value}  # an exclusion is no failure
        done = any(outcomes[one.value] for one in (SendOutcome.SENT, SendOutcome.UNKNOWN))
        leave(
            runner,
            job=(self.options.job or self.storing.deliveries) is not None,
            done=done,
            code=code_of(asked_for),
        )


def _note(stats: RunStats) -> str:
    counts = (f"{stats.outcomes.get(name, 0):,} {name}" for name in ("sent", "refused", "unknown"))
    return ", ".join(counts)
