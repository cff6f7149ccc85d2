"""Messages from handsets, as the gateway forwards them (§6)."""

from datetime import datetime
from itertools import accumulate, pairwise
from typing import Final

import attrs

from infobip_async.models.events import InboundSms
from infobip_async.simulator.records import UDHI
from infobip_async.text import data_coding as codings
from infobip_async.text import gsm7, udh
from infobip_async.text.segments import Alphabet, preview

_UCS_2: Final = 8


@attrs.frozen
class Content:
    """The content of one message.

    Attributes:
        octets: the content, with its header in front where `esm_class` has the UDHI bit; GSM
            text has one septet per octet.
        data_coding: the kind of the octets, 0 to 255.
        esm_class: 0 to 255.
    """

    octets: bytes
    data_coding: int = 0
    esm_class: int = 0


def contents_of(text: str, reference: int) -> list[Content]:
    """Encode a text in GSM-7, or in UCS-2 where GSM-7 cannot carry it, in parts where it is long.

    Args:
        text: what was typed.
        reference: the number that the parts have in common, 0 to 255.

    Raises:
        LocalProtocolError: the text cannot be sent, or needs more than 255 parts.
    """
    if not text:
        return [Content(b"")]
    layout = preview(text)
    gsm = layout.alphabet is Alphabet.GSM_7
    octets, coding = (gsm7.encode(text), 0) if gsm else (text.encode("utf-16-be"), _UCS_2)
    sizes = (units if gsm else units * 2 for units in layout.parts)
    parts = [octets[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]
    if len(parts) == 1:
        return [Content(octets, coding)]
    return [
        Content(udh.concatenation(reference, len(parts), number) + part, coding, UDHI)
        for number, part in enumerate(parts, 1)
    ]


def message_of(
    content: Content, sender: str, receiver: str | None, received_at: datetime
) -> InboundSms:
    """Make the message that the gateway forwards, with its octets and its text."""
    header, octets = None, content.octets
    if content.esm_class & UDHI:
        header, octets = udh.parse(octets)
    text, _ = codings.decode(octets, content.data_coding, header)
    return InboundSms(
        sender=sender.removeprefix("+"),  # "there is no leading + in sender field"
        receiver=receiver,
        text=text,
        data=octets,
        received_at=received_at,
        data_coding=content.data_coding,
        esm_class=content.esm_class,
        udh=header,
    )
