"""The command line, ``infobip-async``; it needs the extra ``cli``."""

import sys


def main() -> None:
    """Run the command line, or say what it lacks."""
    try:
        from infobip_async.cli.group import infobip_async  # noqa: PLC0415 - needs the extra

        infobip_async(prog_name="infobip-async")
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.exit("The command line needs more: pip install 'infobip-async[cli]'")
