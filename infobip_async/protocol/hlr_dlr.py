"""HLR reports pushed as the form field ``dlr`` (§5).

Wire example, before percent-encoding::

    dlr=23423423232;234234sdfsds-01-01;DELIVRD;2019011231213;385980501;0
    23423423231;234234sdfsds-01-01;UNDELIV;;;1
"""

import re
from collections.abc import Container, Iterable
from io import BytesIO
from itertools import islice
from typing import Final
from urllib.parse import quote_from_bytes

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import HlrReport, HlrStatus, UnreadableRow
from infobip_async.protocol import form
from infobip_async.text import charset

MAX_ROWS: Final = 100
"""The most reports that a gateway puts into one push (§5)."""

_STATUSES: Final = {status.value: status for status in HlrStatus}
_FIELDS: Final = 6
_MANY: Final = 10 * MAX_ROWS
_NOTHING: Final = b"0" + b";" * (_FIELDS - 1)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
# Without white space and control characters, and ASCII only.
_PLAIN: Final = b"\n" + bytes(range(0x21, 0x7F))
# A body that is rows without the name of a field: its first field is a number, or empty.
_BARE: Final = re.compile(rb"[\s+]*+[0-9]*+(?:;|%3b)", re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_END: Final = b"\0"  # of a C program's text


def _row(line: str) -> HlrReport | UnreadableRow:
    fields = line.split(";", _FIELDS)
    if len(fields) != _FIELDS:
        if fields[_FIELDS:] != [""]:
            return UnreadableRow(line, f"{line.count(';') + 1} fields instead of {_FIELDS}")
        fields.pop()  # a separator behind the last field
    destination, lookup_id, raw_status, imsi, serving_msc, error_code = fields
    if not (destination or lookup_id):
        return UnreadableRow(line, "neither a destination nor an id")
    return HlrReport(
        destination,
        lookup_id,
        _STATUSES.get(raw_status) or _STATUSES.get(raw_status.upper(), HlrStatus.UNKNOWN),
        raw_status,
        imsi or None,
        serving_msc or None,
        error_code or None,
    )


def _padded_row(octets: bytes) -> HlrReport | UnreadableRow:
    characters = charset.pieces(octets, "utf-8", "strict")
    try:
        line = (octets.decode() if octets.isascii() else charset.joined(characters)).strip()
    except UnicodeDecodeError:
        return UnreadableRow(form.printable(octets), "not UTF-8")
    padded = _FIELDS - 1 <= line.count(";") <= _FIELDS
    row = _row(";".join(map(str.strip, line.split(";"))) if padded else line)
    if isinstance(row, HlrReport) and _CONTROL.search(line):
        return UnreadableRow(line, "a control character")
    return row if isinstance(row, HlrReport) else UnreadableRow(line, row.reason)


def _rows_of(body: bytes) -> bytes:
    """Find the rows: the field of their name, or the whole body where it has no name."""
    start = _without_mark(body.lstrip(b" \t\r\n"))
    if _BARE.match(start):
        return _text(form.unquote(start))
    fields = [
        (name.strip().removeprefix(_BOM).lower(), value) for name, value in form.fields(start)
    ]
    found = [value for name, value in fields if name == b"dlr"]
    found = found or [value for name, value in fields if not name]
    if len(found) != 1:
        raise RemoteProtocolError(f"{len(found)} dlr fields instead of one", raw=body)
    return _text(found[0])


def _without_mark(octets: bytes) -> bytes:
    """Take a byte order mark off; what it marks as UTF-16 becomes UTF-8."""
    if octets.startswith(_UTF_16_BOMS):
        return b"".join(map(str.encode, charset.pieces(octets, "utf-16")))
    return octets.removeprefix(_BOM)


def _text(octets: bytes) -> bytes:
    rows = _without_mark(octets).rstrip(_END)
    return rows if b"\n" in rows else rows.replace(b"\r", b"\n")


def _lines(rows: bytes) -> Iterable[bytes]:
    """Give the lines; a million of them are not held at once."""
    if rows.count(b"\n") <= _MANY:
        return rows.split(b"\n")
    return (line.rstrip(b"\n") for line in BytesIO(rows))


def decode_push(body: bytes, *, most_rows: int | None = None) -> list[HlrReport | UnreadableRow]:
    """Read the rows of a push, in order; a row that cannot be read is set aside.

    Args:
        body: a form with one ``dlr`` field (in any case of letters), or the rows alone.
        most_rows: the most rows that can be read; None for no limit.

    Raises:
        RemoteProtocolError: there is not one such field, or it has more rows.
    """
    octets = _rows_of(body)
    lines = islice(filter(bytes.strip, _lines(octets)), most_rows and most_rows + 1)
    if octets.translate(None, _PLAIN):
        rows = list(map(_padded_row, lines))
    else:
        rows = list(map(_row, map(bytes.decode, lines)))
    if most_rows is not None and len(rows) > most_rows:
        raise RemoteProtocolError(f"more than {most_rows} rows", raw=body)
    return rows


def overwrite(body: bytes, numbers: Container[int]) -> bytes:
    """Make the form of a push in which some rows say nothing, so that the others keep their number.

    Args:
        body: as `decode_push` reads it.
        numbers: of the rows, from 0.
    """
    lines = [line for line in _rows_of(body).split(b"\n") if line.strip()]
    kept = (_NOTHING if number in numbers else line for number, line in enumerate(lines))
    return b"dlr=" + quote_from_bytes(b"\n".join(kept), safe="").encode()


def encode_push(reports: Iterable[HlrReport]) -> bytes:
    """Make the form that a gateway pushes; it has room for `MAX_ROWS` reports."""
    rows = (
        ";".join(
            (
                report.destination,
                report.lookup_id,
                report.raw_status,
                report.imsi or "",
                report.serving_msc or "",
                report.error_code or "",
            )
        )
        for report in reports
    )
    return form.encode([("dlr", "\n".join(rows))]).encode()
