"""Everything that is run on this project, each in an environment of its own.

``nox -s demo`` and ``nox -s tests`` are what README names; plain ``nox`` runs what every change
must pass; ``nox -s tests-3.12`` and its like test with another interpreter; ``nox -s bench``
measures.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["tests", "proofs", "lint", "typing", "examples", "docs"]

PROJECT = nox.project.load_toml("pyproject.toml")

# One process per core; whoever is done takes over tests of another.
PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")

# One more than there are cores: proofs wait for processes that start, and for time to pass.
BESIDE = ("-n", str((os.cpu_count() or 1) + 1))

# Tests start many interpreters, which need not compile what another one has compiled; images for
# containers often forbid to keep that.
KEEP_COMPILED = {"PYTHONDONTWRITEBYTECODE": None}

# Set in the environment, this has `tests` and `proofs` leave their coverage for `coverage`.
MEASURED = "INFOBIP_TEST_COVERAGE"

# Those that the classifiers name, and the next one.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

# Where version managers keep their interpreters.
MANAGERS = (
    (os.environ.get("PYENV_ROOT", "~/.pyenv"), "versions/{}*/bin/python3"),
    (os.environ.get("ASDF_DATA_DIR", "~/.asdf"), "installs/python/{}*/bin/python3"),
    (os.environ.get("MISE_DATA_DIR", "~/.local/share/mise"), "installs/python/{}*/bin/python3"),
    ("~/.local/share/uv/python", "cpython-{}*/bin/python3"),
)

# The largest wheel, in octets.
MOST_OCTETS = 600_000

# Modules whose tests are tested, by room: one small change at a time, which the tests of the same
# room must notice.
MUTATED = {
    "protocol": ("*",),
    "client": ("transport", "connections", "sockets", "in_flight"),
    "journal": ("worker",),
    "concurrency": ("sqlite_thread", "keyed_queue", "breaker", "rate"),
    "hlr": ("pending",),
    "runs": ("flow_control",),
}

# A mutant that needs longer than so many times what its tests need, and so many seconds, hangs.
# Tests of a mutant run in one process, and before them none did: parameters that are iterators are
# used up after one run. Hypothesis tries fewer examples.
MUTMUT = """\
[mutmut]
source_paths = infobip_async
only_mutate =
{modules}
pytest_add_cli_args_test_selection = tests/{room}
pytest_add_cli_args =
  -p
  no:xdist
  -p
  no:cacheprovider
  --hypothesis-profile=mutants
timeout_multiplier = 5
timeout_constant = 4
track_dependencies = false
process_isolation = forkserver
"""


def install(session: nox.Session, *groups: str) -> None:
    """Install the package as it is here, with all extras, and the named dependency groups.

    Most modules of the packages are never imported: Python compiles those that are.
    """
    wanted = nox.project.dependency_groups(PROJECT, *groups)
    session.install("-q", "--no-compile", "-e", ".[all]", *wanted)


@nox.session
def demo(session: nox.Session) -> None:
    """Run every method of the interface against the simulator, and show what comes back."""
    session.install("-q", ".[cli]")
    session.run("infobip-async", "demo", *session.posargs)


def interpreter(version: str) -> str | None:
    """Find an interpreter of a version: this one, one of a version manager, or one on the path."""
    if version == ".".join(map(str, sys.version_info[:2])):
        return sys.executable
    for root, places in MANAGERS:
        found = sorted(Path(root).expanduser().glob(places.format(version)))
        if found:
            return str(found[-1])
    if os.name == "nt":
        return version  # nox asks the launcher
    on_path = shutil.which(f"python{version}")
    return None if on_path is None or "shims" in Path(on_path).parts else on_path


def run_tests(
    session: nox.Session,
    *options: str,
    env: Mapping[str, str] = os.environ,
    success_codes: Sequence[int] = (0,),
) -> None:
    """Run the tests on all cores; the branches that they take are measured if `MEASURED` is set."""
    command = ("coverage", "run", "-m", "pytest") if MEASURED in env else ("pytest",)
    options = (*PARALLEL, *options, *session.posargs)
    session.run(*command, *options, env=KEEP_COMPILED, success_codes=success_codes)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, README's code blocks included, with a small case of every rule."""
    install(session, "test")
    run_tests(session)


