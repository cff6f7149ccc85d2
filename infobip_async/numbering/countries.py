"""The country of a number, by its calling code (E.164).

Countries share several calling codes. If the digits behind a shared code tell the country, the
longest prefix decides; if they do not, the answer is every possible country. A place without
numbers of its own in a shared plan (the mobile numbers of Svalbard, of Åland, of the Vatican)
counts as the country that runs the plan. Some codes, such as those of satellite networks, belong
to no country.
"""

import csv
import re
from functools import cache
from importlib.resources import files
from typing import Self

import attrs

_HEAD = 3
_LEADING_DIGITS = re.compile("[0-9]*")

EXTRATERRITORIAL = {
    "AU": frozenset({"CC", "CX", "NF"}),
    "CH": frozenset({"LI"}),
    "CW": frozenset({"BQ", "SX"}),
    "FI": frozenset({"AX"}),
    "GB": frozenset({"GG", "IM", "JE"}),
    "GP": frozenset({"BL", "GF", "MF", "MQ"}),
    "IL": frozenset({"PS"}),
    "IT": frozenset({"SM", "VA"}),
    # Digicel uses Jamaica's code on its other islands.
    "JM": frozenset({"AG", "AI", "BB", "BM", "DM", "GD", "KN", "KY", "LC", "MS", "TC", "VC", "VG"}),
    "MA": frozenset({"EH"}),
    "MC": frozenset({"XK"}),
    "NO": frozenset({"SJ"}),
    "PR": frozenset({"VI"}),
    "RE": frozenset({"YT"}),
    "RS": frozenset({"XK"}),
    "SH": frozenset({"AC", "TA"}),
    "SI": frozenset({"XK"}),
    "US": frozenset({"AS", "GU", "MP", "PR", "VI"}),
}
"""By country: other territories whose networks may use its mobile country codes (E.212 annex E)."""


@attrs.frozen
class CallingCodes:
    """The countries by prefix, arranged so that a search tries only lengths that can match.

    Attributes:
        countries: for each prefix its possible countries, sorted.
        lengths: for each three leading digits the lengths of prefix to try, longest first.
    """

    countries: dict[str, tuple[str, ...]] = attrs.field(repr=False)
    lengths: dict[str, tuple[int, ...]] = attrs.field(repr=False)

    @classmethod
    def of(cls, countries: dict[str, tuple[str, ...]]) -> Self:
        """Arrange a table of prefixes."""
        lengths: dict[str, set[int]] = {}
        for prefix in countries:
            for head in _heads(prefix):
                lengths.setdefault(head, set()).add(len(prefix))
        ordered = {head: tuple(sorted(found, reverse=True)) for head, found in lengths.items()}
        return cls(countries, ordered)

    def find(self, number: str) -> tuple[str, ...] | None:
        """Find the countries of a number's prefix; None if the prefix is not assigned."""
        if not (number.isascii() and number.isdigit()):
            number = _leading_digits(number)
        lengths = self.lengths.get(number[:_HEAD])
        if lengths is None:
            return None
        if len(number) < lengths[0]:
            return self._find_cut_short(number)
        for length in lengths:
            found = self.countries.get(number[:length])
            if found is not None:
                return found
        return None

    def _find_cut_short(self, number: str) -> tuple[str, ...]:
        """Find all possible countries of a number that ends before its prefix is complete."""
        longer = [found for prefix, found in self.countries.items() if prefix.startswith(number)]
        shorter = (self.countries.get(number[:end]) for end in range(len(number), 0, -1))
        longer.append(next((found for found in shorter if found is not None), ()))
        return tuple(sorted({country for found in longer for country in found}))


def _heads(prefix: str) -> tuple[str, ...]:
    missing = _HEAD - len(prefix)
    if missing <= 0:
        return (prefix[:_HEAD],)
    return tuple(f"{prefix}{tail:0{missing}}" for tail in range(10**missing))


def _leading_digits(number: str) -> str:
    match = _LEADING_DIGITS.match(number.removeprefix("+"))
    return match.group() if match else ""


@cache
def bundled_calling_codes() -> CallingCodes:
    """The table that comes with the package, read at its first use."""
    text = (files(__package__) / "calling_codes.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return CallingCodes.of(
        {
            prefix: tuple(row["countries"].split())
            for row in rows
            for prefix in row["prefixes"].split()
        }
    )


def countries_of(number: str) -> tuple[str, ...]:
    """The possible countries of a number in international format, sorted.

    Args:
        number: digits without a leading ``0``; a leading ``+`` is ignored. It may be only the
            beginning of a number, or have its last digits masked.

    Returns:
        ISO 3166 alpha-2 codes (``XK`` for Kosovo, ``AC`` for Ascension, ``TA`` for Tristan da
        Cunha): one if the prefix tells the country, several if it does not, none if the prefix
        belongs to no country or is not assigned.
    """
    return bundled_calling_codes().find(number) or ()


def is_assigned(number: str) -> bool:
    """Whether a number begins with a calling code in use, with or without a country."""
    return bundled_calling_codes().find(number) is not None
