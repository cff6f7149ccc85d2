"""Delivery reports as XML, pushed as a raw body (§3.1); a pulled reply has the same form (§3.2).

Wire example::

    <DeliveryReport><message id="1023012301" sentdate="2005/7/19 22:0:0"
    donedate="2005/7/19 22:0:0" status="NOT_SENT" /></DeliveryReport>
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Final
from xml.sax.saxutils import quoteattr

import attrs

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import DeliveryReport, DeliveryStatus, UnreadableRow
from infobip_async.protocol import dates, safe_xml

_STATUSES: Final = {status.value: status for status in DeliveryStatus}
_KNOWN: Final = frozenset({"id", "sentdate", "donedate", "status"})


def _element(name: str, attributes: Iterable[tuple[str, str]]) -> str:
    spelt = "".join(f" {key}={quoteattr(value)}" for key, value in attributes)
    return f"<{name}{spelt} />"


_PADDING: Final = b" \t\r\n\0"  # a C program's end of the text among it
_DEEPEST: Final = 16  # elements in messages are kept as extras


@attrs.define
class _Rows:
    """The rows of one document, in order.

    Attributes:
        body: the push, for errors.
        zone: the gateway's time zone.
        most: the most rows that may be read; None for no limit.
        found: whether there is a report, as the root or in a SOAP envelope.
    """

    body: bytes
    zone: tzinfo | None
    most: int | None
    found: bool = False
    rows: list[DeliveryReport | UnreadableRow] = attrs.field(factory=list)
    _root: int = 0  # the level of the report that is read
    _current: tuple[str, safe_xml.Attributes] = ("", {})
    _path: list[str] = attrs.field(factory=list)
    _inner: dict[str, str] = attrs.field(factory=dict)
    _enveloped: bool = False

    def start(self, level: int, name: str, attributes: safe_xml.Attributes) -> None:
        if ":" in name:  # the prefix of a namespace
            name = name.rpartition(":")[2]
        below = level - self._root
        if below == 1 and self._root:
            self._begin(name, attributes)
        elif not self._root or below < 1:
            self._begin_report(level, name.lower())
        else:
            self._path[below - 2 :] = [name.lower()]
            for key, value in attributes.items():
                self._inner[".".join((*self._path, key.lower()))] = value

    def _begin_report(self, level: int, name: str) -> None:
        if level == 1:
            self._enveloped = name == "envelope"
        is_report = name == "deliveryreport" and (level == 1 or self._enveloped)
        self._root = level if is_report else 0
        self.found = self.found or is_report

    def _begin(self, name: str, attributes: safe_xml.Attributes) -> None:
        if len(self.rows) == self.most:
            raise RemoteProtocolError(f"more than {self.most} rows", raw=self.body)
        self._current = name, attributes
        if name == "message" and attributes.keys() == _KNOWN and attributes["id"]:
            self.rows.append(self._report(attributes, {}))
        else:
            self.rows.append(self._uncommon(name, attributes))

    def end(self, level: int, text: str) -> None:
        """Keep the text of an element in a message as if it were an attribute of the message."""
        below = level - self._root
        if not self._root:
            return
        if below > 1 and (stripped := text.strip()):
            self._inner[".".join(self._path[: below - 1])] = stripped
        elif below == 1 and self._inner:  # the message
            name, attributes = self._current
            given = {key.lower() for key in attributes}
            inner = {key: value for key, value in self._inner.items() if key not in given}
            self.rows[-1] = self._uncommon(name, {**attributes, **inner})
            self._inner.clear()

    def _uncommon(
        self, name: str, attributes: safe_xml.Attributes
    ) -> DeliveryReport | UnreadableRow:
        """Read a row with other attributes than the document's, or in another case of letters."""
        values = {key.lower(): value for key, value in attributes.items()}
        once = len(values) == len(attributes)
        if name.lower() == "message" and values.get("id") and "status" in values and once:
            extras = {key: value for key, value in values.items() if key not in _KNOWN}
            return self._report(values, extras)
        reason = "not a <message> with an id and a status, and nothing twice"
        return UnreadableRow(_element(name, attributes.items()), reason)

    def _report(self, values: Mapping[str, str], extras: dict[str, str]) -> DeliveryReport:
        sent, done = values.get("sentdate", ""), values.get("donedate", "")
        try:
            sent_at, done_at = dates.decode(sent, self.zone), dates.decode(done, self.zone)
        except ValueError:
            sent_at = self._date("sentdate", sent, extras)
            done_at = self._date("donedate", done, extras)
        if self.zone and sent_at and done_at:
            sent_at, done_at = dates.in_order(sent_at, done_at)
        raw_status = values["status"]
        status = _STATUSES.get(raw_status) or _status(raw_status)
        return DeliveryReport(values["id"], status, raw_status, sent_at, done_at, extras)

    def _date(self, name: str, text: str, extras: dict[str, str]) -> datetime | None:
        """Read a date; one that cannot be read is None, and its text goes into the extras."""
        try:
            return dates.decode(text, self.zone)
        except ValueError:
            extras[name] = text
            return None


def _status(raw_status: str) -> DeliveryStatus:
    return _STATUSES.get(raw_status.strip().upper(), DeliveryStatus.UNKNOWN)


def decode_push(
    body: bytes, *, zone: tzinfo | None = None, most_rows: int | None = None
) -> list[DeliveryReport | UnreadableRow]:
    """Read the rows of a delivery report, in order; a row that cannot be read is set aside.

    Args:
        body: the body of the push: the document itself, or a form with a field that holds it.
        zone: the gateway's time zone; without it dates are naive.
        most_rows: the most rows that can be read; None for no limit.

    Raises:
        RemoteProtocolError: the document as a whole cannot be read, or has more rows.
    """
    documents = safe_xml.documents(body)
    if len(documents) != 1:
        raise RemoteProtocolError("the body holds no delivery report", raw=body)
    found = _Rows(body, zone, most_rows)
    # Texts cost time. A document whose only end tag is that of the root has none.
    end = None if documents[0].count(b"</") == 1 else found.end
    safe_xml.read(documents[0], found.start, end, depth=_DEEPEST, padding=_PADDING, mends=True)
    if not found.found:
        raise RemoteProtocolError("the root is not <DeliveryReport>", raw=body)
    return found.rows


def _message(report: DeliveryReport) -> str:
    known = {
        "id": report.message_id,
        "sentdate": dates.encode(report.sent_at),
        "donedate": dates.encode(report.done_at),
        "status": report.raw_status,
    }
    return _element("message", (known | dict(report.extras)).items())


def encode_push(reports: Iterable[DeliveryReport]) -> bytes:
    """Make the document that a gateway pushes."""
    messages = "".join(map(_message, reports))
    return f"<DeliveryReport>{messages}</DeliveryReport>".encode()
