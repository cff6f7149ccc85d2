"""HLR reports pushed as the form field ``dlr`` (§5).

Wire example, before percent-encoding::

    dlr=23423423232;234234sdfsds-01-01;DELIVRD;2019011231213;385980501;0
    23423423231;234234sdfsds-01-01;UNDELIV;;;1
"""

import re
from collections.abc import Iterable
from typing import Final

from infobip_async.errors import RemoteProtocolError
from infobip_async.models import HlrReport, HlrStatus, UnreadableRow
from infobip_async.protocol import form

MAX_ROWS: Final = 100
"""The most reports that a gateway puts into one push (§5)."""

_STATUSES: Final = {status.value: status for status in HlrStatus}
_FIELDS: Final = 6
_CONTROL = re.compile("[\x00-\x1f\x7f]")
# Without white space and control characters, and ASCII only.
_PLAIN: Final = b"\n" + bytes(range(0x21, 0x7F))


def _row(line: str) -> HlrReport | UnreadableRow:
    fields = line.split(";")
    if len(fields) != _FIELDS:
        if len(fields) != _FIELDS + 1 or fields[-1]:
            return UnreadableRow(line, f"{len(fields)} fields instead of {_FIELDS}")
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
    try:
        line = octets.decode().strip()
    except UnicodeDecodeError:
        return UnreadableRow(octets.decode(errors="backslashreplace"), "not UTF-8")
    row = _row(";".join(map(str.strip, line.split(";"))))
    if isinstance(row, HlrReport) and _CONTROL.search(line):
        return UnreadableRow(line, "a control character")
    return row if isinstance(row, HlrReport) else UnreadableRow(line, row.reason)


def decode_push(body: bytes) -> list[HlrReport | UnreadableRow]:
    """Read the rows of a push, in order; a row that cannot be read is set aside.

    Raises:
        RemoteProtocolError: the form does not hold one ``dlr`` field (in any case of letters).
    """
    found = [value for name, value in form.split(body) if name.strip().lower() == b"dlr"]
    if len(found) != 1:
        raise RemoteProtocolError(f"{len(found)} dlr fields instead of one", raw=body)
    if found[0].translate(None, _PLAIN):
        return [_padded_row(line) for line in found[0].split(b"\n") if line.strip()]
    return [_row(line) for line in found[0].decode().split("\n") if line]


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
