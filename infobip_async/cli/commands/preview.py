"""``infobip-async preview``: what a text becomes, before it is sent."""

import json

import attrs
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infobip_async import Preview, preview, simplify
from infobip_async.cli.event_json import as_json
from infobip_async.cli.exit_codes import exit_codes
from infobip_async.cli.tables import LOOK


def _marked(text: str, result: Preview) -> Text:
    """The text, with the characters marked that force UCS-2."""
    marked = Text(text)
    for offender in result.offenders:
        marked.stylize("bold reverse red", offender.position, offender.position + 1)
    return marked


def show(console: Console, text: str, result: Preview) -> None:
    """Print a preview as a person would like to see it."""
    title = f"{result.alphabet}, {len(result.parts)} part(s)"
    parts = Table("part", "units", title=title, box=LOOK)
    for number, units in enumerate(result.parts, 1):
        parts.add_row(str(number), str(units))
    console.print(_marked(text, result))
    console.print(parts)
    console.print(f"{result.units} units in all, {result.remaining} left in the last part")
    if not result.offenders:
        return
    title = "not in the GSM alphabet"
    why = Table("at", "character", "name", "could be", title=title, box=LOOK)
    for offender in result.offenders:
        why.add_row(
            str(offender.position),
            Text(offender.character),
            offender.name,
            Text(offender.look_alike or ""),
        )
    console.print(why)


def _as_json(result: Preview) -> str:
    """The preview for a program, with what it counts and finds when it is asked."""
    found = json.loads(as_json(result))
    offenders = [attrs.asdict(offender) for offender in result.offenders]
    return json.dumps(found | {"units": result.units, "offenders": offenders}, ensure_ascii=False)


@click.command("preview")
@click.argument("text")
@click.option("--simplify", "simplified", is_flag=True, help="Replace what has a look-alike.")
@click.option("--json", "json_", is_flag=True, help="Print it for a program.")
def command(text: str, *, simplified: bool, json_: bool) -> None:
    """Show the alphabet and the parts that TEXT takes, and which characters cost the most."""
    with exit_codes():
        text = simplify(text) if simplified else text
        result = preview(text)
        if json_:
            click.echo(_as_json(result))
        else:
            show(Console(), text, result)
