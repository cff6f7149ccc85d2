"""Events in work."""

from collections.abc import Hashable, Iterator, Sequence

import attrs

from infobip_async.journal.rows import lane_of
from infobip_async.journal.seam import KeptPost, Mark, State
from infobip_async.models import Event, InboundSms
from infobip_async.text.reassembly import is_part


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

    def mark(self, state: State, reason: str = "", at: float = 0.0) -> Iterator[Mark]:
        """Say what became of it; to be called once for each state that is final."""
        for post, number in self.rows:
            post.open_events -= state.final
            closes = not post.open_events
            yield Mark(post.id, number, state, self.attempts, reason, at, closes)


def items_of(
    kept: KeptPost, events: Sequence[tuple[int, Event]], repeated: frozenset[int], *, join: bool
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
        item = Item(event, lane_of(event) or (kept.id, number), [(post, number)])
        item.arrived = kept.push.received_at
        item.part = join and isinstance(event, InboundSms) and is_part(event)
        if mark := kept.marks.get(number):
            item.attempts, item.held = mark.attempts, mark.state is State.HELD
        items.append(item)
    post.open_events = len(items)
    return items
