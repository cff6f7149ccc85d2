"""Mobile networks and mobile country codes (E.212), from CSV files that users can replace."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Self

import attrs

from infobip_async.numbering.operators import names_by_country

_NETWORK_COLUMNS = ["mcc", "mnc", "operator", "source"]
_MCC_COLUMNS = ["mcc", "country", "mnc_digits"]
_MCC = re.compile("[0-9]{3}")
_MNC = re.compile("[0-9]{2,3}")
_WEAK_SOURCES = frozenset({"aosp-mvno", "gnome"})


@attrs.frozen
class Network:
    """A mobile network and who runs it.

    Attributes:
        mcc: mobile country code, three digits.
        mnc: mobile network code, two or three digits: ``"01"`` is not ``"001"``.
        operator: the operator's name.
        source: how good the name is. In the bundled table ``aosp`` and ``own`` (good),
            ``aosp-mvno`` (known under the rule of a virtual operator only: weaker) or ``gnome``
            (the name of a provider, sometimes of a reseller: weakest).
    """

    mcc: str
    mnc: str
    operator: str
    source: str

    @property
    def well_named(self) -> bool:
        """Whether the name is surely the operator's, and not one of a company on its network."""
        return self.source not in _WEAK_SOURCES


@attrs.frozen
class Tables:
    """Mobile country codes and networks.

    Attributes:
        networks: by MCC and MNC in one string.
        countries: ISO 3166 alpha-2 code by MCC; international and test codes have none.
        mnc_digits: the most common length of the MNC by MCC, 2 or 3.
        mixed: the MCCs that also have networks with codes of another length.
    """

    networks: Mapping[str, Network] = attrs.field(repr=False)
    countries: Mapping[str, str] = attrs.field(repr=False)
    mnc_digits: Mapping[str, int] = attrs.field(repr=False)
    mixed: frozenset[str] = attrs.field(repr=False)

    @classmethod
    def from_csv(cls, networks_path: str | Path, mcc_path: str | Path) -> Self:
        """Read tables of your own.

        Args:
            networks_path: UTF-8, columns ``mcc,mnc,operator,source``, one network a row.
            mcc_path: UTF-8, columns ``mcc,country,mnc_digits``, one MCC a row.

        Raises:
            OSError: a file cannot be read.
            ValueError: the columns are different, or a code is malformed; a spreadsheet may have
                dropped its zeros.
        """
        networks = Path(networks_path).read_text(encoding="utf-8-sig")
        return cls.from_text(networks, Path(mcc_path).read_text(encoding="utf-8-sig"))

    @classmethod
    def from_text(cls, networks: str, mccs: str) -> Self:
        """Read tables from the text of the two files; see `from_csv`.

        Args:
            networks: the text of a file like ``networks.csv``.
            mccs: the text of a file like ``mcc.csv``.
        """
        by_code = {network.mcc + network.mnc: network for network in _read_networks(networks)}
        codes = list(_read(mccs, _MCC_COLUMNS))
        digits = {network.mcc: len(network.mnc) for network in by_code.values()}
        digits |= {row["mcc"]: int(row["mnc_digits"]) for row in codes}
        others = {net.mcc for net in by_code.values() if len(net.mnc) != digits[net.mcc]}
        countries = {row["mcc"]: row["country"] for row in codes}
        return cls(by_code, countries, digits, frozenset(others))

    def network(self, mcc: str, mnc: str) -> Network | None:
        """The network of an MCC and an MNC; None if it is not known.

        Args:
            mcc: three digits.
            mnc: two or three digits: ``01`` and ``001`` are different networks.
        """
        return self.networks.get(mcc + mnc)

    @cached_property
    def operators(self) -> Mapping[str, frozenset[str]]:
        """The names of the well named networks by country, reduced for comparison."""
        return names_by_country(
            (self.countries[network.mcc], network.operator)
            for network in self.networks.values()
            if network.well_named and network.mcc in self.countries
        )


def _read(text: str, columns: list[str]) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text))
    if reader.fieldnames != columns:
        raise ValueError(f"the columns must be {','.join(columns)}, not {reader.fieldnames}")
    for row in reader:
        if not _MCC.fullmatch(row["mcc"]):
            raise ValueError(f"line {reader.line_num}: {row['mcc']!r} is no MCC of three digits")
        yield row


def _read_networks(text: str) -> Iterator[Network]:
    for row in _read(text, _NETWORK_COLUMNS):
        if not _MNC.fullmatch(row["mnc"]):
            raise ValueError(f"{row['mnc']!r} is no MNC of two or three digits, of {row['mcc']}")
        yield Network(row["mcc"], row["mnc"], row["operator"].strip(), row["source"])


@cache
def bundled_tables() -> Tables:
    """The tables that come with the package, read at their first use."""
    folder = files(__package__)
    networks = (folder / "networks.csv").read_text(encoding="utf-8")
    return Tables.from_text(networks, (folder / "mcc.csv").read_text(encoding="utf-8"))
