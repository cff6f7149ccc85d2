"""Destinations made of numbers as people write them.

A table here has the countries whose national numbers follow a simple rule. Numbers of other
countries are read by the ``phonenumbers`` package, an extra; without it they are refused: so no
number is read in two ways on two machines.
"""

import re
import unicodedata

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering.countries import is_assigned

# Blanks, punctuation, and invisible marks that are copied along with a number.
_FILLING = re.compile(
    r"[\s\-./()\[\]'\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_DIALLED = re.compile("[+]?[0-9]+")
_DECIMAL = re.compile(r"\s*[0-9]+\.0\s*")
_MAX_DIGITS = 15
"""The most digits of a number (E.164); more are probably two numbers in one field."""
_DROPS_ZERO = re.compile(r"(?:\+|00)(?!39|378|379)")
"""An international number in which a ``(0)`` is not dialled: Italy's plan keeps its zeros."""

_ZERO = "0([1-9][0-9]+)"
_NATIONAL = {
    "AE": ("971", _ZERO),
    "AL": ("355", _ZERO),
    "AT": ("43", _ZERO),
    "AU": ("61", _ZERO),
    "BA": ("387", _ZERO),
    "BD": ("880", _ZERO),
    "BE": ("32", _ZERO),
    "BG": ("359", _ZERO),
    "BH": ("973", "([0-9]{8})"),
    "CA": ("1", "1?([2-9][0-9]{9})"),
    "CH": ("41", _ZERO),
    "CN": ("86", "0?(1[3-9][0-9]{9})|0([1-9][0-9]{8,10})"),
    "CY": ("357", "([0-9]{8})"),
    "CZ": ("420", "([0-9]{9})"),
    "DE": ("49", _ZERO),
    "DK": ("45", "([0-9]{8})"),
    "DZ": ("213", _ZERO),
    "EE": ("372", "([0-9]{7,8})"),
    "EG": ("20", _ZERO),
    "ES": ("34", "([0-9]{9})"),
    "FI": ("358", _ZERO),
    "FR": ("33", _ZERO),
    "GB": ("44", _ZERO),
    "GR": ("30", "([0-9]{10})"),
    "HR": ("385", _ZERO),
    "HU": ("36", "06([1-9][0-9]+)"),
    "IE": ("353", _ZERO),
    "IN": ("91", "0?([1-9][0-9]{9})"),
    "IQ": ("964", _ZERO),
    "IR": ("98", _ZERO),
    "IS": ("354", "([0-9]{7})"),
    "IT": ("39", "(0[0-9]{5,10}|3[0-9]{8,9})"),
    "JO": ("962", _ZERO),
    "KW": ("965", "([0-9]{8})"),
    "LV": ("371", "([0-9]{8})"),
    "MA": ("212", _ZERO),
    "MD": ("373", _ZERO),
    "ME": ("382", _ZERO),
    "MK": ("389", _ZERO),
    "MT": ("356", "([0-9]{8})"),
    "MX": ("52", "([1-9][0-9]{9})"),
    "MY": ("60", _ZERO),
    "NL": ("31", _ZERO),
    "NO": ("47", "([0-9]{8})"),
    "NZ": ("64", _ZERO),
    "OM": ("968", "([0-9]{8})"),
    "PH": ("63", _ZERO),
    "PK": ("92", _ZERO),
    "PL": ("48", "([0-9]{9})"),
    "PT": ("351", "([0-9]{9})"),
    "QA": ("974", "([0-9]{8})"),
    "RO": ("40", _ZERO),
    "RS": ("381", _ZERO),
    "RU": ("7", "8?([3489][0-9]{9})"),
    "SA": ("966", _ZERO),
    "SE": ("46", _ZERO),
    "SI": ("386", _ZERO),
    "SK": ("421", _ZERO),
    "TN": ("216", "([0-9]{8})"),
    "TR": ("90", _ZERO),
    "UA": ("380", _ZERO),
    "US": ("1", "1?([2-9][0-9]{9})"),
    "VN": ("84", _ZERO),
    "XK": ("383", _ZERO),
    "ZA": ("27", _ZERO),
}
"""By country: its calling code, and the pattern of national numbers; the group is what remains."""
_EXIT_CODES = {"AU": "0011", "CA": "011", "RU": "810", "US": "011"}
"""The digits that a country dials before an international number, other than ``00``."""


def normalise(number: str, *, country: str | None = None) -> str:
    """Make a destination of a number as people write it.

    Blanks, punctuation, a leading ``+`` or ``00`` and a ``(0)`` behind the calling code are
    removed. With a country, a number without ``+`` is read as a national one if it looks like one,
    and as an international one otherwise: in a Croatian file ``098514674`` and ``41793026727`` are
    both good, and ``98514674``, which lost its zero in a spreadsheet, is read as an Iranian
    number. Short numbers and service numbers, such as ``1800 123 456``, are not read as national.

    Args:
        number: the number.
        country: ISO 3166 alpha-2 code of the country whose national numbers are read; None reads
            none. Countries with complicated rules need the ``phonenumbers`` extra.

    Raises:
        LocalProtocolError: it is no number; or it is a national number without a country; or the
            country is unknown or needs the extra.
    """
    digits = _strip(number)
    if digits.startswith("00") and country is None:
        digits = digits[2:]
    elif not digits.startswith("+") and country is not None:
        digits = _read_in_country(digits, country.upper())
    digits = digits.removeprefix("+")
    if digits.startswith("0"):
        raise _fault(number, "has a leading 0: a national number needs its country")
    if len(digits) > _MAX_DIGITS:
        raise _fault(number, f"has {len(digits)} digits, more than {_MAX_DIGITS}")
    if not is_assigned(digits):
        raise _fault(number, "begins with no calling code that is in use")
    return digits


def _fault(number: str, what: str) -> LocalProtocolError:
    return LocalProtocolError(f"{number!r} {what}", field="number", section="2/1.2")


def _strip(number: str) -> str:
    """Give the digits, with a ``+`` in front if there was one."""
    if _DECIMAL.fullmatch(number):
        raise _fault(number, "is a decimal number, as spreadsheets make of a column of numbers")
    stripped = _FILLING.sub("", number)
    if "(0)" in number and _DROPS_ZERO.match(stripped):
        stripped = _FILLING.sub("", number.replace("(0)", "", 1))
    if not stripped.isascii():
        stripped = "".join(str(unicodedata.decimal(letter, letter)) for letter in stripped)
    if not _DIALLED.fullmatch(stripped):
        raise _fault(number, "is no telephone number")
    return stripped


def _read_in_country(digits: str, country: str) -> str:
    """Read a number without ``+`` in a country; it becomes international if that is possible."""
    rule = _NATIONAL.get(country)
    if rule is None:
        return _read_by_phonenumbers(digits, country)
    for exit_code in (_EXIT_CODES.get(country, "00"), "00"):
        if digits.startswith(exit_code):
            return digits.removeprefix(exit_code)
    calling_code, pattern = rule
    national = re.fullmatch(pattern, digits)
    return calling_code + national[national.lastindex or 0] if national else digits


def _read_by_phonenumbers(digits: str, country: str) -> str:
    try:
        import phonenumbers  # noqa: PLC0415 - an extra
    except ImportError:
        raise _country_fault(country, "needs the phonenumbers extra to be read") from None
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise _country_fault(country, "is no country with national numbers")
    try:
        read = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return digits
    if not phonenumbers.is_valid_number(read):
        return digits
    return phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)


def _country_fault(country: str, what: str) -> LocalProtocolError:
    return LocalProtocolError(f"{country!r} {what}", field="country", section="2/1.2")
