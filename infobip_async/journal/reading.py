"""From stored pushes to items: by which key events keep their order, and which rows are equal.

Whatever an event raises while it is read is its own fault.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from infobip_async.concurrency.big_work import aside
from infobip_async.errors import RemoteProtocolError
from infobip_async.journal.base import WHOLE_PUSH, Decode, State, StoredPush
from infobip_async.journal.items import Item, OpenPush
from infobip_async.models.events import DeliveryReport, Event, HlrReport, InboundSms
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import unreadable
from infobip_async.text.reassembly import is_part

_DIGEST_OCTETS: Final = 16  # two of 50 million rows are equal by chance once in 10^23 windows


@attrs.frozen(eq=False)
class Reading:
    """A push that was read.

    Attributes:
        stored: the push.
        events: its events by their numbers.
        digests: the digests of its rows by their numbers; a push that cannot be read has none.
    """

    stored: StoredPush
    events: Sequence[tuple[int, Event]]
    digests: Mapping[int, bytes]

    def items(self, repeated: frozenset[int], *, join: bool) -> list[Item]:
        """Make items of the events that are still to be handled."""
        try:
            return _items_of(self.stored, self.events, repeated, join=join)
        except Exception:  # noqa: BLE001 - one event must not cost its neighbours
            sound = [(n, _sound(self.stored.push, event)) for n, event in self.events]
            return _items_of(self.stored, sound, repeated, join=join)


async def read(stored: StoredPush, decode: Decode) -> Reading:
    """Read a push. Without an event that could be read, the push as a whole is the one event."""
    push = stored.push
    try:
        events = await aside(len(push.body), decode, push)
    except RemoteProtocolError as fault:
        return Reading(stored, [(WHOLE_PUSH, unreadable(push, str(fault)))], {})
    except Exception as fault:  # noqa: BLE001 - a fault of the parser costs no report
        return Reading(stored, [(WHOLE_PUSH, unreadable(push, _reason(fault)))], {})
    try:
        digests = digests_of(events)
    except Exception:  # noqa: BLE001 - as above
        events = [_sound(push, event) for event in events]
        digests = digests_of(events)
    return Reading(stored, list(enumerate(events)), digests)


def _sound(push: RawPush, event: Event) -> Event:
    """Give an event, or an unreadable row in the place of one that trips our own code up."""
    try:
        digests_of([event])
        ordering_key(event)
        if isinstance(event, InboundSms):
            is_part(event)
    except Exception as fault:  # noqa: BLE001 - as above
        return unreadable(push, _reason(fault))
    return event


def _reason(fault: Exception) -> str:
    return f"{type(fault).__name__} while it was read"


def _items_of(
    stored: StoredPush,
    events: Sequence[tuple[int, Event]],
    repeated: frozenset[int],
    *,
    join: bool,
) -> list[Item]:
    """Make items of the events of a push that are still to be handled."""
    push = OpenPush(stored.id, 0, stored.push.trace_context)
    items = []
    arrived = stored.push.received_at
    new = not stored.states and stored.wanted is None  # as most are: all their events are wanted
    for number, event in events:
        if not (new or stored.wants(number)):
            continue
        if number in repeated:
            if not isinstance(event, InboundSms):
                continue
            event = attrs.evolve(event, possible_duplicate=True)  # noqa: PLW2901 - it may be real
        key = ordering_key(event) or (stored.id, number)
        item = Item(event, key, ((push, number),), arrived, 0, stored.deaths)
        if join and isinstance(event, InboundSms):
            item.part = is_part(event)
        if not new and (known := stored.states.get(number)):
            item.attempts, item.held = known.attempts, known.state is State.HELD
            item.deaths = known.deaths
        items.append(item)
    push.open_events = len(items)
    return items


def ordering_key(event: Event) -> tuple[type[Event], str] | None:
    """Give the key whose events are handled one after the other; None if order is of no matter."""
    if isinstance(event, DeliveryReport):
        return DeliveryReport, event.message_id
    if isinstance(event, HlrReport):
        return HlrReport, event.lookup_id or event.destination
    if isinstance(event, InboundSms):
        return InboundSms, event.sender
    return None


def _fields(event: Event) -> tuple[object, ...]:
    """Give everything that the gateway said in a row."""
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


def digests_of(events: Sequence[Event]) -> dict[int, bytes]:
    """Digest each row of a push, by its number.

    Equal rows of one push get different digests: each counts as often as it occurs.
    """
    occurrences: dict[str, int] = {}
    digests = {}
    for number, event in enumerate(events):
        row = f"{type(event).__name__}{_fields(event)!r}"
        if row in occurrences:
            occurrences[row] += 1
            row = f"{row}{occurrences[row]}"
        else:
            occurrences[row] = 1
        octets = row.encode("utf-8", "backslashreplace")
        digests[number] = blake2b(octets, digest_size=_DIGEST_OCTETS).digest()
    return digests
