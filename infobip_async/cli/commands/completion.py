"""``infobip-async completion``: have a shell complete commands and options."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from infobip_async.cli.exit_codes import exit_codes

_PROGRAM: Final = "infobip-async"
_VARIABLE: Final = "_INFOBIP_ASYNC_COMPLETE"
"""The variable by which the script asks the program what could come next."""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes commands and options."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known to this version of click")
    with exit_codes():
        click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
