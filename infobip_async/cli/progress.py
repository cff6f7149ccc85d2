"""A progress bar on the terminal, of how many rows are done."""

from datetime import timedelta
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class ProgressBar:
    """A bar, shown while it is entered as a context.

    Args:
        console: where; if it is no terminal, there is no bar.
        total: rows altogether, where that is known.
        hidden: there is no bar anyway.
    """

    def __init__(self, console: Console, total: int | None, *, hidden: bool) -> None:
        self._total = total
        self._bar = Progress(
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[note]}"),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            disable=hidden or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, note="", pace="")
        self._now = console.get_time
        self._started = self._now()

    def __enter__(self) -> Self:
        self._started = self._now()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, note: str, *, resumed: int = 0) -> None:
        """Move on to so many rows that are done, and say something about the progress.

        Args:
            done: rows.
            note: what to say.
            resumed: rows of them that an earlier run had done, which say nothing of the pace.
        """
        pace = self._pace(done, resumed)
        self._bar.update(self._task, completed=done, note=note, pace=pace, refresh=True)

    def _pace(self, done: int, resumed: int) -> str:
        """Rows per second, and the time that is left, or else the time so far."""
        seconds = self._now() - self._started
        rate = (done - resumed) / seconds if seconds else 0
        if not rate:
            return str(timedelta(seconds=int(seconds)))
        if self._total is None or self._total < done:
            return f"{rate:,.0f}/s, {timedelta(seconds=int(seconds))}"
        return f"{rate:,.0f}/s, {timedelta(seconds=int((self._total - done) / rate))} left"

    def say(self, what: str) -> None:
        """Print a line, above the bar if there is one."""
        self._bar.console.print(what, markup=False, highlight=False, soft_wrap=True)
