"""The progress bar."""

import io
import itertools

import pytest
from rich.console import Console

from infobip_async.cli.progress import ProgressBar


def _shown(*, terminal: bool = True, hidden: bool = False, total: int | None = 200) -> str:
    seconds = itertools.count()
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=120,
        no_color=True,
        get_time=lambda: next(seconds) / 1000,
    )
    bar = ProgressBar(console, total, hidden=hidden)
    bar.say("before [it]")
    with bar:
        bar.show(50, "20 in flight")
        bar.show(100, "1,000 in flight")
    return console.file.getvalue()


def test_it_shows_how_far_it_is() -> None:
    """What is done of what there is, a note on it, how fast, and the time left."""
    shown = _shown()
    assert "100/200" in shown
    assert "1,000 in flight" in shown
    assert "/s" in shown
    assert "0:00:00" in shown


def test_it_can_do_without_a_length() -> None:
    """Of a pipe, it is not known how much there is."""
    assert "100/?" in _shown(total=None)


@pytest.mark.parametrize("options", [{"terminal": False}, {"hidden": True}])
def test_it_can_be_left_out(options: dict[str, bool]) -> None:
    """Lines of text still are printed, as they are."""
    assert _shown(**options).strip() == "before [it]"
