"""Parts of inbound messages from a journal, joined without losing sight of where each one is."""

from collections import OrderedDict
from collections.abc import Iterable

from infobip_async.journal.base import State
from infobip_async.journal.items import Item
from infobip_async.models.events import InboundSms
from infobip_async.text.reassembly import Parts, Reassembler


class StoredParts:
    """Joins items that are parts, and remembers of which items a message was made.

    The clock is the arrival of pushes, not the time of day. A part may have come in time and still
    wait on disk, behind others of its sender, or for its next attempt; its message is handed on
    incomplete only when all parts that arrived in its time have been added.

    Args:
        timeout: seconds that a message waits for its parts.
        limit: most messages that wait at the same time.
    """

    def __init__(self, timeout: float, limit: int) -> None:
        self._reassembler = Reassembler(timeout=timeout, limit=limit)
        self._waiting: dict[int, Item] = {}  # by the identity of the event
        self._expected: OrderedDict[Item, None] = OrderedDict()
        self._time = 0.0

    def expect(self, item: Item) -> None:
        """Announce a part that will be added later; in the order of arrival."""
        self._expected[item] = None

    def forget(self, item: Item) -> None:
        """Give up an item: a part that will not be added, or a whole message that failed."""
        self._expected.pop(item, None)
        for part in item.parts:
            self._reassembler.forget(_sms(part))

    def add(self, item: Item, arrived: float) -> tuple[list[Item], State | None]:
        """Add a part whose own handlers have run.

        Args:
            item: the part.
            arrived: up to when all parts that arrived were announced; seconds since the epoch.

        Returns:
            The messages that are to be handled next, and the state of the part: it is held; or it
            is done, since it came before; or None, since one of those messages has it.
        """
        sms = _sms(item)
        self._waiting[id(sms)] = item
        messages = self._join(self._reassembler.collect(sms, self._now(arrived)))
        self.forget(item)
        if id(sms) not in self._waiting:
            return messages, None
        if self._reassembler.holds(sms):
            return messages, State.HELD
        del self._waiting[id(sms)]
        return messages, State.DONE

    def take_due(self, arrived: float) -> list[Item]:
        """Give the messages whose parts are late, incomplete; `arrived` is as for `add`."""
        return self._join(self._reassembler.take_due(self._now(arrived)))

    def _now(self, arrived: float) -> float:
        """Give the time up to which all parts were added. It never goes back."""
        oldest = next(iter(self._expected), None)
        self._time = max(self._time, arrived if oldest is None else oldest.arrived)
        return self._time

    def _join(self, messages: Iterable[Parts]) -> list[Item]:
        return [self._whole(parts) for parts in messages]

    def _whole(self, parts: Parts) -> Item:
        # A part that seemed to be repeated is done with, though a later message may have it.
        found = (self._waiting.pop(id(sms), None) for sms in parts.by_number.values())
        items = [item for item in found if item]
        return Item(
            parts.join_or_refuse(),
            items[0].key,
            [row for item in items for row in item.rows],
            attempts=max(item.attempts for item in items),
            deaths=max(item.deaths for item in items),
            parts=items,
        )


def _sms(item: Item) -> InboundSms:
    assert isinstance(item.event, InboundSms)  # noqa: S101 - for the type checker
    return item.event
