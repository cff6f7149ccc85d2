"""What options are made of: several as one argument of a command, and checks of their values."""

import math
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import click

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


class StoredFile(click.Path):
    """A file that something was stored in: an empty one is of nobody yet, and is not made ours."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's signature
        """Take a file that is not empty."""
        path = super().convert(value, param, ctx)
        if Path(os.fsdecode(path)).stat().st_size == 0:
            self.fail(f"File {value!r} is empty.", param, ctx)
        return path


def options_of(
    kind: type[attrs.AttrsInstance], name: str, *options: Decorator
) -> Callable[[Command], Command]:
    """Give a command options, and what they make together as one argument.

    Args:
        kind: the class of the argument; its attributes have the names of the options.
        name: of the argument.
        options: click's decorators.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def collect(**values: Any) -> None:  # noqa: ANN401 - whatever options the command has
            given = [field.name for field in attrs.fields(kind) if field.init]
            fields = {given_name: values.pop(given_name) for given_name in given}
            command(**{name: kind(**fields)}, **values)

        made: Command = collect
        for option in reversed(options):
            made = option(made)
        return made

    return decorate


class FiniteRange(click.FloatRange):
    """A range of numbers, in which there is neither infinity nor what is no number."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Take a number of the range."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


POSITIVE: Final = FiniteRange(min=0, min_open=True)
"""The type of options that are seconds or rates."""


def check_url(_: object, __: object, url: str | None) -> str | None:
    """Take a URL that leads somewhere; it may hold a password, so it is not shown."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in url or not url.isprintable():
        raise click.BadParameter("it must be a URL such as http://host.example.com:8080")
    return url
