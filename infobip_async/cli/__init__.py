"""The command line, ``infobip-async``; it needs the extra ``cli``."""

import signal
import sys
from typing import Final

INTERRUPTED: Final = 128 + signal.SIGINT
"""Exit code of a program that Ctrl-C ended."""


def main() -> None:
    """Run the command line, or say what it lacks."""
    try:
        from infobip_async.cli.group import infobip_async  # noqa: PLC0415 - needs the extra

        infobip_async(prog_name="infobip-async")
    except KeyboardInterrupt:  # while the above is loaded; click and the commands see to the rest
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.exit("The command line needs more: pip install 'infobip-async[cli]'")
