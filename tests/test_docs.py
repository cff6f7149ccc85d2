"""The documentation's code blocks run, and its reference names each public name once."""

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from blocks import python_blocks, run_block
from infobip_async.simulator import Simulator
from public import MODULES

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {str(page.relative_to(DOCS)): page for page in sorted(DOCS.rglob("*.md"))}
WITH_BLOCKS = [name for name, page in PAGES.items() if python_blocks(page)]

# What the blocks read.
FILES = {
    "people.csv": "number,name\n098 514 674,Ana\n+41 79 302 67 27,Beat\n",
    "stop.txt": "+41 79 302 67 27\n",
}


@pytest.mark.proof  # `nox -s docs` runs them, too
@pytest.mark.parametrize("name", WITH_BLOCKS)
async def test_blocks(
    name: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The blocks of a page run as they stand, one after the other."""
    assert simulator.base_url
    monkeypatch.chdir(tmp_path)
    for file, content in FILES.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    namespace: dict[str, object] = {}
    for block in python_blocks(PAGES[name]):
        await run_block(block, name, namespace)


def test_every_public_name_is_in_the_reference() -> None:
    """Each value of an `__all__` has one place in the reference, and nothing else has."""
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    documented = Counter(re.findall(r"^\.\. auto\w+:: (\S+)$", text, re.MULTILINE))
    public = {
        id(getattr(importlib.import_module(module), name)): f"{module}.{name}"
        for module in reversed(MODULES)
        for name in importlib.import_module(module).__all__
    }
    assert sorted(set(public.values()) - set(documented)) == []
    assert sorted(set(documented) - set(public.values())) == []
    assert max(documented.values()) == 1
