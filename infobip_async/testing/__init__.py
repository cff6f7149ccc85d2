"""For tests: fixtures of pytest, and conformance kits for journals and stores of your own."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infobip_async.testing.deliveries import STORE_CHECKS, StoreCheck
    from infobip_async.testing.journals import CHECKS, Check, Engine

__all__ = ["CHECKS", "STORE_CHECKS", "Check", "Engine", "StoreCheck"]

_OF_STORES = {"STORE_CHECKS", "StoreCheck"}


# pytest loads the plugin, and so this module, in every test run: nothing else is loaded with it.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kit = "deliveries" if name in _OF_STORES else "journals"
    return getattr(import_module(f"infobip_async.testing.{kit}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
