"""Tables and bars in the look of all commands: in 80 columns, with colour and without."""

from collections.abc import Mapping
from typing import Final

from rich import box
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

_BAR_WIDTH: Final = 20
_NAME_WIDTH: Final = 32
LOOK: Final = box.SIMPLE_HEAD
"""The lines of all tables."""
MOST: Final = 10
"""Rows of a ranking; the others have one together."""


def table(title: str, *columns: str) -> Table:
    """Make a table of names and figures; the figures are aligned to the right."""
    first = Column(title, min_width=12, max_width=_NAME_WIDTH, no_wrap=True, overflow="ellipsis")
    figures = [Column(column, justify="right", no_wrap=True) for column in columns]
    return Table(first, *figures, box=LOOK)


def bar(count: int, whole: int) -> ProgressBar:
    """A bar for a share."""
    return ProgressBar(total=max(whole, 1), completed=count, width=_BAR_WIDTH)


def ranking(title: str, unit: str, counts: Mapping[str, int]) -> Table:
    """The most frequent names with a bar each, and the others in one row."""
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    rest = [count for _, count in ranked[MOST:]]
    whole = sum(counts.values())
    shown = table(title, unit, "")
    others = [(f"{len(rest)} others", sum(rest))] if rest else []
    for name, count in [*ranked[:MOST], *others]:
        shown.add_row(Text(name), f"{count:,}", bar(count, whole))
    return shown


def visible(text: str) -> Text:
    """A text of somebody else's, in which what cannot be seen, or steers terminals, is escaped."""
    shown = (
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return Text("".join(shown))


def counted(count: int, one: str, several: str | None = None) -> str:
    """Say how many there are: ``1 row``, ``2 rows``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
