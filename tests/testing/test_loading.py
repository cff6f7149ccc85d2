"""What a test run pays for the plugin: nothing that it does not use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = ("-p", "infobip_async")
ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function")
HEAVY = {"httpx", "httpcore", "aiohttp"}


def run(folder: Path, test: str, *options: str) -> str:
    """Run pytest in a process of its own, in an empty folder; its output."""
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(  # noqa: S603 - no input of anybody else
        command,
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # others' load much
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_an_unused_plugin_loads_nothing(tmp_path: Path) -> None:
    """Neither the client's nor the server's library, even where pytest-asyncio is active."""
    found = run(
        tmp_path,
        "import sys\ndef test(request):\n"
        "    assert request.config.pluginmanager.hasplugin('infobip_async.testing.fixtures')\n"
        f"    assert not {HEAVY!r} & set(sys.modules)\n",
        *PLUGIN,
        *ASYNCIO,
    )
    assert "1 passed" in found


@pytest.mark.proof
def test_without_pytest_asyncio_there_are_no_fixtures(tmp_path: Path) -> None:
    """The plugin does not load pytest-asyncio by itself, and harms nobody."""
    found = run(
        tmp_path,
        "import sys\ndef test():\n"
        f"    assert not {HEAVY | {'pytest_asyncio'}!r} & set(sys.modules)\n"
        "def test_wrong(infobip_simulator):\n    pass\n",
        *PLUGIN,
    )
    assert "1 passed, 1 error" in found
    assert "fixture 'infobip_simulator' not found" in found


SESSION = "@pytest.mark.asyncio(loop_scope='session')\n"
CREDITS = "async def test(infobip_client):\n    assert await infobip_client.credits() == 10_000\n"


@pytest.mark.parametrize("mode", [pytest.param("strict", marks=pytest.mark.proof), "auto"])
def test_in_either_mode_of_pytest_asyncio(tmp_path: Path, mode: str) -> None:
    """Fixtures do not depend on the user's settings; a test in another loop is told the mend."""
    found = run(
        tmp_path,
        "import pytest\n@pytest.mark.asyncio\nasync def test_same(infobip_simulator):\n"
        "    assert infobip_simulator.messages == ()\n" + SESSION + CREDITS,
        *PLUGIN,
        *ASYNCIO,
        *("-o", f"asyncio_mode={mode}"),
        "-W",
        "error",
    )
    assert "infobip_simulator runs in another event loop than this test" in found
    assert "asyncio_default_fixture_loop_scope" in found
    assert "1 failed, 1 passed" in found


@pytest.mark.proof
def test_a_test_in_another_loop_passes_with_the_mend(tmp_path: Path) -> None:
    """The setting that is named helps."""
    mended = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=session")
    assert "1 passed" in run(tmp_path, "import pytest\n" + SESSION + CREDITS, *PLUGIN, *mended)
