"""The parts of an IMSI: MCC, MNC, and the rest, which belongs to the operator (E.212)."""

import re

import attrs

from infobip_async.numbering.tables import Tables, bundled_tables

# E.212 allows 15 digits. An IMSI that ends with its MNC is still useful; a shorter one is not.
_IMSI = re.compile("[0-9]{6,15}")
_MCC_END = 3


@attrs.frozen
class ImsiParts:
    """The parts of an IMSI. MCC and MNC are strings: ``31026`` is not ``310026``.

    Attributes:
        mcc: mobile country code, three digits.
        mnc: mobile network code, two or three digits.
        msin: the rest, which only the operator can read; it may be empty.
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
        The parts; None if it is not 6 to 15 digits. It may not be the real IMSI: a home network
        can give a scrambled one, with its own MCC and MNC.
    """
    if not _IMSI.fullmatch(imsi):
        return None
    known = bundled_tables() if tables is None else tables
    mcc = imsi[:_MCC_END]
    digits = known.mnc_digits.get(mcc)
    if digits is None:
        return _cut(imsi, 2, assumed=True)
    if mcc not in known.mixed:
        return _cut(imsi, digits)
    long, short = imsi[:6] in known.networks, imsi[:5] in known.networks
    if long or short:
        return _cut(imsi, 3 if long else 2, ambiguous=long and short)
    return _cut(imsi, digits, assumed=True)


def _cut(
    imsi: str, mnc_digits: int, *, ambiguous: bool = False, assumed: bool = False
) -> ImsiParts:
    end = _MCC_END + mnc_digits
    return ImsiParts(imsi[:_MCC_END], imsi[_MCC_END:end], imsi[end:], ambiguous, assumed)
