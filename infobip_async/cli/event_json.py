"""Events and other values as lines of JSON."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import Enum

import attrs


def _plain(_: object, __: object, value: object) -> object:
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat(sep=" ")
        case bytes():
            return value.hex().upper()
        case Mapping():
            return dict(value)
        case _:
            return value


def as_json(value: attrs.AttrsInstance) -> str:
    """One value on one line: its type's name, then its attributes; octets as hexadecimal."""
    fields = attrs.asdict(value, value_serializer=_plain)
    return json.dumps({"type": type(value).__name__, **fields}, ensure_ascii=False)
