"""Events in work: by which key they keep their order, and which rows are equal."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from infobip_async.journal.base import EventState, State, StoredPush
from infobip_async.models import DeliveryReport, Event, HlrReport, InboundSms
from infobip_async.text.reassembly import is_part

_DIGEST_OCTETS: Final = 16  # two of 50 million rows are equal by chance once in 10^23 windows


@attrs.define(eq=False)
class OpenPost:
    """A post with events in work.

    Attributes:
        id: as the storage knows it.
        open_events: events that are not done with.
    """

    id: int
    open_events: int


@attrs.define(eq=False)
class Item:
    """An event in work, or a message that was joined of several.

    Attributes:
        event: the event.
        lane: items of one lane are handled one after the other.
        rows: where it stands: a post, and the number there.
        arrived: when its post arrived.
        attempts: times that its handlers were tried.
        part: it is a part of a message that is to be joined.
        held: the handlers of parts are done with it.
        parts: those that it was joined of.
    """

    event: Event
    lane: Hashable
    rows: Sequence[tuple[OpenPost, int]]
    arrived: float = 0.0
    attempts: int = 0
    part: bool = False
    held: bool = False
    parts: Sequence["Item"] = ()

    @property
    def alone(self) -> bool:
        """Whether it goes into no batch: what failed must not spoil another one."""
        return bool(self.attempts or self.held or self.parts)

    def alike(self, other: "Item") -> bool:
        """Whether another can go into a batch with it."""
        return self.part is other.part and not other.alone

    def mark(self, state: State, reason: str = "", at: float = 0.0) -> Iterator[EventState]:
        """Say what became of it; to be called once for each state that is final."""
        for post, number in self.rows:
            post.open_events -= state.final
            closes = not post.open_events
            yield EventState(post.id, number, state, self.attempts, reason, at, closes)


def items_of(
    kept: StoredPush, events: Sequence[tuple[int, Event]], repeated: frozenset[int], *, join: bool
) -> list[Item]:
    """Make items of the events of a post that are still to be handled.

    Args:
        kept: the post.
        events: its events with their numbers.
        repeated: the numbers of those that came before.
        join: whether parts of messages are to be joined.
    """
    post = OpenPost(kept.id, 0)
    items = []
    for number, event in events:
        if not kept.wants(number):
            continue
        if number in repeated:
            if not isinstance(event, InboundSms):
                continue
            event = attrs.evolve(event, possible_duplicate=True)  # noqa: PLW2901 - it may be real
        item = Item(event, ordering_key(event) or (kept.id, number), [(post, number)])
        item.arrived = kept.push.received_at
        item.part = join and isinstance(event, InboundSms) and is_part(event)
        if mark := kept.marks.get(number):
            item.attempts, item.held = mark.attempts, mark.state is State.HELD
        items.append(item)
    post.open_events = len(items)
    return items


def ordering_key(event: Event) -> tuple[type[Event], str] | None:
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
