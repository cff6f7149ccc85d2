"""``infobip-async cluster``: a job of lookups that commands on any machines share (§4, §5)."""

import asyncio
import io
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing
from typing import Any, Final

import attrs
import click
from rich.console import Console

from infobip_async import HlrResult, LocalProtocolError, OnUnknown, Router
from infobip_async.cli.account import Account, account_options
from infobip_async.cli.exit_codes import cancelled_by_signals, runs
from infobip_async.cli.list_options import ListOptions, list_options
from infobip_async.cli.options import options_of
from infobip_async.cli.output import Form, Output, check_output, open_output, output_options
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.receiving import Receiver, receiver_options
from infobip_async.cli.run_options import (
    concurrency_option,
    report_timeout_option,
    unreachable_timeout_option,
)
from infobip_async.cli.runner import LAST_WAIT
from infobip_async.jetstream import HlrJob, JobResult, NatsJournal, ReportFeed
from infobip_async.lists import ListNumber, ListRow

_POSSIBLY_REPEATED: Final = "may have been looked up more than once"
_NUMBERS_PER_UPDATE: Final = 1_000  # of the progress bar


@click.group("cluster")
def command() -> None:
    """Share a job of lookups between machines, over a NATS broker.

    One machine loads the numbers, any number of machines make the lookups, and any machine
    reads the results. Each command can be stopped and started again at any time.
    """


