"""The wire formats, against the least that does the same.

What remains: of a delivery report the parser's own callbacks and an object of six fields, and of a
post with one report the making of defusedxml's parser; of an HLR row the object; of a send the
check of its numbers, the look for what its ids need, and the request's value, which is most of a
send to one.
"""

from datetime import datetime
from functools import lru_cache
from urllib.parse import parse_qs, quote, quote_plus
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import pytest

from infobip_async.models.events import DeliveryReport, DeliveryStatus
from infobip_async.models.messages import Recipient, Submission
from infobip_async.protocol import dlr_xml, hlr_dlr, hlr_query, send_xml
from infobip_async.protocol.exchange import Credentials, HttpReply

URL = "https://gateway.example/xml"
LOGIN = Credentials("user", "pass word")
STATUSES = {status.value: status for status in DeliveryStatus}


@pytest.mark.parametrize("count", [1, 1_000])
def test_xml_body(bench, count):
    """Building and encoding a send with message ids."""
    recipients = [Recipient(f"385985{n:06}", f"a1b2c3-{n:x}") for n in range(count)]
    message = Submission(sender="Friend", text="Hello, it's 5 > 4 & done!")

    def floor():
        gsms = "".join(
            f"<gsm messageId={quoteattr(one.message_id)}>{escape(one.msisdn)}</gsm>"
            for one in recipients
        )
        xml = (
            f"<SMS><authentification><username>{escape(LOGIN.username)}</username>"
            f"<password>{escape(LOGIN.password)}</password></authentification>"
            f"<message><sender>{escape(message.sender)}</sender>"
            f"<text>{escape(message.text)}</text></message>"
            f"<recipients>{gsms}</recipients></SMS>"
        )
        return ("XML=" + quote_plus(xml)).encode()

    bench.pair(
        f"XML body, {count} recipient(s)",
        lambda: send_xml.encode_request(URL, LOGIN, message, recipients),
        floor,
        "<= 0.125",
    )


@lru_cache(4096)
def date(text: str) -> datetime | None:
    """The date, parsed once for each text."""
    return datetime.strptime(text, "%Y/%m/%d %H:%M:%S") if text else None  # noqa: DTZ007 - naive as on the wire


def bare_expat(document: bytes) -> list[DeliveryReport]:
    """The same reports with the same refusals."""
    found = []

    def start(name, attributes):
        if name == "message":
            found.append(
                DeliveryReport(
                    attributes["id"],
                    STATUSES[attributes["status"]],
                    attributes["status"],
                    date(attributes["sentdate"]),
                    date(attributes["donedate"]),
                )
            )

    def refuse(*_):
        raise ValueError("refused")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.Parse(document, True)
    return found


@pytest.mark.parametrize(("count", "target"), [(1, "2"), (100, "1.4"), (10_000, "1.4")])
def test_delivery_reports(bench, count, target):
    """XML to finished events."""
    rows = "".join(
        f'<message id="a1b2c3-{n:x}" sentdate="2005/7/19 22:0:{n % 60}" '
        f'donedate="2005/7/19 22:1:{n % 60}" status="DELIVERED" />'
        for n in range(count)
    )
    document = f"<DeliveryReport>{rows}</DeliveryReport>".encode()
    bench.pair(
        f"delivery reports, {count} a post, each",
        lambda: dlr_xml.decode_push(document),
        lambda: bare_expat(document),
        f"<= {target}",
        fold=count,
    )


def test_hlr_reply(bench):
    """100,000 rows to finished rows."""
    numbers = [f"385985{n:06}" for n in range(100_000)]
    text = "OK\n" + "".join(f"{number};OK;121c0a6b752-1-{number}\n" for number in numbers)
    reply = HttpReply(200, text.encode())
    bench.pair(
        "HLR reply of 100,000 rows, each",
        lambda: hlr_query.decode_reply(reply, numbers),
        lambda: [line.split(";") for line in reply.body.decode().split("\n")],
        "<= 2",
        fold=100_000,
    )


def test_dlr_post(bench):
    """100 rows to finished events."""
    rows = "\n".join(
        f"385985{n:06};121c0a6b752-1-{n};DELIVRD;2190112345{n:05};385980501;0" for n in range(100)
    )
    body = b"dlr=" + quote(rows, safe="").encode()
    bench.pair(
        "dlr post of 100 rows, each",
        lambda: hlr_dlr.decode_push(body),
        lambda: [row.split(";") for row in parse_qs(body.decode())["dlr"][0].split("\n")],
        "<= 2",
        fold=100,
    )
