"""A file of what arrived: one line of JSON for each request, without its password."""

import json
import os
from os import PathLike
from typing import TextIO

import attrs

from infobip_async.simulator.console.masking import shown_headers, shown_request
from infobip_async.simulator.records import Arrival


@attrs.define(eq=False)
class Recording:
    """Appends requests to a file, which its owner alone can read where it is new.

    Attributes:
        path: the file. It has numbers and texts, and no passwords.
    """

    path: str | PathLike[str]
    _file: TextIO | None = attrs.field(init=False, default=None)

    def open(self) -> None:
        """Open the file.

        Raises:
            OSError: it cannot be written.
        """
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        self._file = os.fdopen(os.open(self.path, flags, 0o600), "a", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def write(self, arrival: Arrival) -> None:
        """Append one request, at once."""
        if self._file:
            print(json.dumps(_line(arrival)), file=self._file, flush=True)


def _line(arrival: Arrival) -> dict[str, object]:
    target, body = shown_request(arrival.request)
    exchange = arrival.exchange
    return {
        "at": arrival.at,
        "operation": exchange.operation,
        "method": arrival.request.method,
        "target": target,
        "headers": shown_headers(arrival.headers),
        "body": body,
        "reply": exchange.reply.body.decode(errors="replace"),
        "fault": arrival.fault,
        "messages": [
            {
                "to": message.msisdn,
                "from": message.submission.sender,
                "text": message.text,
                "parts": message.parts,
                "status": message.status,
                "message_id": message.message_id,
                "gateway_id": message.gateway_id,
            }
            for message in exchange.messages
        ],
        "lookups": [
            {"number": lookup.msisdn, "lookup_id": lookup.lookup_id} for lookup in exchange.lookups
        ],
    }
