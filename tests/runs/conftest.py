"""Time that is skipped."""

from collections.abc import Mapping
from typing import Any

import pytest

from skipping import SkippingLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Nothing here needs time that passes."""
    return {"skipping": SkippingLoop}
