"""Where the results of a run are kept: in a job file, by which the run can go on after its end."""

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final, NoReturn

import attrs
import click

from infobip_async import HlrOutcome, HlrReport, HlrResult, HlrStatus

GROUP: Final = 1_000
"""Results at the most that are committed, read or written at once."""

_APPLICATION: Final = 0x1B1F0B1
"""Tells our files from those of others that SQLite wrote."""
_SCHEMA: Final = """
CREATE TABLE results (
    position INTEGER PRIMARY KEY, destination TEXT NOT NULL, outcome TEXT NOT NULL, lookup_id TEXT,
    reason TEXT, status TEXT, raw_status TEXT, imsi TEXT, serving_msc TEXT, error_code TEXT
);
CREATE TABLE queries (submitted INTEGER NOT NULL);
INSERT INTO queries VALUES (0)
"""
_INSERT: Final = "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FROM: Final = "FROM results WHERE position >= ? ORDER BY position LIMIT ?"
_UNSENT: Final = (HlrOutcome.NOT_SENT.value,)


@attrs.frozen
class Row:
    """The result of one number.

    Attributes:
        position: of the number in the source, from 0.
        result: what became of it.
    """

    position: int
    result: HlrResult


@attrs.define
class Passing:
    """Keeps results until they are written, and no longer.

    Attributes:
        submitted: numbers that queries carried and that were not refused, each time anew.
    """

    submitted: int = 0
    _rows: list[Row] = attrs.field(factory=list, init=False)

    @property
    def full(self) -> bool:
        """Whether rows are to be taken before more are added."""
        return len(self._rows) >= GROUP

    def has(self, position: int, destination: str) -> bool:  # noqa: ARG002 - as a job has it
        """Whether the number at a position of the source is done: never."""
        return False

    def check_length(self, length: int) -> None:
        """Take a source of any length."""

    def submit(self, numbers: int) -> None:
        """Count numbers as submitted."""
        self.submitted += numbers

    def add(self, row: Row) -> None:
        """Keep a result."""
        self._rows.append(row)

    def commit(self) -> None:
        """Make nothing safe."""

    def take(self, *, gaps: bool = False) -> Sequence[Row]:  # noqa: ARG002 - as a job has it
        """Give what was added since, in that order."""
        rows, self._rows = self._rows, []
        return rows


class Job:
    """A job file, held against other processes until it is closed.

    What it keeps survives the death of this process, though not always a loss of power. Numbers
    that were not sent are forgotten when it is opened, and so tried again.

    Args:
        path: of the file, which is made where there is none.

    Attributes:
        submitted: numbers that queries carried and that were not refused, each time anew.
        full: whether rows are to be taken before more are added: never.

    Raises:
        click.ClickException: here and in every method, the file cannot be used.
    """

    full = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._added: list[Row] = []
        self._ahead: deque[tuple[int, str]] = deque()
        self._asked = 0
        self._taken = 0
        with self._faults():
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self._faults():
                self._open()
        except click.ClickException:
            self._db.close()
            raise

    def _open(self) -> None:
        # The lock is kept until the file is closed, or the process is gone.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        if not self._number("SELECT count(*) FROM sqlite_schema"):
            mark = f"PRAGMA application_id = {_APPLICATION}"
            self._db.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA}; {mark}; COMMIT")
        if self._number("PRAGMA application_id") != _APPLICATION:
            raise click.UsageError(f"{self._path} is a database, but no job")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("DELETE FROM results WHERE outcome = ?", _UNSENT)
        self.submitted = self._number("SELECT submitted FROM queries")
        self._length = self._number("SELECT coalesce(max(position) + 1, 0) FROM results")

    def _number(self, query: str) -> int:
        number: int = self._db.execute(query).fetchone()[0]
        return number

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise click.UsageError(f"another process is at the job {self._path}") from None
            raise click.FileError(self._path, str(error)) from None

    def has(self, position: int, destination: str) -> bool:
        """Whether the number at a position of the source is done; to be asked in order.

        Raises:
            click.UsageError: another number had this position before.
        """
        self._asked = position + 1
        if position >= self._length:
            return False
        if not self._ahead:
            with self._faults():
                page = self._db.execute(f"SELECT position, destination {_FROM}", (position, GROUP))
                self._ahead.extend(page)
        at, known = self._ahead[0]
        if at != position:
            return False
        if known != destination:
            self._refuse(f"number {position + 1} is {destination} here and {known} there")
        self._ahead.popleft()
        return True

    def check_length(self, length: int) -> None:
        """Refuse a source that ends before the results do.

        Raises:
            click.UsageError: it does.
        """
        if length < self._length:
            self._refuse(f"it ends after {length} numbers")

    def _refuse(self, why: str) -> NoReturn:
        raise click.UsageError(f"this is not the source of the job {self._path}: {why}")

    def submit(self, numbers: int) -> None:
        """Count numbers as submitted. It is safe when this returns."""
        self.submitted += numbers
        with self._faults():
            self._db.execute("UPDATE queries SET submitted = ?", [self.submitted])

    def add(self, row: Row) -> None:
        """Keep a result, which is safe after the next commit."""
        self._added.append(row)
        if len(self._added) >= GROUP:
            self.commit()

    def commit(self) -> None:
        """Make safe what was added."""
        if not self._added:
            return
        with self._faults():
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT, map(_values, self._added))
            self._db.execute("UPDATE queries SET submitted = ?", [self.submitted])
            self._db.execute("COMMIT")
        self._added.clear()

    def take(self, *, gaps: bool = False) -> Sequence[Row]:
        """Give the next rows in the order of the source, from its start.

        Args:
            gaps: pass over numbers without a result; without, those behind one wait.
        """
        limit = GROUP if gaps else min(GROUP, self._asked - self._taken)
        with self._faults():
            found = map(_row, self._db.execute(f"SELECT * {_FROM}", (self._taken, limit)))
            rows = [row for at, row in zip(count(self._taken), found) if gaps or row.position == at]
        if rows:
            self._taken = rows[-1].position + 1
        return rows

    def close(self) -> None:
        """Make safe what was added, and let the file go."""
        try:
            self.commit()
        finally:
            self._db.close()


def _values(row: Row) -> tuple[object, ...]:
    """A row as the table has it."""
    result, report = row.result, row.result.report
    return (
        row.position,
        result.destination,
        result.outcome.value,
        result.lookup_id,
        result.reason,
        *(
            (None,) * 5
            if report is None
            else (
                report.status.value,
                report.raw_status,
                report.imsi,
                report.serving_msc,
                report.error_code,
            )
        ),
    )


def _row(values: tuple[Any, ...]) -> Row:
    """A row of the table."""
    position, destination, outcome, lookup_id, reason, status, *rest = values
    report = status and HlrReport(destination, lookup_id, HlrStatus(status), *rest)
    result = HlrResult(destination, HlrOutcome(outcome), lookup_id, report, reason)
    return Row(position, result)