def add_tests_on(version: str) -> None:
    """Make a session that runs the tests with another interpreter."""
    found = interpreter(version)

    @nox.session(name=f"tests-{version}", python=found or False)
    def tests_on(session: nox.Session) -> None:
        if found is None:
            session.skip(f"Python {version} is not installed here")
        install(session, "test")
        run_tests(session)

    tests_on.__doc__ = f"Run the tests on Python {version}, if it is installed."


for each in PYTHONS:
    add_tests_on(each)


@nox.session
def proofs(session: nox.Session) -> None:
    """Run what takes its time: kills at random, volumes, memory, every fault at every place."""
    install(session, "test")
    run_tests(session, "-m", "proof", *BESIDE, success_codes=(0, 1))
    # Proofs kill at random, beside each other. What has failed is tried once more, alone; the log
    # has both.
    again = ("--lf", "--lfnf=none", "-m", "proof")
    session.run("pytest", *again, *session.posargs, env=KEEP_COMPILED, success_codes=[0, 5])


@nox.session
def coverage(session: nox.Session) -> None:
    """Report the branches that the tests take: 95 % of all, and all of the wire formats.

    The tests run first, measured. Where the environment has ``INFOBIP_TEST_COVERAGE=1``, the
    sessions `tests` and `proofs` measure, and what they have measured is reported.
    """
    if MEASURED in os.environ:
        session.install("-q", "coverage[toml]>=7.10")
    else:
        install(session, "test")
        session.run("coverage", "erase")  # what an interrupted run has left is of other lines
        run_tests(session, env={MEASURED: "1"})
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    wire_formats = "--include=infobip_async/protocol/*"
    session.run("coverage", "report", wire_formats, "--fail-under=100")


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    every = [*project["dependencies"], *extras["cli"], *extras["nats"], *extras["phonenumbers"]]
    every += extras["xlsx"]
    pinned = [re.sub(r">=", "==", requirement) for requirement in every]
    install(session, "test")
    session.install("-q", *pinned)
    run_tests(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, and who imports whom."""
    session.install("-q", *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the package, the typed examples and the examples."""
    install(session, "typing", "test")
    session.run("mypy")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples, each against the simulator."""
    install(session, "test")
    session.run("pytest", "tests/test_examples.py", *session.posargs)


@nox.session
def console(session: nox.Session) -> None:
    """Use the console in a browser: ``nox -s console``; ``-- --pictures`` draws docs/pictures."""
    names = ("chromium", "google-chrome", "chromium-browser")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        session.error(
            "Chromium is missing. On Debian and Ubuntu: apt-get install chromium "
            "fonts-noto-color-emoji. Elsewhere set CHROMIUM to the path of a Chromium or Chrome."
        )
    session.install("-q", "-e", ".", *nox.project.dependency_groups(PROJECT, "console"))
    env = {**KEEP_COMPILED, "CHROMIUM": found}
    session.run("pytest", "tests/browser", "-n", "2", *session.posargs, env=env)


def mutate(session: nox.Session, room: str, modules: tuple[str, ...]) -> str:
    """Make mutants of modules of a room, try each on the room's tests, and tell how they ended."""
    work = Path(session.create_tmp()) / room
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in ("infobip_async", "tests", "pyproject.toml"):
        (work / name).symlink_to(Path(name).resolve())
    lines = "\n".join(f"  infobip_async/{room}/{module}.py" for module in modules)
    (work / "setup.cfg").write_text(MUTMUT.format(room=room, modules=lines), encoding="utf-8")
    with session.chdir(work):
        session.run("mutmut", "run", "--max-children", "2", env=KEEP_COMPILED)
        session.run("mutmut", "results")
        session.run("mutmut", "export-cicd-stats", silent=True)
    counts = json.loads((work / "mutants/mutmut-cicd-stats.json").read_text(encoding="utf-8"))
    shown = {
        "made": counts["total"],
        "killed": counts["killed"],
        "survived": counts["survived"] + counts["no_tests"],
        "timed out": counts["timeout"],
        "crashed": counts["segfault"] + counts["suspicious"],
    }
    return ", ".join(f"{name} {count}" for name, count in shown.items())


@nox.session
def mutants(session: nox.Session) -> None:
    """Try the tests on small faults: ``nox -s mutants``, or ``-- concurrency/rate`` for a module.

    ``mutmut show NAME``, in the folder that is printed, shows the fault that no test noticed.
    """
    install(session, "test", "mutants")
    rooms: dict[str, tuple[str, ...]] = {}
    for name in session.posargs or MUTATED:
        room, _, module = name.removeprefix("infobip_async/").removesuffix(".py").partition("/")
        rooms[room] = rooms.get(room, ()) + ((module,) if module else MUTATED[room])
    found = {room: mutate(session, room, modules) for room, modules in rooms.items()}
    for room, counts in found.items():
        session.log(f"{room}: {counts}")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the hot paths as ratios against floors in the same run, in one table."""
    install(session, "test", "bench")
    session.run("pytest", "tests/benchmarks", *session.posargs)


@nox.session
def profile(session: nox.Session) -> None:
    """Show where the time of the named benchmarks goes: ``nox -s profile -- -k dlr_post``."""
    install(session, "test", "bench")
    found = Path(session.create_tmp())
    names = {"the process of the tests": "tests.out", "the receiver, or the program": "child.out"}
    for name in names.values():
        (found / name).unlink(missing_ok=True)
    of_tests, of_child = (("-m", "cProfile", "-o", str(found / name)) for name in names.values())
    env = {"PROFILE_CHILD": " ".join(of_child)}
    session.run("python", *of_tests, "-m", "pytest", "tests/benchmarks", *session.posargs, env=env)
    for process, name in names.items():
        if (found / name).exists():
            session.log(process)
            stats = f"pstats.Stats({str(found / name)!r}).sort_stats('tottime').print_stats(30)"
            session.run("python", "-c", f"import pstats; {stats}")


@nox.session
def soak(session: nox.Session) -> None:
    """Receive with a journal for so many seconds, 180 unless told, and watch what grows."""
    install(session, "test", "bench")
    session.run("python", "tests/benchmarks/soak.py", *(session.posargs or ["180"]))


@nox.session
def httpx2(session: nox.Session) -> None:
    """Run the client's tests with a client of httpx2 among those that are injected."""
    install(session, "test")
    session.install("-q", "httpx2")
    run_tests(session, "tests/client")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, with warnings as errors, and run its code blocks."""
    install(session, "test", "docs")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", "docs/_build/html")
    session.run("pytest", "-m", "", "tests/test_docs.py", "tests/test_readme.py", *session.posargs)
    session.log("docs/_build/html/index.html")


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist into dist/, twice to the same octets, and check what they hold."""
    session.install("-q", *nox.project.dependency_groups(PROJECT, "package"))
    dist, again = Path("dist"), Path(session.create_tmp()) / "again"
    env = {"SOURCE_DATE_EPOCH": "1577836800"}
    for place in (dist, again):
        shutil.rmtree(place, ignore_errors=True)
        session.run("python", "-m", "build", "-q", "--outdir", str(place), env=env)
    built = sorted(dist.iterdir())
    for file in built:
        if file.read_bytes() != (again / file.name).read_bytes():
            session.error(f"{file.name} differs from one build to the next")
    wheel = next(file for file in built if file.suffix == ".whl")
    if wheel.stat().st_size > MOST_OCTETS:
        session.error(f"{wheel.name} has {wheel.stat().st_size} octets, more than {MOST_OCTETS}")
    session.run("twine", "check", "--strict", *map(str, built))
    session.run("check-wheel-contents", str(wheel))
    session.run("pyroma", "--min=8", ".")  # 10, but for the address of a project page
    session.install("-q", f"{wheel}[all]")
    # From elsewhere: beside the sources, the checkers would look at these and not at the wheel.
    with session.chdir(session.create_tmp()):
        session.run("pyright", "--ignoreexternal", "--verifytypes", "infobip_async")
        example = Path(__file__).parent / "tests" / "typed_examples.py"
        session.run("mypy", "--strict", "--cache-dir", ".", str(example))


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflow files: what strangers can write must not be run by them."""
    session.install("-q", *nox.project.dependency_groups(PROJECT, "workflows"))
    session.run("zizmor", "--offline", "--no-progress", ".github")
    names = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *names)
    session.run(
        "check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"
    )
