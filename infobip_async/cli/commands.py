"""The group of all commands; each has a module of its own, loaded when it is called."""

from importlib import import_module

import click

_COMMANDS = ("credits", "demo", "hlr", "journal", "preview", "reports", "send", "serve", "simulate")


class _Lazy(click.Group):
    """Loads a command when it is needed: `preview` needs no HTTP client, `--help` nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"infobip_async.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Tell lookups of a cluster, which are commands of their own, from those of one machine."""
        if args[0] == "hlr" and any(one.split("=")[0] == "--cluster" for one in args):
            return args[0], _cluster(args), args[1:]
        return super().resolve_command(ctx, args)


def _cluster(arguments: list[str]) -> click.Command:
    try:
        module = import_module("infobip_async.cli.cluster")
    except ModuleNotFoundError as missing:
        if missing.name != "nats":
            raise
        raise click.UsageError("--cluster needs: pip install 'infobip-async[nats]'") from None
    command: click.Command = module.pick(arguments)
    return command


_HELP = """Send SMS and look numbers up over the HTTP interface.

The account is taken from options or from INFOBIP_USERNAME, INFOBIP_PASSWORD and
INFOBIP_BASE_URL; a password that is not set is asked for, and is no option, since
arguments can be seen by others on the machine.

\b
Exit codes: 0 done, 1 something else failed, 2 wrong usage (nothing was sent),
3 the gateway refused, 4 not sent, 5 outcome unknown, 6 done in part,
130 and 143 stopped by Ctrl-C and by SIGTERM.
"""


@click.group(cls=_Lazy, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="infobip-async")
def infobip_async() -> None:
    """Have one of the commands run."""
