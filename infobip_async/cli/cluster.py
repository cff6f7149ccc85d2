"""``infobip-async hlr --cluster``: a job of lookups for commands on any machines (§4, §5)."""

import io
from collections.abc import Sequence
from contextlib import ExitStack, aclosing
from functools import partial
from typing import Final, Literal

import attrs
import click
from rich.console import Console

from infobip_async import Router
from infobip_async.cli.job import GROUP, Row
from infobip_async.cli.list_options import check_country, header_option
from infobip_async.cli.output import Output, check_files, check_output, open_output
from infobip_async.cli.progress import ProgressBar
from infobip_async.cli.receiving import (
    public_url_option,
    read_address,
    receiving,
    secret_option,
)
from infobip_async.cli.running import POSITIVE, Account, account_options, runs
from infobip_async.jetstream import HlrJob, JobResult, NatsJournal, ReportFeed
from infobip_async.lists import read_list

_AGAIN: Final = "may have been looked up more than once"


def pick(arguments: Sequence[str]) -> click.Command:
    """The command that some arguments mean: one that works, or one that loads and collects."""
    return work if "--work" in arguments else collect


_cluster_option = click.option(
    "--cluster", required=True, metavar="URL", help="The NATS broker, such as nats://host:4222."
)
_job_option = click.option("--job", required=True, metavar="NAME", help="The name of the job.")


@click.command("hlr --cluster")
@click.argument("file", type=click.File("rb"))
@_cluster_option
@_job_option
@click.option("--column", help="The column of a CSV, by name or by number from 1.")
@header_option
@click.option("--normalise", is_flag=True, help="Take away +, 00, blanks and punctuation.")
@click.option("--country", callback=check_country, help="Normalise, and read national numbers.")
@click.option("--chunk-size", type=click.IntRange(1, 5_000), default=1_000, show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
)
@runs
async def collect(
    *,
    cluster: str,
    job: str,
    file: io.BufferedReader,
    column: str | None,
    header: bool,
    normalise: bool,
    country: str | None,
    chunk_size: int,
    output: str | None,
    form: Literal["csv", "jsonl"],
) -> None:
    """Put the numbers in FILE into a job, and write its results as they come.

    The lookups are made by as many workers as there are: the same command with --work and
    without FILE. All of them can be stopped and started again at any time; this one then writes
    all results anew. What may have been looked up twice, since a worker died, says so.
    """
    check_files(getattr(file, "name", None), output)
    check_output(output)
    console = Console(stderr=True)
    numbers = read_list(
        file,
        recipient=column,
        header=header,
        normalise=normalise,
        country=country,
        errors="replace",
    )
    async with HlrJob(cluster, job) as shared:
        total = await shared.load(numbers.numbers(), chunk_size=chunk_size)
        with ExitStack() as stack:
            out = Output(open=lambda: stack.enter_context(open_output(output)), form=form)
            bar = stack.enter_context(ProgressBar(console, total.numbers, hidden=output is None))
            again = await _write(shared, out, bar)
            out.write(())
    out.summary.show(console)
    click.echo(f"{total.numbers:,} numbers, {again:,} of them perhaps looked up twice", err=True)
    raise SystemExit(out.summary.exit_code)


async def _write(job: HlrJob, out: Output, bar: ProgressBar) -> int:
    """Write all results; how many of them are flagged."""
    done = again = 0
    rows: list[Row] = []
    async with aclosing(job.results()) as results:
        async for one in results:
            rows.append(_row(one))
            again += one.possibly_repeated
            if len(rows) == GROUP:
                out.write(rows)
                done += len(rows)
                rows.clear()
                bar.show(done, "")
    out.write(rows)
    return again


def _row(one: JobResult) -> Row:
    result = one.result
    if one.possibly_repeated:
        result = attrs.evolve(
            result, reason=f"{result.reason}; {_AGAIN}" if result.reason else _AGAIN
        )
    return Row(one.position, result)


@click.command("hlr --cluster --work")
@_cluster_option
@_job_option
@click.option("--work", is_flag=True, required=True, help="Make the lookups of the job.")
@click.option(
    "--receive",
    callback=lambda c, p, v: v and read_address(c, p, v),
    metavar="HOST:PORT",
    help="Take reports in, too, for all workers.",
)
@public_url_option
@secret_option
@click.option(
    "--chunks", type=click.IntRange(1, 50), default=8, show_default=True, help="Queries under way."
)
@click.option("--report-timeout", type=POSITIVE, default=60, show_default=True)
@click.option(
    "--on-doubt",
    type=click.Choice(["repeat", "report"]),
    default="repeat",
    show_default=True,
    help="What to do with numbers that a worker who died may have submitted.",
)
@account_options
@runs
async def work(
    *,
    account: Account,
    cluster: str,
    job: str,
    work: bool,  # noqa: ARG001 - it has brought us here
    receive: tuple[str, int] | None,
    public_url: str | None,
    secret: str | None,
    chunks: int,
    report_timeout: float,
    on_doubt: Literal["repeat", "report"],
) -> None:
    """Make the lookups of a job, as one of several workers, until all of it is done.

    The reports come to any receiver that keeps its posts in the same broker: one of the workers
    with --receive, or a service with a NatsJournal.
    """
    router = Router()
    async with (
        account.client() as client,
        ReportFeed(cluster, router),
        HlrJob(cluster, job) as shared,
    ):
        working = partial(shared.work, client, router, concurrency=chunks, timeout=report_timeout)
        if receive is None:
            done = await working(on_unknown=on_doubt)
        else:
            journal = NatsJournal(cluster, handles=False)
            async with receiving(
                Router(), receive, secret=secret, public=public_url, journal=journal
            ) as urls:
                click.echo(f"Enter in the account's profile page: {urls.hlr_reports}", err=True)
                done = await working(on_unknown=on_doubt)
    click.echo(f"the job is done; {done:,} chunks of it here", err=True)
