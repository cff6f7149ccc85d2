"""What all tests use."""

import gc
import inspect
import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings

import children
import leaks
import platforms
from infobip_async.simulator import Simulator

if TYPE_CHECKING:
    from watched import Seen

SECRET = "long-random-string"

# What a machine trusts is no matter of the tests, and takes longer to read than most of them.
os.environ.pop("SSL_CERT_FILE", None)

# A busy machine is no fault of the code, and a failure can be repeated anywhere.
settings.register_profile(
    "tests", deadline=None, derandomize=True, print_blob=True, max_examples=25
)
settings.register_profile("proofs", settings.get_profile("tests"), max_examples=100)
# Mutants are many, and what kills one is mostly found soon; nobody reads the example.
settings.register_profile(
    "mutants",
    settings.get_profile("tests"),
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Let no process of pytest-xdist outlive an interrupted run; more examples with the proofs."""
    if hasattr(config, "workerinput"):
        children.die_with_parent()
    if config.option.markexpr != "not proof":
        settings.load_profile("proofs")


def pytest_markeval_namespace() -> dict[str, Any]:
    """Names for the conditions of `platforms` that are strings."""
    return {"can_trace": platforms.can_trace}


@pytest.hookimpl(trylast=True)  # those that are left
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones, in each process: all wait for the test that ends last."""
    long = [item for item in items if _is_long(item)]
    rest = [item for item in items if not _is_long(item)]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = len(items)
    items.clear()
    for number in range(processes):  # pytest-xdist gives each the same share, in this order
        first = long[number::processes]
        share = (size - len(items)) // (processes - number) - len(first)
        items += first + rest[:share]
        del rest[: max(share, 0)]


def _is_long(item: pytest.Item) -> bool:
    proof = item.get_closest_marker("proof")
    return proof is not None and bool(proof.kwargs.get("long"))


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that lives as long as the tests do."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _nothing_to_collect() -> Iterator[None]:
    """No test leaves an exception that only a whole collection finds."""
    with leaks.nothing_to_collect():
        yield


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No test leaves a thread, a socket, a process, or an exception that nobody saw."""
    with leaks.nothing_left():
        yield


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    async with leaks.no_task_left():
        yield


@pytest.fixture(autouse=True)
def _no_task_left_if_async(request: pytest.FixtureRequest, _nothing_left: None) -> None:
    """No test leaves a task; only tests with a loop pay for it."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_no_task_left")


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A gateway that the environment points to."""
    async with Simulator(username="user", password="password") as simulator:
        monkeypatch.setenv("INFOBIP_USERNAME", "user")
        monkeypatch.setenv("INFOBIP_PASSWORD", "password")
        monkeypatch.setenv("INFOBIP_BASE_URL", simulator.base_url)
        monkeypatch.setenv("INFOBIP_WEBHOOK_SECRET", SECRET)
        yield simulator


@pytest.fixture
def seen() -> "Iterator[Seen]":
    """Providers of OpenTelemetry of a test's own."""
    from watched import Seen  # noqa: PLC0415 - few tests need it, and it takes long to import

    seen = Seen()
    yield seen
    seen.tracers.shutdown()
    seen.meters.shutdown()
