"""A simulator with a console, a client of its API, and a client that sends."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from infobip_async import Endpoints, InfobipClient
from infobip_async.simulator import ManualClock, Simulator


@pytest.fixture
async def simulator(clock: ManualClock) -> AsyncIterator[Simulator]:
    """A simulator with a console, on a clock that the test moves."""
    async with Simulator(username="user", password="p4ss-w0rd", clock=clock, console=True) as one:
        yield one


@pytest.fixture
async def api(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the console's API."""
    async with httpx.AsyncClient(verify=False, base_url=simulator.console_url, timeout=60) as http:
        yield http


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[InfobipClient]:
    """A client on the simulator's account."""
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "p4ss-w0rd", endpoints=endpoints) as client:
        yield client


@pytest.fixture
def get(api: httpx.AsyncClient) -> Callable[..., object]:
    """Asks the API for something, which must be there."""

    async def ask(path: str, **query: object) -> object:
        reply = await api.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    return ask


@pytest.fixture
def post(api: httpx.AsyncClient) -> Callable[..., object]:
    """Has the API do something, which must succeed."""

    async def ask(path: str, method: str = "POST", **body: object) -> object:
        reply = await api.request(method, path, json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    return ask
