"""What the commands share that read a list: its options, and how they are checked."""

import io

import click

from infobip_async import LocalProtocolError
from infobip_async.lists import read_list

header_option = click.option(
    "--header/--no-header",
    default=True,
    help="Whether the first line of a CSV names its columns; without, they have numbers.",
)


def check_encoding(_: object, __: object, encoding: str) -> str:
    """Take an encoding of text that Python knows, as click's callback."""
    try:
        read_list(io.BytesIO(), encoding=encoding)
    except LocalProtocolError as fault:
        raise click.BadParameter(str(fault)) from None
    return encoding


def check_country(_: object, __: object, country: str | None) -> str | None:
    """Take a country whose national numbers can be read, as click's callback."""
    try:
        read_list(io.BytesIO(), country=country)
    except LocalProtocolError as fault:
        raise click.BadParameter(str(fault)) from None
    return country
