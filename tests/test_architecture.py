"""The rules of the house that import-linter does not check: see pyproject.toml for the others."""

import ast
import functools
import importlib
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from public import MODULES

PACKAGE = "infobip_async"
ROOT = Path(__file__).parent.parent / PACKAGE


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Each file of the package, parsed."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
    }


def imports_of(file: str) -> Iterator[tuple[str, str]]:
    """Each module of this package that a file imports from, with each name that it takes."""
    for node in ast.walk(trees()[file]):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        yield from (one for one in found if one[0].split(".")[0] == PACKAGE)


def bodies_of(file: str) -> Iterator[tuple[str, int]]:
    """Each function of a file with the number of lines of its body, without the docstring."""
    for node in ast.walk(trees()[file]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield node.name, lines


# --- imports ---


def test_nothing_private_is_imported() -> None:
    """A leading underscore keeps a name in its module."""
    private = [
        (file, name) for file in trees() for _, name in imports_of(file) if name.startswith("_")
    ]
    assert private == []


def test_the_command_line_imports_public_names_only() -> None:
    """Whatever the command line can do, the library can do, under the same names."""
    known = {module: importlib.import_module(module).__all__ for module in MODULES}
    inner = [
        f"{file}: {module}.{name}"
        for file in trees()
        if file.startswith("cli/")
        for module, name in imports_of(file)
        if not module.startswith(f"{PACKAGE}.cli") and name not in known.get(module, ())
    ]
    assert inner == []


def test_the_package_itself_loads_no_client_and_no_server() -> None:
    """`import infobip_async` is cheap: a library is loaded when a name that needs it is used."""
    heavy = ["aiohttp", "asyncio", "click", "httpcore", "httpx", "nats", "phonenumbers", "sqlite3"]
    code = f"import sys, {PACKAGE}; print(*(name for name in {heavy} if name in sys.modules))"
    # What measures coverage in children loads sqlite3 there.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    run = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert run.stdout.split() == []


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_can_be_imported(module: str) -> None:
    """The lazy ones as well; other names are refused."""
    public = importlib.import_module(module)
    assert set(public.__all__) <= set(dir(public))
    for name in public.__all__:
        assert getattr(public, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = public.no_such_name


def test_the_picture_names_modules_that_exist() -> None:
    """docs/architecture.md calls a module by its room and its name, such as ``journal.worker``."""
    picture = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b([a-z_]+)\.([a-z_]+)\b(?!\()", picture))
    lost = [
        f"{room}.{module}"
        for room, module in sorted(named)
        if (ROOT / room).is_dir() and f"{room}/{module}.py" not in trees()
    ]
    assert lost == []


# --- ways ---


@pytest.mark.proof
def test_a_push_enters_few_modules_before_it_is_acknowledged() -> None:
    """At most ten on the event loop; the table is that of docs/architecture.md."""
    script = ROOT.parent / "tests" / "benchmarks" / "rooms.py"
    run = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, script], capture_output=True, text=True, check=True
    )
    found = re.findall(
        r"^(.+?) +\d+ rooms +\d+ modules, +(\d+) on the event loop", run.stdout, re.MULTILINE
    )
    assert dict(found).keys() > {"a push", "send", "an item of send_many", "a number of stream"}
    assert int(dict(found)["a push with a journal, to its 200"]) <= 10


# --- sizes ---


def test_files_are_short() -> None:
    """Under 400 lines each."""
    lines = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in trees()}
    assert {file: count for file, count in lines.items() if count >= 400} == {}


def test_functions_are_short() -> None:
    """No body has more than 40 lines, and half of them have fewer than 10."""
    bodies = [(file, name, lines) for file in trees() for name, lines in bodies_of(file)]
    assert [body for body in bodies if body[2] > 40] == []
    assert statistics.median(lines for _, _, lines in bodies) < 10
