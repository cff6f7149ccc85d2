"""A progress bar on the terminal, of how many numbers are done."""

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    """Numbers per second."""

    def render(self, task: Task) -> Text:
        """Show it as soon as it is known."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class ProgressBar:
    """A bar, shown while it is entered as a context.

    Args:
        console: where; if it is no terminal, there is no bar.
        total: numbers altogether, where that is known.
        hidden: there is no bar anyway.
    """

    def __init__(self, console: Console, total: int | None, *, hidden: bool) -> None:
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            disable=hidden or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, note: str) -> None:
        """Move on to so many numbers that are done, and say something about it."""
        self._bar.update(self._task, completed=done, note=note, refresh=True)

    def say(self, what: str) -> None:
        """Print a line, above the bar if there is one."""
        self._bar.console.print(what, markup=False, highlight=False, soft_wrap=True)
