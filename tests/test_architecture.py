"""Who may import whom, and the rules of the house that a machine can check."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "infobip_async"
ROOT = Path(__file__).parent.parent / PACKAGE

# The house, from the top. A module imports from lower layers, and of its own layer only from its
# own room, there only from modules to the left of it: never sideways, never up. A package stands
# for its `__init__`, and `infobip_async` for what users import.
LAYERS: dict[int, tuple[str, ...]] = {
    # users' programs
    7: (
        """
        cli.numbers cli.running cli.receiving cli.progress cli.summary cli.job cli.output
        cli.preview cli.send_csv cli.send cli.credits cli.reports cli.bulk cli.hlr cli.serve
        cli.simulate cli.journal cli.demo cli.cluster cli.commands cli
        """,
        "pytest_fixtures pytest_plugin",
    ),
    # the shells of the server side, and the front door
    6: (
        "webhook",
        "cluster.chunks cluster.worker cluster.job cluster",
        "simulator.clock simulator.pusher simulator.replies simulator.app simulator",
        "infobip_async",
    ),
    # the client's side, lookups, what handles pushes, and the pure half of the simulator
    5: (
        """
        redaction sockets transport exchanges composer pulling bulk.items bulk.settings
        bulk.groups bulk.job bulk.doubts bulk.run bulk client
        """,
        "hlr.results hlr.table hlr.timekeeper hlr.queries hlr.stream hlr.lookups hlr",
        "dispatch",
        """
        simulator.records simulator.faults simulator.inbound simulator.rules simulator.policies
        simulator.gateway
        """,
    ),
    # what waits: in files and brokers, and for its turn
    4: (
        """
        logs journal.rows journal.writer journal.lanes journal.limits journal.together journal.seam
        journal.items journal.joining journal.tables journal.handling journal.worker journal.sqlite
        journal.spool journal journal.conformance journal.broker journal.pulling journal.posts
        journal.nats_storage journal.nats_kept journal.nats journal.cursor journal.feed
        """,
        "pace pipeline",
    ),
    # coroutines by event type
    3: ("router",),
    # without input and output: the wire formats, on what they have in common
    2: (
        """
        protocol.exchange protocol.form protocol.safe_xml protocol.dates protocol.message_ids
        protocol.submission
        protocol.send_xml protocol.send_get protocol.commands protocol.dlr_xml protocol.dlr_pull
        protocol.hlr_query protocol.hlr_dlr protocol.inbound_sms protocol.push protocol
        """,
    ),
    # what messages and numbers are made of
    1: (
        """
        text.tables text.gsm7 text.look_alikes text.udh text.data_coding text.segments
        text.reassembly text.replies text
        """,
        """
        numbering.operators numbering.countries numbering.plan numbering.msisdn
        numbering.statuses numbering.tables numbering.imsi numbering.national numbering.ranges
        numbering.interpret numbering
        """,
    ),
    # values and errors
    0: ("errors models",),
}

# Time and randomness are arguments there, and so is what comes from outside.
PURE_LAYERS = range(4)
PURE = {"simulator.gateway", "simulator.records", "simulator.rules", "simulator.policies"}
IMPURE = {
    *("httpx", "httpcore", "aiohttp", "asyncio", "sqlite3", "socket", "logging", "time"),
    *("random", "secrets", "uuid"),
}

# Each of these libraries is known to these modules only; `cli.*` is every module of it.
USERS = {
    "aiohttp": {"webhook", "simulator.app", "simulator.replies", "pytest_fixtures", "cli.*"},
    "httpx": {"transport", "client"},
    "httpcore": {"sockets", "transport", "simulator.pusher"},
    "sqlite3": {"journal.*", "bulk.job", "cli.job"},
    "nats": {"journal.*", "cluster.*"},
    "defusedxml": {"protocol.safe_xml"},
    "xml": {"protocol.safe_xml", "protocol.dlr_xml"},
    "phonenumbers": {"numbering.*"},
    "click": {"cli.*"},
    "rich": {"cli.*"},
    "pytest": {"pytest_fixtures", "pytest_plugin"},
}

PLACES = {
    module: (layer, number, place)
    for layer, rooms in LAYERS.items()
    for number, room in enumerate(rooms)
    for place, module in enumerate(room.split())
}


def name_of(path: Path) -> str:
    """What a file is called in the picture."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or PACKAGE


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports_of(module: str) -> Iterator[tuple[str, str]]:
    """Every module imported anywhere in the source, and each name that is taken from it."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


def siblings_of(module: str) -> set[str]:
    """The modules of this package that a module imports, as the picture calls them."""
    found = set()
    for origin, name in imports_of(module):
        if origin.split(".")[0] == PACKAGE:
            short = origin.removeprefix(PACKAGE).lstrip(".")
            inner = f"{short}.{name}".lstrip(".")
            found.add(inner if inner in FILES else short or PACKAGE)
    return found


def libraries_of(module: str) -> set[str]:
    """The top-level names of what a module imports from elsewhere."""
    return {origin.split(".")[0] for origin, _ in imports_of(module)} - {PACKAGE}


def may_import(module: str, other: str) -> bool:
    """Whether the other is in a lower layer, or to the left in the same room."""
    (layer, room, place), (other_layer, other_room, other_place) = PLACES[module], PLACES[other]
    to_the_left = (other_layer, other_room) == (layer, room) and other_place < place
    return other_layer < layer or to_the_left


def private_imports_of(module: str) -> set[str]:
    """What a module imports of this package that has a leading underscore."""
    return {
        name
        for origin, name in imports_of(module)
        if origin.split(".")[0] == PACKAGE and name.startswith("_")
    }


def is_pure(module: str) -> bool:
    """Whether a module may touch nothing outside."""
    return module in PURE or PLACES.get(module, (9,))[0] in PURE_LAYERS


def forbidden_libraries_of(module: str) -> set[str]:
    """The libraries that a module knows, though it is not among their users."""
    users = {module, f"{module.partition('.')[0]}.*"}
    return {name for name in libraries_of(module) & USERS.keys() if not USERS[name] & users}


def found(check: Callable[[str], Collection[object]]) -> dict[str, Collection[object]]:
    """What a check finds, by module."""
    return {module: faults for module in FILES if (faults := check(module))}


def test_every_module_has_its_place() -> None:
    """What is not in the picture is in nobody's sight."""
    missing = sorted(FILES.keys() - PLACES.keys())
    assert not missing, f"put {missing} into LAYERS, behind everything that they import"


