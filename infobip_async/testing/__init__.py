"""For tests: fixtures of pytest, and a conformance kit for journals of your own."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infobip_async.testing.journals import CHECKS, Check, Engine

__all__ = ["CHECKS", "Check", "Engine"]


# pytest loads the plugin, and so this module, in every test run: nothing else is loaded with it.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("infobip_async.testing.journals"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
