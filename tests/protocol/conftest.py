"""The document's own examples, for the tests of the wire formats."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent.parent / "golden"

# A busy machine is no fault of the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def golden() -> Callable[[str], str]:
    """The text of an example by the name of its file, without the line feed that ends the file.

    The files begin with the section that prints the example; its misprints are set right.
    """
    return lambda name: (GOLDEN / name).read_text(encoding="utf-8").removesuffix("\n")
