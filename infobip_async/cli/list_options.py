"""What the commands share that read a list: its options, and the list that they make."""

import io
from typing import Final

import attrs
import click

from infobip_async import LocalProtocolError
from infobip_async.cli.options import options_of
from infobip_async.lists import ListRow, NumberList, read_list


def _check(_: object, option: click.Parameter, value: str | None) -> str | None:
    """Take an encoding or a country with which a list can be read, as click's callback."""
    try:
        read_list(io.BytesIO(), **{str(option.name): value})  # type: ignore[arg-type]
    except LocalProtocolError as fault:
        raise click.BadParameter(str(fault)) from None
    return value


@attrs.frozen(kw_only=True)
class ListOptions:
    """How a list is read, and which of its columns are written beside the outcomes."""

    encoding: str | None
    header: bool
    normalise: bool
    country: str | None
    multiline: bool
    sheet: str | None
    key_column: str | None
    keep: tuple[str, ...]

    @property
    def given(self) -> list[str]:
        """The options that were given, and that only a list has a use for."""
        names = attrs.fields_dict(type(self)).keys() - {"header"}
        given = sorted(name for name in names if getattr(self, name))
        return given if self.header else [*given, "no_header"]

    def read(self, source: io.BufferedReader, column: str | None) -> NumberList:
        """The list.

        Args:
            source: the file.
            column: of the numbers; None for one number a line.
        """
        return read_list(
            source,
            recipient=column,
            key=self.key_column,
            columns=self.keep,
            header=self.header,
            normalise=self.normalise,
            country=self.country,
            encoding=self.encoding,
            multiline=self.multiline,
            sheet=self.sheet,
        )

    def kept(self, row: ListRow | None) -> list[str | None]:
        """The cells of the columns that are passed through."""
        return [None if row is None else row.cell(column) for column in self.keep]


def check_kept(kept: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Refuse to pass a column through under a name that the output has anyway."""
    both = {*names} & {*kept} or [name for name in kept if kept.count(name) > 1]
    for name in both:
        raise click.UsageError(f"--keep {name}: the outcomes have a column of that name")


list_options: Final = options_of(
    ListOptions,
    "reading",
    click.option(
        "--encoding",
        callback=_check,
        is_eager=True,  # before the file is opened
        help="Of the text, such as cp1252; UTF-16 by its mark, else UTF-8.",
    ),
    click.option(
        "--header/--no-header",
        default=True,
        help="Whether the first row of a CSV names its columns; without, they have numbers.",
    ),
    click.option("--normalise", is_flag=True, help="Take +, 00, blanks and punctuation away."),
    click.option(
        "--country",
        callback=_check,
        help="Normalise, and read national numbers as of this country, such as HR.",
    ),
    click.option(
        "--multiline",
        is_flag=True,
        help="Take lines of a quoted cell for text though they look like rows.",
    ),
    click.option("--sheet", help="Of a spreadsheet that has several."),
    click.option("--key-column", help="What tells rows apart in a job, in place of their order."),
    click.option(
        "--keep",
        multiple=True,
        metavar="COLUMN",
        help="Write this column of the list beside the outcome, too; can be repeated.",
    ),
)
"""Gives a command the options of `ListOptions`, and what they make as ``reading``."""
