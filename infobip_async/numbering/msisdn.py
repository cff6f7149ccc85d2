"""Destinations and senders: what may go on the wire, checked before anything is sent.

Many numbers are joined and matched once, since a call for each would cost more than the request
that carries them. Only if that fails, the number at fault is looked for.
"""

import re
from collections.abc import Sequence
from operator import countOf
from typing import Self

from infobip_async.errors import LocalProtocolError

_SENDING = "2/1.2"
_FILTERING = "2/1"
_LOOKUP = "4"

# E.164 ends at 15 digits. Up to 20 are accepted, since a routing prefix is the business of the
# gateway, which judges the number anyway. More digits are a mistake, such as two numbers in one.
_DESTINATION = "[1-9][0-9]{0,19}+"
_ONE_DESTINATION = re.compile(_DESTINATION)
_MANY_DESTINATIONS = re.compile(f"(?:{_DESTINATION};)*+{_DESTINATION}")
_MANY_DIGITS = re.compile("(?:[0-9]++;)*+[0-9]++")
_DIGITS = re.compile("[0-9]+")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and lone surrogates, which no charset of the wire can encode."""
_UNCARRIABLE = re.compile("[;\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that would break the rows of §4: separators, line breaks, control characters."""

_MAX_DIGITS = 20
_MAX_NUMERIC_SENDER = 14
_MAX_ALPHANUMERIC_SENDER = 11


class MarkedNumber(str):
    """A number that may say why nothing is to be sent to it, whatever its digits are.

    Attributes:
        fault: the reason; empty where nothing is wrong.
    """

    __slots__ = ("fault",)
    fault: str

    def __new__(cls, number: str, fault: str) -> Self:
        """Mark a number."""
        marked = super().__new__(cls, number)
        marked.fault = fault
        return marked


def _mark_of(number: str) -> str:
    return number.fault if isinstance(number, MarkedNumber) else ""


def _any_marked(numbers: Sequence[str]) -> bool:
    return countOf(map(type, numbers), str) < len(numbers) and any(map(_mark_of, numbers))


def _fault_of(msisdn: str) -> str:
    """Say what is wrong with a destination that did not match, and the right one if it is clear."""
    if mark := _mark_of(msisdn):
        return mark
    bare = re.sub(r"[\s()./-]", "", msisdn)
    international = re.sub(r"^(?:\+|00)", "", bare)
    if not msisdn:
        return "is empty"
    if _ONE_DESTINATION.fullmatch(international):
        return "is not plain digits without a leading + or 0: write its digits alone"
    if not _DIGITS.fullmatch(msisdn):
        return "has characters other than the digits 0 to 9"
    if msisdn.startswith("0"):
        return "has a leading 0: write the calling code in its place, or read it with country="
    return f"has {len(msisdn)} digits, more than {_MAX_DIGITS}"


def check_destination(msisdn: str, *, field: str = "recipients") -> str:
    """Give back a destination that can be sent to, unchanged (§2/1.2).

    Args:
        msisdn: "international format without leading 0 or +": 1 to 20 digits.
        field: the name of the caller's argument, for the error.

    Raises:
        LocalProtocolError: it is anything else.
    """
    try:
        if _ONE_DESTINATION.fullmatch(msisdn) and not _mark_of(msisdn):
            return msisdn
    except TypeError:
        raise LocalProtocolError("is not a string", field=field, value=msisdn) from None
    raise LocalProtocolError(_fault_of(msisdn), field=field, section=_SENDING, value=msisdn)


def check_destinations(msisdns: Sequence[str], *, field: str = "recipients") -> None:
    """Refuse a list of recipients that is empty, or holds a bad number or a number twice (§2/1).

    The gateway drops duplicates ("duplicate numbers in one post request will be filtered"), so
    there would be no report for one of the two.

    Args:
        msisdns: the numbers, as `check_destination` accepts them.
        field: the name of the caller's argument, for the error.

    Raises:
        LocalProtocolError: names the first number at fault and its place, counted from 1.
    """
    if not msisdns:
        raise LocalProtocolError("no destination is given", field=field, section=_SENDING)
    joined = _joined(msisdns, field)
    good = _MANY_DESTINATIONS.fullmatch(joined) and joined.count(";") < len(msisdns)
    if not good or _any_marked(msisdns):
        raise _first_fault(msisdns, field)
    if len(set(msisdns)) < len(msisdns):
        raise _first_duplicate(msisdns, field)


