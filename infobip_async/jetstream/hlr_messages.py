"""How a job of lookups is written as messages of a JetStream stream.

::

    <stream>.chunk.<job>.<n>      numbers, one a line          from the loader; one message
    <stream>.total.<job>          how many there are           from the loader, at the end
    <stream>.attempt.<job>.<n>    the id of an attempt         from a worker, before its query;
                                                               or what it knows of the numbers,
                                                               if it has to leave some to others
    <stream>.result.<job>.<n>     what came of the numbers     from a worker; one message
"""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs

from infobip_async.hlr.results import HlrOutcome, HlrResult, facts_of, report_of
from infobip_async.jetstream.messages import check_name

MAX_CHUNK: Final = 5_000
"""Most numbers of a chunk: its results have to fit into one message of the broker."""

POSITION: Final = "Infobip-Position"
"""The header of a chunk with the position of its first number in the source."""


@attrs.frozen
class JobSubjects:
    """The subjects of one job.

    Attributes:
        stream: the stream of all jobs.
        job: the name of the job.

    Raises:
        LocalProtocolError: a name that cannot be a part of a subject.
    """

    stream: str
    job: str

    def __attrs_post_init__(self) -> None:
        check_name("stream", self.stream)
        check_name("job", self.job)

    @property
    def consumer(self) -> str:
        """The durable consumer that the workers of the job share."""
        return f"workers_{self.job}"

    @property
    def total(self) -> str:
        """The subject of the total."""
        return f"{self.stream}.total.{self.job}"

    def of(self, kind: Literal["chunk", "attempt", "result"], number: int | None = None) -> str:
        """The subject of a chunk, its attempts or its result; without a number, of all."""
        return f"{self.stream}.{kind}.{self.job}.{'*' if number is None else number}"

    @property
    def all(self) -> tuple[str, ...]:
        """The subjects of all messages of the job."""
        return (self.total, self.of("chunk"), self.of("attempt"), self.of("result"))


def chunk_number(subject: str) -> int:
    """Read the number of the chunk from a subject."""
    return int(subject.rpartition(".")[2])


@attrs.frozen
class Total:
    """The size of a job.

    Attributes:
        chunks: how many chunks it has.
        numbers: how many numbers it has.
        chunk_size: numbers in each chunk; the last one may have fewer.
    """

    chunks: int
    numbers: int
    chunk_size: int

    def encode(self) -> bytes:
        """Write the payload of the message."""
        return json.dumps(attrs.astuple(self)).encode()

    @classmethod
    def decode(cls, payload: bytes) -> "Total":
        """Read the payload of the message."""
        return cls(*json.loads(payload))


@attrs.frozen
class ChunkResult:
    """What came of the numbers of a chunk.

    Attributes:
        attempt: the id of the attempt that brought the results; one that another attempt may
            have submitted before ends with ``-again``.
        position: of the first number in the source, from 0.
        results: one for each number, in the order of the source.
    """

    attempt: str
    position: int
    results: Sequence[HlrResult]

    def encode(self) -> bytes:
        """Write the payload of the message."""
        rows = [_row(result) for result in self.results]
        value = [self.attempt, self.position, rows]
        return json.dumps(value, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> "ChunkResult":
        """Read the payload of the message."""
        attempt, position, rows = json.loads(payload)
        return cls(attempt, position, [_result(*row) for row in rows])


def _row(result: HlrResult) -> list[Any]:
    row: list[Any] = [result.destination, result.outcome.value, result.lookup_id, result.reason]
    row.append(int(result.possibly_repeated))
    if (report := result.report) is not None:
        row += [report.destination, report.lookup_id, *facts_of(report)]
    return row


def _result(
    destination: str,
    outcome: str,
    lookup_id: str | None,
    reason: str | None,
    repeated: int,
    *fields: Any,  # noqa: ANN401 - of JSON
) -> HlrResult:
    report = report_of(fields[0], fields[1], fields[2:]) if fields else None
    return HlrResult(
        destination,
        HlrOutcome(outcome),
        lookup_id=lookup_id,
        report=report,
        reason=reason,
        possibly_repeated=bool(repeated),
    )
