"""What becomes of an event after an attempt at it: done, tried again, held, or set aside."""

from collections.abc import Callable, Iterable, Sequence

import attrs

from infobip_async.journal.attempts import describe, kind_of
from infobip_async.journal.base import EventState, State
from infobip_async.journal.items import Item
from infobip_async.journal.parts import StoredParts
from infobip_async.journal.settings import HandlerSettings
from infobip_async.models.events import UnreadableRow
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.telemetry.watching import Watch

_logger = logger_of_faults("infobip_async.journal")


@attrs.define(eq=False)
class Outcomes:
    """Makes the states to record.

    Attributes:
        settings: how events are handled.
        parts: joins parts of messages.
        arrived: gives the time up to which all pushes that arrived were read from the storage.
        complete: is given the messages that parts have completed, or made room for.
        watch: counts what is tried again or set aside.
    """

    settings: HandlerSettings
    parts: StoredParts
    arrived: Callable[[], float]
    complete: Callable[[Iterable[Item]], None]
    watch: Watch
    _lines: SparseLogger = attrs.field(init=False, factory=lambda: SparseLogger(_logger))

    def of(self, items: Sequence[Item], fault: Exception | None) -> list[EventState] | None:
        """Make the states of items that went through their handlers together.

        Returns:
            The states; None where all of them are done with, which `states_of_done` makes of many
            at once.
        """
        if fault is None:
            first = items[0]
            if not (first.part or isinstance(first.event, UnreadableRow)):
                return None
            return [state for item in items for state in self._states_of_success(item)]
        for item in items:
            item.attempts += 1
        # The type of the fault makes a kind of line: a rare one is not hidden by a frequent one.
        text = f"handlers of {type(items[0].event).__name__} failed with {kind_of(fault)}"
        number, attempts = len(items), items[0].attempts
        self._lines.warning(f"{text} on %d events, attempt %d", number, attempts, exc_info=fault)
        return [state for item in items for state in self._states_of_failure(item, fault)]

    def _states_of_success(self, item: Item) -> Iterable[EventState]:
        if isinstance(item.event, UnreadableRow):
            return self._quarantine(item, item.event.reason)
        return self._states_of_part(item)

    def _states_of_part(self, item: Item) -> Iterable[EventState]:
        """Join a part whose own handlers succeeded, and queue the messages that it completes.

        A part gets its final state with the message that has it: until then it is held, so that it
        is there again after a crash.
        """
        if not item.held:
            item.attempts = 0  # attempts at the whole message are counted anew
        try:
            messages, state = self.parts.add(item, self.arrived())
        except Exception as fault:  # noqa: BLE001 - whatever a part brings about is its own fault
            return self._quarantine(item, f"{kind_of(fault)} while it was joined")
        self.complete(messages)
        if state is None or (state is State.HELD and item.held):
            return ()  # nothing new to record
        return item.states(state)

    def _states_of_failure(self, item: Item, fault: Exception) -> Iterable[EventState]:
        reason, now = describe(fault), self.settings.clock()
        if not self.exhausted(item):
            self._count("retried", item)
            # The parts of a whole message stay held: their own handlers must not run again.
            return item.states(State.HELD if item.parts else State.FAILED, reason, now)
        return self.set_aside(item, reason)

    def suspected(self, item: Item, deaths: int) -> Sequence[EventState]:
        """Make the states of a suspect that is about to be handled, or has survived that.

        Args:
            item: the suspect.
            deaths: how often its process will have died of it if it dies now.
        """
        item.deaths = deaths
        state = State.HELD if item.parts else State.FAILED
        return list(item.states(state, "its process died", self.settings.clock()))

    def set_aside(self, item: Item, reason: str) -> Sequence[EventState]:
        """Make the states of an item that is not handled any more."""
        if isinstance(item.event, UnreadableRow):
            return self._quarantine(item, item.event.reason)
        self.parts.forget(item)
        self._count("dead", item)
        self._lines.error(f"{type(item.event).__name__} is a dead letter of the journal")
        return list(item.states(State.DEAD, reason, self.settings.clock()))

    def exhausted(self, item: Item) -> bool:
        """Whether the handlers of an item were tried as often as they are to be."""
        return item.attempts >= self.settings.attempts

    def _quarantine(self, item: Item, reason: str) -> Sequence[EventState]:
        self.parts.forget(item)
        self._count("quarantined", item)
        self.watch.unreadable(1, "journal")
        self._lines.warning("an unreadable row is in the journal's quarantine: %s", reason)
        return list(item.states(State.QUARANTINED, reason, self.settings.clock()))

    def _count(self, state: str, item: Item) -> None:
        kind = type(item.event).__name__
        attributes = {"infobip.state": state, "messaging.destination.name": kind}
        self.watch.count("infobip.journal.failures", 1, attributes)
