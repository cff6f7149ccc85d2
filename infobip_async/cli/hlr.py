"""``infobip-async hlr`` (§4, §5): numbers in, one judged answer per number out."""

import io
import sys
from contextlib import ExitStack, aclosing, closing
from functools import partial
from typing import NoReturn

import attrs
import click
from rich.console import Console

from infobip_async import DeliveryReport, InboundSms, InfobipError, Router
from infobip_async.cli.bulk import (
    LAST_WAIT,
    CountingClient,
    Recorder,
    Run,
    Settings,
    Source,
)
from infobip_async.cli.job import Job, Passing
from infobip_async.cli.numbers import (
    behind,
    check_country,
    count_lines,
    header_option,
    read_numbers,
    tidy,
)
from infobip_async.cli.output import Form, Output, check_files, check_output, open_output
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.receiving import (
    public_url_option,
    read_address,
    receiving,
    secret_option,
)
from infobip_async.cli.running import (
    POSITIVE,
    SIGNALLED,
    Account,
    account_options,
    cancelled_by_signals,
    options_of,
    runs,
)
from infobip_async.cli.summary import Summary
from infobip_async.numbering import NumberRanges


@attrs.frozen(kw_only=True)
class Receiver:
    """Where the reports come in."""

    receive: tuple[str, int]
    public_url: str | None
    secret: str | None = attrs.field(repr=False)


_receiver_options = options_of(
    Receiver,
    "receiver",
    click.option(
        "--receive",
        callback=read_address,
        default="127.0.0.1:8080",
        show_default=True,
        metavar="HOST:PORT",
        help="Where to listen for the reports.",
    ),
    public_url_option,
    secret_option,
)
_settings_options = options_of(
    Settings,
    "settings",
    click.option(
        "--report-timeout",
        type=POSITIVE,
        default=60,
        show_default=True,
        help="Seconds from a query to the last report that is waited for.",
    ),
    click.option("--rate", type=POSITIVE, help="Numbers per second at the most."),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 10_000),
        default=1_000,
        show_default=True,
        help="Numbers per query.",
    ),
    click.option(
        "--queries",
        type=click.IntRange(1, 50),
        default=8,
        show_default=True,
        help="Queries in flight at the most.",
    ),
    click.option(
        "--window",
        type=click.IntRange(1),
        default=20_000,
        show_default=True,
        help="Numbers under way at the most.",
    ),
    click.option(
        "--ordered", is_flag=True, help="Write in the order of the source, as with a job anyway."
    ),
    click.option(
        "--on-unknown",
        type=click.Choice(["report", "resubmit"]),
        default="report",
        show_default=True,
        help="What to do with a query whose reply was lost; again may cost again.",
    ),
)


async def _refuse(event: object) -> NoReturn:
    """Have the gateway keep what this command does not take."""
    raise InfobipError(f"{type(event).__name__} is not taken here")


async def _look_up(
    account: Account,
    receiver: Receiver,
    settings: Settings,
    source: Source,
    recorder: Recorder,
    *,
    bar: ProgressBar,
) -> Run | None:
    """Look up what is not done; where all is, nothing is asked for and no port is opened."""
    async with aclosing(source.undone()) as numbers:
        first = await anext(numbers, None)
        if first is None:
            return None
        router = Router()
        router.on(DeliveryReport)(_refuse)
        router.on(InboundSms)(_refuse)
        address, secret, public = receiver.receive, receiver.secret, receiver.public_url
        async with (
            account.client() as client,
            receiving(router, address, secret=secret, public=public) as urls,
        ):
            bar.say(f"Enter in the account's profile page: {urls.hlr_reports}")
            with bar, cancelled_by_signals(partial(_tell, bar)) as signals:
                run = Run(
                    source=source,
                    recorder=recorder,
                    client=CountingClient(client, source.results),
                    settings=settings,
                    bar=bar,
                    signals=signals,
                )
                await run.look_up(behind(first, numbers), router)
    return run


def _tell(bar: ProgressBar, signals: int) -> None:
    """Say what a signal to stop does, the first or a further one."""
    if signals > 1:
        bar.say("leaving at once")
    else:
        bar.say(f"stopping: what is out has {LAST_WAIT:.0f} s; once more leaves it")


@click.command("hlr")
@click.argument("file", type=click.File("rb"))
@click.option("--column", help="The column of a CSV, by name or by number from 1.")
@header_option
@click.option("--normalise", is_flag=True, help="Take away +, 00, blanks and punctuation.")
@click.option(
    "--country",
    callback=check_country,
    help="Normalise, and read national numbers as of this country, such as HR.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
)
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
@_receiver_options
@_settings_options
@account_options
@runs
async def command(
    *,
    account: Account,
    receiver: Receiver,
    settings: Settings,
    file: io.BufferedReader,
    column: str | None,
    header: bool,
    normalise: bool,
    country: str | None,
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

    With --cluster URL --job NAME, the lookups are spread over workers by a NATS broker: this
    command collects the results, and those with --work in place of FILE make the lookups. They
    have other options, such as --chunk-size and --on-doubt: see hlr --cluster URL --help and
    hlr --cluster URL --work --help.
    """
    check_files(getattr(file, "name", None), output, job)
    check_output(output)
    console = Console(stderr=True)
    with ExitStack() as stack:
        results = stack.enter_context(closing(Job(job))) if job else Passing()
        out = Output(
            open=lambda: stack.enter_context(open_output(output)),
            form=form,
            meanings=meanings,
            ranges=_ranges() if ranges else None,
        )
        recorder = Recorder(results, out.write)
        stack.callback(recorder.write.close)
        tidied = partial(tidy, country=country) if normalise or country else str
        source = Source(read_numbers(file, column, tidied, header=header), results)
        if job:  # which brings results in order by itself
            settings = attrs.evolve(settings, ordered=False)
        hidden = output in {None, "-"} and sys.stdout.isatty()
        bar = ProgressBar(console, count_lines(file), hidden=hidden)
        run = await _look_up(account, receiver, settings, source, recorder, bar=bar)
        await recorder.flush(gaps=True)
        out.write(())
    _end(console, out.summary, run, results)


def _ranges() -> NumberRanges:
    try:
        return NumberRanges.from_phonenumbers()
    except ImportError:
        raise click.UsageError(
            "--ranges needs: pip install 'infobip-async[phonenumbers]'"
        ) from None


def _end(console: Console, summary: Summary, run: Run | None, results: Job | Passing) -> None:
    """Show what came of it, and leave with the exit code that tells."""
    summary.show(console)
    again = max(0, results.submitted - summary.looked_up)
    if run is None or not run.stopped:
        # Some were counted, and then a crash or a cut kept them from the gateway.
        click.echo(f"{results.submitted:,} lookups, up to {again:,} of them repeated", err=True)
        sys.exit(summary.exit_code)
    click.echo(f"{results.submitted:,} lookups, {again:,} of them without a result", err=True)
    how = "the same command" if isinstance(results, Job) else "with --job, the same command"
    click.echo(f"stopped; {how} goes on where it was", err=True)
    if run.client.fault:
        raise run.client.fault
    sys.exit(SIGNALLED + run.signals[0])
