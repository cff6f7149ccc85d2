"""A pytest plugin: a simulated gateway, a client on it, and a receiver of its pushes, as fixtures.

The fixtures of `infobip_async.testing.fixtures` are there wherever pytest-asyncio is active. A test
run that does not ask for them loads neither httpx nor aiohttp.
"""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Add the fixtures where something runs coroutines."""
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.import_plugin("infobip_async.testing.fixtures")
