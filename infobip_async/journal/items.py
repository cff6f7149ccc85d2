"""Events in work: by which key they keep their order, and which rows are equal."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from infobip_async.journal.base import EventState, State, StoredPush
from infobip_async.models.events import DeliveryReport, Event, HlrReport, InboundSms
from infobip_async.text.reassembly import is_part

_DIGEST_OCTETS: Final = 16  # two of 50 million rows are equal by chance once in 10^23 windows


@attrs.define(eq=False)
class OpenPush:
    """A push with events in work.

    Attributes:
        id: its id in the storage.
        open_events: how many of its events have no final state yet.
        trace_context: that came with it.
    """

    id: int
    open_events: int
    trace_context: Mapping[str, str] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Item:
    """An event in work, or a message that was joined from several.

    Attributes:
        event: the event.
        key: the ordering key: items with the same key are handled one after the other.
        rows: where the event stands: a push, and the number in it. A joined message has several.
        arrived: when its push arrived, in seconds since the epoch.
        attempts: how often its handlers were tried.
        deaths: how often its process died while they ran; see `EventState`.
        part: whether it is a part of a message that is to be joined.
        held: its per-part handlers have run; it waits for the other parts.
        parts: the items that it was joined from.
    """

    event: Event
    key: Hashable
    rows: Sequence[tuple[OpenPush, int]]
    arrived: float = 0.0
    attempts: int = 0
    deaths: int = 0
    part: bool = False
    held: bool = False
    parts: Sequence["Item"] = ()

    @property
    def alone(self) -> bool:
        """Whether it goes into no batch: an event that failed must not fail its neighbours."""
        return bool(self.attempts or self.held or self.parts)

    @property
    def suspect(self) -> bool:
        """Whether its handlers may kill the process, so that nothing else is handled meanwhile."""
        return bool(self.deaths and not self.held)  # the handlers of a held part do not run again

    @property
    def places(self) -> list[tuple[int, int]]:
        """The push and the number of each of its rows."""
        return [(push.id, number) for push, number in self.rows]

    def alike(self, other: "Item") -> bool:
        """Whether another item can go into a batch with it."""
        return self.part is other.part and not other.alone

    def states(self, state: State, reason: str = "", at: float = 0.0) -> Iterator[EventState]:
        """Make the states of its rows. A final state must be made once only: it is counted."""
        for push, number in self.rows:
            push.open_events -= state.final
            closes = not push.open_events
            yield EventState(push.id, number, state, self.attempts, reason, at, closes, self.deaths)


def states_of_done(items: Iterable[Item]) -> Iterator[EventState]:
    """Make the states of items that were handled without a fault, to be recorded together.

    Of a push whose events are all done with, one state says so: most pushes have no other row.
    """
    done: defaultdict[OpenPush, list[int]] = defaultdict(list)
    for item in items:
        for push, number in item.rows:
            push.open_events -= 1
            done[push].append(number)
    for push, numbers in done.items():
        if push.open_events:
            yield from (EventState(push.id, number, State.DONE) for number in numbers)
        else:
            yield EventState(push.id, numbers[-1], State.DONE, closes=True)


def items_of(
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
