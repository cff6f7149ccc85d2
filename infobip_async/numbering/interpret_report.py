"""What an HLR report means: who serves the number, where, and whether it was ported.

Every answer is YES, NO or UNKNOWN; nothing here is a guess.
"""

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NoReturn

import attrs

from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.numbering.countries import EXTRATERRITORIAL, countries_of
from infobip_async.numbering.imsi import ImsiParts, split_imsi
from infobip_async.numbering.operators import read_name, same_operator
from infobip_async.numbering.plan import NumberType
from infobip_async.numbering.ranges import NumberRange, NumberRanges
from infobip_async.numbering.tables import Network, Tables, bundled_tables

STATUSES: Mapping[HlrStatus, str] = MappingProxyType(
    {
        HlrStatus.DELIVRD: "the HLR was queried without an error",
        HlrStatus.UNDELIV: "there was an error",
        HlrStatus.UNKNOWN: "there was any other error, such as no credits",
    }
)
"""The meaning of each status."""

ERROR_CODES: Mapping[str, str] = MappingProxyType(
    {
        "0": "stands beside DELIVRD in the example",
        "1": "stands beside UNDELIV in the example",
    }
)
"""The error codes in the document's example; it explains none."""


class Answer(Enum):
    """Yes, no or unknown. It has no truth value: compare it."""

    YES = "yes"
    """The report says so."""
    NO = "no"
    """The report says the opposite."""
    UNKNOWN = "unknown"
    """The report does not tell."""

    def __bool__(self) -> NoReturn:
        raise TypeError("an Answer has three values; write `is Answer.YES`")


@attrs.frozen(kw_only=True)
class Interpretation:
    """What one HLR report says, and what it leaves open. Unknown values are None.

    Attributes:
        reachable: YES where the HLR was queried without an error and names an MSC that serves the
            number; NO where the HLR answered with an error (UNDELIV). Other errors, such as
            missing credits, say nothing about the number.
        reachable_reason: why, in words.
        roaming: whether the number is served outside the country of its SIM's MCC. It is NO, too,
            for a network that always answers lookups with its own address.
        roaming_reason: why, in words.
        ported: whether another operator than the holder of the number's range has the SIM.
        ported_reason: why, in words.
        mcc: mobile country code of the IMSI, three digits.
        mnc: mobile network code of the IMSI, two or three digits; None, too, where it is masked.
        ambiguous: `mnc` may be a digit shorter, since both codes exist.
        assumed: the length of `mnc` is not certain.
        imsi_country: the country that the MCC is assigned to, ISO 3166 alpha-2; its territories
            may use it too.
        operator: the name of the network's operator.
        operator_source: how good that name is; see `Network`.
        number_country: the country of the number, if its prefix tells it.
        number_type: the purpose of the number; known with a numbering plan only.
        range_holder: the operator that the number's range was given to; known with ranges only.
        msc_country: the country of the serving MSC, if its prefix tells it.
    """

    reachable: Answer
    reachable_reason: str
    roaming: Answer
    roaming_reason: str
    ported: Answer
    ported_reason: str
    mcc: str | None = None
    mnc: str | None = None
    ambiguous: bool = False
    assumed: bool = False
    imsi_country: str | None = None
    operator: str | None = None
    operator_source: str | None = None
    number_country: str | None = None
    number_type: NumberType | None = None
    range_holder: str | None = None
    msc_country: str | None = None


@attrs.frozen
class _Sim:
    """What the IMSI tells."""

    parts: ImsiParts | None
    country: str | None
    network: Network | None
    fault: str
    """Why `country` is None."""


_NO_SIM = _Sim(None, None, None, "the report has no IMSI")
_UNREADABLE_SIM = _Sim(None, None, None, "the IMSI does not begin with an MCC and an MNC")
_NO_RANGE = NumberRange()
_NO_NAMES: frozenset[str] = frozenset()
_SIGNIFICANT_DIGIT = re.compile("[1-9]")


def interpret(
    report: HlrReport,
    *,
    tables: Tables | None = None,
    ranges: NumberRanges | None = None,
) -> Interpretation:
    """Say what an HLR report means (§5). It takes some microseconds, and never raises.

    Args:
        report: the report.
        tables: networks and country codes; the bundled ones by default.
        ranges: the holders of number ranges; without them `ported` stays UNKNOWN.
    """
    known = bundled_tables() if tables is None else tables
    sim = _read_sim(report.imsi, known)
    number_range = _NO_RANGE if ranges is None else ranges.find(report.destination)
    number = _number_countries(report.destination, number_range.region)
    address = _address(report.serving_msc)
    msc = () if address is None else countries_of(address)
    reachable, reachable_reason = _reachable(report, address)
    roaming, roaming_reason = _roaming(sim, address, msc)
    ported, ported_reason = _ported(sim, number, number_range.holder, known, ranges)
    parts, network = sim.parts, sim.network
    return Interpretation(
        reachable=reachable,
        reachable_reason=reachable_reason,
        roaming=roaming,
        roaming_reason=roaming_reason,
        ported=ported,
        ported_reason=ported_reason,
        mcc=None if parts is None else parts.mcc,
        mnc=None if parts is None else parts.mnc or None,
        ambiguous=parts is not None and parts.ambiguous,
        assumed=parts is not None and parts.assumed,
        imsi_country=sim.country,
        operator=None if network is None else network.operator,
        operator_source=None if network is None else network.source,
        number_country=_only(number),
        number_type=number_range.number_type,
        range_holder=number_range.holder,
        msc_country=_only(msc),
    )


