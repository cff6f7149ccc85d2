"""Everything that is run on this project, each in an environment of its own.

``nox -s demo`` and ``nox -s tests`` are what README names; plain ``nox`` runs what every change
must pass; ``nox -s bench`` measures.
"""

import re
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["tests", "lint", "typing", "examples"]

PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    """Install the package as it is here, with all extras, and the named dependency groups."""
    wanted = nox.project.dependency_groups(PROJECT, *groups)
    session.install("-q", "-e", ".[all]", *wanted)


@nox.session
def demo(session: nox.Session) -> None:
    """Run every method of the interface against the simulator, and show what comes back."""
    session.install("-q", ".[cli]")
    session.run("infobip-async", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, README's code blocks included, and show the branch coverage."""
    install(session, "test")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    if not session.posargs:
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    every = [*project["dependencies"], *extras["cli"], *extras["nats"], *extras["phonenumbers"]]
    pinned = [re.sub(r">=", "==", requirement) for requirement in every]
    install(session, "test")
    session.install("-q", *pinned)
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, and who imports whom."""
    install(session, "lint")
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
    session.run("pytest", "tests/client", *session.posargs)
