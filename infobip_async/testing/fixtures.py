"""The fixtures of the pytest plugin, for pytest-asyncio.

A test of a service of one's own::

    async def test_welcome(infobip_simulator, infobip_client):
        await my_service.welcome(infobip_client, "38598514674")
        infobip_simulator.assert_sent(to="38598514674", text="Welcome")

A service that brings its own application for pushes sets ``infobip_simulator.callbacks`` to where
it listens; otherwise `infobip_router` receives them.
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from infobip_async.protocol.exchange import Endpoints
from infobip_async.router import Router

if TYPE_CHECKING:
    from infobip_async.client.client import InfobipClient
    from infobip_async.simulator import Simulator

# Loaded where a test asks for the fixture, so that other tests do not pay for it.
# ruff: noqa: PLC0415

_USERNAME = "user"
_PASSWORD = "password"  # noqa: S105 - of an account that only the test knows
_SECRET = "secret-of-this-test"  # noqa: S105 - likewise

_LOOP = pytest.StashKey[asyncio.AbstractEventLoop]()
_TWO_LOOPS = (
    "infobip_simulator runs in another event loop than this test, which would wait for it in vain."
    " Give both one loop: asyncio_default_fixture_loop_scope in the configuration of pytest must be"
    " the loop_scope of the test"
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Look, as a test begins, whether the simulator runs in its loop: otherwise it would hang."""
    loop, test = item.stash.get(_LOOP, None), getattr(item, "obj", None)
    if loop is None or not inspect.iscoroutinefunction(test):
        return (yield)

    @functools.wraps(test)
    async def checked(*args: object, **kwargs: object) -> None:
        if asyncio.get_running_loop() is not loop:
            pytest.fail(_TWO_LOOPS, pytrace=False)
        await test(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item, "obj", checked)
        return (yield)


@pytest_asyncio.fixture
async def infobip_simulator(request: pytest.FixtureRequest) -> AsyncIterator["Simulator"]:
    """A running `Simulator`, with one account of 10,000 credits.

    It has no callbacks at first: delivery reports wait for a pull. It runs in the event loop of the
    test; a test in another loop fails at once.
    """
    from infobip_async.simulator import Simulator

    request.node.stash[_LOOP] = asyncio.get_running_loop()
    async with Simulator(username=_USERNAME, password=_PASSWORD) as simulator:
        yield simulator


@pytest_asyncio.fixture
async def infobip_client(infobip_simulator: "Simulator") -> AsyncIterator["InfobipClient"]:
    """An `InfobipClient` on the account of `infobip_simulator`."""
    from infobip_async.client.client import InfobipClient

    endpoints = Endpoints.at(infobip_simulator.base_url)
    async with InfobipClient(_USERNAME, _PASSWORD, endpoints=endpoints) as client:
        yield client


@pytest_asyncio.fixture
async def infobip_router(infobip_simulator: "Simulator") -> AsyncIterator[Router]:
    """A `Router` that gets what `infobip_simulator` pushes, over a receiver on loopback.

    ``await infobip_simulator.settled()`` waits until its handlers were done.
    """
    from infobip_async.webhook import callback_urls, listening, webhook_app

    router = Router()
    async with listening(webhook_app(router, secret=_SECRET)) as base_url:
        infobip_simulator.callbacks = callback_urls(base_url, secret=_SECRET)
        yield router
