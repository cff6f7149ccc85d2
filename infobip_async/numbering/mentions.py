"""Where a number stands in what was stored as it arrived, however it is written there."""

import re

_FILLING = r"(?:[ +().\-/]|%20|%2[89BbDdEeFf]){0,3}"
_BEGIN = r"(?:(?<![0-9])|(?<=%[0-9A-Fa-f]{2}))(?:00)?"
_END = r"(?![0-9]|%3[0-9])"


def mentions(msisdn: str) -> re.Pattern[str]:
    """Make a pattern that finds a number in texts, forms, URLs and XML.

    The number may stand there with ``+`` or ``00`` in front, with blanks and punctuation in it, and
    percent-encoded or as character references. It is not found within a longer number.

    Args:
        msisdn: the number, in plain digits.
    """
    return re.compile(f"{_BEGIN}{_FILLING.join(map(_spellings, msisdn))}{_END}")


def _spellings(digit: str) -> str:
    return f"(?:{digit}|%3{digit}|&#0{{0,9}}{ord(digit)};|&#[xX]0{{0,9}}3{digit};)"
