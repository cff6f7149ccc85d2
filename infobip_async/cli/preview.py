"""``infobip-async preview``: what a text becomes, before it is sent."""

import json

import attrs
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infobip_async import Preview, preview, simplify
from infobip_async.cli.running import as_json, exit_codes


def _marked(text: str, result: Preview) -> Text:
    """The text, with the characters marked that force UCS-2."""
    marked = Text(text)
    for offender in result.offenders:
        marked.stylize("bold reverse red", offender.position, offender.position + 1)
    return marked


def show(console: Console, text: str, result: Preview) -> None:
    """Print a preview as a person would like to see it."""
    parts = Table("part", "units", title=f"{result.alphabet}, {len(result.parts)} part(s)")
    for number, units in enumerate(result.parts, 1):
        parts.add_row(str(number), str(units))
    console.print(_marked(text, result))
    console.print(parts)
    console.print(f"{result.units} units in all, {result.remaining} left in the last part")
    if not result.offenders:
        return
    why = Table("at", "character", "name", "could be", title="not in the GSM alphabet")
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
