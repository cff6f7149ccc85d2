"""No test waits for a limit."""

from collections.abc import Mapping
from typing import Any

import pytest

from jumping import JumpingLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Have a clock that jumps."""
    return {"jumping": JumpingLoop}
