"""Results as lines of CSV or JSON."""

import asyncio
import csv
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, Literal, TextIO, TypeVar

import attrs
import click

from infobip_async.cli.job import Row
from infobip_async.cli.summary import Summary
from infobip_async.numbering import NumberRanges, interpret

Form = Literal["csv", "jsonl"]
"""CSV with a header, or a JSON object on each line."""

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
class Lines:
    """Writes rows of values.

    Attributes:
        open: opens what is written to; called when there is something to write.
        form: CSV with a header, or a JSON object on each line.
        names: of the columns.
    """

    open: Callable[[], TextIO]
    form: Form
    names: tuple[str, ...]
    _stream: TextIO | None = attrs.field(default=None, init=False)

    def write(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows, and hand them on to whoever reads; without any, just a header."""
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


Rows = TypeVar("Rows")


@attrs.define
class Threaded(Generic[Rows]):
    """Has rows written by a thread, so that a reader that is slow holds nothing else up.

    Attributes:
        write: writes rows.
    """

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
    """Have a fault that nobody awaits any more not logged."""
    if not writing.cancelled():
        writing.exception()


def open_output(path: str | None, mode: Literal["w", "a"] = "w") -> AbstractContextManager[TextIO]:
    """Open a file, to be written over or appended to, or standard output where there is none."""
    stream: AbstractContextManager[Any] = click.open_file(
        path or "-", mode, encoding="utf-8" if path else None
    )
    return stream


def check_output(path: str | None) -> None:
    """Refuse a file that cannot be written, before anything is sent; what is in it stays."""
    if path not in {None, "-"}:
        try:
            Path(str(path)).open("a").close()
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
        summary: counts.
    """

    open: Callable[[], TextIO]
    form: Form
    meanings: bool = True
    ranges: NumberRanges | None = None
    summary: Summary = attrs.field(factory=Summary, init=False)
    _said: tuple[str, ...] = attrs.field(init=False)
    _lines: Lines = attrs.field(init=False)

    @_said.default
    def _columns_of_meanings(self) -> tuple[str, ...]:
        if not self.meanings:
            return ()
        return _MEANINGS + (_RANGES if self.ranges else ())

    @_lines.default
    def _lines_of_all_columns(self) -> Lines:
        return Lines(self.open, self.form, _COLUMNS + self._said)

    def write(self, rows: Sequence[Row]) -> None:
        """Write results, and hand them on to whoever reads; without any, just a header."""
        self._lines.write([self._line(row) for row in rows])

    def _line(self, row: Row) -> list[object]:
        result, report = row.result, row.result.report
        said = None if report is None else interpret(report, ranges=self.ranges)
        self.summary.add(result, said)
        return [
            row.position + 1,
            result.destination,
            result.outcome.value,
            result.lookup_id,
            report and report.raw_status,
            report and report.imsi,
            report and report.serving_msc,
            report and report.error_code,
            result.reason,
            *(said and _plain(getattr(said, name)) for name in self._said),
        ]


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case bool():
            return "yes" if value else "no"
        case _:
            return value
