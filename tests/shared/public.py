"""The names that users import, and what stands behind them."""

import functools
import importlib
import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import infobip_async

ROOMS = (
    *("webhook", "asgi", "simulator", "lists", "journal", "jetstream", "numbering", "telemetry"),
    "testing",
)
MODULES = (infobip_async.__name__, *(f"{infobip_async.__name__}.{room}" for room in ROOMS))
"""What users import from; all else is the package's own. The first to have a name is its place."""


@functools.cache
def values() -> dict[Any, str]:
    """Each public class and function with the name that users import it by."""
    return {
        getattr(importlib.import_module(module), name): f"{module}.{name}"
        for module in reversed(MODULES)
        for name in importlib.import_module(module).__all__
        if callable(getattr(importlib.import_module(module), name))
    }


def functions() -> Iterator[tuple[str, FunctionType]]:
    """Each public function, and each public method of a public class, properties included."""
    for value, name in values().items():
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for attribute, member in vars(value).items():
                for function in (
                    getattr(member, "fget", None),
                    getattr(member, "__func__", None),
                    member,
                ):
                    if inspect.isfunction(function) and not attribute.startswith("_"):
                        yield f"{name}.{attribute}", function
