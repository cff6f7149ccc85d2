"""Type and region of a number, by the patterns of the ``phonenumbers`` package (an extra).

The package has more patterns than its cache holds: in a list of mixed countries it compiles them
anew for nearly every number. Here the patterns of each country are compiled once and kept.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Self

import attrs

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata, PhoneNumberDesc

_NO_COUNTRY = "001"
"""The region of codes without a country, as ``phonenumbers`` calls it."""
_LONGEST_CODE = 3


class NumberType(Enum):
    """The purpose of a number, by the numbering plan of its country."""

    FIXED_LINE = "fixed line"
    """A line at one place."""
    MOBILE = "mobile"
    """A mobile telephone."""
    FIXED_LINE_OR_MOBILE = "fixed line or mobile"
    """The plan does not tell the two apart, as in North America."""
    TOLL_FREE = "toll free"
    """Free for the caller."""
    PREMIUM_RATE = "premium rate"
    """The caller pays more than for the call."""
    SHARED_COST = "shared cost"
    """Caller and holder share the cost."""
    VOIP = "voip"
    """A telephone on the internet."""
    PERSONAL_NUMBER = "personal number"
    """Leads to a person, at whatever telephone that is."""
    PAGER = "pager"
    """A pager."""
    UAN = "company number"
    """A company's number, which leads to any of its offices."""
    VOICEMAIL = "voicemail"
    """Access to a mailbox."""


@attrs.frozen
class _Pattern:
    lengths: frozenset[int]
    """The possible lengths; if empty, those of the general pattern, which is tried first."""
    match: Callable[[str], re.Match[str] | None]

    def fits(self, national: str) -> bool:
        if self.lengths and len(national) not in self.lengths:
            return False
        return self.match(national) is not None


_NEVER = _Pattern(frozenset({-1}), re.compile("(?!)").fullmatch)


def _pattern(desc: "PhoneNumberDesc | None") -> _Pattern:
    if desc is None or not desc.national_number_pattern:
        return _NEVER
    return _Pattern(
        frozenset(desc.possible_length), re.compile(desc.national_number_pattern).fullmatch
    )


@attrs.frozen
class _Region:
    """The patterns of one region, or of one code without a region."""

    code: str | None
    leading: Callable[[str], re.Match[str] | None] | None
    general: _Pattern
    special: tuple[tuple[_Pattern, NumberType], ...]
    fixed: _Pattern
    mobile: _Pattern

    @classmethod
    def of(cls, metadata: "PhoneMetadata") -> Self:
        # In the order in which the package tries them, since a number can fit several.
        special = (
            (metadata.premium_rate, NumberType.PREMIUM_RATE),
            (metadata.toll_free, NumberType.TOLL_FREE),
            (metadata.shared_cost, NumberType.SHARED_COST),
            (metadata.voip, NumberType.VOIP),
            (metadata.personal_number, NumberType.PERSONAL_NUMBER),
            (metadata.pager, NumberType.PAGER),
            (metadata.uan, NumberType.UAN),
            (metadata.voicemail, NumberType.VOICEMAIL),
        )
        leading = metadata.leading_digits
        return cls(
            code=None if metadata.id == _NO_COUNTRY else metadata.id,
            leading=re.compile(leading).match if leading else None,
            general=_pattern(metadata.general_desc),
            special=tuple((_pattern(desc), number_type) for desc, number_type in special if desc),
            fixed=_pattern(metadata.fixed_line),
            mobile=_pattern(metadata.mobile),
        )

    def type_of(self, national: str) -> NumberType | None:
        if not self.general.fits(national):
            return None
        for pattern, number_type in self.special:
            if pattern.fits(national):
                return number_type
        if not self.fixed.fits(national):
            return NumberType.MOBILE if self.mobile.fits(national) else None
        if self.mobile.fits(national):
            return NumberType.FIXED_LINE_OR_MOBILE
        return NumberType.FIXED_LINE

    def covers(self, national: str) -> bool:
        if self.leading is not None:
            return self.leading(national) is not None
        return self.type_of(national) is not None


def _load(code: int) -> tuple[_Region, ...]:
    """The regions of a calling code, the main one first."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata  # noqa: PLC0415 - an extra

    names = COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    found = (PhoneMetadata.metadata_for_region_or_calling_code(code, name) for name in names)
    return tuple(_Region.of(metadata) for metadata in found if metadata is not None)


@attrs.frozen
class NumberingPlan:
    """The numbering plans of all countries, each loaded with the first number of its country."""

    _regions: dict[str, tuple[_Region, ...]] = attrs.field(factory=dict, repr=False)

    def find(self, msisdn: str) -> tuple[str | None, NumberType | None]:
        """Find region (ISO 3166 alpha-2) and type of a number in international format."""
        end, regions = self._behind_code(msisdn)
        return _find(regions, msisdn[end:])

    def regions_of(self, msisdn: str) -> frozenset[str | None]:
        """All regions that the plan has for the calling code of a number."""
        return frozenset(region.code for region in self._behind_code(msisdn)[1])

    def _behind_code(self, msisdn: str) -> tuple[int, tuple[_Region, ...]]:
        """Where the calling code of a number ends, and the regions that have this code."""
        for end in range(1, _LONGEST_CODE + 1):
            if regions := self._of_code(msisdn[:end]):
                return end, regions
        return 0, ()

    def _of_code(self, code: str) -> tuple[_Region, ...]:
        found = self._regions.get(code)
        if found is None:
            found = _load(int(code)) if code.isascii() and code.isdigit() else ()
            self._regions[code] = found
        return found


def _find(regions: tuple[_Region, ...], national: str) -> tuple[str | None, NumberType | None]:
    for region in regions:
        if len(regions) == 1 or region.covers(national):
            return region.code, region.type_of(national)
    return None, None
