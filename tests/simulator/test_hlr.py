"""HLR queries, as other clients of this interface write them (§4, §5)."""

import re
from decimal import Decimal

import pytest

from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.numbering.countries import countries_of
from infobip_async.numbering.tables import bundled_tables
from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator import Gateway, HlrAnswer, Operation
from infobip_async.simulator.policies import UNREACHABLE, in_network
from infobip_async.simulator.records import Exchange

PATH = "/api/hlr/query.aspx"
LOGIN = "user=user&pass=p4ss&destinations="
MILLIS = f"{1_700_000_000_250:X}"


def query(gateway: Gateway, form: str) -> Exchange:
    """Post a form."""
    exchange = gateway.handle(HttpRequest("POST", PATH, form.encode()), 1_700_000_000.25)
    assert (exchange.operation, exchange.reply.status) == (Operation.SUBMIT_HLR, 200)
    return exchange


def test_one_row_for_each_destination_in_order(gateway: Gateway) -> None:
    """Good numbers have an id, others none; a number may stand twice."""
    destinations = ["123456", "38598514674", "23'0498", "sdfsd", "", "+385981", "38598514674"]
    exchange = query(gateway, LOGIN + "%3B".join(destinations).replace("+", "%2B"))
    rows = (
        f"OK\n123456;OK;{MILLIS}-1-1\n38598514674;OK;{MILLIS}-1-2\n23'0498;FAILED;\n"
        f"sdfsd;FAILED;\n;FAILED;\n+385981;FAILED;\n38598514674;OK;{MILLIS}-1-7\n"
    )
    assert exchange.reply.body.decode() == rows
    assert exchange.ids == tuple(report.lookup_id for report in exchange.reports)
    assert [lookup.msisdn for lookup in gateway.lookups] == destinations
    assert [bool(lookup.lookup_id) for lookup in gateway.lookups] == [1, 1, 0, 0, 0, 0, 1]
    assert gateway.lookup_count == 3


def test_ids_are_of_the_documents_characters_and_unique(gateway: Gateway) -> None:
    """Digits, A to F and hyphens, even for two queries of the same moment."""
    ids = [query(gateway, LOGIN + "38598514674").ids[0] for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("[0-9A-F-]+", lookup_id) for lookup_id in ids)


@pytest.mark.parametrize(
    "form",
    [
        "",
        "user=user&pass=p4ss",
        LOGIN,
        LOGIN.replace("p4ss", "wrong") + "38598514674",
        LOGIN.replace("pass=", "password=") + "38598514674",
        LOGIN.replace("user=user&", "") + "38598514674",
    ],
)
def test_a_query_that_is_refused(gateway: Gateway, form: str) -> None:
    """A missing parameter and a wrong password have the same answer."""
    assert query(gateway, form).reply.body == b"FAILED\n"
    assert not gateway.lookups


@pytest.mark.parametrize("separator", [";", "%3B", "%3b"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_by_get_and_by_post(gateway: Gateway, method: str, separator: str) -> None:
    """The parameters are the same, with the separator encoded or not."""
    form = f"USER=user&Pass=p4ss&Destinations=385981{separator}385982"
    url, body = (f"{PATH}?{form}", b"") if method == "GET" else (PATH, form.encode())
    reply = gateway.handle(HttpRequest(method, url, body), 0).reply
    assert reply.body == b"OK\n385981;OK;0-1-1\n385982;OK;0-1-2\n"


def test_a_destination_cannot_make_a_row(gateway: Gateway) -> None:
    """A line break in a destination does not break the reply."""
    body = query(gateway, LOGIN + "385%0A981%3BOK;385982").reply.body.decode()
    assert body == f"OK\n385 981;FAILED;\nOK;FAILED;\n385982;OK;{MILLIS}-1-3\n"


def test_the_policy_answers(gateway: Gateway) -> None:
    """Reports say what the policy says, any status and empty fields included."""
    answers = {
        "385981": HlrAnswer(imsi="219010000000001", serving_msc="385910401"),
        "385982": HlrAnswer(HlrStatus.UNDELIV, error_code="27"),
        "385983": HlrAnswer("REJECTD", error_code=None),
    }
    gateway.hlr = answers.__getitem__
    exchange = query(gateway, LOGIN + ";".join(answers))
    one, two, three = exchange.ids
    assert exchange.reports == (
        HlrReport("385981", one, HlrStatus.DELIVRD, "DELIVRD", "219010000000001", "385910401", "0"),
        HlrReport("385982", two, HlrStatus.UNDELIV, "UNDELIV", None, None, "27"),
        HlrReport("385983", three, HlrStatus.UNKNOWN, "REJECTD", None, None, None),
    )


def test_credits_run_out_within_a_query(gateway: Gateway) -> None:
    """What cannot be paid for is accepted, and reported as UNKNOWN (§5)."""
    gateway.accounts["user"].credits = Decimal("0.002")
    exchange = query(gateway, LOGIN + "385981;385982;385983")
    assert [report.raw_status for report in exchange.reports] == ["DELIVRD", "DELIVRD", "UNKNOWN"]
    assert exchange.reports[2] == HlrReport(
        "385983", exchange.ids[2], HlrStatus.UNKNOWN, "UNKNOWN", None, None, None
    )
    assert gateway.accounts["user"].credits == 0


@pytest.mark.parametrize("msisdn", ["38598514674", "41793026727", "14155552671", "4477001234567"])
def test_a_number_is_at_home_by_default(msisdn: str) -> None:
    """The IMSI is of a network of the number's country, and its own; so is the MSC."""
    answer = in_network(msisdn)
    imsi = answer.imsi or ""
    assert re.fullmatch("[0-9]{15}", imsi)
    assert bundled_tables().countries[imsi[:3]] in countries_of(msisdn)
    assert imsi[:5] in bundled_tables().networks or imsi[:6] in bundled_tables().networks
    assert imsi.endswith(msisdn[-9:])
    assert answer.serving_msc == f"{msisdn[:5]}0501"
    assert (answer.status, answer.error_code) == (HlrStatus.DELIVRD, "0")
    assert in_network(msisdn) == answer


def test_a_place_without_networks_is_served_by_another() -> None:
    """Guernsey's numbers are in the networks of the United Kingdom."""
    assert countries_of("447911123456") == ("GG",)
    assert (in_network("447911123456").imsi or "")[:3] in {"234", "235"}


def test_a_short_number_has_an_imsi_of_15_digits_too() -> None:
    """What the number lacks is filled up."""
    assert re.fullmatch("[0-9]{15}", in_network("38598").imsi or "")


def test_a_number_of_no_country_is_unreachable() -> None:
    """As in the document's own example: UNDELIV, empty fields, and an error code."""
    assert in_network("99912345678") is UNREACHABLE


def test_only_the_latest_are_kept_on_request() -> None:
    """With a limit the record is bounded; the counts are not."""
    gateway = Gateway(keep=2)
    gateway.open_account("user", "p4ss", Decimal(100))
    query(gateway, LOGIN + ";".join(str(385_980 + n) for n in range(5)))
    assert [lookup.msisdn for lookup in gateway.lookups] == ["385983", "385984"]
    assert gateway.lookup_count == 5
