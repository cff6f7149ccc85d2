"""What the commands share: the account, the outcome as an exit code, events as JSON."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec

import attrs
import click

from infobip_async import (
    Endpoints,
    GatewayRefusedError,
    InfobipClient,
    InfobipError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    Ucs2Form,
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
_INTERRUPTED: Final = 130


def fail(error: InfobipError) -> NoReturn:
    """Say on standard error what went wrong, and leave with its exit code."""
    click.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
    for message_id in getattr(error, "message_ids", ()):
        click.echo(f"  may have been sent: {message_id}", err=True)
    sys.exit(next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1))


def runs(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a coroutine function a command: run it, and turn its errors into exit codes."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            asyncio.run(command(*args, **kwargs))
        except InfobipError as error:
            fail(error)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(_INTERRUPTED)

    return run


def _password() -> str:
    """From the environment, or asked for; never an argument, which others could see."""
    if password := os.environ.get("INFOBIP_PASSWORD"):
        return password
    if not sys.stderr.isatty():
        raise click.UsageError("INFOBIP_PASSWORD is not set, and there is no terminal to ask at")
    prompted: str = click.prompt("Password", hide_input=True, err=True)
    return prompted


async def until_stopped() -> None:
    """Wait for SIGTERM; Ctrl-C comes as an interrupt of its own."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows has no such signal
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


@attrs.frozen(kw_only=True)
class Account:
    """The options that say which gateway, and who is asking."""

    username: str
    base_url: str | None
    later: bool
    allow_insecure: bool
    proxy: str | None
    timeout: float

    def client(self, *, ucs2: Ucs2Form = Ucs2Form.BINARY) -> InfobipClient:
        """Make a client of the account."""
        at = Endpoints.later if self.later else Endpoints.at
        default = Endpoints.later() if self.later else Endpoints()
        return InfobipClient(
            self.username,
            _password(),
            endpoints=at(self.base_url) if self.base_url else default,
            allow_insecure=self.allow_insecure,
            proxy=self.proxy,
            read_timeout=self.timeout,
            ucs2=ucs2,
        )


def account_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Account`, and the account they make as ``account``."""

    @wraps(command)
    def collect(**values: Any) -> None:  # noqa: ANN401 - whatever options the command has
        fields = {field.name: values.pop(field.name) for field in attrs.fields(Account)}
        command(account=Account(**fields), **values)

    for option in reversed(
        (
            click.option("-u", "--username", envvar="INFOBIP_USERNAME", required=True),
            click.option("--base-url", envvar="INFOBIP_BASE_URL", help="Where the gateway is."),
            click.option("--later", is_flag=True, help="Use the later addresses."),
            click.option("--allow-insecure", is_flag=True, help="Allow http to other machines."),
            click.option("--proxy", help="URL of an HTTP proxy."),
            click.option("--timeout", default=60.0, show_default=True, help="Seconds per reply."),
        )
    ):
        collect = option(collect)
    return collect


def _plain(_: object, __: object, value: object) -> object:
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat(sep=" ")
        case Decimal():
            return f"{value:f}"
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
