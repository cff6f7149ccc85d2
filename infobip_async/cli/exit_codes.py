"""How commands end: errors and signals as exit codes, and errors as a line for a person."""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec

import click

from infobip_async import (
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    RunStoppedError,
)

P = ParamSpec("P")

PARTLY: Final = 6
"""Exit code where some of it was done: not every recipient was accepted."""

_EXIT_CODES: Final[tuple[tuple[type[InfobipError], int], ...]] = (
    (LocalProtocolError, 2),
    (GatewayRefusedError, 3),
    (NotSentError, 4),
    (OutcomeUnknownError, 5),
)
_IF_ALONE: Final = {"reported": 0, "sent": 0, "refused": 3, "not sent": 4, "unknown": 5}
"""Exit codes of runs with one outcome alone, by its value."""
_SPELLINGS: Final = {
    "allow_insecure=True": "--allow-insecure",
    "header=False": "--no-header",
    'on_unknown="repeat"': "--on-unknown repeat",
    'recipient="1"': "--column 1",
    "multiline=True": "--multiline",
    "country=": "--country",
    "max_parts": "--max-parts",
    "max_numbers": "--max-numbers",
}
"""How the options of the library are called here."""
_WAYS_OUT: Final[Mapping[int, str]] = {
    errno.EADDRINUSE: "stop what uses it, or give another port",
    errno.EADDRNOTAVAIL: "give an address of this machine, or 0.0.0.0 for all of them",
    socket.EAI_NONAME: "give a host that has an address",
    errno.EACCES: "it is not allowed to this user",
    errno.ENOSPC: "make room, and start again",
}
"""What a person can do where the system refuses something."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SIGNALLED: Final = 128
"""Exit code of a program that a signal ended, less the signal's number."""


def code_of(outcomes: Collection[str]) -> int:
    """The exit code of a run that came to its end.

    Args:
        outcomes: of its items, by their values, each once.
    """
    if len(outcomes) > 1:
        return PARTLY
    return next((_IF_ALONE.get(outcome, PARTLY) for outcome in outcomes), 0)


def spelled(what: str) -> str:
    """Name options as the command line does."""
    for option, here in _SPELLINGS.items():
        what = what.replace(option, here)
    return what


def told(error: InfobipError) -> str:
    """Say what went wrong to the person who gave the list: with the number or text at fault."""
    what = spelled(str(error))
    value = getattr(_behind(error), "value", None)
    return what if value is None else f"{what}: {value!r}"


def _behind(error: InfobipError) -> BaseException | None:
    """Why a run could not go on; of other errors, the error."""
    return error.__cause__ if isinstance(error, RunStoppedError) else error


def fail(error: InfobipError, *, code: int | None = None) -> NoReturn:
    """Say on standard error what went wrong, and leave.

    Args:
        error: names what went wrong.
        code: to leave with; by default, the one of the error.
    """
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    click.secho(f"{type(error).__name__}{cause}: {told(error)}", fg="red", err=True)
    for message_id in getattr(error, "message_ids", ()):
        click.echo(f"  may have been sent: {message_id}", err=True)
    codes = (number for kind, number in _EXIT_CODES if isinstance(_behind(error), kind))
    sys.exit(next(codes, 1) if code is None else code)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn errors into exit codes."""
    try:
        yield
    except InfobipError as error:
        fail(error)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read our output has gone: click ends quietly
            raise
        raise click.ClickException(_told_of_system(error)) from None
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(SIGNALLED + signal.SIGINT)


def _told_of_system(error: OSError) -> str:
    """Say what the system refuses, of which file, and what there is to do."""
    what = error.strerror or str(error)
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    return ": ".join(filter(None, (error.filename and str(error.filename), what, way_out)))


def runs(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a coroutine function a command: run it, and turn its errors into exit codes."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with exit_codes():
            asyncio.run(command(*args, **kwargs))

    return run


async def until_stopped(announce: Callable[[], None]) -> None:
    """Wait for SIGTERM; Ctrl-C comes as an interrupt of its own.

    Args:
        announce: says that this runs; whoever reads that may send SIGTERM at once.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows has no such signal
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    announce()
    await stopped.wait()


@contextmanager
def cancelled_by_signals(tell: Callable[[int], None]) -> Iterator[list[int]]:
    """Have Ctrl-C and SIGTERM cancel this task, each time that they come.

    Gives the numbers of the signals that came so far. A cancellation that is not caught inside
    ends the program with the exit code of the first signal.

    Args:
        tell: is told how many came, at each.
    """
    came: list[int] = []
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def cancel(number: int) -> None:
        came.append(number)
        tell(len(came))
        task.cancel()  # type: ignore[union-attr]  # a coroutine runs in a task

    with suppress(NotImplementedError):  # on Windows, Ctrl-C stays as it is
        for number in _SIGNALS:
            loop.add_signal_handler(number, cancel, number)
    try:
        yield came
    except asyncio.CancelledError:
        if not came:
            raise
        sys.exit(SIGNALLED + came[0])
    finally:
        with suppress(NotImplementedError):
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
