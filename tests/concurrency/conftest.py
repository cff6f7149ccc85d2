"""Time that is skipped, for what only waits."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from skipping import SkippingLoop

SKIPPING = {"test_rate", "test_window", "test_tasks"}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Threads need time that passes."""
    if item.path.stem in SKIPPING:
        return {"skipping": SkippingLoop}
    return {"real": asyncio.new_event_loop}
