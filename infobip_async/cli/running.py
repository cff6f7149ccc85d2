"""What the commands share: the account, the outcome as an exit code, events as JSON."""

import asyncio
import errno
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec
from urllib.parse import urlsplit

import attrs
import click

from infobip_async import (
    Endpoints,
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    RunStoppedError,
    Ucs2Form,
)

if TYPE_CHECKING:
    from infobip_async import InfobipClient

P = ParamSpec("P")
Command = Callable[..., None]
Decorator = Callable[[Command], Command]

PARTLY: Final = 6
"""Exit code where some of it was done: not every recipient was accepted."""

_EXIT_CODES: Final[tuple[tuple[type[InfobipError], int], ...]] = (
    (LocalProtocolError, 2),
    (GatewayRefusedError, 3),
    (NotSentError, 4),
    (OutcomeUnknownError, 5),
)
_SPELLINGS: Final = {
    "allow_insecure=True": "--allow-insecure",
    "header=False": "--no-header",
    'on_unknown="repeat"': "--on-unknown repeat",
    'recipient="1"': "--column 1",
    "multiline=True": "--multiline",
    "max_parts": "--max-parts",
    "max_numbers": "--max-numbers",
}
"""How the options of the library are called here."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SIGNALLED: Final = 128
"""Exit code of a program that a signal ended, less the signal's number."""


def fail(error: InfobipError, *, code: int | None = None) -> NoReturn:
    """Say on standard error what went wrong, and leave.

    Args:
        error: names what went wrong.
        code: to leave with; by default, the one of the error.
    """
    what = str(error)
    for option, here in _SPELLINGS.items():
        what = what.replace(option, here)
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    click.secho(f"{type(error).__name__}{cause}: {what}", fg="red", err=True)
    for message_id in getattr(error, "message_ids", ()):
        click.echo(f"  may have been sent: {message_id}", err=True)
    behind = error.__cause__ if isinstance(error, RunStoppedError) else error
    codes = (number for kind, number in _EXIT_CODES if isinstance(behind, kind))
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
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(SIGNALLED + signal.SIGINT)


def runs(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a coroutine function a command: run it, and turn its errors into exit codes."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with exit_codes():
            asyncio.run(command(*args, **kwargs))

    return run


def _password() -> str:
    """From the environment, or asked for; never an argument, which others could see."""
    if password := os.environ.get("INFOBIP_PASSWORD"):
        return password
    if not sys.stderr.isatty():
        raise click.UsageError("INFOBIP_PASSWORD is not set, and there is no terminal to ask at")
    prompted: str = click.prompt("Password", hide_input=True, err=True)
    return prompted


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


@attrs.frozen(kw_only=True)
class Account:
    """The options that say which gateway, and who is asking."""

    username: str
    base_url: str | None
    later: bool
    allow_insecure: bool
    proxy: str | None
    ca_file: str | None
    timeout: float

    def client(
        self, *, ucs2: Ucs2Form = Ucs2Form.BINARY, stop_timeout: float = 30.0
    ) -> "InfobipClient":
        """Make a client of the account."""
        from infobip_async import InfobipClient  # noqa: PLC0415 - brings httpx: `preview` needs none

        at = Endpoints.later if self.later else Endpoints.at
        default = Endpoints.later() if self.later else Endpoints()
        return InfobipClient(
            self.username,
            _password(),
            endpoints=at(self.base_url) if self.base_url else default,
            allow_insecure=self.allow_insecure,
            proxy=self.proxy,
            ca_file=self.ca_file,
            read_timeout=self.timeout,
            ucs2=ucs2,
            stop_timeout=stop_timeout,
        )


def options_of(
    kind: type[attrs.AttrsInstance], name: str, *options: Decorator
) -> Callable[[Command], Command]:
    """Give a command options, and what they make together as one argument.

    Args:
        kind: the class of the argument; its attributes have the names of the options.
        name: of the argument.
        options: click's decorators.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def collect(**values: Any) -> None:  # noqa: ANN401 - whatever options the command has
            given = [field.name for field in attrs.fields(kind) if field.init]
            fields = {given_name: values.pop(given_name) for given_name in given}
            command(**{name: kind(**fields)}, **values)

        made: Command = collect
        for option in reversed(options):
            made = option(made)
        return made

    return decorate


class FiniteRange(click.FloatRange):
    """A range of numbers, in which there is neither infinity nor what is no number."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Take a number of the range."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


def check_url(_: object, __: object, url: str | None) -> str | None:
    """Take a URL that leads somewhere; it may hold a password, so it is not shown."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in url or not url.isprintable():
        raise click.BadParameter("it must be a URL such as http://host.example.com:8080")
    return url


def _check_base(_: object, __: object, url: str | None) -> str | None:
    """Take the base URL of a gateway, which has no password in it."""
    try:
        if url:
            Endpoints.at(url)
    except LocalProtocolError as fault:
        raise click.BadParameter(fault.args[0]) from None
    return url


POSITIVE: Final = FiniteRange(min=0, min_open=True)
"""The type of options that are seconds or rates."""

account_options: Final = options_of(
    Account,
    "account",
    click.option("-u", "--username", envvar="INFOBIP_USERNAME", required=True),
    click.option(
        "--base-url",
        envvar="INFOBIP_BASE_URL",
        callback=_check_base,
        help="Where the gateway is.",
    ),
    click.option("--later", is_flag=True, help="Use the later addresses."),
    click.option("--allow-insecure", is_flag=True, help="Allow http to other machines."),
    click.option("--proxy", callback=check_url, help="URL of an HTTP proxy."),
    click.option(
        "--ca-file",
        envvar="SSL_CERT_FILE",
        show_envvar=True,
        help="Trust the certificates in this PEM file, such as a company's, and no others.",
    ),
    click.option(
        "--timeout", type=POSITIVE, default=60, show_default=True, help="Seconds per reply."
    ),
)
"""Gives a command the options of `Account`, and the account as ``account``."""


def _plain(_: object, __: object, value: object) -> object:
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat(sep=" ")
        case bytes():
            return value.hex().upper()
        case Mapping():
            return dict(value)
        case _:
            return value


def as_json(value: attrs.AttrsInstance) -> str:
    """One value on one line: its type's name, then its attributes; octets as hexadecimal."""
    fields = attrs.asdict(value, value_serializer=_plain)
    return json.dumps({"type": type(value).__name__, **fields}, ensure_ascii=False)