def test_imports_go_down() -> None:
    """Into lower layers, or to the left in the same room."""

    def wrong(module: str) -> set[str]:
        others = siblings_of(module) & PLACES.keys() if module in PLACES else set()
        return {other for other in others if not may_import(module, other)}

    assert found(wrong) == {}


def test_pure_modules_touch_nothing_outside() -> None:
    """No socket, loop, clock, log or chance below layer 4, nor in the heart of the simulator."""
    assert found(lambda name: libraries_of(name) & IMPURE if is_pure(name) else ()) == {}


def test_a_library_is_known_to_its_users_only() -> None:
    """So that another can take its place there."""
    assert found(forbidden_libraries_of) == {}


def test_nothing_private_is_imported() -> None:
    """A leading underscore keeps a name in its module."""
    assert found(private_imports_of) == {}


def test_the_package_itself_loads_no_client_and_no_server() -> None:
    """`import infobip_async` is cheap: what brings a library with it is loaded when asked for."""
    heavy = sorted({"httpx", "httpcore", "aiohttp", "sqlite3", "nats", "click", "phonenumbers"})
    code = f"import sys, {PACKAGE}; print(*(name for name in {heavy} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter and code
    assert run.stdout.split() == []


def test_every_name_of_the_package_can_be_imported() -> None:
    """The lazy ones as well; the list is sorted and complete."""
    package = __import__(PACKAGE)
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


# --- the rules of the house ---


def test_files_are_short() -> None:
    """Under 400 lines."""
    lengths = {name: len(path.read_bytes().splitlines()) for name, path in FILES.items()}
    assert {name: lines for name, lines in lengths.items() if lines >= 400} == {}


def bodies_of(module: str) -> Iterator[tuple[str, int]]:
    """Each function with the number of lines of its body, the docstring not counted."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield node.name, lines


def test_functions_are_short() -> None:
    """No body above 40 lines."""
    assert found(lambda module: [one for one in bodies_of(module) if one[1] > 40]) == {}


def test_most_functions_are_very_short() -> None:
    """Half of them under 10 lines."""
    assert statistics.median(lines for module in FILES for _, lines in bodies_of(module)) < 10