def _job_options(subcommand: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the options that say which job it is about."""
    cluster = click.option(
        "--cluster",
        envvar="INFOBIP_CLUSTER",
        show_envvar=True,
        required=True,
        metavar="URL",
        help="The NATS broker, such as nats://host:4222.",
    )
    job = click.option("--job", required=True, metavar="NAME", help="The name of the job.")
    return cluster(job(subcommand))


@command.command("load")
@click.argument("file", type=click.File("rb"))
@_job_options
@click.option("--column", help="The column of a CSV, by name or by number from 1.")
@click.option(
    "--chunk-size",
    type=click.IntRange(1, 5_000),
    default=1_000,
    show_default=True,
    help="Numbers per query.",
)
@list_options
@runs
async def load(
    *,
    cluster: str,
    job: str,
    file: io.BufferedReader,
    column: str | None,
    reading: ListOptions,
    chunk_size: int,
) -> None:
    """Put the numbers in FILE into a job; - is standard input.

    The same command with the same numbers goes on after a crash, and puts no number into the job
    twice.
    """
    if reading.key_column or reading.keep:
        raise click.UsageError("the job keeps numbers only: no --key-column, no --keep")
    people = reading.read(file, column)
    if people.can_be_read_again:
        for fault in people.faults:
            raise LocalProtocolError(f"the number in line {fault.line} {fault.reason}")
    bar = ProgressBar(Console(stderr=True), None, hidden=False)
    async with HlrJob(cluster, job) as shared:
        with bar:
            total = await shared.load(_counted(people.numbers(), bar), chunk_size=chunk_size)
    click.echo(f"{total.numbers:,} numbers, in {total.chunks:,} chunks", err=True)


async def _counted(
    numbers: AsyncGenerator[ListNumber, None], bar: ProgressBar
) -> AsyncGenerator[str, None]:
    """Yield numbers, and show how many there were.

    Raises:
        LocalProtocolError: nothing can be sent to a number.
    """
    count = 0
    async with aclosing(numbers):
        async for number in numbers:
            if number.fault:
                raise LocalProtocolError(f"the number in line {number.row.line} {number.fault}")
            yield number
            count += 1
            if count % _NUMBERS_PER_UPDATE == 0:
                bar.show(count, "")


@command.command("results")
@_job_options
@output_options
@runs
async def results(*, cluster: str, job: str, output: str | None, form: Form) -> None:
    """Write all results of a job as they come, until the job is done.

    A number that may have been looked up twice, since a worker stopped in the middle and
    another one repeated the lookup, says so in the column for reasons.
    """
    check_output(output)
    console = Console(stderr=True)
    async with HlrJob(cluster, job) as shared:
        total = await shared.total()
        if total is None:
            click.echo("the job is not loaded yet, and is waited for", err=True)
        with ExitStack() as stack:
            out = Output(open=lambda: stack.enter_context(open_output(output)), form=form)
            hidden = output in {None, "-"} and sys.stdout.isatty()
            bar = ProgressBar(console, None if total is None else total.numbers, hidden=hidden)
            with bar:
                count, repeated = await _write(shared, out, bar)
            out.write(())
            out.rows.check()
    out.summary.show(console)
    click.echo(f"{count:,} results; {repeated:,} numbers {_POSSIBLY_REPEATED}", err=True)
    sys.exit(out.summary.exit_code)


async def _write(job: HlrJob, out: Output, bar: ProgressBar) -> tuple[int, int]:
    """Write each result; gives their number, and how many may have been looked up twice."""
    count = repeated = 0
    async with aclosing(job.results()) as found:
        async for one in found:
            out.write([_placed(one)])
            out.rows.check()
            count += 1
            repeated += one.possibly_repeated
            if count % _NUMBERS_PER_UPDATE == 0:
                bar.show(count, "")
    return count, repeated


def _placed(one: JobResult) -> HlrResult:
    """The result with its position, and with a reason where the lookup may have been repeated."""
    result, reason = one.result, one.result.reason
    if one.possibly_repeated:
        reason = "; ".join(filter(None, (reason, _POSSIBLY_REPEATED)))
    place = one.position + 1
    destination = ListNumber(ListRow(place, place, result.destination))
    return attrs.evolve(result, destination=destination, reason=reason)


@command.command("work")
@_job_options
@options_of(
    Receiver, "receiver", *receiver_options("Where to listen for the reports of all workers.")
)
@concurrency_option
@report_timeout_option
@unreachable_timeout_option
@click.option(
    "--on-unknown",
    type=click.Choice(["report", "repeat"]),
    default="repeat",
    show_default=True,
    help="What to do with numbers that a worker may have submitted before it stopped;"
    " repeating may cost again.",
)
@account_options
@runs
async def work(
    *,
    account: Account,
    cluster: str,
    job: str,
    receiver: Receiver,
    concurrency: int,
    report_timeout: float,
    unreachable_timeout: float,
    on_unknown: OnUnknown,
) -> None:
    """Make the lookups of a job, as one of several workers, until the job is done.

    The reports come to any receiver that stores its pushes in the same broker: one of the workers
    with --receive, or a service with a NatsJournal. A worker that is stopped waits a little for
    the reports of what is out, and gives its other numbers to the others.
    """
    router = Router()
    with cancelled_by_signals(_say_stopping) as signals:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(account.client())
            await stack.enter_async_context(ReportFeed(cluster, router))
            shared = await stack.enter_async_context(HlrJob(cluster, job))
            if receiver.receive is not None:
                journal = NatsJournal(cluster, handles=False)
                urls = await stack.enter_async_context(receiver.listen(Router(), journal))
                click.echo(f"Enter in the account's profile page: {urls.hlr_reports}", err=True)
            working = shared.work(
                client,
                router,
                concurrency=concurrency,
                timeout=report_timeout,
                on_unknown=on_unknown,
                unreachable_timeout=unreachable_timeout,
                stop_timeout=LAST_WAIT,
            )
            done = await _until_stopped(shared, working, signals)
    click.echo(f"the job is done; {done:,} chunks of it here", err=True)


async def _until_stopped(
    job: HlrJob, work: Coroutine[Any, Any, int], signals: Sequence[int]
) -> int:
    """Work until the end of the job. The first signal stops the work, a further one leaves it."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait([working])
    except asyncio.CancelledError:
        if len(signals) == 1:  # two may come as one
            await job.stop()
            await asyncio.wait([working])
        raise
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return working.result()


def _say_stopping(signals: int) -> None:
    if signals > 1:
        click.echo("leaving at once", err=True)
    else:
        last = f"what is out has {LAST_WAIT:.0f} s; once more leaves it"
        click.echo(f"stopping: other workers get the numbers that are left; {last}", err=True)


@command.command("delete")
@_job_options
@click.confirmation_option(prompt="Delete the job and all its results?")
@runs
async def delete(*, cluster: str, job: str) -> None:
    """Delete a job and its results."""
    async with HlrJob(cluster, job) as shared:
        await shared.delete()
    click.echo(f"the job {job} is deleted", err=True)
