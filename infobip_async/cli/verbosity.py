"""How much a command says on standard error: ``-q`` and ``-v``."""

import logging
from typing import Final

import attrs
import click
from rich.console import Console

from infobip_async.cli.options import options_of


@attrs.frozen(kw_only=True)
class Verbosity:
    """How much is said.

    Attributes:
        quiet: errors only.
        verbose: also what the library logs, and each row that is remarkable.
        console: where it is said.
    """

    quiet: bool
    verbose: bool
    console: Console = attrs.field(init=False)

    @console.default
    def _on_standard_error(self) -> Console:
        if self.verbose:
            logging.basicConfig(format="%(name)s: %(message)s")
            logging.getLogger("infobip_async").setLevel(logging.DEBUG)
        return Console(stderr=True, quiet=self.quiet)

    def say(self, what: str) -> None:
        """Print a line, unless errors only are wanted."""
        self.console.print(what, markup=False, highlight=False, soft_wrap=True)


verbosity_options: Final = options_of(
    Verbosity,
    "verbosity",
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Say each fault, and all that is logged."),
)
"""Gives a command the options of `Verbosity`, and what they make as ``verbosity``."""
