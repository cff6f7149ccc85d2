"""The stores of this package are fit, and the kit finds out a store that is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infobip_async import DeliveryStore, MemoryDeliveryStore, SqliteDeliveryStore
from infobip_async.deliveries.store import Changed
from infobip_async.testing import STORE_CHECKS, StoreCheck

Make = Callable[[], DeliveryStore]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """What makes stores on one engine."""
    if request.param == "sqlite":
        return lambda: SqliteDeliveryStore(tmp_path / "deliveries.db")
    store = MemoryDeliveryStore()
    return lambda: store


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_stores(check: StoreCheck, make: Make) -> None:
    """In memory and in SQLite."""
    await check(make)


class _Forgetful(MemoryDeliveryStore):
    """Finds nothing."""

    async def update(self, changes) -> list[Changed]:
        return [(None, change(None)) for _, change in changes]

    async def counts(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("check", STORE_CHECKS[:-1], ids=lambda check: check.__name__)
async def test_a_bad_store_is_found_out(check: StoreCheck) -> None:
    """By every check that needs nothing of others."""
    store = _Forgetful()
    with pytest.raises(AssertionError):
        await check(lambda: store)
