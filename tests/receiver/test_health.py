"""Whether a receiver is well: what waits in its journal, and for how long."""

from time import time

import pytest

from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.journal.base import JournalCounts
from infobip_async.receiver import health
from infobip_async.receiver.health import Health


class Journal:
    """A journal in which a push has waited for so long."""

    def __init__(self, waited: float | None) -> None:
        self.waited = waited
        self.looks = 0

    async def counts(self) -> JournalCounts:
        """Count what is there."""
        self.looks += 1
        if self.waited == float("inf"):
            raise StorageUnavailableError("it cannot be read")
        if self.waited == float("-inf"):
            raise LocalProtocolError("it is of another version")
        oldest = None if self.waited is None else time() - self.waited
        return JournalCounts(waiting=1, oldest=oldest, dead=0, quarantined=0, octets=1)


@pytest.mark.parametrize(
    ("waited", "status"),
    [(None, 200), (50, 200), (150, 503), (float("inf"), 503), (float("-inf"), 503)],
)
async def test_what_waits(waited, status):
    """Too long, and it is not well; nor is a journal that cannot be read, whatever is raised."""
    assert await Health("healthz", 100, Journal(waited)).status() == status


@pytest.mark.parametrize("journal", [None, object()])
async def test_journals_that_cannot_count(journal):
    """Without figures it is well."""
    assert await Health("healthz", 100, journal).status() == 200


async def test_strangers_cost_little(monkeypatch, caplog):
    """The journal is looked at once a second, and they write one line a minute at most."""
    now, journal = [0.0], Journal(None)
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    asked = Health("healthz", 100, journal)
    for _ in range(3):
        assert await asked.status() == 200
    journal.waited, now[0] = 150, 1.0
    assert await asked.status() == 503
    assert journal.looks == 2
    journal.waited = float("inf")
    for now[0] in (2.0, 3.0):
        assert await asked.status() == 503
    assert caplog.messages == ["the journal cannot be counted: it cannot be read"]
