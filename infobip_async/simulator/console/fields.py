"""What the API takes and gives: fields of requests, checked, and refusals."""

import json
import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import attrs

Json = object
"""What `json.dumps` takes."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WORDS: Final = {"true": True, "false": False, "1": True, "0": False}


class Refusal(Exception):  # noqa: N818 - an answer, not an error of this program
    """A request of the API that cannot be answered as it was asked."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def bad(reason: str) -> Refusal:
    """A request that breaks a rule of the API."""
    return Refusal(HTTPStatus.BAD_REQUEST, reason)


@attrs.frozen
class Field:
    """A field of a query or of a body.

    Attributes:
        name: as it is written.
        about: what it is, for the description of the API.
        kind: ``string``, ``integer``, ``number`` or ``boolean``.
        default: where it is missing.
        low: the least number.
        high: the greatest number, or the most characters.
        choices: the texts that it can be; empty for any.
        required: whether it must be given.
    """

    name: str
    about: str
    kind: str = "string"
    default: str | float | bool | None = None
    low: float = 0
    high: float = 10_000
    choices: tuple[str, ...] = ()
    required: bool = False

    def read(self, value: object) -> str | float | bool | None:
        """Take a value out of a query, where it is a text, or out of JSON.

        Raises:
            Refusal: it is not as the field says.
        """
        if value is None:
            if self.required:
                raise bad(f"{self.name} is missing")
            return self.default
        match self.kind:
            case "string":
                return self._text(value)
            case "boolean":
                return self._boolean(value)
        return self._number(value)

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > self.high or _SURROGATE.search(value):
            raise bad(f"{self.name} must be a text of at most {self.high:g} characters")
        if self.choices and value not in self.choices:
            raise bad(f"{self.name} must be one of {', '.join(self.choices)}")
        return value

    def _boolean(self, value: object) -> bool:
        found = _WORDS.get(value) if isinstance(value, str) else value
        if not isinstance(found, bool):
            raise bad(f"{self.name} must be true or false")
        return found

    def _number(self, value: object) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        whole = self.kind == "number" or number.is_integer()
        if not (whole and self.low <= number <= self.high):
            what = "a number" if self.kind == "number" else "a whole number"
            raise bad(f"{self.name} must be {what} from {self.low:.15g} to {self.high:.15g}")
        return number if self.kind == "number" else int(number)

    def schema(self) -> dict[str, Json]:
        """The field as OpenAPI describes it."""
        limits: dict[str, Json] = {"minimum": self.low, "maximum": self.high}
        if self.kind == "string":
            limits = {"enum": list(self.choices)} if self.choices else {"maxLength": self.high}
        elif self.kind == "boolean":
            limits = {}
        default = {} if self.default is None else {"default": self.default}
        return {"type": self.kind, "description": self.about, **limits, **default}


class Given:
    """The fields of one request, checked."""

    def __init__(self, fields: tuple[Field, ...], values: Mapping[str, object]) -> None:
        """Read the values.

        Raises:
            Refusal: a field is unknown, missing, or not as it must be.
        """
        known = {field.name for field in fields}
        if unknown := sorted(values.keys() - known):
            raise bad(f"{unknown[0]} is unknown; known are {', '.join(sorted(known))}")
        self._values = {field.name: field.read(values.get(field.name)) for field in fields}

    def text(self, name: str) -> str | None:
        """A text; None where it was not given."""
        value = self._values[name]
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float:
        """A number, which was given or has a default."""
        return float(self._values[name] or 0)

    def count(self, name: str) -> int | None:
        """A whole number; None where it was not given."""
        value = self._values[name]
        return None if value is None else int(value)

    def flag(self, name: str) -> bool:
        """Whether something was asked for."""
        return bool(self._values[name])

    def has(self, name: str) -> bool:
        """Whether a field was given, or has a default."""
        return self._values[name] is not None


def read_json(body: bytes) -> dict[str, object]:
    """Read a body, which is an object; an empty body counts as an empty object.

    Raises:
        Refusal: it is none.
    """
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise bad("the body is no JSON") from None
    if not isinstance(found, dict):
        raise bad("the body must be an object of JSON")
    return found
