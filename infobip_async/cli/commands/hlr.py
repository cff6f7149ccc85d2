"""``infobip-async hlr`` (§4, §5): numbers in, one judged answer per number out."""

import io
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

import attrs
import click

from infobip_async import (
    DeliveryReport,
    HlrLookups,
    HlrResult,
    InboundSms,
    InfobipError,
    OnUnknown,
    Router,
    Run,
    RunStats,
)
from infobip_async.cli.account import Account, account_options
from infobip_async.cli.exit_codes import runs
from infobip_async.cli.list_options import ListOptions, list_options
from infobip_async.cli.options import options_of
from infobip_async.cli.output import (
    Form,
    Output,
    check_files,
    check_output,
    open_output,
    output_options,
)
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.receiving import Receiver, receiver_options
from infobip_async.cli.run_options import report_timeout_option, run_options
from infobip_async.cli.runner import LAST_WAIT, Runner, leave
from infobip_async.cli.tables import counted
from infobip_async.cli.verbosity import Verbosity, verbosity_options
from infobip_async.lists import NumberList
from infobip_async.numbering import NumberRanges

if TYPE_CHECKING:
    from infobip_async import InfobipClient


@attrs.frozen(kw_only=True)
class Settings:
    """How lookups are made; see `HlrLookups` and its `stream`."""

    report_timeout: float
    window: int
    ordered: bool
    batch_size: int
    concurrency: int
    rate: float | None
    on_unknown: OnUnknown
    max_numbers: int | None
    min_credits: Decimal | None
    unreachable_timeout: float
    between: str | None
    between_zone: str | None

    def lookups(self, client: "InfobipClient", router: Router) -> HlrLookups:
        """Make what looks numbers up."""
        return HlrLookups(
            client,
            router,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            window=self.window,
            rate=self.rate,
            stop_timeout=LAST_WAIT,
        )

    def run(
        self, lookups: HlrLookups, numbers: AsyncIterable[str], job: str | None
    ) -> Run[HlrResult]:
        """Look numbers up; with a job, in the order of the source."""
        return lookups.stream(
            numbers,
            timeout=self.report_timeout,
            ordered=self.ordered or job is not None,
            job=job,
            on_unknown=self.on_unknown,
            max_numbers=self.max_numbers,
            min_credits=self.min_credits,
            unreachable_timeout=self.unreachable_timeout,
            between=self.between,
            between_zone=self.between_zone,
        )


_settings_options = options_of(
    Settings,
    "settings",
    report_timeout_option,
    click.option(
        "--window",
        type=click.IntRange(1),
        default=20_000,
        show_default=True,
        help="Numbers under way at most.",
    ),
    click.option(
        "--ordered", is_flag=True, help="Write in the order of the source, as with a job anyway."
    ),
    *run_options("numbers", "Numbers per query.", batch_size=1_000),
)


async def _look_through(people: NumberList, verbosity: Verbosity) -> int:
    """Read a file once, count its rows, and say which of them will not be looked up."""
    rows, refused = 0, Counter[str]()
    async for row in people:
        rows += 1
        if row.fault:
            refused[row.fault] += 1
            if verbosity.verbose:
                verbosity.say(f"line {row.line} {row.fault}")
    verbosity.say(counted(rows, "number"))
    for reason, count in refused.most_common():
        verbosity.say(f"{counted(count, 'number')} will not be looked up: {reason}")
    return rows


class _NotTakenError(InfobipError):
    """Has the gateway send an event again, to whoever takes it."""


@attrs.define
class _Refusals:
    """Refuses other events, so that the gateway sends them again, and says so once."""

    bar: ProgressBar
    _told: bool = attrs.field(default=False, init=False)

    async def refuse(self, event: object) -> NoReturn:
        """Refuse an event."""
        if not self._told:
            self._told = True
            self.bar.say(f"pushed here, and left to the gateway: {type(event).__name__}")
        raise _NotTakenError(f"{type(event).__name__} is not taken here")

    @contextmanager
    def unlogged(self) -> Iterator[None]:
        """Keep the receiver from logging each refusal with its traceback."""
        logger = logging.getLogger("infobip_async.receiver")
        logger.addFilter(_is_worth_a_log)
        try:
            yield
        finally:
            logger.removeFilter(_is_worth_a_log)