def _read_sim(imsi: str | None, known: Tables) -> _Sim:
    if imsi is None:
        return _NO_SIM
    parts = split_imsi(imsi, known)
    if parts is None:
        return _UNREADABLE_SIM
    country = known.countries.get(parts.mcc)
    fault = "" if country else f"no country is known to have the MCC {parts.mcc}"
    return _Sim(parts, country, known.network(parts.mcc, parts.mnc), fault)


def _address(serving_msc: str | None) -> str | None:
    """Give the address of the MSC; None if the field holds only zeros, or is masked completely."""
    return serving_msc if serving_msc and _SIGNIFICANT_DIGIT.search(serving_msc) else None


def _number_countries(destination: str, region: str | None) -> tuple[str, ...]:
    """The possible countries of a number; a numbering plan may know which one it is."""
    countries = countries_of(destination)
    return (region,) if region in countries else countries


def _only(countries: tuple[str, ...]) -> str | None:
    return countries[0] if len(countries) == 1 else None


def _may_be_home(country: str, others: tuple[str, ...]) -> bool:
    """Whether a SIM of one country may be at home in one of the others."""
    territories = EXTRATERRITORIAL.get(country, _NO_NAMES)
    return any(other == country or other in territories for other in others)


def _reachable(report: HlrReport, address: str | None) -> tuple[Answer, str]:
    if report.status is HlrStatus.UNDELIV:
        return Answer.NO, f"the HLR answers with {_code(report)} (UNDELIV)"
    if report.status is not HlrStatus.DELIVRD or (report.error_code or "").strip("0"):
        return Answer.UNKNOWN, f"{report.raw_status} with {_code(report)} may mean anything"
    if address is None:
        return Answer.UNKNOWN, "the report names no serving MSC"
    return Answer.YES, "an MSC serves the number"


def _code(report: HlrReport) -> str:
    return f"error code {report.error_code}" if report.error_code else "no error code"


def _roaming(sim: _Sim, address: str | None, msc: tuple[str, ...]) -> tuple[Answer, str]:
    if sim.country is None:
        return Answer.UNKNOWN, sim.fault
    if address is None:
        return Answer.UNKNOWN, "the report names no serving MSC"
    if not msc:
        return Answer.UNKNOWN, "the country of the serving MSC is not known"
    place = " or ".join(msc)
    if msc == (sim.country,):
        return Answer.NO, f"the SIM and the serving MSC are of {place}"
    if _may_be_home(sim.country, msc):
        return Answer.UNKNOWN, f"the serving MSC is of {place}; a SIM of {sim.country} may be home"
    return Answer.YES, f"the SIM is of {sim.country}, the serving MSC of {place}"


def _ported(
    sim: _Sim,
    number: tuple[str, ...],
    holder: str | None,
    known: Tables,
    ranges: NumberRanges | None,
) -> tuple[Answer, str]:
    if sim.country is None:
        return Answer.UNKNOWN, sim.fault
    if number and not _may_be_home(sim.country, number):
        return Answer.UNKNOWN, _foreign(sim.country, number)
    if ranges is None or holder is None:
        return Answer.UNKNOWN, "the holder of the number range is not known"
    if sim.parts is not None and sim.parts.ambiguous:
        return Answer.UNKNOWN, "the IMSI can be cut into the codes of two networks"
    if sim.network is None:
        return Answer.UNKNOWN, "the network of the IMSI is not known"
    return _compare(sim.country, holder, sim.network, known, ranges)


def _foreign(country: str, number: tuple[str, ...]) -> str:
    """Say why two countries prove no ported number: numbers stay within their country."""
    return (
        f"the number is of {' or '.join(number)} and the SIM of {country}; numbers are not ported "
        "across borders, so the SIM is a foreign one, or the IMSI is not the real one"
    )


def _compare(
    country: str, holder: str, network: Network, known: Tables, ranges: NumberRanges
) -> tuple[Answer, str]:
    """Judge by names, which each list spells differently.

    NO needs a name in common. YES needs two names without a common word, and each of them must be
    known both as a network's and as a range holder's. So neither is a reseller, nor a company
    that was renamed in only one of the lists.
    """
    same = same_operator(country, holder, network.operator)
    if same:
        return (
            Answer.NO,
            f"{holder} has the range, and {network.operator}, which is the same, the SIM",
        )
    runs_a_network = read_name(country, holder).names & known.operators.get(country, _NO_NAMES)
    has_ranges = read_name(country, network.operator).names & ranges.names.get(country, _NO_NAMES)
    if same is False and network.well_named and runs_a_network and has_ranges:
        return Answer.YES, f"{holder} has the range, {network.operator} the SIM"
    return Answer.UNKNOWN, f"{holder} has the range, {network.operator} the SIM; they may be one"
