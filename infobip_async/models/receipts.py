"""What the gateway answers to a request at once: what it took on, and under which ids."""

from decimal import Decimal

import attrs

from infobip_async.models.messages import Recipient


@attrs.frozen
class PartReceipt:
    """The gateway's reply to the request that carried one part of a message.

    Attributes:
        accepted: the number of messages that the gateway will send.
        credits: the balance that the gateway reports; None where it reports none.
        recipients: the numbers and message ids of this part, as sent.
    """

    accepted: int
    credits: Decimal | None
    recipients: tuple[Recipient, ...]


@attrs.frozen
class SendReceipt:
    """The result of one `send` (§2/1.3).

    Attributes:
        recipients: the caller's recipients in their order, with the id of the whole message.
        parts: one entry per request: a text that the library splits itself (UCS-2 as binary) takes
            one for each part, and part *n* has the id of the message with ``-n`` behind it.
    """

    recipients: tuple[Recipient, ...]
    parts: tuple[PartReceipt, ...]

    @property
    def accepted(self) -> int:
        """How many recipients the gateway will send to; where parts differ, the fewest."""
        return min(part.accepted for part in self.parts)

    @property
    def credits(self) -> Decimal | None:
        """The balance as the gateway last reported it."""
        return self.parts[-1].credits

    def part_ids(self, message_id: str) -> tuple[str, ...]:
        """The ids under which the parts of one of `recipients` are reported, in order."""
        at = [recipient.message_id for recipient in self.recipients].index(message_id)
        return tuple(filter(None, (part.recipients[at].message_id for part in self.parts)))


@attrs.frozen
class HlrSubmission:
    """One row of the reply to an HLR query (§4).

    Attributes:
        destination: the number, as the gateway repeats it.
        accepted: whether a report on it will follow.
        lookup_id: the gateway's id of the lookup; None where it was not accepted.
        raw_status: the status of the row as received.
    """

    destination: str
    accepted: bool
    lookup_id: str | None
    raw_status: str
