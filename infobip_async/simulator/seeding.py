"""Files of what is decided about numbers before anything is sent."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.simulator.console.actions import DECISION, phone_of
from infobip_async.simulator.console.fields import Given, Refusal
from infobip_async.simulator.records import Phone

_KNOWN: Final = {"phones", "not_covered"}


@attrs.frozen(kw_only=True)
class Seed:
    """What is decided before anything is sent.

    Attributes:
        phones: by number.
        not_covered: prefixes of numbers without a route.
    """

    phones: Mapping[str, Phone] = attrs.field(factory=dict)
    not_covered: tuple[str, ...] = ()


def read_seed(path: str | PathLike[str]) -> Seed:
    """Read a file of JSON, such as ``{"phones": {"38598514674": {"status": "NOT_DELIVERED"}}}``.

    A phone has any of ``status``, ``delay`` in seconds, ``network`` (MCC and MNC), ``roaming`` (a
    calling code) and ``absent``. Beside the phones, ``not_covered`` lists prefixes of numbers.

    Raises:
        LocalProtocolError: the file is not of this form; the text says where.
        OSError: it cannot be read.
    """
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        raise LocalProtocolError("is no JSON in UTF-8", field="seed") from None
    phones = given.get("phones", {}) if isinstance(given, dict) else None
    prefixes = given.get("not_covered", []) if isinstance(given, dict) else None
    if not (isinstance(phones, dict) and isinstance(prefixes, list) and given.keys() <= _KNOWN):
        about = 'must be an object with "phones", an object, and "not_covered", a list'
        raise LocalProtocolError(about, field="seed")
    if not all(isinstance(prefix, str) and prefix.isdecimal() for prefix in prefixes):
        raise LocalProtocolError('"not_covered" must list digits in quotes', field="seed")
    read = {number: _phone(number, decided) for number, decided in phones.items()}
    return Seed(phones=read, not_covered=tuple(prefixes))


def _phone(number: str, decided: object) -> Phone:
    try:
        if not isinstance(decided, dict):
            raise LocalProtocolError("a phone must be an object", field="seed", value=number)
        return phone_of(number, Given(DECISION, decided))
    except Refusal as refusal:
        raise LocalProtocolError(refusal.reason, field="seed", value=number) from None
