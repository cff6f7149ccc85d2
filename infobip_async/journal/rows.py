"""What tells events from each other: by which key they keep their order, and which are equal."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from infobip_async.models import DeliveryReport, Event, HlrReport, InboundSms

_DIGEST_OCTETS: Final = 16  # two of 50 million rows are equal by chance once in 10^23 windows


def lane_of(event: Event) -> tuple[type[Event], str] | None:
    """The key whose events are handled one after the other; None where there is none."""
    if isinstance(event, DeliveryReport):
        return DeliveryReport, event.message_id
    if isinstance(event, HlrReport):
        return HlrReport, event.lookup_id or event.destination
    if isinstance(event, InboundSms):
        return InboundSms, event.sender
    return None


def _fields(event: Event) -> tuple[object, ...]:
    """All that the gateway said in a row."""
    if isinstance(event, DeliveryReport):
        extras = sorted(event.extras.items())
        return event.message_id, event.raw_status, str(event.sent_at), str(event.done_at), *extras
    if isinstance(event, HlrReport):
        return (
            event.destination,
            event.lookup_id,
            event.raw_status,
            event.imsi,
            event.serving_msc,
            event.error_code,
        )
    if isinstance(event, InboundSms):
        return tuple(sorted(event.params.items()))
    return (event.raw,)


def digests_of(events: Sequence[Event]) -> dict[int, str]:
    """The digest of each row of a post by its number.

    Equal rows of one post have different ones, since each counts as often as it occurs.
    """
    occurrences: Counter[str] = Counter()
    digests = {}
    for number, event in enumerate(events):
        row = f"{type(event).__name__}{_fields(event)!r}"
        occurrences[row] += 1
        text = f"{row}{occurrences[row]}"
        digest = blake2b(text.encode(errors="backslashreplace"), digest_size=_DIGEST_OCTETS)
        digests[number] = digest.hexdigest()
    return digests
