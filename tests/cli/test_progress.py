"""The progress bar."""

import io
import itertools

import pytest
from rich.console import Console

from infobip_async.cli.progress import ProgressBar


@pytest.mark.parametrize("width", [80, 140])
def test_it_fits_into_the_terminal(width: int) -> None:
    """With large figures, in 80 columns."""
    now = [0]
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, no_color=True, get_time=lambda: now[0]
    )
    with ProgressBar(console, 20_000, hidden=False) as bar:
        now[0] = 10
        bar.show(9_440, "9,440 sent, 0 refused, 0 unknown")
    shown = console.file.getvalue()
    assert " 9440/20000 " in shown
    assert "9,440 sent, 0 refused, 0 unknown" in shown
    assert "…" not in shown


def _shown(
    *,
    terminal: bool = True,
    hidden: bool = False,
    total: int | None = 200,
    seconds: float = 0.001,
    resumed: int = 0,
) -> str:
    clock = itertools.count()
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=120,
        no_color=True,
        get_time=lambda: seconds if next(clock) > 2 else 0,
    )
    bar = ProgressBar(console, total, hidden=hidden)
    bar.say("before [it]")
    with bar:
        bar.show(50, "20 in flight")
        bar.show(100, "1,000 in flight", resumed=resumed)
    return console.file.getvalue()


def test_it_shows_how_far_it_is() -> None:
    """What is done of what there is, a note on the rest, how fast, and the time left."""
    shown = _shown()
    assert "100/200" in shown
    assert "1,000 in flight" in shown
    assert "/s" in shown
    assert "0:00:00" in shown
    assert "left" in shown


def test_what_an_earlier_run_did_says_nothing_of_the_pace() -> None:
    """A run that goes on is as fast as what it does itself."""
    assert "10/s" in _shown(seconds=1, resumed=90)
    assert "100/s" in _shown(seconds=1)


def test_it_can_do_without_a_length() -> None:
    """Of a pipe, it is not known how much there is."""
    assert "100/?" in _shown(total=None)


@pytest.mark.parametrize("options", [{"terminal": False}, {"hidden": True}])
def test_it_can_be_left_out(options: dict[str, bool]) -> None:
    """Lines of text still are printed, as they are."""
    assert _shown(**options).strip() == "before [it]"
