"""The holders of number ranges; a number is ported if another operator has its SIM."""

from collections.abc import Iterator, Mapping
from typing import Self

import attrs

from infobip_async.numbering.countries import countries_of
from infobip_async.numbering.operators import names_by_country
from infobip_async.numbering.plan import NumberingPlan, NumberType


@attrs.frozen
class NumberRange:
    """What the range of a number tells about it.

    Attributes:
        holder: the operator that the range was given to, as the table calls it.
        region: ISO 3166 alpha-2 code of the country or territory. None, too, where the plan does
            not know all countries of the calling code: it takes numbers of Kosovo behind +386 for
            Slovenian ones.
        number_type: the purpose of the number.
    """

    holder: str | None = None
    region: str | None = None
    number_type: NumberType | None = None


@attrs.frozen
class NumberRanges:
    """The holders of number ranges by prefix, and the numbering plan if there is one.

    Attributes:
        holders: operator's name by prefix in international format, digits only. A name can only
            be compared if it is also known as that of a network; the spelling may differ.
        plan: knows type and region; without it both stay unknown.
        names: the holders' names by country, reduced as they are compared.
    """

    holders: Mapping[str, str] = attrs.field(repr=False)
    plan: NumberingPlan | None = attrs.field(default=None, repr=False)
    names: Mapping[str, frozenset[str]] = attrs.field(init=False, repr=False)
    _lengths: tuple[int, ...] = attrs.field(init=False, repr=False)

    @names.default
    def _names_by_country(self) -> Mapping[str, frozenset[str]]:
        return names_by_country(_by_country(self.holders))

    @_lengths.default
    def _lengths_in_use(self) -> tuple[int, ...]:
        return tuple(sorted({len(prefix) for prefix in self.holders}, reverse=True))

    @classmethod
    def from_phonenumbers(cls) -> Self:
        """Take holders, types and regions from the ``phonenumbers`` package.

        It knows holders of mobile ranges only, in many countries; it knows none in the United
        States and Canada.

        Raises:
            ImportError: the ``phonenumbers`` extra is not installed.
        """
        from phonenumbers.carrierdata import CARRIER_DATA  # noqa: PLC0415 - an extra, and large

        holders = {
            prefix: names.get("en") or next(iter(names.values()))
            for prefix, names in CARRIER_DATA.items()
        }
        return cls(holders, NumberingPlan())

    def find(self, msisdn: str) -> NumberRange:
        """Find what is known about the range of a number in international format."""
        if self.plan is None:
            return NumberRange(self._holder(msisdn))
        region, number_type = self.plan.find(msisdn)
        if not self.plan.regions_of(msisdn).issuperset(countries_of(msisdn)):
            region = None
        return NumberRange(self._holder(msisdn), region, number_type)

    def _holder(self, msisdn: str) -> str | None:
        for length in self._lengths:
            holder = self.holders.get(msisdn[:length])
            if holder is not None:
                return holder
        return None


def _by_country(holders: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    pairs = {
        (country, name) for prefix, name in holders.items() for country in countries_of(prefix)
    }
    return iter(sorted(pairs))
