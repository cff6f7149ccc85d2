"""Where results are kept."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from infobip_async.cli.job import GROUP, Job, Passing, Row

from infobip_async import HlrOutcome, HlrReport, HlrResult, HlrStatus

REPORTED = HlrResult(
    "38598514674",
    HlrOutcome.REPORTED,
    "id-1",
    HlrReport("38598514674", "id-1", HlrStatus.UNKNOWN, "REJECTD", "219011234567890", None, "7"),
)


def _row(position: int, outcome: HlrOutcome = HlrOutcome.TIMED_OUT) -> Row:
    return Row(position, HlrResult(str(position), outcome, reason="as a test"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a job can be."""
    return str(tmp_path / "job.db")


@pytest.fixture
def job(path: str) -> Iterator[Job]:
    """A new job."""
    with closing(Job(path)) as job:
        yield job


def _ask(job: Job, numbers: int) -> list[bool]:
    return [job.has(position, str(position)) for position in range(numbers)]


def test_a_result_survives(path: str) -> None:
    """A job that is opened again gives what was added, to the last attribute."""
    rows = [Row(0, REPORTED), _row(1)]
    with closing(Job(path)) as job:
        for row in rows:
            job.add(row)
    with closing(Job(path)) as job:
        assert job.take(gaps=True) == rows


def test_what_is_done_is_known(path: str) -> None:
    """The numbers of a source are told from those that are still to be looked up."""
    with closing(Job(path)) as job:
        for position in (0, 2, 3):
            job.add(_row(position))
    with closing(Job(path)) as job:
        assert _ask(job, 6) == [True, False, True, True, False, False]


def test_many_are_known(path: str) -> None:
    """So are more than are read at once."""
    done = {position for position in range(3 * GROUP) if position % 7}
    with closing(Job(path)) as job:
        for position in done:
            job.add(_row(position))
    with closing(Job(path)) as job:
        assert [at for at, known in enumerate(_ask(job, 3 * GROUP + 5)) if known] == sorted(done)


def test_another_source_is_refused(path: str) -> None:
    """A number where another was, and an end before the job's, are of another source."""
    with closing(Job(path)) as job:
        job.add(_row(0))
        job.add(_row(1))
    with closing(Job(path)) as job:
        assert job.has(0, "0")
        with pytest.raises(click.UsageError, match="number 2 is 38598514674 here and 1 there"):
            job.has(1, "38598514674")
        with pytest.raises(click.UsageError, match="ends after 1 numbers"):
            job.check_length(1)
        job.check_length(2)


def test_what_was_not_sent_is_forgotten(path: str) -> None:
    """It is a result of one run only."""
    with closing(Job(path)) as job:
        job.add(_row(0, HlrOutcome.NOT_SENT))
        job.add(_row(1))
        job.commit()
        _ask(job, 2)
        assert len(job.take()) == 2
    with closing(Job(path)) as job:
        assert _ask(job, 2) == [False, True]
        assert job.take(gaps=True) == [_row(1)]


def test_rows_are_taken_in_order(job: Job) -> None:
    """One that is missing holds up those behind it, unless gaps are passed over."""
    _ask(job, 4)
    for position in (3, 1, 0):
        job.add(_row(position))
    assert job.take() == []
    job.commit()
    assert job.take() == [_row(0), _row(1)]
    assert job.take() == []
    job.add(_row(2))
    job.commit()
    assert job.take() == [_row(2), _row(3)]
    assert job.take(gaps=True) == []


def test_gaps_are_passed_over(job: Job) -> None:
    """At the end, everything that is there is given."""
    for position in (3, 1):
        job.add(_row(position))
    job.commit()
    assert job.take(gaps=True) == [_row(1), _row(3)]
    assert job.take(gaps=True) == []


def test_rows_of_a_source_not_yet_seen_wait(path: str) -> None:
    """Until the source is known to be the job's as far, its results are not written."""
    with closing(Job(path)) as job:
        for position in range(3):
            job.add(_row(position))
    with closing(Job(path)) as job:
        assert job.take() == []
        job.has(0, "0")
        assert job.take() == [_row(0)]


def test_a_group_is_taken_at_once(job: Job) -> None:
    """The memory that rows take on their way out is bounded."""
    _ask(job, GROUP + 1)
    for position in range(GROUP + 1):
        job.add(_row(position))
    job.commit()
    assert [len(job.take()), len(job.take()), len(job.take())] == [GROUP, 1, 0]


def test_a_full_group_is_committed(job: Job) -> None:
    """So is the memory of rows on their way in."""
    for position in range(GROUP):
        job.add(_row(position))
    assert len(job.take(gaps=True)) == GROUP


@pytest.mark.parametrize("fall", [0, 3])
def test_submitted_numbers_are_counted(path: str, fall: int) -> None:
    """The count is stored at once when it rises, and with the next results when it falls."""
    job = Job(path)
    job.submit(10)
    job.submitted -= fall
    job.add(_row(0))
    job.commit()
    job._db.close()  # as where the process is killed
    with closing(Job(path)) as job:
        assert job.submitted == 10 - fall


def test_a_second_process_is_refused(job: Job, path: str) -> None:
    """The file is held as long as it is open, and no longer."""
    with pytest.raises(click.UsageError, match="another process"):
        Job(path)
    job.close()
    Job(path).close()


@pytest.mark.parametrize("content", [b"38598514674\n" * 100, None])
def test_what_is_no_job_is_refused(path: str, content: bytes | None) -> None:
    """Neither a text nor a database of something else is touched."""
    if content:
        Path(path).write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE results (position)")
    before = Path(path).read_bytes()
    with pytest.raises(click.ClickException, match=r"not a database|no job"):
        Job(path)
    assert Path(path).read_bytes() == before


def test_a_job_needs_a_place(tmp_path: Path) -> None:
    """A directory is none."""
    with pytest.raises(click.FileError, match="unable to open"):
        Job(str(tmp_path))


def test_a_job_that_cannot_be_written_says_so(job: Job) -> None:
    """What SQLite reports becomes an error of the command line."""
    job._db.execute("DROP TABLE queries")
    with pytest.raises(click.FileError, match="no such table"):
        job.submit(1)


def test_without_a_job_rows_pass() -> None:
    """They are given in the order in which they came, once."""
    passing = Passing()
    assert not passing.has(0, "0")
    passing.check_length(0)
    for position in (3, 1):
        passing.add(_row(position))
    passing.commit()
    assert passing.take() == [_row(3), _row(1)]
    assert passing.take(gaps=True) == []


def test_without_a_job_rows_pile_up_to_a_limit() -> None:
    """So much, and whoever adds more must wait."""
    passing = Passing()
    for position in range(GROUP):
        assert not passing.full
        passing.add(_row(position))
    assert passing.full


def test_without_a_job_numbers_are_counted() -> None:
    """The count lasts as long as the process."""
    passing = Passing()
    passing.submit(3)
    assert passing.submitted == 3
