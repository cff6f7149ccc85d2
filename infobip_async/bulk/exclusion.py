"""Numbers that nothing is sent to, in whatever form they are written."""

import re
from collections.abc import Collection, Container
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering.normalising import looks_like_number, normalise

_DESTINATION: Final = re.compile("[1-9][0-9]*")


@attrs.frozen
class _Also:
    """A container, and more numbers.

    Attributes:
        given: the container, which may change.
        read: the numbers that stand in it in other forms.
    """

    given: Container[str]
    read: frozenset[str]

    def __contains__(self, number: object) -> bool:
        return number in self.given or number in self.read


def excluded(exclude: Container[str]) -> Container[str]:
    """Have numbers excluded that a collection holds in other forms, such as ``+385 98 514 674``.

    Raises:
        LocalProtocolError: a number cannot be read, and would get something.
    """
    if not isinstance(exclude, Collection):
        return exclude
    odd = (one for one in exclude if isinstance(one, str) and not _DESTINATION.fullmatch(one))
    try:
        read = frozenset(normalise(number) for number in odd if looks_like_number(number))
    except LocalProtocolError as fault:
        raise LocalProtocolError(fault.args[0], field="exclude", value=fault.value) from None
    return _Also(exclude, read) if read else exclude
