"""What every public name says of itself."""

import importlib
import inspect
from collections.abc import Iterator
from types import FunctionType

import infobip_async

MODULES = (
    infobip_async.__name__,
    *(
        f"{infobip_async.__name__}.{room}"
        for room in (
            *("asgi", "journal", "jetstream", "lists", "numbering", "simulator", "telemetry"),
            *("testing", "webhook"),
        )
    ),
)
PUBLIC = {
    getattr(importlib.import_module(module), name): f"{module}.{name}"
    for module in reversed(MODULES)
    for name in importlib.import_module(module).__all__
    if callable(getattr(importlib.import_module(module), name))
}
"""Each public class and function with the name that users import it by."""


def functions() -> Iterator[tuple[str, FunctionType]]:
    """Each public function, and each public method of a public class, properties included."""
    for value, name in PUBLIC.items():
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


def test_every_public_name_has_a_docstring() -> None:
    """Classes, functions, methods and properties."""
    classes = [
        name
        for value, name in PUBLIC.items()
        if inspect.isclass(value) and not vars(value).get("__doc__")
    ]
    assert classes == []
    undocumented = [name for name, function in functions() if not inspect.getdoc(function)]
    assert undocumented == []
