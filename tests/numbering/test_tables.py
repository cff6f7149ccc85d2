"""The tables of networks and country codes, and those that the user brings."""

import subprocess
import sys

import pytest

from infobip_async.numbering import Network, Tables, bundled_tables

NETWORKS = "mcc,mnc,operator,source\n219,01,Hrvatski Telekom,mine\n714,02,Movistar,gnome\n"
MCCS = "mcc,country,mnc_digits\n219,HR,2\n714,PA,3\n"


def test_bundled():
    """The tables that come with the package are whole."""
    tables = bundled_tables()
    assert len(tables.networks) == 1875
    assert len(tables.countries) == 241
    assert tables.network("219", "10") == Network("219", "10", "A1/Tomato", "aosp")
    assert tables.network("219", "1") is None
    assert tables.network("250", "99").operator == "Билайн"
    assert tables.mnc_digits["901"] == 2
    assert {"310", "219", "901"}.isdisjoint(tables.mixed)
    assert {"302", "334", "405", "722"} <= tables.mixed


def test_read_at_first_use_only():
    """Importing the package reads no table."""
    code = (
        "import infobip_async.numbering as n\n"
        "from infobip_async.numbering.countries import bundled_calling_codes as codes\n"
        "print(n.bundled_tables.cache_info().currsize, codes.cache_info().currsize)"
    )
    run = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["0", "0"]


def test_from_csv(tmp_path):
    """Files of the user's own replace the tables; a byte order mark does no harm."""
    networks, mccs = tmp_path / "networks.csv", tmp_path / "mcc.csv"
    networks.write_text(NETWORKS, encoding="utf-8-sig")
    mccs.write_text(MCCS, encoding="utf-8-sig")
    tables = Tables.from_csv(networks, str(mccs))
    assert tables.network("219", "01") == Network("219", "01", "Hrvatski Telekom", "mine")
    assert tables.countries == {"219": "HR", "714": "PA"}
    assert tables.mixed == {"714"}


def test_names_of_operators():
    """Only good names of networks with a country count as names of operators."""
    tables = Tables.from_text(NETWORKS + "901,01,ICO,aosp\n", MCCS)
    assert tables.operators == {"HR": {"hrvatski telekom"}}


@pytest.mark.parametrize(
    ("networks", "mccs", "words"),
    [
        (NETWORKS.replace("operator", "name"), MCCS, "columns must be mcc,mnc,operator,source"),
        ("", MCCS, "columns must be"),
        (NETWORKS, MCCS.replace("mnc_digits", "digits"), "columns must be mcc,country,mnc_digits"),
        (NETWORKS.replace("219,01", "219,1"), MCCS, "'1' is no MNC"),
        (NETWORKS, MCCS.replace("219", "1"), "line 2: '1' is no MCC"),
    ],
)
def test_bad_tables(networks, mccs, words):
    """Other columns, and codes that lost their zeros, are refused with the place."""
    with pytest.raises(ValueError, match=words):
        Tables.from_text(networks, mccs)
