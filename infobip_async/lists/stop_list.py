"""Numbers that must not get anything, as people keep them."""

import io
from pathlib import Path

from infobip_async.errors import LocalProtocolError
from infobip_async.lists.number_list import read_list


def read_exclusions(
    source: str | Path | io.BufferedIOBase,
    *,
    recipient: str | None = None,
    country: str | None = None,
    encoding: str | None = None,
) -> frozenset[str]:
    """Read a list of numbers that nothing is to be sent to, for ``exclude=`` of ``send_many``.

    The numbers are read in any form that `infobip_async.numbering.normalise` reads. So must the
    numbers that are sent to be, where they are not destinations already.

    Args:
        source: as of `read_list`.
        recipient: the column of the numbers, by name or by number from 1; None for a list with one
            number a line.
        country: of national numbers, such as ``HR``.
        encoding: as of `read_list`.

    Raises:
        LocalProtocolError: a number cannot be read, and would get something; names its line.
    """
    numbers = set()
    for row in read_list(
        source, recipient=recipient, normalise=True, country=country, encoding=encoding
    ):
        if row.fault and row.msisdn:
            raise LocalProtocolError(f"the number in line {row.line} {row.fault}", field="exclude")
        numbers.add(str(row.msisdn))
    return frozenset(numbers - {""})
