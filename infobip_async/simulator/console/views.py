"""What the API gives: messages, conversations, lookups, pushes and figures as JSON."""

from collections.abc import Iterable
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Final
from weakref import WeakKeyDictionary

import attrs

from infobip_async.models.events import DeliveryStatus, HlrReport, HlrStatus
from infobip_async.models.messages import SubmissionType
from infobip_async.numbering.imsi import split_imsi
from infobip_async.numbering.tables import bundled_tables
from infobip_async.protocol.exchange import PushKind
from infobip_async.simulator.console import request_warnings
from infobip_async.simulator.console.fields import Json
from infobip_async.simulator.console.masking import (
    shown_callback,
    shown_headers,
    shown_request,
)
from infobip_async.simulator.console.recorder import BUCKET, Inbound, Recorder, Row
from infobip_async.simulator.console.request_warnings import Doubt
from infobip_async.simulator.handset import HandsetMessage, place_of, shown
from infobip_async.simulator.records import (
    UDHI,
    Arrival,
    HlrAnswer,
    Lookup,
    Phone,
    Pushed,
    SentMessage,
)
from infobip_async.text import gsm7
from infobip_async.text.data_coding import Alphabet, classify

Object = dict[str, Json]

_READ_AT_ONCE: Final = 64 << 10
"""Octets of a request that is read again for a list of many; a longer one, for its own view."""

_NAMED: Final = 3  # recipients of a refused request
_LONGEST: Final = 256 << 10  # characters of a body that are shown


def id_of(row: Row) -> str:
    """The id of a row: the gateway's id of a message, or the number of a refused request."""
    number, _, message = row
    return message.gateway_id if message else f"request-{number}"


# --- messages -----------------------------------------------------------------------------------


def content_of(message: SentMessage) -> Object:
    """What a message is: its kind, its alphabet, and where it takes how many parts."""
    sent = message.submission
    coding = classify(sent.data_coding)
    if sent.type is SubmissionType.BOOKMARK:
        kind, alphabet = "bookmark", Alphabet.BINARY
    elif sent.binary is not None:
        kind, alphabet = ("text" if message.text is not None else "binary"), coding.alphabet
    else:
        plain = coding.alphabet is Alphabet.GSM_7 and gsm7.septet_count(sent.text or "") is not None
        kind, alphabet = "text", Alphabet.GSM_7 if plain else Alphabet.UCS_2
    place = place_of(message)
    return {
        "kind": kind,
        "flash": sent.flash or coding.flash,
        "alphabet": alphabet.value,
        "parts": message.parts,
        "part": place and {"number": place.number, "of": place.total, "reference": place.reference},
    }


def row(row: Row, recorder: Recorder) -> Object:
    """One line of the table of messages."""
    _, arrival, message = row
    found = _doubts_of(arrival, message)
    head: Object = {"id": id_of(row), "at": arrival.at, "doubts": _levels(found)}
    if message is None:
        return head | _refused(arrival)
    pushes = recorder.pushes_on(message.report_id)
    return head | {
        "outcome": "accepted",
        "from": message.submission.sender,
        "to": message.msisdn,
        "text": message.text,
        "status": recorder.status_of(message),
        "pushed": pushes[-1][1].attempt.status if pushes else None,
        "pushes": len(pushes),
        **content_of(message),
    }


def _doubts_of(arrival: Arrival, message: SentMessage | None) -> tuple[Doubt, ...]:
    """The doubts of a row; those of a long request are read with its own view."""
    if message and len(arrival.request.body) > _READ_AT_ONCE:
        return request_warnings.of_message(message.submission)
    return request_warnings.of_request(arrival)


def _levels(found: Iterable[Doubt]) -> list[str]:
    return [doubt.level for doubt in found]


def refused_text(arrival: Arrival) -> str:
    """All words of a refused request that one may look for."""
    return " ".join(map(str, _refused(arrival).values()))


_read: Final[WeakKeyDictionary[Arrival, Object]] = WeakKeyDictionary()