def _is_worth_a_log(record: logging.LogRecord) -> bool:
    fault = record.exc_info[1] if record.exc_info else None
    if isinstance(fault, ExceptionGroup):
        return fault.split(_NotTakenError)[1] is not None
    return not isinstance(fault, _NotTakenError)


async def _look_up(
    account: Account,
    receiver: Receiver,
    settings: Settings,
    people: NumberList,
    runner: Runner[HlrResult],
    *,
    job: str | None,
) -> None:
    router, others = Router(), _Refusals(runner.bar)
    router.on(DeliveryReport)(others.refuse)
    router.on(InboundSms)(others.refuse)
    with others.unlogged():
        async with (
            # The lookups wait for what is out, unless it is left at once.
            account.client(stop_timeout=0) as client,
            receiver.listen(router) as urls,
            settings.lookups(client, router) as lookups,
            aclosing(people.numbers()) as numbers,
        ):
            if people.can_be_read_again:
                await settings.run(lookups, people.numbers(), job).check()
            runner.bar.say(f"Enter in the account's profile page: {urls.hlr_reports}")
            await runner.run(settings.run(lookups, numbers, job))


@click.command("hlr")
@click.argument("file", type=click.File("rb"))
@click.option("--column", help="The column of a CSV, by name or by number from 1.")
@output_options
@click.option(
    "--job",
    type=click.Path(dir_okay=False),
    help="Keep results in this file, and go on where it ends.",
)
@click.option(
    "--interpret/--no-interpret",
    "meanings",
    default=True,
    help="Write what each report means, or just the report.",
)
@click.option("--ranges", is_flag=True, help="Judge what is ported; needs the extra phonenumbers.")
@options_of(
    Receiver,
    "receiver",
    *receiver_options("Where to listen for the reports.", default="127.0.0.1:8080"),
)
@_settings_options
@list_options
@account_options
@verbosity_options
@click.option("--dry-run", is_flag=True, help="Look FILE through, and look no number up.")
@runs
async def command(
    *,
    account: Account,
    receiver: Receiver,
    settings: Settings,
    reading: ListOptions,
    verbosity: Verbosity,
    file: io.BufferedReader,
    column: str | None,
    dry_run: bool,
    output: str | None,
    form: Form,
    job: str | None,
    meanings: bool,
    ranges: bool,
) -> None:
    """Look the numbers in FILE up, and write a result for each; - is standard input.

    The reports come to a receiver in this command, whose URL must be entered in the account.
    Results are written as they come. With --job, they are kept in a file, too: the same command
    goes on where it was after a crash or Ctrl-C, looks up again only what was under way, and
    writes all results in the order of the source.
    """
    check_files(getattr(file, "name", None), output, job)
    check_output(output)
    people = reading.read(file, column)
    with ExitStack() as stack:
        out = Output(
            open=lambda: stack.enter_context(open_output(output)),
            form=form,
            meanings=meanings,
            ranges=_ranges() if ranges else None,
            reading=reading,
        )
        if dry_run and not people.can_be_read_again:
            raise click.UsageError("--dry-run needs a file, since a pipe can be read once")
        total = await _look_through(people, verbosity) if people.can_be_read_again else None
        if dry_run:
            return
        hidden = output in {None, "-"} and sys.stdout.isatty()
        runner: Runner[HlrResult] = Runner(
            write=out.write,
            bar=ProgressBar(verbosity.console, total, hidden=hidden),
            note=_note,
            unwritten=lambda: out.rows.fault,
        )
        if total != 0:
            await _look_up(account, receiver, settings, people, runner, job=job)
        out.write(())
    out.summary.show(verbosity.console)
    if (stats := runner.stats) is not None:
        queries = counted(stats.requests, "query", "queries")
        verbosity.say(f"{counted(stats.units, 'number')} went out in {queries}")
    if runner.resumed:
        verbosity.say(f"{counted(runner.resumed, 'result is', 'results are')} of an earlier run")
    done = bool(out.summary.looked_up)
    leave(runner, job=job is not None, done=done, code=out.summary.exit_code)


def _note(stats: RunStats) -> str:
    return f"{stats.in_flight:,} in flight"


def _ranges() -> NumberRanges:
    try:
        return NumberRanges.from_phonenumbers()
    except ImportError:
        raise click.UsageError(
            "--ranges needs: pip install 'infobip-async[phonenumbers]'"
        ) from None
