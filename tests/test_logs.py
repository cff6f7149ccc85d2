"""Log records with the faults of users' code."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("nats", reason="nats-py is not installed: pip install infobip-async[nats]")

import infobip_async.journal.broker
import infobip_async.journal.worker
import infobip_async.webhook  # noqa: F401 - as the two above, it names the logger
from infobip_async.logs import logger_of_faults


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log in a file of UTF-8."""
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    logging.getLogger("infobip_async").addHandler(handler)
    yield tmp_path / "log"
    logging.getLogger("infobip_async").removeHandler(handler)
    handler.close()


@pytest.mark.parametrize("name", ["journal", "journal.nats", "webhook"])
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
    filters = list(logger_of_faults("infobip_async.journal").filters)
    assert logger_of_faults("infobip_async.journal").filters == filters
