"""The record of a run of lookups, in a file: what was asked, and what came back.

An intent is on disk before its query, the ids of its lookups after the reply, and a result before
it is handed on, and before the report's push is acknowledged. So after a crash a number without an
intent was not submitted, one with an id waits for its report until its deadline, and one with an
intent alone may have been submitted.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import attrs

from infobip_async.concurrency.sqlite_file import FileKind
from infobip_async.concurrency.sqlite_thread import SqliteThread
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models import HlrReport, HlrStatus, HlrSubmission
from infobip_async.runs.job import SCHEMA, changed, open_identity

_SCHEMA: Final = f"""
{SCHEMA}
create table if not exists numbers (
    position integer primary key, destination text not null, intended integer not null default 0,
    lookup_id text, deadline real,
    outcome text, reason text, status text, raw_status text, imsi text, serving_msc text,
    error_code text
);
"""
_COLUMNS: Final = (
    "destination, intended, lookup_id, outcome, reason,"
    " status, raw_status, imsi, serving_msc, error_code"
)
_READ: Final = f"select {_COLUMNS} from numbers where position between ? and ? order by position"  # noqa: S608 - constants
_OPEN: Final = (
    "select position, destination, lookup_id, deadline - ? from numbers"
    " where intended and lookup_id is not null and outcome is null and deadline > ?"
    " order by deadline, position"
)
_RECORD: Final = (
    "update numbers set intended = ?, lookup_id = coalesce(?, lookup_id), outcome = ?, reason = ?,"
    " status = ?, raw_status = ?, imsi = ?, serving_msc = ?, error_code = ? where position = ?"
)


@attrs.frozen
class Record:
    """What a job knows of a number that was submitted, or may have been.

    Attributes:
        lookup_id: of the lookup, where it was accepted.
        result: what became of it; None where that is open.
    """

    lookup_id: str | None
    result: HlrResult | None


@attrs.frozen
class OpenLookup:
    """A lookup that was accepted, and whose report may still come.

    Attributes:
        position: of its number in the source.
        destination: its number.
        lookup_id: the gateway's.
        seconds: left until its deadline.
    """

    position: int
    destination: str
    lookup_id: str
    seconds: float


class HlrJobFile:
    """Remembers the numbers of a run by their positions, over crashes.

    Args:
        path: the file; made where there is none. Only one process can have it open.
        account: whose job it is.
        clock: gives the time in seconds, which must go on over restarts.

    Raises:
        LocalProtocolError: on entry: the file is no such job, or another account's.
        StorageUnavailableError: by every method: the file cannot be read or written, and nothing
            of what was to be written is.
    """

    def __init__(
        self, path: str | Path, account: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = Path(path)
        self._account = account
        self._clock = clock
        self._thread = SqliteThread(path, FileKind.LOOKUP_JOB, _SCHEMA)

    async def __aenter__(self) -> Self:
        await self._thread.__aenter__()
        try:
            await self._thread.do(
                lambda connection: open_identity(connection, self._account, self.path)
            )
        except BaseException:
            await self._thread.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.aclose()

    async def meet(
        self, first: int, numbers: Sequence[str]
    ) -> tuple[list[Record | None], LocalProtocolError | None]:
        """Make numbers known to the job, in the order of the source, up to one that differs.

        Args:
            first: the position of the first of them.
            numbers: those that were read.

        Returns:
            What is known of each number, None where it was not submitted; and the difference, if
            there is one: the number behind those is another than the job has at its position.
        """
        texts = [_text(number) for number in numbers]

        def work(connection: sqlite3.Connection) -> list[Record | None]:
            rows = connection.execute(_READ, (first, first + len(numbers) - 1)).fetchall()
            records: list[Record | None] = []
            for number, text, row in zip(numbers, texts, rows, strict=False):
                if row[0] != text:
                    return records
                records.append(_record(number, row))
            new = range(first + len(rows), first + len(numbers))
            connection.executemany(
                "insert into numbers (position, destination) values (?, ?)",
                zip(new, texts[len(rows) :], strict=True),
            )
            return records + [None] * len(new)

        records = await self._thread.do(work)
        if len(records) == len(numbers):
            return records, None
        row = f"number {first + len(records) + 1:,} is another one there"
        return records, changed(self.path, row)

    async def open_lookups(self) -> list[OpenLookup]:
        """The lookups of earlier runs whose deadline has not passed, by their deadlines."""

        def read(connection: sqlite3.Connection) -> list[OpenLookup]:
            now = self._clock()
            return [OpenLookup(*row) for row in connection.execute(_OPEN, (now, now))]

        return await self._thread.do(read)

    async def check_end(self, numbers: int) -> LocalProtocolError | None:
        """Tell of a source that ends before the job does.

        Args:
            numbers: how many the source has.
        """

        def read(connection: sqlite3.Connection) -> int:
            last: int | None = connection.execute("select max(position) from numbers").fetchone()[0]
            return 0 if last is None else last + 1

        known = await self._thread.do(read)
        if numbers >= known:
            return None
        return changed(self.path, f"it ends after {numbers:,} numbers, and the job has {known:,}")

    async def intend(self, sequences: Sequence[int]) -> None:
        """Write down that numbers are about to be submitted."""
        rows = [(position,) for position in sequences]
        await self._change(
            "update numbers set intended = 1, lookup_id = null, deadline = null where position = ?",
            rows,
        )

    async def accept(
        self, sequences: Sequence[int], rows: Sequence[HlrSubmission], seconds: float
    ) -> None:
        """Write down the ids of lookups, and for how long their reports are waited for."""
        deadline = self._clock() + seconds
        values = [
            (row.lookup_id, deadline, position)
            for position, row in zip(sequences, rows, strict=True)
            if row.lookup_id
        ]
        await self._change(
            "update numbers set lookup_id = ?, deadline = ? where position = ?", values
        )

    async def record(self, results: Iterable[tuple[int, HlrResult]]) -> None:
        """Write results down, but for those of numbers that were not sent: these come again."""
        await self._change(_RECORD, [_values(position, result) for position, result in results])

    async def forget(self, sequences: Iterable[int]) -> None:
        """Have numbers looked up again by the next run."""
        rows = [(position,) for position in sequences]
        await self._change(
            "update numbers set intended = 0, lookup_id = null, outcome = null where position = ?",
            rows,
        )

    async def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        await self._thread.do(lambda connection: connection.executemany(statement, rows).rowcount)


def _values(position: int, result: HlrResult) -> tuple[object, ...]:
    """The values of `_RECORD`."""
    if result.outcome is HlrOutcome.NOT_SENT:
        return (0, None, None, None, None, None, None, None, None, position)
    report = result.report
    said: tuple[str | None, ...] = (None,) * 5
    if report is not None:
        said = (
            report.status.value,
            report.raw_status,
            report.imsi,
            report.serving_msc,
            report.error_code,
        )
    return (1, result.lookup_id, result.outcome.value, result.reason, *said, position)


def _record(number: str, row: tuple[Any, ...]) -> Record | None:
    """Read what a row knows, whose columns are those of `_READ`."""
    _, intended, lookup_id, outcome, reason, status, *said = row
    if not intended:
        return None
    if outcome is None:
        return Record(lookup_id, None)
    report = None
    if status is not None:
        report = HlrReport(number, lookup_id or "", HlrStatus(status), *said)
    found = HlrOutcome(outcome)
    return Record(
        lookup_id, HlrResult(number, found, lookup_id, report, None, reason, resumed=True)
    )


def _text(number: object) -> str:
    """What a file can hold of a number; a caller may give anything, which is refused later."""
    if isinstance(number, str):
        return number.encode("utf-8", "backslashreplace").decode()
    return repr(number)
