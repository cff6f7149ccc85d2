"""What several parts of the tests use."""

from collections.abc import AsyncIterator

import pytest

from infobip_async.simulator import Simulator

SECRET = "long-random-string"


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A gateway that the environment points to."""
    async with Simulator(username="user", password="password") as simulator:
        monkeypatch.setenv("INFOBIP_USERNAME", "user")
        monkeypatch.setenv("INFOBIP_PASSWORD", "password")
        monkeypatch.setenv("INFOBIP_BASE_URL", simulator.base_url)
        monkeypatch.setenv("INFOBIP_WEBHOOK_SECRET", SECRET)
        yield simulator
