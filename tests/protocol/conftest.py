"""The document's own examples, for the tests of the wire formats."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def golden() -> Callable[[str], str]:
    """The text of an example by the name of its file, without the line feed that ends the file.

    The files begin with the section that prints the example; its misprints are set right.
    """
    return lambda name: (GOLDEN / name).read_text(encoding="utf-8").removesuffix("\n")
