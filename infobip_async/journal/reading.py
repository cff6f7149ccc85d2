"""From stored pushes to items: whatever an event raises while it is read is its own fault."""

from collections.abc import Mapping, Sequence

import attrs

from infobip_async.concurrency.big_work import aside
from infobip_async.errors import RemoteProtocolError
from infobip_async.journal.base import WHOLE_PUSH, Decode, StoredPush
from infobip_async.journal.items import Item, digests_of, items_of, ordering_key
from infobip_async.models.events import Event, InboundSms
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import unreadable
from infobip_async.text.reassembly import is_part


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
        """Make items of the events that are still to be handled; see `items_of`."""
        try:
            return items_of(self.stored, self.events, repeated, join=join)
        except Exception:  # noqa: BLE001 - one event must not cost its neighbours
            sound = [(n, _sound(self.stored.push, event)) for n, event in self.events]
            return items_of(self.stored, sound, repeated, join=join)


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
