"""What every public name says of itself."""

import ast
import inspect
import re
from enum import Enum
from itertools import pairwise
from textwrap import dedent

from infobip_async import DeliveryStatus, HlrStatus
from infobip_async.simulator import Fault
from public import functions, values


def test_every_public_name_has_a_docstring() -> None:
    """Classes, functions, methods and properties."""
    classes = [
        name
        for value, name in values().items()
        if inspect.isclass(value) and not vars(value).get("__doc__")
    ]
    assert classes == []
    undocumented = [name for name, function in functions() if not inspect.getdoc(function)]
    assert undocumented == []


def test_arguments_are_documented_where_there_are_several() -> None:
    """Each by its name; a docstring may refer to another one, which has them."""
    silent = []
    for name, function in functions():
        doc = inspect.getdoc(function) or ""
        taken = list(inspect.signature(function).parameters.keys() - {"self", "cls"})
        unsaid = [one for one in taken if not re.search(rf"(?m)^    .*\b{one}\b.*:|`{one}`", doc)]
        if len(taken) > 1 and unsaid and "arguments" not in doc:
            silent.append((name, unsaid))
    assert silent == []


# --- members of enums ---


def members(enum: type[Enum]) -> dict[str, str]:
    """Each member of an enum with the docstring below it; empty where there is none.

    A fault describes itself, since the console shows this to its users.
    """
    if enum is Fault:
        return {fault.name: fault.description for fault in Fault}
    (definition,) = ast.parse(dedent(inspect.getsource(enum))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, below in pairwise([*definition.body, ast.Pass()]):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            text = getattr(getattr(below, "value", None), "value", "")
            found[statement.targets[0].id] = text if isinstance(text, str) else ""
    return found


def test_every_member_of_an_enum_says_what_it_means() -> None:
    """Below the member, where editors and the reference find it."""
    enums = [value for value in values() if inspect.isclass(value) and issubclass(value, Enum)]
    silent = [
        f"{enum.__name__}.{name}"
        for enum in enums
        for name, text in members(enum).items()
        if not text.endswith(".")
    ]
    assert silent == []
    assert {enum.__name__: len(enum) for enum in enums} == {
        enum.__name__: len(members(enum)) for enum in enums
    }


def test_statuses_say_whether_they_are_final() -> None:
    """As the code has it."""
    for name, text in members(DeliveryStatus).items():
        assert text.startswith("Final" if DeliveryStatus[name].is_final else "Not final"), name
    assert all(text.startswith("Final") for text in members(HlrStatus).values())
