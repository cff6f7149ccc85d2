"""Functions that give an awaitable, and those that only seem to."""

import dis
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

_CONSTANTS: Final = ("LOAD_CONST", "LOAD_SMALL_INT")  # what has RETURN_CONST has no RETURN_VALUE


def is_coroutine_function(function: object) -> bool:
    """Whether a call of a function, or of an object, certainly gives a coroutine."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - asked for itself, not for whether
    )


def may_give_awaitable(function: object) -> bool:
    """Whether a call may give something to await.

    A plain function may return what another one gives; this shows when it is called. It surely
    gives nothing to await where it is a generator, or where it returns nothing at all.
    """
    if is_coroutine_function(function):
        return True
    while isinstance(function, partial):
        function = function.func
    if not isinstance(function, FunctionType | MethodType):
        return callable(function) and not isinstance(function, BuiltinFunctionType)
    generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    return not generates and _returns_something(function)


def _returns_something(function: FunctionType | MethodType) -> bool:
    """Whether the code of a function returns anything but constants, of which None is one."""
    return any(
        step.opname == "RETURN_VALUE" and (step.is_jump_target or last.opname not in _CONSTANTS)
        for last, step in pairwise(dis.get_instructions(function))
    )


def awaiting(function: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    """Make a coroutine function of one that may give an awaitable, and need not."""

    async def call(*arguments: object) -> None:
        result = function(*arguments)
        if inspect.isawaitable(result):
            await result

    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call
