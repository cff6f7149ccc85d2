"""Processes that send and receive on one file, killed at random: nothing is lost, nor made up.

The gateway pushes some reports before its reply, some twice, and cuts some replies off. What one
death does is tested in `test_events`.
"""

from pathlib import Path

import pytest

from delivery_processes import check_kills
from infobip_async import SqliteDeliveryStore
from platforms import needs_fork
from scale import scaled

pytestmark = [needs_fork, pytest.mark.proof(long=True)]


async def test_kills(tmp_path: Path) -> None:
    """Every delivery is final and right; each change was an event, and nothing else was."""
    file = tmp_path / "deliveries.db"
    store = lambda: SqliteDeliveryStore(file)  # noqa: E731 - one store after the other
    await check_kills(tmp_path, store, str(file), count=scaled(1_000), kills=scaled(20))
