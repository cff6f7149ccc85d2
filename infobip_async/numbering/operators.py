"""Whether two names belong to one operator; lists spell names differently.

A name is reduced to its distinctive words: ``Vodafone Oman`` to ``vodafone``, ``O2 (Germany) GmbH
& Co. OHG`` to ``o2``. Companies that were renamed or have merged get one name then
(``companies.csv``). Equal names belong to one operator, names without a common word to two, and
anything between is not decided. Two more cases are not decided: a virtual operator, whose numbers
may carry the IMSI of its host, and an operator whose customers went to several others.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files

import attrs

_ALTERNATIVES = re.compile(r"[/,(|)~_]| - | dba ")
_JOINERS = re.compile(r"[-'.&:+*!]")
_WORD = re.compile(r"\w+")

_LEGAL_FORMS = """
    ab ad ag as asa bv cjsc co company corp corporation cv doo gmbh inc jsc kft kg lda limited llc
    llp ltd ltda mno nv ohg ojsc oy oyj plc pte pty pvt sa sarl sas sdn bhd spa sp sprl srl sro zoo
"""
_TRADE = """
    3g 4g 5g cellular celular comunicaciones communication communications cdma gsm holding
    international lte mobil mobile mobiles mobilfunk movil moviles net network networks pcs service
    services telco telecom telecoms telecommunication telecommunications telecomunicaciones
    telecomunicacoes telefon telefonia telekom telephone telephones umts wireless
"""
_ARTICLES = "a an and de del des du e el for la le of the y"
_PLACES = """
    bahrain botswana britain cameroon cameroun caraibe centrafricaine centrafrique chad chile china
    colombia congo cote deutschland divoire egypt eesti espana ethiopia faso finland france gabon
    germany guinea guinee guyana honduras hrvatski hungary india iraq ireland islande israel italia
    italy jordan kenya lanka latvia lietuva madagascar malawi mali moldova myanmar nederland
    netherlands niger nigeria norge norway oman panama polska portugal rdc reunion romania rwanda
    saudi arabia senegal seychelles slovak slovenije srbija sri sverige sweden taiwan tanzania togo
    tunisia tunisie turkey uganda uk ukraine usa zambia
"""
_COMMON_WORDS = frozenset((_LEGAL_FORMS + _TRADE + _ARTICLES + _PLACES).split())


@attrs.frozen
class OperatorName:
    """An operator's name, reduced for comparison.

    Attributes:
        names: the operator's names; ``XL/AXIS`` holds two.
        words: all words of these names.
        decided: whether a different name proves a different operator.
    """

    names: frozenset[str]
    words: frozenset[str]
    decided: bool


@cache
def _companies() -> dict[tuple[str, str], str]:
    text = (files(__package__) / "companies.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text))
    return {(row["country"], row["name"]): row["company"] for row in rows}


@lru_cache(maxsize=10_000)
def read_name(country: str, name: str) -> OperatorName:
    """Reduce an operator's name in one country (ISO 3166 alpha-2) for comparison."""
    reduced = {_reduce(country, part) for part in _ALTERNATIVES.split(_plain(name))} - {""}
    companies = {part: _companies().get((country, part), part) for part in reduced}
    names = frozenset(companies.values()) - {""}
    words = (word for part in reduced | names for word in _words(part))
    return OperatorName(names or frozenset(reduced), frozenset(words), "" not in companies.values())


def _plain(name: str) -> str:
    """Lower case, without accents."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _reduce(country: str, part: str) -> str:
    """Keep the distinctive words; all words of a name without any, such as China Mobile."""
    words = _WORD.findall(_JOINERS.sub("", part))
    distinctive = [
        word for word in words if word not in _COMMON_WORDS and word != country.casefold()
    ]
    return " ".join(distinctive or words)


def _words(part: str) -> Iterable[str]:
    """The distinctive words of a name; a name without any counts as one word."""
    distinctive = [word for word in part.split() if word not in _COMMON_WORDS]
    return distinctive or [part]


def same_operator(country: str, one: str, other: str) -> bool | None:
    """Whether two names belong to one operator of a country; None if that is not decided."""
    first, second = read_name(country, one), read_name(country, other)
    if first.names & second.names:
        return True
    if first.words & second.words or not (first.decided and second.decided):
        return None
    return False


def names_by_country(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Reduce operators' names, given as pairs of country and name, and sort them by country."""
    found: dict[str, set[str]] = {}
    for country, name in pairs:
        found.setdefault(country, set()).update(read_name(country, name).names)
    return {country: frozenset(names) for country, names in found.items()}
