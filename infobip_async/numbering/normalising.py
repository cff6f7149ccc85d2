"""Destinations made of numbers as people write them.

The table ``national.csv`` has the lengths and first digits of national numbers by calling code, and
the countries whose national numbers follow a simple rule. Those of other countries are read by the
``phonenumbers`` package, an extra; without it they are refused: so no number is read in two ways on
two machines.
"""

import csv
import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import NoReturn

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.numbering.countries import is_assigned

# Blanks, punctuation, and invisible marks that are copied along with a number.
_FILLING = re.compile(
    r"[\s\-./()\[\]'\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_DIALLED = re.compile("[+]?[0-9]+")
_AROUND = re.compile(r"[\s()\[\]'\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""The filling that does not stand between two groups of digits."""
_DECIMAL = re.compile(r"\+?([0-9]+[.,]0|[0-9]{6,}[.,]([0-9]{1,2}|0+))")
_ROUNDED = re.compile(r"\+?[0-9]+([.,][0-9]+)?[eE]\+?[0-9]{1,3}")
_DATE = re.compile(r"\s*(19|20)[0-9]{2}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])\s*")
_SECOND = re.compile(r"/\s*[0-9]{1,2}\s*")
"""The end of a second number, written in short behind the first: ``098 514 674/5``."""
_FORMULA = re.compile(r'\s*="(.*)"\s*', re.DOTALL)
"""The way to have a spreadsheet take digits for a text."""
_MAX_DIGITS = 15
"""The most digits of a number (E.164); more are probably two numbers in one field."""
_FEWEST_DIGITS = 6
"""The fewest digits of a text that looks like a number; a year has four."""
_DROPS_ZERO = re.compile(r"(?:\+|00)(?!39|378|379)")
"""An international number in which a ``(0)`` is not dialled: Italy's plan keeps its zeros."""

_EXIT_CODES = {"AU": "0011", "CA": "011", "RU": "810", "US": "011"}
"""The digits that a country dials before an international number, other than ``00``."""


@attrs.frozen
class _Plan:
    """The numbers behind one calling code.

    Attributes:
        code: the calling code.
        trunk: dialled before a national number, and not part of it; may be empty.
        lengths: the possible lengths of national numbers.
        digits: the digits that they can begin with.
        mobile_lengths: the possible lengths of mobile numbers.
        mobile_digits: the digits that those can begin with.
    """

    code: str
    trunk: str
    lengths: frozenset[int]
    digits: str
    mobile_lengths: frozenset[int]
    mobile_digits: str

    def national(self, dialled: str) -> str | None:
        """Take the trunk prefix away; None where no number of the plan is left."""
        if len(dialled) in self.lengths and dialled[0] in self.digits:
            return dialled
        rest = dialled.removeprefix(self.trunk)
        return self.national(rest) if len(rest) < len(dialled) else None

    def is_mobile(self, national: str) -> bool:
        """Whether a national number can be a mobile one, by its length and its first digit."""
        return len(national) in self.mobile_lengths and national[0] in self.mobile_digits


@cache
def _plans() -> dict[str, _Plan]:
    """The plans by calling code, and by country; read at their first use."""
    text = (files(__package__) / "national.csv").read_text(encoding="utf-8")
    plans: dict[str, _Plan] = {}
    for row in csv.DictReader(text.splitlines()):
        plan = _Plan(
            row["code"],
            row["trunk"],
            _lengths(row["lengths"]),
            row["digits"],
            _lengths(row["mobile_lengths"]),
            row["mobile_digits"],
        )
        plans |= dict.fromkeys([plan.code, *row["countries"].split()], plan)
    return plans


def _lengths(ranges: str) -> frozenset[int]:
    """Read lengths such as ``7 9-10``."""
    ends = [part.split("-") for part in ranges.split()]
    return frozenset(length for end in ends for length in range(int(end[0]), int(end[-1]) + 1))


@attrs.frozen
class Reading:
    """A number that was read.

    Attributes:
        msisdn: the destination.
        guess: in words, what was taken for granted; empty where nothing was.
    """

    msisdn: str
    guess: str = ""


def normalise(number: str, *, country: str | None = None) -> str:
    """Make a destination of a number as people write it.

    Blanks, punctuation, a leading ``+`` or ``00`` and a trunk prefix behind the calling code, such
    as the zeros of ``+44 (0)20`` and ``+385 098``, are removed. The length must be possible behind
    the calling code.

    With a country, a number without ``+`` is read as a national one of that country, also where a
    spreadsheet took its zero, or as an international one: in a Croatian file ``098514674``,
    ``98514674`` and ``41793026727`` are all good. Lengths and first digits decide; a number that
    can be a mobile one of the country is read so, and one that could be either is refused. Service
    numbers of lengths of their own, such as ``1800 123 456`` in Australia, are refused.

    Args:
        number: the number.
        country: ISO 3166 alpha-2 code of the country whose national numbers are read; None reads
            none. Countries with complicated rules need the ``phonenumbers`` extra.

    Raises:
        LocalProtocolError: it is no number; or it is a national number without a country; or it
            can be read in two ways; or the country is unknown or needs the extra.
    """
    return read_number(number, country).msisdn


def read_number(number: str, country: str | None) -> Reading:
    """Read a number as `normalise` does, and say what was taken for granted.

    Raises:
        LocalProtocolError: as by `normalise`.
    """
    plain = number.isascii() and number.isdigit()
    digits = number if plain else _strip(number)
    if not plain and _SECOND.fullmatch(number, max(number.rfind("/"), 0)):
        raise _fault(number, "is two numbers: give each a row of its own")
    if not digits.startswith("+") and country is not None:
        country = country.upper()
        digits = _without_exit_code(digits, country)
        if not digits.startswith("+"):
            return _read_in_country(number, digits, country)
    digits = digits.removeprefix("+" if digits.startswith("+") else "00")
    return _international(digits) or _refuse(number, digits)


def looks_like_number(text: str) -> bool:
    """Whether a text is probably a number, in any form that `normalise` reads or names."""
    try:
        return len(_strip(text).removeprefix("+")) >= _FEWEST_DIGITS
    except LocalProtocolError:
        return fault_of_spreadsheet(text) != ""


def fault_of_spreadsheet(number: str) -> str:
    """What a spreadsheet did to a number, and what to do about it; empty where it did nothing."""
    if number.isdigit():
        return ""
    bare = _in_ascii(_AROUND.sub("", number))
    if _ROUNDED.fullmatch(bare):
        return (
            "was rounded by a spreadsheet, which lost its last digits: "
            "have the column shown as text, and export it again"
        )
    if _DECIMAL.fullmatch(bare):
        return "is a decimal number, as spreadsheets make of a column of numbers"
    return ""


def _fault(number: str, what: str) -> LocalProtocolError:
    return LocalProtocolError(what, field="number", section="2/1.2", value=number)


def _refuse(number: str, digits: str) -> NoReturn:
    """Say why a number is no international one."""
    if len(digits) > _MAX_DIGITS:
        raise _fault(number, f"has {len(digits)} digits, more than {_MAX_DIGITS}")
    if digits.startswith("0"):
        raise _fault(number, "has a leading 0: a national number needs country=")
    plan = _plan_of(digits)
    if plan is None or plan.national(digits.removeprefix(plan.code)) is not None:
        raise _fault(number, "begins with no calling code that is in use")
    count = len(digits) - len(plan.code)
    raise _fault(number, f"cannot be: {count} digits like these do not follow +{plan.code}")


def _strip(number: str) -> str:
    """Give the digits, with a ``+`` in front if there was one."""
    if fault := fault_of_spreadsheet(number):
        raise _fault(number, fault)
    if _DATE.fullmatch(number):
        raise _fault(number, "is a date")
    if formula := _FORMULA.fullmatch(number):
        return _strip(formula[1])
    stripped = _FILLING.sub("", number)
    if "(0)" in number and _DROPS_ZERO.match(stripped):
        stripped = _FILLING.sub("", number.replace("(0)", "", 1))
    stripped = _in_ascii(stripped)
    if not _DIALLED.fullmatch(stripped):
        raise _fault(number, "is no telephone number")
    return stripped


def _in_ascii(text: str) -> str:
    """Write the digits of all scripts as those of ASCII."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in text)


def _plan_of(digits: str) -> _Plan | None:
    """The plan of an international number."""
    plans = _plans()
    return plans.get(digits[:1]) or plans.get(digits[:2]) or plans.get(digits[:3])


def _international(digits: str) -> Reading | None:
    """Read an international number without its ``+``; None where it is none."""
    if digits.startswith("0") or len(digits) > _MAX_DIGITS:
        return None
    plan = _plan_of(digits)
    if plan is None:  # a code that no plan is known of, such as those of some networks
        return Reading(digits) if is_assigned(digits) else None
    dialled = digits.removeprefix(plan.code)
    national = plan.national(dialled)
    if national is None or not is_assigned(plan.code + national):
        return None
    dropped = dialled.removesuffix(national)
    guess = f"the {dropped} behind +{plan.code} is not dialled from abroad" if dropped else ""
    return Reading(plan.code + national, guess)


def _without_exit_code(digits: str, country: str) -> str:
    """Write ``+`` in the place of what a country dials before an international number."""
    if country in _plans():
        for exit_code in (_EXIT_CODES.get(country, "00"), "00"):
            if digits.startswith(exit_code):
                return "+" + digits.removeprefix(exit_code)
    return digits


def _read_in_country(number: str, digits: str, country: str) -> Reading:
    """Read a number without ``+`` in a country.

    It is a national one where it can be a mobile one of the country, since whoever names a country
    has mobile numbers of it; and where it could be neither here nor abroad.
    """
    plan = _plans().get(country) if country.isalpha() else None
    abroad = _international(digits)
    if plan is None:
        return _read_by_phonenumbers(digits, country) or abroad or _refuse(number, digits)
    national = plan.national(digits)
    if national is None:
        return abroad or _refuse_in_country(number, digits, country)
    home = Reading(plan.code + national, _guess(plan, digits, national, country, abroad))
    if abroad is None or abroad.msisdn == home.msisdn:
        return home
    mobile, mobile_abroad = plan.is_mobile(national), _is_mobile(abroad)
    if abroad.msisdn.startswith(plan.code):
        if not (mobile and mobile_abroad):
            return home if mobile else abroad
    elif mobile or not mobile_abroad:
        return home
    raise _fault(number, f"can be a number of {country}, or an international one: write its +")


def _is_mobile(reading: Reading) -> bool:
    plan = _plan_of(reading.msisdn)
    return plan is not None and plan.is_mobile(reading.msisdn.removeprefix(plan.code))


def _guess(plan: _Plan, digits: str, national: str, country: str, abroad: Reading | None) -> str:
    """What is taken for granted where digits are read as a national number."""
    if digits != national:  # the trunk prefix says so
        return ""
    if plan.trunk.startswith("0"):
        return f"a number of {country} without its zero"
    return "" if abroad is None else f"a number of {country}, and not of another country"


def _refuse_in_country(number: str, digits: str, country: str) -> NoReturn:
    if len(digits) > _MAX_DIGITS:
        _refuse(number, digits)
    what = f"is no number of {country}, nor an international one: {len(digits)} digits"
    raise _fault(number, what)


def _read_by_phonenumbers(digits: str, country: str) -> Reading | None:
    try:
        import phonenumbers  # noqa: PLC0415 - an extra
    except ImportError:
        raise _country_fault(country, "needs the phonenumbers extra to be read") from None
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise _country_fault(country, "is no country with national numbers")
    try:
        read = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(read):
        return None
    msisdn = phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)
    return Reading(msisdn.removeprefix("+"))


def _country_fault(country: str, what: str) -> LocalProtocolError:
    return LocalProtocolError(f"{country!r} {what}", field="country", section="2/1.2")
