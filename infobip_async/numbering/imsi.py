"""An IMSI cut into its parts: MCC, MNC and what the operator made of the rest (E.212)."""

import re

import attrs

from infobip_async.numbering.tables import Tables, bundled_tables

# E.212 allows 15 digits. One that ends with its MNC is still of use; less is none.
_IMSI = re.compile("[0-9]{6,15}")
_MCC_END = 3


@attrs.frozen
class ImsiParts:
    """The parts of an IMSI. MCC and MNC are strings: ``31026`` is not ``310026``.

    Attributes:
        mcc: mobile country code, three digits.
        mnc: mobile network code, two or three digits.
        msin: what follows, which only the operator can read; it may be empty.
        ambiguous: the MCC has networks with codes of both lengths, and both fit: the longer was
            taken.
        assumed: nothing told the length of the MNC: of an unknown MCC two digits were taken, of
            an unknown network the length that is usual with its MCC.
    """

    mcc: str
    mnc: str
    msin: str
    ambiguous: bool = False
    assumed: bool = False


def split_imsi(imsi: str, tables: Tables | None = None) -> ImsiParts | None:
    """Cut an IMSI.

    Args:
        imsi: as reported.
        tables: the networks and country codes to go by; the bundled ones by default.

    Returns:
        The parts; None where it is not 6 to 15 digits. Whether it is the real IMSI cannot be
        seen: a home network may hand out a scrambled one, whose MCC and MNC are its own.
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
