"""What a job of lookups is in a JetStream stream.

::

    <stream>.chunk.<job>.<n>    numbers, one a line              put there by the loader, once
    <stream>.total.<job>        how many there are               when it has read the source
    <stream>.mark.<job>.<n>     the id of an attempt             before its query goes out
    <stream>.result.<job>.<n>   what came of it                  once
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.results import HlrOutcome, HlrResult
from infobip_async.models import HlrReport, HlrStatus

MAX_CHUNK: Final = 5_000
"""Numbers of a chunk at the most: its results have to fit into one message of the broker."""

POSITION: Final = "Infobip-Position"
"""The header of a chunk that has the position of its first number in the source."""

_NAME: Final = re.compile("[A-Za-z0-9_-]{1,64}")


@attrs.frozen
class Names:
    """The subjects of a job.

    Attributes:
        stream: the stream of all jobs.
        job: its name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        LocalProtocolError: one of them is no name.
    """

    stream: str
    job: str

    def __attrs_post_init__(self) -> None:
        for field, name in (("stream", self.stream), ("job", self.job)):
            if not _NAME.fullmatch(name):
                raise LocalProtocolError("1 to 64 letters, digits, - and _", field=field)

    @property
    def consumer(self) -> str:
        """The durable consumer that its workers share."""
        return f"workers_{self.job}"

    @property
    def total(self) -> str:
        """Where it is said how many chunks and numbers there are."""
        return f"{self.stream}.total.{self.job}"

    def all(self, kind: str) -> str:
        """The subjects of all chunks, marks or results."""
        return self.one(kind, "*")

    def one(self, kind: str, number: int | str) -> str:
        """The subject of a chunk, its marks or its result."""
        return f"{self.stream}.{kind}.{self.job}.{number}"


def number_of(subject: str) -> int:
    """The number of a chunk in a subject."""
    return int(subject.rpartition(".")[2])


@attrs.frozen
class Total:
    """How much there is of a job.

    Attributes:
        chunks: the number of chunks.
        numbers: the number of numbers.
        chunk_size: numbers of a chunk, but for the last one.
    """

    chunks: int
    numbers: int
    chunk_size: int

    def encode(self) -> bytes:
        """As a message."""
        return json.dumps(attrs.astuple(self)).encode()

    @classmethod
    def decode(cls, payload: bytes) -> "Total":
        """From a message."""
        return cls(*json.loads(payload))


@attrs.frozen
class ChunkResult:
    """What came of a chunk.

    Attributes:
        attempt: the id of the attempt that brought it.
        again: whether there were others before it.
        position: of its first number in the source, from 0.
        results: one for each number, in the order of the source.
    """

    attempt: str
    again: bool
    position: int
    results: Sequence[HlrResult]

    def encode(self) -> bytes:
        """As a message."""
        rows = [_row(result) for result in self.results]
        value = [self.attempt, self.again, self.position, rows]
        return json.dumps(value, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> "ChunkResult":
        """From a message."""
        attempt, again, position, rows = json.loads(payload)
        return cls(attempt, again, position, [_result(*row) for row in rows])


def _row(result: HlrResult) -> list[Any]:
    row = [result.destination, result.outcome.value, result.lookup_id, result.reason]
    if (report := result.report) is not None:
        row += [report.destination, report.lookup_id, report.status.value, report.raw_status]
        row += [report.imsi, report.serving_msc, report.error_code]
    return row


def _result(
    destination: str,
    outcome: str,
    lookup_id: str | None,
    reason: str | None,
    *said: Any,  # noqa: ANN401 - of JSON
) -> HlrResult:
    report = None
    if said:
        number, own_id, status, *rest = said
        report = HlrReport(number, own_id, HlrStatus(status), *rest)
    return HlrResult(destination, HlrOutcome(outcome), lookup_id, report, reason)