def _refused(arrival: Arrival) -> Object:
    """A request that was refused; it is read once, as long as it is kept."""
    if (known := _read.get(arrival)) is not None:
        return known
    asked = request_warnings.asked(arrival)
    numbers = [recipient.msisdn for recipient in asked.recipients]
    more = f" and {len(numbers) - _NAMED} more" if numbers[_NAMED:] else ""
    found: Object = {
        "outcome": "refused",
        "from": asked.submission.sender if asked.submission else None,
        "to": ", ".join(numbers[:_NAMED]) + more,
        "text": asked.submission.text if asked.submission else None,
        "status": arrival.exchange.reply.body.decode(errors="replace"),
    }
    _read[arrival] = found
    return found


def message(row_: Row, recorder: Recorder, price: Decimal) -> Object:
    """Everything about a message, or about a request that was refused."""
    number, arrival, sent = row_
    detail = row(row_, recorder) | {
        "doubts": [
            {"level": doubt.level, "about": doubt.about, "section": doubt.section}
            for doubt in request_warnings.of_request(arrival)
        ],
        "request": request(number, arrival),
    }
    if sent is None:
        return detail
    return detail | {
        "account": sent.account,
        "operation": sent.operation.value,
        "message_id": sent.message_id,
        "gateway_id": sent.gateway_id,
        "report_id": sent.report_id,
        "charged_parts": sent.charged_parts,
        "credits": float(sent.charged_parts * price),
        "parameters": _parameters(sent),
        "pushes": [push(number, each) for number, each in recorder.pushes_on(sent.report_id)],
    }


def _parameters(message: SentMessage) -> Object:
    """The parameters of a message that were given (§2/1.2)."""
    sent = message.submission
    given: dict[str, Json] = {
        "type": sent.type and sent.type.value,
        "flash": sent.flash or None,
        "data_coding": sent.data_coding or None,
        "esm_class": sent.esm_class or None,
        "url": sent.url,
        "source_ton": sent.source_addr_ton,
        "source_npi": sent.source_addr_npi,
        "destination_ton": sent.dest_addr_ton,
        "destination_npi": sent.dest_addr_npi,
        **_octets(sent.binary, sent.esm_class),
    }
    return {name: value for name, value in given.items() if value is not None}


def _octets(binary: bytes | None, esm_class: int) -> Object:
    if binary is None:
        return {}
    end = binary[0] + 1 if esm_class & UDHI and binary else 0
    header: Object = {"header": binary[:end].hex(" ").upper()} if end else {}
    return header | {"octets": binary[end:].hex(" ").upper()}


def request(number: int, arrival: Arrival) -> Object:
    """A request as it arrived, without its password, and its reply."""
    target, body = shown_request(arrival.request)
    reply = arrival.exchange.reply
    return {
        "id": number,
        "method": arrival.request.method,
        "target": target[:_LONGEST],
        "headers": [list(pair) for pair in shown_headers(arrival.headers)],
        "body": body[:_LONGEST],
        "reply": {"status": reply.status, "body": reply.body.decode(errors="replace")[:_LONGEST]},
        "fault": arrival.fault,
    }


# --- phones -------------------------------------------------------------------------------------


@attrs.define
class PhoneLine:
    """One line of the list of conversations."""

    number: str
    latest: SentMessage | Inbound
    at: float
    messages: int = 1

    def text(self) -> str:
        """The last text."""
        return "binary" if self.latest.text is None else self.latest.text

    def words(self) -> str:
        """All words that one may look for."""
        return f"{self.number} {self.text()}"

    def view(self) -> Object:
        """The line as JSON."""
        return {
            "number": self.number,
            "at": self.at,
            "text": self.text()[:100],
            "answered": isinstance(self.latest, Inbound),
            "messages": self.messages,
        }


def phones(recorder: Recorder) -> list[PhoneLine]:
    """The conversations, the one with the latest message first."""
    found: dict[str, PhoneLine] = {}
    for _, _, sent in recorder.rows():
        if sent is None:
            continue
        if known := found.get(sent.msisdn):
            known.messages += 1
        else:
            found[sent.msisdn] = PhoneLine(sent.msisdn, sent, sent.at)
    for inbound in recorder.inbound:
        number = inbound.sender.removeprefix("+")
        line = found.setdefault(number, PhoneLine(number, inbound, inbound.at, 0))
        line.messages += 1
        if inbound.at >= line.at:
            line.latest, line.at = inbound, inbound.at
    return sorted(found.values(), key=attrgetter("at"), reverse=True)


