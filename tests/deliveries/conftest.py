"""Deliveries on a store of each kind, with a client and a clock that tests rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deliveries_support import Client, Clock
from infobip_async import (
    Deliveries,
    DeliveryStore,
    MemoryDeliveryStore,
    Router,
    SqliteDeliveryStore,
)


@pytest.fixture
def client() -> Client:
    """A client that nothing goes wrong with."""
    return Client()


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def router() -> Router:
    """A router."""
    return Router()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeliveryStore:
    """A store."""
    if request.param == "memory":
        return MemoryDeliveryStore()
    return SqliteDeliveryStore(tmp_path / "deliveries.db")


@pytest.fixture
def make(
    client: Client, router: Router, store: DeliveryStore, clock: Clock
) -> Callable[..., Deliveries]:
    """Make deliveries on the store, with a router of their own if one is given."""

    def make(router: Router = router, **options: object) -> Deliveries:
        return Deliveries(client, router, store=store, clock=clock, **options)

    return make
