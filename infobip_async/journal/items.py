"""Events in work: where each one stands, and the states of what is done with."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

import attrs

from infobip_async.journal.base import EventState, State
from infobip_async.models.events import Event


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