def conversation(number: str, recorder: Recorder, limit: int) -> Object:
    """The latest messages that a handset shows: those that came, and those sent from it."""
    came = [message for *_, message in recorder.rows() if message and message.msisdn == number]
    sent = [each for each in recorder.inbound if each.sender.removeprefix("+") == number]
    everything: list[tuple[float, HandsetMessage | Inbound]] = [
        (each.first.at, each) for each in shown(reversed(came))
    ]
    everything += [(each.at, each) for each in sent]
    everything.sort(key=itemgetter(0))
    bubbles = [
        outgoing(each) if isinstance(each, Inbound) else bubble(each, recorder)
        for _, each in everything[-limit:]
    ]
    return {"total": len(everything), "messages": bubbles}


def bubble(whole: HandsetMessage, recorder: Recorder) -> Object:
    """A message as a handset shows it."""
    first = whole.first
    return {
        "direction": "in",
        "id": first.gateway_id,
        "at": first.at,
        "from": whole.sender,
        "text": whole.text,
        "octets": (whole.data or b"").hex(" ").upper() if whole.text is None else None,
        "url": first.submission.url,
        "status": recorder.status_of(first),
        "missing": list(whole.missing),
        **content_of(first),
        "flash": whole.flash,
        "parts": whole.total if whole.total > 1 else first.parts,
    }


def outgoing(inbound: Inbound) -> Object:
    """A message that was sent from a handset."""
    return {
        "direction": "out",
        "at": inbound.at,
        "to": inbound.receiver,
        "text": inbound.text,
        "octets": inbound.data.hex(" ").upper() if inbound.data is not None else None,
        "answers": list(inbound.answers),
    }


# --- lookups ------------------------------------------------------------------------------------


def lookup(lookup: Lookup, report: HlrReport | None, recorder: Recorder) -> Object:
    """One line of the table of lookups."""
    pushes = recorder.pushes_on(lookup.lookup_id)
    return {
        "number": lookup.msisdn,
        "at": lookup.at,
        "lookup_id": lookup.lookup_id,
        "accepted": report is not None,
        "pushed": pushes[-1][1].attempt.status if pushes else None,
        "pushes": [push(number, each) for number, each in pushes],
        "answer": report and answer(report),
    }


def answer(given: HlrAnswer | HlrReport) -> Object:
    """What the HLR says of a number, and which network that is."""
    status = given.raw_status if isinstance(given, HlrReport) else given.status
    tables = bundled_tables()
    parts = split_imsi(given.imsi, tables) if given.imsi else None
    network = tables.network(parts.mcc, parts.mnc) if parts else None
    return {
        "status": status.value if isinstance(status, HlrStatus) else status,
        "imsi": given.imsi,
        "serving_msc": given.serving_msc,
        "error_code": given.error_code,
        "network": network and f"{network.operator} ({network.mcc} {network.mnc})",
    }


def phone(number: str, decided: Phone) -> Object:
    """What was decided about a number; what was not is None."""
    status = decided.status
    return {
        "number": number,
        "status": status.value if isinstance(status, DeliveryStatus) else status,
        "delay": decided.delay,
        "answer": decided.answer and answer(decided.answer),
    }


# --- pushes and figures -------------------------------------------------------------------------


def push(number: int, pushed: Pushed) -> Object:
    """One attempt to push."""
    post, attempt = pushed.post, pushed.attempt
    return {
        "id": number,
        "kind": post.kind.value,
        "at": attempt.at,
        "seconds": pushed.seconds,
        "rows": post.rows,
        "method": post.request.method,
        "url": shown_callback(post.request.url),
        "body": _push_body(pushed)[:_LONGEST],
        "status": attempt.status,
        "successful": attempt.successful,
        "answer": pushed.answer,
    }


def _push_body(pushed: Pushed) -> str:
    body = pushed.post.request.body.decode(errors="replace")
    if pushed.post.kind is PushKind.DELIVERY_REPORTS:
        return body.replace("><", ">\n<")
    return body.replace("%3B", ";").replace("%0A", "\n")


def figures(recorder: Recorder) -> Object:
    """Figures since the start, and for each span of the time that is kept."""
    return {
        "totals": dict(recorder.totals),
        "span": BUCKET,
        "series": [{"at": at, **figures} for at, figures in recorder.series],
    }