def _joined(numbers: Sequence[str], field: str) -> str:
    try:
        return ";".join(numbers)
    except TypeError:
        every: Sequence[object] = numbers
        bad = next(number for number in every if not isinstance(number, str))
        raise LocalProtocolError("is not a string", field=field, value=bad) from None


def _first_fault(msisdns: Sequence[str], field: str) -> LocalProtocolError:
    place, msisdn = next(
        (place, msisdn)
        for place, msisdn in enumerate(msisdns, 1)
        if not _ONE_DESTINATION.fullmatch(msisdn) or _mark_of(msisdn)
    )
    what = f"number {place} of {len(msisdns)} {_fault_of(msisdn)}"
    return LocalProtocolError(what, field=field, section=_SENDING, value=msisdn)


def _first_duplicate(msisdns: Sequence[str], field: str) -> LocalProtocolError:
    seen: dict[str, int] = {}
    place, msisdn = next(
        (place, msisdn)
        for place, msisdn in enumerate(msisdns, 1)
        if seen.setdefault(msisdn, place) != place
    )
    what = f"a number stands at {seen[msisdn]} and at {place}; the gateway would drop one of them"
    return LocalProtocolError(what, field=field, section=_FILTERING, value=msisdn)


def is_numeric_sender(sender: str) -> bool:
    """Whether a sender consists of digits; then it may be longer, and is sent as TON 1 (§2/1.2)."""
    return _DIGITS.fullmatch(sender) is not None


def check_sender(sender: str) -> str:
    """Give back a sender that can be sent, unchanged (§2/1.2).

    Args:
        sender: 1 to 14 digits, or 1 to 11 characters of which not all are digits. The document
            does not say which characters an alphanumeric sender may have, and networks differ:
            only control characters are refused.

    Raises:
        LocalProtocolError: it is empty or blank, too long, has a control character, or is a
            number with a leading ``+``, which the document leaves to the source TON.
    """
    fault = _fault_of_sender(sender)
    if fault:
        raise LocalProtocolError(fault, field="sender", section=_SENDING, value=sender)
    return sender


def _fault_of_sender(sender: str) -> str:
    if not sender.strip():
        return "is empty"
    if is_numeric_sender(sender.removeprefix("+")):
        return _fault_of_numeric_sender(sender)
    if _CONTROL.search(sender):
        return "has a control character"
    if len(sender) > _MAX_ALPHANUMERIC_SENDER:
        return f"has {len(sender)} characters; an alphanumeric sender has at most 11"
    return ""


def _fault_of_numeric_sender(sender: str) -> str:
    if sender.startswith("+"):
        return "has a leading +: give the digits, and source_addr_ton=Ton.INTERNATIONAL for the +"
    if len(sender) > _MAX_NUMERIC_SENDER:
        return f"has {len(sender)} digits; a numeric sender has at most 14"
    return ""


def check_lookup_destination(destination: str) -> str:
    """Give back a number that can be looked up, unchanged (§4).

    Only what cannot be written into a query is refused. The document marks even six digits as
    good, so the gateway judges the number: it answers FAILED for a bad one.

    Args:
        destination: one character or more, without ``;``, line breaks and control characters.

    Raises:
        LocalProtocolError: it cannot be written into a query.
    """
    if not isinstance(destination, str):
        raise LocalProtocolError("is not a string", field="destinations", value=destination)
    mark = _mark_of(destination)
    if destination and not mark and not _UNCARRIABLE.search(destination):
        return destination
    what = "has a ';', a line break or a control character" if destination else "is empty"
    raise LocalProtocolError(mark or what, field="destinations", section=_LOOKUP, value=destination)


def check_lookup_destinations(destinations: Sequence[str]) -> None:
    """Refuse a list that is empty, or holds a number that cannot be written into a query (§4).

    Args:
        destinations: the numbers, as `check_lookup_destination` accepts them; one may stand twice.

    Raises:
        LocalProtocolError: names the first number at fault.
    """
    if not destinations:
        raise LocalProtocolError("no number is given", field="destinations", section=_LOOKUP)
    joined = _joined(destinations, "destinations")
    plain = _MANY_DIGITS.fullmatch(joined) and joined.count(";") < len(destinations)
    if plain and not _any_marked(destinations):
        return
    for destination in destinations:
        check_lookup_destination(destination)
