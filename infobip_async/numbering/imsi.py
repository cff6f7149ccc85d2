"""The parts of an IMSI: MCC, MNC, and the rest, which belongs to the operator (E.212)."""

import re

import attrs

from infobip_async.numbering.tables import Tables, bundled_tables

# E.212 allows 15 digits. A gateway may give only the MCC and the MNC, or mask the digits behind.
_IMSI = re.compile(r"(?P<shown>[0-9]{5,15}|[0-9]{3,14}(?=[xX*#?_.•-]))[0-9xX*#?_.•-]*")
_LONGEST = 15
_MCC_END = 3
_SHORT_END = 5
_LONG_END = 6


@attrs.frozen
class ImsiParts:
    """The parts of an IMSI. MCC and MNC are strings: ``31026`` is not ``310026``.

    Attributes:
        mcc: mobile country code, three digits.
        mnc: mobile network code, two or three digits; empty where they are masked or cut off.
        msin: the rest, which only the operator can read; it may be masked, or empty.
        ambiguous: the MCC has networks with codes of both lengths, and both fit; the longer code
            was taken.
        assumed: the length of the MNC is not certain. For an unknown MCC two digits were taken,
            for an unknown network the most common length of its MCC.
    """

    mcc: str
    mnc: str
    msin: str
    ambiguous: bool = False
    assumed: bool = False


def split_imsi(imsi: str, tables: Tables | None = None) -> ImsiParts | None:
    """Split an IMSI into its parts.

    Args:
        imsi: as reported.
        tables: networks and country codes; the bundled ones by default.

    Returns:
        The parts; None if it is not 5 to 15 digits, of which those behind the MCC may be masked,
        as in ``21901**********``. It may not be the real IMSI: a home network can give a scrambled
        one, with its own MCC and MNC.
    """
    match = _IMSI.fullmatch(imsi)
    if match is None or len(imsi) > _LONGEST:
        return None
    known = bundled_tables() if tables is None else tables
    mcc = imsi[:_MCC_END]
    shown = match["shown"]
    digits = known.mnc_digits.get(mcc)
    if digits is None:
        return _cut(imsi, shown, 2, assumed=True)
    if mcc not in known.mixed:
        return _cut(imsi, shown, digits)
    short = shown[:_SHORT_END] in known.networks
    if len(shown) == _SHORT_END:
        longer = len(imsi) > _SHORT_END and _begins_longer(shown, known)
        return _cut(imsi, shown, 2 if short or not longer else 3, longer, not short)
    long = shown[:_LONG_END] in known.networks
    if long or short:
        return _cut(imsi, shown, 3 if long else 2, long and short)
    return _cut(imsi, shown, digits, assumed=True)


def _begins_longer(shown: str, known: Tables) -> bool:
    """Whether an MNC with one more digit, which is masked, is that of a network."""
    return any(f"{shown}{digit}" in known.networks for digit in "0123456789")


def _cut(
    imsi: str, shown: str, mnc_digits: int, ambiguous: bool = False, assumed: bool = False
) -> ImsiParts:
    """Cut an IMSI behind its MNC, or behind its MCC where not all of the MNC is shown."""
    end = _MCC_END + mnc_digits
    if end > len(shown):
        end, ambiguous, assumed = _MCC_END, False, True
    return ImsiParts(imsi[:_MCC_END], imsi[_MCC_END:end], imsi[end:], ambiguous, assumed)
