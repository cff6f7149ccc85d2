"""The group of all commands; each has a module of its own, loaded when it is called."""

import io
import os
import sys
from importlib import import_module
from typing import Final, NoReturn

import click

from infobip_async.cli import INTERRUPTED
from infobip_async.cli.examples import epilog_of

_COMMANDS = (
    *("check", "cluster", "completion", "credits", "deliveries", "demo", "forget", "hlr"),
    *("journal", "preview", "reports", "send", "serve", "simulate"),
)


class _Lazy(click.Group):
    """Loads a command when it is needed: `preview` needs no HTTP client, `--help` nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one; None where there is no such command."""
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = import_module(f"infobip_async.cli.commands.{cmd_name}")
        except KeyboardInterrupt:  # loading takes long enough for a Ctrl-C
            sys.exit(INTERRUPTED)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] != "nats":
                raise
            return _unavailable(cmd_name, "nats")
        command: click.Command = module.command
        command.epilog = epilog_of(cmd_name)
        _name_variables(command)
        return command


def _name_variables(command: click.Command) -> None:
    """Have the help of each option say which variable of the environment sets that option."""
    for option in command.params:
        if isinstance(option, click.Option):
            option.show_envvar = True
    for subcommand in command.commands.values() if isinstance(command, click.Group) else ():
        _name_variables(subcommand)


def _unavailable(name: str, extra: str) -> click.Command:
    """A command that only says which extra it needs, whatever its arguments are."""

    def refuse() -> NoReturn:
        raise click.UsageError(f"{name} needs: pip install 'infobip-async[{extra}]'")

    lenient = {"ignore_unknown_options": True, "allow_extra_args": True}
    about = f"Not available: it needs the extra {extra}."
    return click.Command(name, callback=refuse, help=about, context_settings=lenient)


_HELP = """Send SMS and look numbers up over the HTTP interface.

The account is taken from options or from INFOBIP_USERNAME, INFOBIP_PASSWORD and
INFOBIP_BASE_URL; a password that is not set is asked for, and is no option, since
arguments can be seen by others on the machine. Every option can be set by the
variable that its help names.

\b
Exit codes: 0 done, 1 something else failed, 2 wrong usage (nothing was sent),
3 the gateway refused, 4 not sent, 5 outcome unknown, 6 done in part,
130 and 143 stopped by Ctrl-C and by SIGTERM.
"""


_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "INFOBIP"}


@click.group(cls=_Lazy, help=_HELP, context_settings=_SETTINGS)
@click.version_option(package_name="infobip-async")
def infobip_async() -> None:
    """Have one of the commands run, with streams that can express every character.

    Files and pipes get UTF-8; a terminal gets what it cannot show as an escape. A stream that is
    closed, as under some daemons, has nothing to read, and takes what would be said.
    """
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - to the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
