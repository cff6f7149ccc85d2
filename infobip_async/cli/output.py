"""Results as lines of CSV or JSON."""

import asyncio
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final, Generic, Literal, TextIO, TypeVar, get_args

import attrs
import click

from infobip_async import HlrResult
from infobip_async.cli.list_options import ListOptions, check_kept
from infobip_async.cli.options import Command
from infobip_async.cli.summary import Summary
from infobip_async.lists import ListNumber
from infobip_async.numbering import NumberRanges, interpret

Form = Literal["csv", "jsonl"]
"""CSV with a header, or a JSON object on each line."""


def output_options(command: Command) -> Command:
    """Give a command the file that it writes to, as ``output``, and its form, as ``form``."""
    form = click.option(
        "--format", "form", type=click.Choice(get_args(Form)), default="csv", show_default=True
    )
    file = click.Path(dir_okay=False)
    return click.option("-o", "--output", type=file, help="Write to this file.")(form(command))


_COLUMNS: Final = (
    *("position", "destination", "outcome", "lookup_id", "status"),
    *("imsi", "serving_msc", "error_code", "reason"),
)
_MEANINGS: Final = (
    *("reachable", "roaming", "ported", "mcc", "mnc", "ambiguous", "assumed", "operator"),
    *("number_country", "imsi_country", "msc_country"),
)
_RANGES: Final = ("number_type", "range_holder")


@attrs.define
class RowWriter:
    """Writes rows of values, until the output takes no more.

    Attributes:
        open: opens what is written to; called when there is something to write.
        form: CSV with a header, or a JSON object on each line.
        names: of the columns.
        fault: why the output takes no more, such as a full disk; rows are dropped then, so that
            those which they tell of are at least counted.
    """

    open: Callable[[], TextIO]
    form: Form
    names: tuple[str, ...]
    fault: OSError | None = attrs.field(default=None, init=False)
    _stream: TextIO | None = attrs.field(default=None, init=False)

    def write(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows, and hand them on to whoever reads; without any, just a header.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if self.fault is not None:
            return
        try:
            self._write(rows)
        except BrokenPipeError:
            raise
        except OSError as fault:
            self.fault = fault
            if self._stream is not None:
                _give_up(self._stream)

    def check(self) -> None:
        """Tell that rows were dropped.

        Raises:
            OSError: why the output takes no more.
        """
        if self.fault is not None:
            raise self.fault

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        started = self._stream is not None
        stream = self._stream = self._stream or self.open()
        if self.form == "csv":
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerows(rows if started else [self.names, *rows])
        else:
            for row in rows:
                fields = dict(zip(self.names, row, strict=True))
                stream.write(json.dumps(fields, ensure_ascii=False) + "\n")
        stream.flush()


def _give_up(stream: TextIO) -> None:
    """Drop what a stream still holds, since Python would try again to write that at its end."""
    with suppress(OSError), Path(os.devnull).open("w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())
        stream.flush()


Rows = TypeVar("Rows")


@attrs.define
class ThreadedWriter(Generic[Rows]):
    """Has rows written by a thread, so that a reader that is slow holds nothing else up."""

    write: Callable[[Rows], None]
    # One thread, so that what is written stays in order.
    _thread: ThreadPoolExecutor = attrs.field(factory=partial(ThreadPoolExecutor, 1), init=False)

    async def __call__(self, rows: Rows) -> None:
        """Write rows; that goes on though this task is cancelled."""
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self.write, rows)
        writing.add_done_callback(_note)
        await asyncio.shield(writing)

    def close(self) -> None:
        """Let the thread end, once it has written what it was given."""
        self._thread.shutdown(wait=False)


def _note(writing: "asyncio.Future[None]") -> None:
    """Retrieve the exception, so that asyncio does not log it."""
    if not writing.cancelled():
        writing.exception()


@contextmanager
def open_output(path: str | None, mode: Literal["w", "a"] = "w") -> Iterator[TextIO]:
    """Open a file, to be written over or appended to, or standard output where there is none.

    A file is UTF-8. What that cannot express, such as half a character, is escaped.
    """
    if path in {None, "-"}:
        yield sys.stdout
        return
    with Path(str(path)).open(mode, encoding="utf-8", errors="backslashreplace") as file:
        yield file


def check_output(path: str | None) -> None:
    """Refuse what cannot be written to, before anything is sent; what is in a file stays."""
    if path in {None, "-"}:
        if sys.stdout is None:
            raise click.UsageError("standard output is closed: give --output")
    else:
        try:
            Path(str(path)).open("a", encoding="utf-8").close()
        except OSError as fault:
            raise click.UsageError(f"{path} cannot be written: {fault.strerror}") from None


def check_files(*paths: str | None) -> None:
    """Refuse to write over the source, or the job."""
    real = [os.path.realpath(path) for path in paths if path not in {None, "-"}]
    if len(set(real)) < len(real):
        raise click.UsageError("the source, the output and the job are the same file")


@attrs.define(kw_only=True)
class Output:
    """Writes results, and counts them.

    Attributes:
        open: opens what is written to; called when there is something to write.
        form: CSV with a header, or a JSON object on each line.
        meanings: whether there are columns for what a report means.
        ranges: the holders of number ranges, which "ported" is judged by.
        reading: says which columns of the list are passed through.
        rows: what writes.
        summary: counts.
    """

    open: Callable[[], TextIO]
    form: Form
    meanings: bool = True
    ranges: NumberRanges | None = None
    reading: ListOptions | None = None
    rows: RowWriter = attrs.field(init=False)
    summary: Summary = attrs.field(factory=Summary, init=False)
    _said: tuple[str, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._said = _MEANINGS + (_RANGES if self.ranges else ()) if self.meanings else ()
        key = ("key",) if self.reading is not None and self.reading.key_column else ()
        names = _COLUMNS[:2] + key + _COLUMNS[2:] + self._said
        kept = () if self.reading is None else self.reading.keep
        check_kept(kept, names)
        self.rows = RowWriter(self.open, self.form, names + kept)

    def write(self, results: Sequence[HlrResult]) -> None:
        """Write results, and hand them on to whoever reads; without any, just a header."""
        self.rows.write([self._line(result) for result in results])

    def _line(self, result: HlrResult) -> list[object]:
        report = result.report
        said = None if report is None else interpret(report, ranges=self.ranges)
        self.summary.add(result, said)
        number = result.destination
        row = number.row if isinstance(number, ListNumber) else None
        reading = self.reading
        return [
            row and row.position,
            number,
            *([row and row.key] if reading is not None and reading.key_column else []),
            result.outcome.value,
            result.lookup_id,
            report and report.raw_status,
            report and report.imsi,
            report and report.serving_msc,
            report and report.error_code,
            result.reason,
            *(said and _plain(getattr(said, name)) for name in self._said),
            *([] if reading is None else reading.kept(row)),
        ]


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case bool():
            return "yes" if value else "no"
        case _:
            return value
