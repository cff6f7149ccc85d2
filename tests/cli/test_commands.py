"""The command line as a whole, and what its commands share."""

import asyncio
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import Result

from infobip_async.cli.examples import EXAMPLES
from infobip_async.cli.exit_codes import cancelled_by_signals, runs, until_stopped
from infobip_async.cli.group import infobip_async
from infobip_async.cli.output import check_output
from platforms import needs_dev_full, needs_signals

Run = Callable[..., Result]
COMMANDS = [
    *(
        "check",
        "cluster",
        "completion",
        "credits",
        "deliveries",
        "demo",
        "forget",
        "hlr",
        "journal",
        "preview",
        "reports",
        "send",
        "serve",
    ),
    "simulate",
]


def test_all_commands_are_listed(run: Run) -> None:
    """Each with a line of help; the exit codes are explained, too."""
    result = run("--help")
    assert result.exit_code == 0
    assert infobip_async.list_commands(click.Context(infobip_async)) == COMMANDS
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    assert (
        "\n  3 the gateway refused, 4 not sent, 5 outcome unknown, 6 done in part," in result.stdout
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(run: Run, name: str) -> None:
    """Both ways to ask for it work."""
    result = run(name, "-h")
    assert (result.exit_code, result.stdout) == (0, run(name, "--help").stdout)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_each_help_has_examples_that_can_be_pasted(run: Run, name: str) -> None:
    """Their options are known, and none of them is broken by the width of the terminal."""
    shown = run(name, "-h").stdout
    commands = EXAMPLES[name].replace("\\\n", "").strip().splitlines()
    for line in commands:
        words = shlex.split(line, comments=True)
        subcommand = [words[2]] if name in {"cluster", "journal"} else []
        known = run(name, *subcommand, "-h").stdout
        assert not [word for word in words if word[:2] == "--" and f"{word} " not in known]
    assert all(line in shown for line in EXAMPLES[name].strip().splitlines())


def test_each_option_names_its_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes its value from there."""
    shown = " ".join(run("preview", "-h").stdout.split())
    assert "[env var: INFOBIP_PREVIEW_SIMPLIFIED]" in shown
    monkeypatch.setenv("INFOBIP_PREVIEW_SIMPLIFIED", "1")
    assert "GSM-7" in run("preview", "“Hi”").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(run: Run, shell: str) -> None:
    """By a script that asks the program itself."""
    if not shutil.which("bash"):
        pytest.skip("needs bash, whose version click asks for")
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_INFOBIP_ASYNC_COMPLETE" in result.stdout


def test_the_program_says_what_comes_next() -> None:
    """Options included, of a command that is loaded when it is needed."""
    complete = ShellComplete(infobip_async, {}, "infobip-async", "_INFOBIP_ASYNC_COMPLETE")
    assert [one.value for one in complete.get_completions([], "comp")] == ["completion"]
    options = [one.value for one in complete.get_completions(["send"], "--excl")]
    assert options == ["--exclude", "--exclude-column"]


def test_an_unknown_command_is_refused(run: Run) -> None:
    """Nothing is loaded by a name that is no command's."""
    assert run("numbers").exit_code == 2


def test_no_library_is_loaded_in_vain() -> None:
    """What a command does not need does not slow it down."""
    code = (
        "import sys; from click.testing import CliRunner;"
        "from infobip_async.cli.group import infobip_async as main;"
        "assert CliRunner().invoke(main, ['preview', 'x']).exit_code == 0;"
        "assert 'httpx' not in sys.modules;"
        "assert CliRunner().invoke(main, ['send', '--help']).exit_code == 0;"
        "assert 'aiohttp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - ours


def test_the_package_can_be_run_as_a_module() -> None:
    """``python -m infobip_async`` is the same command line."""
    done = subprocess.run(
        [sys.executable, "-m", "infobip_async", "preview", "Hello"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "GSM-7" in done.stdout


@pytest.mark.parametrize("missing", ["click", "rich", "attrs"])
def test_what_is_missing_is_named(missing: str) -> None:
    """Without the extra, the command line says how to get it; anything else is a fault."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['x', 'preview', 'a'];"
        "from infobip_async.cli import main; main()"
    )
    run = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert ("infobip-async[cli]" in run.stderr) is (missing != "attrs")
    assert ("Traceback" in run.stderr) is (missing == "attrs")


# --- what they share ---


def test_what_the_system_refuses_is_shown() -> None:
    """An error of input or output is no traceback."""

    @runs
    async def fail() -> None:
        raise FileNotFoundError(2, "No such file", "x.csv")

    with pytest.raises(click.ClickException, match=r"^x\.csv: No such file$"):
        fail()


def test_a_ctrl_c_while_a_command_is_loaded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves as it does later."""

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("infobip_async.cli.group.import_module", interrupted)
    assert run("credits").exit_code == 130


def test_a_reader_that_has_gone_is_left_to_click() -> None:
    """Which ends quietly."""

    @runs
    async def fail() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        fail()


async def _raise(number: int) -> None:
    signal.raise_signal(number)
    await asyncio.sleep(60)


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels(number: signal.Signals) -> None:
    """Where that is not caught, the exit code is that of the signal."""
    told: list[int] = []

    async def work() -> None:
        with cancelled_by_signals(told.append):
            await _raise(number)

    with pytest.raises(SystemExit) as ended:
        asyncio.run(work())
    assert ended.value.code == 128 + number
    assert told == [1]


@needs_signals
def test_a_signal_can_be_caught() -> None:
    """The work goes on, and knows what came; afterwards all is as it was."""

    async def work() -> list[int]:
        with cancelled_by_signals(lambda _: None) as came:
            for number in (signal.SIGTERM, signal.SIGINT):
                with suppress(asyncio.CancelledError):
                    await _raise(number)
        return came

    assert asyncio.run(work()) == [signal.SIGTERM, signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@needs_signals
async def test_sigterm_is_waited_for() -> None:
    """It is the usual end of what serves, and may come as soon as that is announced."""
    async with asyncio.timeout(60):
        await until_stopped(partial(signal.raise_signal, signal.SIGTERM))


def test_another_cancellation_stays_one() -> None:
    """It is no signal's."""

    async def work() -> None:
        with cancelled_by_signals(lambda _: None):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())


# --- preview ---


def test_a_text_is_shown_in_parts(run: Run) -> None:
    """With what is left in the last one."""
    result = run("preview", "a" * 161)
    assert result.exit_code == 0
    assert "GSM-7, 2 part(s)" in result.stdout
    assert "161 units in all, 145 left in the last part" in result.stdout


def test_what_costs_more_is_shown(run: Run) -> None:
    """Each character that is not in the GSM alphabet, and what could stand for it."""
    result = run("preview", "“Hi” ☃")
    assert "UCS-2" in result.stdout
    assert "LEFT DOUBLE QUOTATION MARK" in result.stdout
    assert "SNOWMAN" in result.stdout
    assert "GSM-7" in run("preview", "--simplify", "“Hi”").stdout


def test_a_preview_can_be_read_by_a_program(run: Run) -> None:
    """As one JSON line."""
    shown = json.loads(run("preview", "--json", "a[").stdout)
    assert (shown["type"], shown["alphabet"], shown["parts"]) == ("Preview", "GSM-7", [3])


def test_a_preview_for_programs_says_why(run: Run) -> None:
    """The units, and each character that forces UCS-2."""
    shown = json.loads(run("preview", "--json", "a☃").stdout)
    assert shown["units"] == 2
    assert [(one["position"], one["name"]) for one in shown["offenders"]] == [(1, "SNOWMAN")]


@needs_dev_full
@pytest.mark.parametrize(
    "options",
    [
        ["preview", "x"],
        pytest.param(["preview", "--json", "x"], marks=pytest.mark.proof),
        pytest.param(["completion", "bash"], marks=pytest.mark.proof),
    ],
)
def test_a_full_disk_is_no_traceback(start: Callable[..., Any], options: list[str]) -> None:
    """What the system says is enough."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = start(*options, stdout=full)
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr == "Error: No space left on device: make room, and start again\n"


def test_streams_that_are_closed_are_no_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read, what is said is dropped, and outcomes that would be lost are refused."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    infobip_async.callback()
    with sys.stdin as empty, sys.stderr as dropped:
        assert not empty.isatty()
        assert dropped.write("said") == len("said")
    with pytest.raises(click.UsageError, match="standard output is closed: give --output"):
        check_output(None)


def test_what_cannot_be_sent_has_no_preview(run: Run) -> None:
    """A text that has no place on the wire is refused."""
    result = run("preview", "a\x1bb")
    assert result.exit_code == 2
    assert "LocalProtocolError" in result.stderr
