"""Code blocks of pages in Markdown, run as a reader would run them."""

import ast
import re
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def python_blocks(page: Path) -> list[str]:
    """The blocks of Python of a page, in their order."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


async def run_block(block: str, name: str, namespace: dict[str, object]) -> None:
    """Run a block as `python -m asyncio` does, with await at the top level."""
    code = compile(block, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = FunctionType(code, namespace)()
    if code.co_flags & CO_COROUTINE:
        await result
