"""The record of a run of lookups, in a file: queries and results.

An intent is on disk before its query, the ids of its lookups after the reply, and a result before
it is handed on, and before the report's push is acknowledged. So after a crash a number without an
intent was not submitted, one with an id waits for its report until its deadline, and one with an
intent alone may have been submitted.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

from infobip_async.concurrency.sqlite_file import FileKind, storable
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.results import HlrOutcome, HlrResult, facts_of, report_of
from infobip_async.models.receipts import HlrSubmission
from infobip_async.runs.job import JobFile

_TABLES: Final = """
create table if not exists numbers (
    position integer primary key, destination text not null, intended integer not null default 0,
    lookup_id text, deadline real,
    outcome text, reason text, status text, raw_status text, imsi text, serving_msc text,
    error_code text, repeated integer not null default 0
);
"""
_COLUMNS: Final = (
    "destination, intended, lookup_id, outcome, reason,"
    " status, raw_status, imsi, serving_msc, error_code, repeated"
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
_FORGOTTEN: Final = "(forgotten)"
"""Stands for a number that was forgotten; a run that goes on gives it as unknown."""
_FORGET: Final = (
    f"update numbers set destination = '{_FORGOTTEN}', intended = 1, lookup_id = null,"  # noqa: S608 - constants
    f" outcome = '{HlrOutcome.UNKNOWN.value}', reason = 'forgotten', status = null,"
    " raw_status = null, imsi = null, serving_msc = null, error_code = null where position = ?"
)


@attrs.frozen
class Record:
    """What a job knows of a number that was submitted, or may have been.

    Attributes:
        lookup_id: the gateway's id, where the lookup was accepted.
        result: the result of the number; None where that is open.
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


class HlrJobFile(JobFile):
    """Remembers the numbers of a run by their positions, over crashes; see `JobFile`."""

    kind = FileKind.LOOKUP_JOB
    tables = _TABLES
    texts = "select position, destination, lookup_id, reason from numbers"
    without = _FORGET
    last_position = "select max(position) from numbers"
    rows = "numbers"

    async def meet(
        self, items: Sequence[tuple[int, str]]
    ) -> tuple[list[Record | None], LocalProtocolError | None]:
        """Make numbers known to the job, up to one that differs; see `runs.screening.Job`.

        Args:
            items: numbers that follow each other in the source, with their positions.
        """
        texts = [(position, _text(number)) for position, number in items]

        def work(connection: sqlite3.Connection) -> list[Record | None]:
            rows = connection.execute(_READ, (items[0][0], items[-1][0])).fetchall()
            records: list[Record | None] = []
            for (_, number), (_, text), row in zip(items, texts, rows, strict=False):
                if row[0] not in {text, _FORGOTTEN}:
                    return records
                records.append(_record(number, row))
            new = texts[len(rows) :]
            connection.executemany("insert into numbers (position, destination) values (?, ?)", new)
            return records + [None] * len(new)

        records = await self._thread.do(work)
        if len(records) == len(items):
            return records, None
        number = f"number {items[len(records)][0] + 1:,}"
        return records, self._changed(f"{number} is another one there")

    async def open_lookups(self) -> list[OpenLookup]:
        """The lookups of earlier runs whose deadline has not passed, by their deadlines."""

        def read(connection: sqlite3.Connection) -> list[OpenLookup]:
            now = time.time()
            return [OpenLookup(*row) for row in connection.execute(_OPEN, (now, now))]

        return await self._thread.do(read)

    async def intend(self, sequences: Sequence[int]) -> None:
        """Write down that numbers are about to be submitted."""
        rows = [(position,) for position in sequences]
        await self._change(
            "update numbers set repeated = max(repeated, intended), intended = 1, lookup_id = null,"
            " deadline = null where position = ?",
            rows,
        )

    async def accept(
        self, sequences: Sequence[int], rows: Sequence[HlrSubmission], seconds: float
    ) -> None:
        """Write down the ids of lookups, and for how long their reports are waited for."""
        deadline = time.time() + seconds
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


def _values(position: int, result: HlrResult) -> tuple[object, ...]:
    """The values of `_RECORD`."""
    if result.outcome is HlrOutcome.NOT_SENT:
        return (0, None, None, None, None, None, None, None, None, position)
    facts = facts_of(result.report)
    return (1, result.lookup_id, result.outcome.value, result.reason, *facts, position)


def _record(number: str, row: tuple[Any, ...]) -> Record | None:
    """Read what a row knows, whose columns are those of `_READ`."""
    _, intended, lookup_id, outcome, reason, *facts, repeated = row
    if not intended:
        return None
    if outcome is None:
        return Record(lookup_id, None)
    result = HlrResult(
        number,
        HlrOutcome(outcome),
        lookup_id,
        report_of(number, lookup_id or "", facts),
        reason=reason,
        resumed=True,
        possibly_repeated=bool(repeated),
    )
    return Record(lookup_id, result)


def _text(number: object) -> str:
    """What a file can hold of a number; a caller may give anything, which is refused later."""
    if isinstance(number, str):
        return storable(number)
    return repr(number)
