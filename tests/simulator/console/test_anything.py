"""Whatever arrives can be shown, and none of it has the password."""

import json
from decimal import Decimal
from urllib.parse import quote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator import Gateway
from infobip_async.simulator.console import views
from infobip_async.simulator.console.recorder import Recorder
from infobip_async.simulator.records import Arrival
from infobip_async.text import udh

XML = "/AddOn/SMSService/XML/XMLInput.aspx"
GET = "/Addon/SMSService/SendSMS.aspx"
HLR = "/api/hlr/query.aspx"
PASSWORD = "Zq7xKw"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
octets = st.binary(max_size=150)
codes = st.integers(-1, 300)


def _show(method: str, url: str, body: bytes = b"") -> str:
    """All that the console shows of one request."""
    gateway, recorder = Gateway(), Recorder()
    gateway.open_account("user", PASSWORD, Decimal(100))
    request = HttpRequest(method, url, body)
    arrival = Arrival(at=1.0, request=request, exchange=gateway.handle(request, 1.0))
    recorder.arrived(arrival, 0.0)
    rows = list(recorder.rows())
    shown = [views.message(row, recorder, Decimal(1)) for row in rows]
    shown += [phone.view() for phone in views.phones(recorder)]
    shown += [views.conversation(message.msisdn, recorder, 9) for *_, message in rows if message]
    shown += [views.lookup(*each, recorder) for each in recorder.lookups()]
    return json.dumps(shown, ensure_ascii=True)


@given(octets)
@example(b"XML=%3CSMS%3E%3Cmessage%3E")
@example("<SMS/>".encode("utf-16"))
def test_any_body(body) -> None:
    """Readable or not."""
    assert _show("POST", XML, body)
    assert _show("POST", HLR, body)


@given(texts, texts, st.booleans(), st.tuples(codes, codes), octets)
def test_any_message(sender, text, encoded, coding, binary) -> None:
    """By XML, with a text or with octets, raw or encoded."""
    content = f"<text>{_escaped(text)}</text>" if text else f"<binary>{binary.hex()}</binary>"
    document = (
        f"<SMS><authentification><username>user</username><password>{PASSWORD}</password>"
        f"</authentification><message><sender>{_escaped(sender)}</sender>{content}"
        f"<datacoding>{coding[0]}</datacoding><esmclass>{coding[1]}</esmclass></message>"
        "<recipients><gsm>38598514674</gsm><gsm>+1</gsm></recipients></SMS>"
    )
    body = f"XML={quote_plus(document) if encoded else document}"
    assert PASSWORD not in _show("POST", XML, body.encode())


@given(texts, texts)
def test_any_query(sender, text) -> None:
    """By GET."""
    query = f"user=user&password={PASSWORD}&sender={quote_plus(sender)}&SMSText={quote_plus(text)}"
    assert PASSWORD not in _show("GET", f"{GET}?{query}&GSM=38598514674")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def test_any_header() -> None:
    """One that cannot be read is none."""
    assert udh.parse(b"")[0].malformed
    body = f"user=user&password={PASSWORD}&sender=F&binary=FF&esmclass=64&GSM=38598514674"
    assert "cannot be read" in _show("POST", GET, body.encode())
