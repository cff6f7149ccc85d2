"""Log records with the faults of users' code."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("nats", reason="nats-py is not installed: pip install infobip-async[nats]")

import infobip_async.jetstream.connection
import infobip_async.journal.worker
import infobip_async.receiver.acknowledge  # noqa: F401 - as the others, it names the logger
from infobip_async.redaction import SparseLogger, logger_of_faults


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log in a file of UTF-8."""
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    logging.getLogger("infobip_async").addHandler(handler)
    yield tmp_path / "log"
    logging.getLogger("infobip_async").removeHandler(handler)
    handler.close()


@pytest.mark.parametrize("name", ["journal", "jetstream", "receiver"])
def test_a_fault_that_utf_8_cannot_express(
    log: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It is in the log, with half a character escaped, and logging has nothing to complain of."""
    logger = logging.getLogger(f"infobip_async.{name}")
    for text in ("half a \ud83d", "a whole 😀"):
        logger.error("failed", exc_info=ValueError(text))
    written = log.read_text(encoding="utf-8")
    assert written.splitlines()[-1] == "ValueError: a whole 😀"
    assert "ValueError: half a \\ud83d\nfailed\n" in written
    assert capsys.readouterr().err == ""


def test_a_logger_of_faults_stays_as_it_is() -> None:
    """However often it is asked for."""
    filters = list(logger_of_faults("infobip_async.journal").logger.filters)
    assert logger_of_faults("infobip_async.journal").logger.filters == filters


def test_a_fault_that_cannot_be_printed(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said so, and whoever logs it goes on."""

    class OddError(Exception):
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError

    logging.getLogger("infobip_async.journal").error(
        "failed", exc_info=(OddError, OddError(), None)
    )
    assert log.read_text(encoding="utf-8") == "failed\nthe traceback cannot be printed\n"
    assert capsys.readouterr().err == ""


def test_lines_of_a_kind_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """One a minute is logged, and says how many were left out; other kinds are not held up."""
    now = [0.0]
    logger = SparseLogger(logging.getLogger("infobip_async.receiver"), clock=lambda: now[0])
    for now[0], name in ((0.0, "a"), (1.0, "b"), (59.0, "c"), (60.0, "d"), (121.0, "e")):
        logger.warning("refused %s", name)
    logger.error("another")
    texts = ["refused a", "refused d (2 more of this kind before)", "refused e", "another"]
    assert [record.getMessage() for record in caplog.records] == texts
    assert {record.filename for record in caplog.records} == {"test_logs.py"}


def test_a_level_that_is_off_counts_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A line that nobody would have read is not told of later."""
    logger = SparseLogger(logging.getLogger("infobip_async.receiver"))
    caplog.set_level(logging.ERROR, "infobip_async.receiver")
    logger.warning("a line")
    caplog.set_level(logging.WARNING, "infobip_async.receiver")
    logger.warning("a line")
    assert [record.getMessage() for record in caplog.records] == ["a line"]
