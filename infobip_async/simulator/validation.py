"""What the gateway accepts: good recipients, and messages that can be sent (§2/1.2, §2/2)."""

import re
from collections.abc import Iterable

from infobip_async.errors import LocalProtocolError
from infobip_async.models.messages import Recipient, Submission, SubmissionType
from infobip_async.numbering.msisdn import check_sender
from infobip_async.simulator.records import UDHI
from infobip_async.text.data_coding import Alphabet, classify
from infobip_async.text.segments import preview
from infobip_async.text.udh import MAX_OCTETS

# E.164 ends at 15 digits; the document's own examples of good numbers begin at 6 (§4).
_MSISDN = re.compile("[1-9][0-9]{4,14}")
_INTERNATIONAL = re.compile("[1-9][0-9]*")
_UCS_2_UNITS, _UCS_2_UNITS_OF_PART = 70, 67


def is_msisdn(number: str) -> bool:
    """Whether a text is a possible number: 5 to 15 digits, the first not 0."""
    return _MSISDN.fullmatch(number) is not None


def is_international(number: str) -> bool:
    """Whether a number has the international format, "without leading 0 or +" (§2/1.2)."""
    return _INTERNATIONAL.fullmatch(number) is not None


def good_recipients(recipients: Iterable[Recipient]) -> list[Recipient]:
    """Drop bad numbers, and all repetitions of a number (§2/1)."""
    found: dict[str, Recipient] = {}
    for recipient in recipients:
        if is_msisdn(recipient.msisdn):
            found.setdefault(recipient.msisdn, recipient)
    return list(found.values())


def parts_of(message: Submission) -> int:
    """Count the parts that a message takes; 0 where it breaks a rule and is not sent.

    The rules: the sender is neither too long nor empty; either text or binary is given; a bookmark
    has an address and a title; octets fit into one message; a text of several parts is of type
    ``longSMS``.
    """
    try:
        check_sender(message.sender)
        if (message.text is None) == (message.binary is None):
            return 0
        if message.type is SubmissionType.BOOKMARK:
            return 1 if message.text and message.url else 0
        if message.binary is not None:
            return 1 if _fits(message.binary, message) else 0
        parts = _parts_of_text(message.text or "", message.data_coding)
    except LocalProtocolError:
        return 0
    return parts if parts == 1 or message.type is SubmissionType.LONG else 0


def _parts_of_text(text: str, data_coding: int) -> int:
    parts = len(preview(text).parts)
    if classify(data_coding).alphabet is not Alphabet.UCS_2:
        return parts
    units = len(text.encode("utf-16-be")) // 2
    return 1 if units <= _UCS_2_UNITS else max(parts, -(-units // _UCS_2_UNITS_OF_PART))


def _fits(octets: bytes, message: Submission) -> bool:
    """Whether octets fit into one message; with the GSM alphabet each stands for 7 bits."""
    header = octets[0] + 1 if message.esm_class & UDHI else 0
    room = MAX_OCTETS - header
    if classify(message.data_coding).alphabet is Alphabet.GSM_7:
        room = room * 8 // 7
    return header <= len(octets) <= header + room
